//! How much of many images is stored once: ours, the stock tool's order in the same chunks, and the bound of whole files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read as _};

use aws_lc_rs::digest::{Context, SHA256};
use firesteel_image::chunk::{ChunkId, ChunkRef};
use serde::Serialize;

use super::Setup;
use super::chunks::{Slots, seal_all};
use super::unpacked::{Stock, Unpacked};
use crate::bench::progress;
use crate::image_corpus::plain_layer;

/// One layout, over the eight images.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Layout {
    /// Of all images, in chunks, as if nothing were shared.
    pub(super) alone_bytes: u64,
    pub(super) stored_bytes: u64,
    /// Chunks of the image that another is compared with.
    pub(super) chunks: u64,
    /// Those of its variants that it has not.
    pub(super) new_after_app: u64,
    pub(super) new_after_base: u64,
    pub(super) new_after_dependency: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Deduplication {
    /// Content of all files of all images: the same for all layouts, and what ratios are of.
    pub(super) content_bytes: u64,
    /// Of those, in files that differ.
    pub(super) distinct_bytes: u64,
    /// As tars.
    pub(super) uploaded_bytes: u64,
    /// Of the five files that differ in the patched base.
    pub(super) patched_bytes: u64,
    pub(super) ours: Layout,
    /// Without `mkfs.erofs` there is none.
    pub(super) stock: Option<Layout>,
}

impl Deduplication {
    pub(super) fn ratio(&self, layout: &Layout) -> f64 {
        self.content_bytes as f64 / layout.stored_bytes.max(1) as f64
    }

    pub(super) fn bound(&self) -> f64 {
        self.content_bytes as f64 / self.distinct_bytes.max(1) as f64
    }
}

pub(super) fn run(setup: &Setup) -> io::Result<Deduplication> {
    let corpus = &setup.corpus;
    let mut found = Deduplication {
        patched_bytes: corpus.patched_bytes,
        uploaded_bytes: corpus.images.iter().map(|image| image.plain_bytes()).sum(),
        ..Deduplication::default()
    };
    whole_files(setup, &mut found)?;
    let (mut ours, mut stock) = (Chunks::default(), Chunks::default());
    let mut no_stock = None;
    for image in &corpus.images {
        progress(&format!("layout of {}", image.name));
        ours.add(&image.name, &setup.flatten(image)?)?;
        if no_stock.is_none() {
            let unpacked = Unpacked::new(&setup.folder, image, &setup.scratch)?;
            match Stock::new(&unpacked, &setup.scratch) {
                Ok(image_of_stock) => stock.add(&image.name, &image_of_stock)?,
                Err(error) => no_stock = Some(error),
            }
        }
    }
    found.ours = ours.layout();
    match no_stock {
        Some(error) => progress(&format!("no stock layout: {error}")),
        None => found.stock = Some(stock.layout()),
    }
    Ok(found)
}

/// Chunks of each image.
#[derive(Default)]
struct Chunks(HashMap<String, Vec<ChunkRef>>);

impl Chunks {
    fn add(&mut self, name: &str, image: &dyn Slots) -> io::Result<()> {
        let mut chunks = Vec::new();
        seal_all(image, |_, chunk, _| chunks.push(chunk.reference()))?;
        self.0.insert(name.to_owned(), chunks);
        Ok(())
    }

    fn layout(&self) -> Layout {
        let stored = |chunks: &mut dyn Iterator<Item = &ChunkRef>| -> u64 {
            chunks.map(|chunk| u64::from(chunk.stored_bytes)).sum()
        };
        let all: HashMap<ChunkId, &ChunkRef> =
            self.0.values().flatten().map(|chunk| (chunk.id, chunk)).collect();
        let of = |name: &str| -> HashSet<ChunkId> {
            self.0.get(name).into_iter().flatten().map(|chunk| chunk.id).collect()
        };
        let data = of("data");
        let new = |name: &str| of(name).difference(&data).count() as u64;
        Layout {
            alone_bytes: stored(&mut self.0.values().flatten()),
            stored_bytes: stored(&mut all.into_values()),
            chunks: data.len() as u64,
            new_after_app: new("data-app"),
            new_after_base: new("data-base"),
            new_after_dependency: new("data-numpy"),
        }
    }
}

/// Every file of every image. Layers that images have in common are read once.
fn whole_files(setup: &Setup, found: &mut Deduplication) -> io::Result<()> {
    let mut layers = HashMap::<&str, u64>::new();
    let mut distinct = HashSet::new();
    for image in &setup.corpus.images {
        for layer in &image.layers {
            if let Some(bytes) = layers.get(layer.diff_id.as_str()) {
                found.content_bytes += bytes;
                continue;
            }
            let tar = BufReader::with_capacity(1 << 20, File::open(plain_layer(&setup.folder, layer))?);
            let mut layer_bytes = 0;
            for entry in tar::Archive::new(tar).entries()? {
                let mut entry = entry?;
                let bytes = entry.size();
                if !entry.header().entry_type().is_file() || bytes == 0 {
                    continue;
                }
                let mut digest = Context::new(&SHA256);
                let mut piece = vec![0; 1 << 16];
                loop {
                    match entry.read(&mut piece)? {
                        0 => break,
                        read => digest.update(&piece[..read]),
                    }
                }
                layer_bytes += bytes;
                if distinct.insert(digest.finish().as_ref().to_vec()) {
                    found.distinct_bytes += bytes;
                }
            }
            layers.insert(&layer.diff_id, layer_bytes);
            found.content_bytes += layer_bytes;
        }
    }
    Ok(())
}
