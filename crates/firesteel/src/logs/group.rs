//! The streams of one function: where they lie, and which are removed.
//!
//! ```text
//!  DATA/logs/aws/lambda/<function>/2026/11/21/[$LATEST]<32 hex>      one file per environment
//!                                             [$LATEST]<32 hex>.1    its older part, once it was rotated
//! ```
//!
//! A group keeps its newest streams, by their last line, up to a number and up to a size. Whoever writes looks
//! whether that holds, whenever a stream is new and after so many bytes. What lies there counts, whoever has written
//! it: two servers on one folder keep to the same bounds, but for what the other writes until its next look. A
//! stream that is removed while its environment lives begins anew with its next line.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::stream_file::PART_LIMIT_BYTES;

/// How much a group may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most streams.
    pub(super) streams: usize,
    /// Most bytes, those included that are written until the next look.
    pub(super) size_bytes: u64,
    /// What may be written until the next look.
    pub(super) unchecked_bytes: u64,
}

/// As `--help` has them.
pub(super) const BOUNDS: Bounds =
    Bounds { streams: 100, size_bytes: 64 * 1024 * 1024, unchecked_bytes: PART_LIMIT_BYTES };

/// Where all groups of functions lie, below the folder of the logs.
const PARENT: &str = "aws/lambda";

/// The folder of a function's streams.
pub(crate) fn folder(logs: &Path, function: &str) -> PathBuf {
    logs.join(PARENT).join(function)
}

/// The functions that have logs, by name.
pub(crate) fn groups(logs: &Path) -> Vec<String> {
    let entries = fs::read_dir(logs.join(PARENT)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The file that a stream's older part is in.
pub(super) fn older_part(stream: &Path) -> PathBuf {
    let mut name = stream.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// A stream as it lies there.
#[derive(Debug, Default)]
struct Stream {
    /// Of both parts.
    size_bytes: u64,
    modified: Option<SystemTime>,
}

/// The paths of a group's streams, by name. A group that does not exist has none.
pub(super) fn streams(group: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(list(group, |_| None)?.into_keys().collect())
}

fn list(
    group: &Path,
    look: impl Fn(&fs::DirEntry) -> Option<fs::Metadata>,
) -> io::Result<BTreeMap<PathBuf, Stream>> {
    let mut streams = BTreeMap::<PathBuf, Stream>::new();
    let mut folders = vec![group.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            // Another server has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let is_older_part = path.extension().is_some_and(|extension| extension == "1");
            let stream =
                streams.entry(if is_older_part { path.with_extension("") } else { path }).or_default();
            if let Some(metadata) = look(&entry) {
                stream.size_bytes += metadata.len();
                stream.modified = stream.modified.max(metadata.modified().ok());
            }
        }
    }
    Ok(streams)
}

/// Removes the oldest streams until a group keeps to its bounds, and the folders that are empty then.
pub(super) fn enforce(group: &Path, bounds: Bounds) -> io::Result<()> {
    let mut streams: Vec<(PathBuf, Stream)> =
        list(group, |entry| entry.metadata().ok())?.into_iter().collect();
    // The file system's clock may be too coarse to tell two apart; any order will do then, if it is one.
    streams.sort_by(|(path, stream), (other_path, other)| {
        other.modified.cmp(&stream.modified).then_with(|| other_path.cmp(path))
    });
    let size_limit_bytes = bounds.size_bytes - bounds.unchecked_bytes;
    let mut size_bytes = 0;
    for (number, (path, stream)) in streams.iter().enumerate() {
        size_bytes += stream.size_bytes;
        if number >= bounds.streams || size_bytes > size_limit_bytes {
            remove(path, group)?;
        }
    }
    Ok(())
}

fn remove(stream: &Path, group: &Path) -> io::Result<()> {
    for part in [&older_part(stream), stream] {
        match fs::remove_file(part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let days = stream.ancestors().skip(1).take_while(|folder| *folder != group);
    for folder in days {
        // It is not empty: there are other streams.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Streams of 100 bytes in two parts, the first the oldest.
    fn group(count: u64) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..count)
            .map(|number| {
                folder.path().join(format!("2026/11/{:02}/[$LATEST]{:02}", number / 10, 99 - number))
            })
            .collect();
        for (number, path) in (0..).zip(&paths) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            for part in [path, &older_part(path)] {
                fs::write(part, [b'x'; 50]).unwrap();
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
                fs::File::options().write(true).open(part).unwrap().set_modified(time).unwrap();
            }
        }
        (folder, paths)
    }

    fn sorted(paths: &[PathBuf]) -> Vec<PathBuf> {
        let mut paths = paths.to_vec();
        paths.sort();
        paths
    }

    #[test]
    fn the_newest_streams_stay_up_to_a_number() {
        let (folder, paths) = group(30);
        assert_eq!(streams(folder.path()).unwrap(), sorted(&paths));
        let bounds = Bounds { streams: 12, size_bytes: 10_000, unchecked_bytes: 0 };
        enforce(folder.path(), bounds).unwrap();
        assert_eq!(streams(folder.path()).unwrap(), sorted(&paths[18..]));
        assert!(!older_part(&paths[17]).exists());
        assert!(!folder.path().join("2026/11/00").exists(), "empty folders go too");
        enforce(folder.path(), bounds).unwrap();
        assert_eq!(streams(folder.path()).unwrap().len(), 12);
    }

    #[test]
    fn the_newest_streams_stay_up_to_a_size() {
        let (folder, paths) = group(30);
        enforce(folder.path(), Bounds { streams: 100, size_bytes: 850, unchecked_bytes: 100 }).unwrap();
        assert_eq!(streams(folder.path()).unwrap(), sorted(&paths[23..]));
    }

    #[test]
    fn there_may_be_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let group = super::folder(folder.path(), "f");
        assert!(streams(&group).unwrap().is_empty() && groups(folder.path()).is_empty());
        enforce(&group, BOUNDS).unwrap();
        fs::create_dir_all(&group).unwrap();
        assert_eq!(groups(folder.path()), ["f"]);
    }
}
