//! What images are without any of this: their layers downloaded, unpacked, and perhaps made into an image by the stock tool.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use rustix::fs::Advice;
use tempfile::TempDir;

use super::chunks::{SlotBytes, Slots};
use crate::image_corpus::{Image, gzip_layer, plain_layer};

/// The layers of an image in a folder, one over the other. Gone with the value.
pub(super) struct Unpacked {
    folder: TempDir,
}

impl Unpacked {
    /// From the compressed layers, which are there already. No layer of the corpus deletes what is below it.
    pub(super) fn new(corpus: &Path, image: &Image, scratch: &Path) -> io::Result<Self> {
        let folder = TempDir::with_prefix_in("unpacked-", scratch)?;
        for layer in &image.layers {
            match gzip_layer(corpus, layer) {
                Some(path) => unpack(GzDecoder::new(BufReader::new(File::open(path)?)), folder.path())?,
                None => unpack(
                    BufReader::with_capacity(1 << 20, File::open(plain_layer(corpus, layer))?),
                    folder.path(),
                )?,
            }
        }
        Ok(Self { folder })
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all of its files out of memory; names and modes may stay there.
    pub(super) fn chill(&self) -> io::Result<()> {
        rustix::fs::syncfs(File::open(self.root())?)?;
        each_file(self.root(), &mut |path| {
            let file = File::open(path)?;
            Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
        })
    }

    /// The largest of its files, relative to its root.
    pub(super) fn largest(&self) -> io::Result<PathBuf> {
        let mut largest = (0, PathBuf::new());
        each_file(self.root(), &mut |path| {
            let bytes = path.metadata()?.len();
            if bytes > largest.0 {
                largest = (bytes, path.strip_prefix(self.root()).unwrap_or(path).to_owned());
            }
            Ok(())
        })?;
        Ok(largest.1)
    }
}

fn unpack(tar: impl io::Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(rustix::process::geteuid().is_root());
    archive.unpack(folder)
}

fn each_file(folder: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            each_file(&entry.path(), each)?;
        } else if kind.is_file() {
            each(&entry.path())?;
        }
    }
    Ok(())
}

/// An image in the order of `mkfs.erofs`. Gone with the value.
pub(super) struct Stock {
    _folder: TempDir,
    file: File,
    bytes: u64,
}

impl Stock {
    /// With times as they are, like ours, and without compression, like ours.
    pub(super) fn new(unpacked: &Unpacked, scratch: &Path) -> io::Result<Self> {
        let folder = TempDir::with_prefix_in("stock-", scratch)?;
        let path = folder.path().join("image.erofs");
        let status = Command::new("mkfs.erofs")
            .args(["--quiet", "--preserve-mtime", "-U", "00000000-0000-0000-0000-000000000001"])
            .arg(&path)
            .arg(unpacked.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("mkfs.erofs ended with {status}")));
        }
        let file = File::open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { _folder: folder, file, bytes })
    }
}

impl Slots for Stock {
    fn image_bytes(&self) -> u64 {
        self.bytes
    }

    fn read_slot(&self, slot: u32, into: &mut SlotBytes) -> io::Result<()> {
        let begin = u64::from(slot) * into.len() as u64;
        let within = usize::try_from(self.bytes.saturating_sub(begin)).unwrap_or(usize::MAX).min(into.len());
        let (bytes, past) = into.split_at_mut(within);
        past.fill(0);
        self.file.read_exact_at(bytes, begin)
    }
}
