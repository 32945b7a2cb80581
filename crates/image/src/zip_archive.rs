//! Zip archives, as `zip`, build tools and deployment plugins write them.
//!
//! The archive's directory at its end is what counts, as for AWS; local headers are only passed over.
//! Which permissions an entry has is told by the upper half of its external attributes when that is
//! not zero, whatever system the archive says it was made on: tools fill in the bits far more reliably
//! than the system. An archive without them yields files nobody can execute, as it does on AWS.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::entry_path::EntryPath;
use crate::limits::{Limits, Unpacked};
use crate::staged_folder::{FILE_MODE, FOLDER_MODE, StagedFolder};
use crate::unpack::UnpackError;

/// Unpacks `archive` into a new folder `into`, whose parent exists; `into` may exist if it is empty.
///
/// See the [crate's promises](crate) for what the folder is afterwards. On an error there is none.
pub fn unpack_zip(archive: &Path, into: &Path, limits: Limits) -> Result<Unpacked, UnpackError> {
    let mut staged = StagedFolder::start(into, limits)?;
    add_zip(&mut staged, archive)?;
    staged.finish()
}

pub(crate) fn add_zip(staged: &mut StagedFolder, archive: &Path) -> Result<(), UnpackError> {
    let damaged = |source| UnpackError::Archive { source };
    let file =
        File::open(archive).map_err(|source| UnpackError::Open { path: archive.to_owned(), source })?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let limit = staged.limits().entries;
    if archive.len() > limit {
        return Err(UnpackError::TooMany { limit });
    }
    for index in 0..archive.len() {
        add_entry(staged, &mut archive, index)?;
    }
    Ok(())
}

fn add_entry(
    staged: &mut StagedFolder,
    archive: &mut ZipArchive<BufReader<File>>,
    index: usize,
) -> Result<(), UnpackError> {
    let damaged = |source| UnpackError::Archive { source };
    let entry = archive.by_index_data(index).map_err(damaged)?;
    let name = entry.name().map_err(damaged)?;
    // Names are printed to a terminal.
    let shown = name.escape_debug().to_string();
    let path = EntryPath::parse(&name, staged.limits().path_bytes)
        .map_err(|reason| UnpackError::Path { entry: shown.clone(), reason })?;
    let mode = entry.external_attributes() >> 16;
    // All bits zero: a tool that wrote the type and left the rest out.
    let permissions = Some(mode & 0o7777).filter(|bits| *bits != 0);
    let kind = FileType::of(mode, name.ends_with('/'))
        .map_err(|kind| UnpackError::Special { entry: shown.clone(), kind })?;
    if kind == FileType::Folder {
        // Some tools give folders a few bytes of empty compressed data, which is of no use to anyone.
        return staged.add_folder(&path, permissions.unwrap_or(FOLDER_MODE));
    }

    if entry.encrypted() {
        return Err(UnpackError::Encrypted { entry: shown });
    }
    if ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&entry.compression()) {
        let method = method_name(entry.compression());
        return Err(UnpackError::Compression { entry: shown, method });
    }
    let mut content = archive.by_index(index).map_err(|error| match error {
        ZipError::Io(source) => UnpackError::Read { entry: shown.clone(), source },
        source => UnpackError::Archive { source },
    })?;
    match kind {
        FileType::Link => {
            let limit = staged.limits().path_bytes as u64;
            let mut target = String::new();
            content
                .take(limit + 1)
                .read_to_string(&mut target)
                .map_err(|source| UnpackError::Read { entry: shown, source })?;
            staged.add_link(&path, &target)
        }
        FileType::File | FileType::Folder => {
            staged.add_file(&path, permissions.unwrap_or(FILE_MODE), &mut content)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum FileType {
    Folder,
    File,
    Link,
}

impl FileType {
    /// By the type bits of `mode`; without any, and where tools confuse folders and files, by the name.
    /// The error is what else it is.
    fn of(mode: u32, named_as_folder: bool) -> Result<Self, &'static str> {
        match mode & 0o170_000 {
            0o040_000 => Ok(FileType::Folder),
            0o100_000 | 0 if named_as_folder => Ok(FileType::Folder),
            0o100_000 | 0 => Ok(FileType::File),
            0o120_000 => Ok(FileType::Link),
            0o010_000 => Err("named pipe"),
            0o020_000 => Err("character device"),
            0o060_000 => Err("block device"),
            0o140_000 => Err("socket"),
            _ => Err("file of an unknown type"),
        }
    }
}

fn method_name(method: CompressionMethod) -> String {
    let known = [
        (CompressionMethod::SHRINK, "shrink"),
        (CompressionMethod::IMPLODE, "implode"),
        (CompressionMethod::DEFLATE64, "deflate64"),
        (CompressionMethod::BZIP2, "bzip2"),
        (CompressionMethod::LZMA, "lzma"),
        (CompressionMethod::ZSTD, "zstd"),
        (CompressionMethod::XZ, "xz"),
        (CompressionMethod::PPMD, "ppmd"),
    ];
    match known.iter().find(|(other, _)| *other == method) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("method {method:?}"),
    }
}
