//! What flattening costs, and whether it always gives the same.
//!
//! | figure | of what |
//! |---|---|
//! | throughput | the large image, or without one the data image: from tars to its last slot read, on one thread |
//! | memory | the growth of this process's peak meanwhile, and for a tree of a given size that only flattens |
//! | same | digests of three images: the tars as they are, twice, and each tar's entries in another order |

use std::fs::File;
use std::io::{self, BufReader};
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest::{Context, SHA256};
use firesteel_image::{FlattenLimits, Layer, ReadAt, flatten};
use serde::Serialize;

use super::Setup;
use super::chunks::{Slots, buffer};
use crate::bench::progress;
use crate::image_corpus::{Image, Tree, plain_layer};

/// Files of the image that is there for its size alone, and how large each is.
const FILES: u64 = 200_000;
const FILE_BYTES: u64 = 52 * 1024;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Flattening {
    pub(super) image: String,
    pub(super) image_bytes: u64,
    pub(super) metadata_bytes: u64,
    /// Reading the tars' headers and laying out.
    pub(super) layout_ms: f64,
    pub(super) mb_per_s: f64,
    /// How much the process grew.
    pub(super) memory_kib: u64,
    /// Of an image of 10 GiB in 200 000 files.
    pub(super) many_files_bytes: u64,
    pub(super) many_files_ms: f64,
    pub(super) many_files_memory_kib: u64,
    pub(super) same_again: bool,
    pub(super) same_shuffled: bool,
}

pub(super) fn run(setup: &Setup) -> io::Result<Flattening> {
    let mut found = Flattening::default();
    progress("flattening 10 GiB in small files");
    many_files(&mut found)?;
    progress("flattening");
    let data = setup.image("data")?;
    let image = setup.corpus.large.as_ref().unwrap_or(data);
    throughput(setup, image, &mut found)?;
    progress("flattening again, in another order");
    let digest = digest(&setup.flatten(data)?)?;
    found.same_again = self::digest(&setup.flatten(data)?)? == digest;
    found.same_shuffled = self::digest(
        &flatten(&shuffled(setup, data)?, &FlattenLimits::default()).map_err(io::Error::other)?,
    )? == digest;
    Ok(found)
}

fn throughput(setup: &Setup, image: &Image, found: &mut Flattening) -> io::Result<()> {
    // What is measured is this program, not the disk.
    for layer in &image.layers {
        io::copy(&mut File::open(plain_layer(&setup.folder, layer))?, &mut io::sink())?;
    }
    let before_kib = reset_peak()?;
    let began = Instant::now();
    let flat = setup.flatten(image)?;
    found.layout_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut slot = buffer();
    for index in 0..flat.slots() {
        Slots::read_slot(&flat, index, &mut slot)?;
    }
    let took_s = began.elapsed().as_secs_f64();
    found.memory_kib = peak_kib()?.saturating_sub(before_kib);
    found.image = image.name.clone();
    found.image_bytes = flat.image_bytes();
    found.metadata_bytes = flat.metadata_bytes();
    found.mb_per_s = flat.image_bytes() as f64 / 1e6 / took_s;
    Ok(())
}

fn many_files(found: &mut Flattening) -> io::Result<()> {
    let layer = Layer { digest: "many files".to_owned(), tar: Arc::new(ManyFiles) };
    let limits = FlattenLimits { content_bytes: FILES * FILE_BYTES, ..FlattenLimits::default() };
    let before_kib = reset_peak()?;
    let began = Instant::now();
    let flat = flatten(&[layer], &limits).map_err(io::Error::other)?;
    found.many_files_ms = began.elapsed().as_secs_f64() * 1e3;
    found.many_files_memory_kib = peak_kib()?.saturating_sub(before_kib);
    found.many_files_bytes = flat.image_bytes();
    Ok(())
}

/// A tar of 10 GiB that is nowhere: headers are made when they are read, and content is zeros.
struct ManyFiles;

impl ReadAt for ManyFiles {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (file, within) = (offset / (FILE_BYTES + 512), offset % (FILE_BYTES + 512));
        if file >= FILES {
            // Two blocks of zeros end a tar.
            let rest = (FILES * (FILE_BYTES + 512) + 1024).saturating_sub(offset);
            let bytes = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
            buf[..bytes].fill(0);
            return Ok(bytes);
        }
        let until = if within < 512 { 512 } else { FILE_BYTES + 512 };
        let bytes = usize::try_from(until - within).unwrap_or(usize::MAX).min(buf.len());
        buf[..bytes].fill(0);
        if within < 512 {
            let mut header = tar::Header::new_ustar();
            header.set_path(format!("data/{:03}/part-{file:06}.bin", file / 1000))?;
            header.set_mode(0o644);
            header.set_mtime(1_700_000_000 + file);
            header.set_size(FILE_BYTES);
            header.set_cksum();
            let skipped = usize::try_from(within).unwrap_or(usize::MAX);
            buf[..bytes].copy_from_slice(&header.as_bytes()[skipped..][..bytes]);
        }
        Ok(bytes)
    }
}

fn digest(image: &dyn Slots) -> io::Result<Vec<u8>> {
    let mut digest = Context::new(&SHA256);
    let mut slot = buffer();
    for index in 0..image.slots() {
        image.read_slot(index, &mut slot)?;
        digest.update(&*slot);
    }
    Ok(digest.finish().as_ref().to_vec())
}

/// The same layers, the entries of each in another order.
fn shuffled(setup: &Setup, image: &Image) -> io::Result<Vec<Layer>> {
    let mut random = fastrand::Rng::with_seed(6);
    let mut layers = Vec::new();
    for layer in &image.layers {
        let mut tree = Tree::default();
        tree.unpack(BufReader::new(File::open(plain_layer(&setup.folder, layer))?))?;
        let mut order: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        random.shuffle(&mut order);
        let mut file = tempfile::tempfile_in(&setup.scratch)?;
        tree.write_tar_in_order(&order, io::BufWriter::new(&mut file))?;
        layers.push(Layer { digest: layer.diff_id.clone(), tar: Arc::new(file) });
    }
    Ok(layers)
}

/// From here on the peak is counted anew; memory now.
fn reset_peak() -> io::Result<u64> {
    std::fs::write("/proc/self/clear_refs", "5")?;
    peak_kib()
}

fn peak_kib() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| io::Error::other("no VmHWM in /proc/self/status"))
}
