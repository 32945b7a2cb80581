//! A folder in the making.
//!
//! ```text
//! start ──► a hidden sibling of the folder ──► finish: links, modes, rename
//!              ▲ add_folder, add_file, add_link      │
//!              └ begin_source (per archive or layer) └─ dropped unfinished: sibling removed
//! ```
//!
//! Two things make it safe against what is put in. A list of all that was added decides every
//! question, never a look at the disk. And links are only remembered until `finish`: while files are
//! written the sibling contains folders and files made here and nothing that could divert a path.
//!
//! Two entries with one path: within one source the later replaces the earlier (as unzip tools do),
//! unless one of them is a folder and the other is not, which is refused because either reading would
//! lose something. Between sources (layers) the later always wins, a folder over a folder merging.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::entry_path::{BadPath, EntryPath};
use crate::limits::{Limits, Unpacked};
use crate::link::{self, BadLink};
use crate::unpack::UnpackError;

/// Read and write, for everyone execute: what documentation asks of a package, and what is given where
/// a package says nothing.
pub(crate) const FOLDER_MODE: u32 = 0o755;
pub(crate) const FILE_MODE: u32 = 0o644;

/// Leaves out set-user-id, set-group-id and sticky.
const PERMISSION_BITS: u32 = 0o777;
/// A folder whose owner may not write or search it could never be removed again.
const OWNER_BITS: u32 = 0o700;

const COPY_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct StagedFolder {
    /// Where the entries are written; removed on drop.
    staging: TempDir,
    /// What it will be called in the end.
    into: PathBuf,
    limits: Limits,
    /// All that was added and not replaced, without the root.
    nodes: BTreeMap<EntryPath, Node>,
    /// Counts what was replaced too.
    size: Unpacked,
    /// Number of the archive or layer being added.
    source: usize,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    source: usize,
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// The mode it gets in the end: until then it must be writable.
    Folder {
        mode: u32,
    },
    File,
    Link {
        target: String,
    },
}

impl StagedFolder {
    /// Begins a folder that will be called `into`, which must not exist or be empty. Its parent exists.
    pub(crate) fn start(into: &Path, limits: Limits) -> Result<Self, UnpackError> {
        if fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(UnpackError::Occupied { into: into.to_owned() });
        }
        let parent = match into.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let staging = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempdir_in(parent)
            .map_err(|source| UnpackError::Write { path: parent.to_owned(), source })?;
        Ok(StagedFolder {
            staging,
            into: into.to_owned(),
            limits,
            nodes: BTreeMap::new(),
            size: Unpacked::default(),
            source: 0,
            buffer: vec![0; COPY_BYTES].into_boxed_slice(),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is added from now on comes from another archive or layer.
    pub(crate) fn begin_source(&mut self) {
        self.source += 1;
    }

    pub(crate) fn add_folder(&mut self, path: &EntryPath, mode: u32) -> Result<(), UnpackError> {
        // The root's mode is ours: it is the folder handed to the function.
        if path.is_root() {
            return Ok(());
        }
        self.make_room(path, true)?;
        let mode = mode & PERMISSION_BITS | OWNER_BITS;
        if let Some(node) = self.nodes.get_mut(path) {
            *node = Node { kind: Kind::Folder { mode }, source: self.source };
            return Ok(());
        }
        self.make_folder(path.clone(), mode)
    }

    /// Writes a file from `content`, which is read no further than the limit allows.
    pub(crate) fn add_file(
        &mut self,
        path: &EntryPath,
        mode: u32,
        content: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        self.make_room(path, false)?;
        let on_disk = self.on_disk(path);
        let mut file = File::create_new(&on_disk).map_err(write_error(&on_disk))?;
        self.insert(path.clone(), Kind::File)?;
        self.copy(path, content, &mut file)?;
        let permissions = Permissions::from_mode(mode & PERMISSION_BITS);
        file.set_permissions(permissions).map_err(write_error(&on_disk))
    }

    /// Gives an existing file of `bytes` bytes a second name in here. `false` if the file system will
    /// not have that, in which case nothing was added.
    pub(crate) fn add_hard_link(
        &mut self,
        path: &EntryPath,
        existing: &Path,
        bytes: u64,
    ) -> Result<bool, UnpackError> {
        self.make_room(path, false)?;
        if fs::hard_link(existing, self.on_disk(path)).is_err() {
            return Ok(false);
        }
        self.insert(path.clone(), Kind::File)?;
        self.count_bytes(path, bytes)?;
        Ok(true)
    }

    /// Remembers a link. Where it leads is judged by [`StagedFolder::finish`], when all is known.
    pub(crate) fn add_link(&mut self, path: &EntryPath, target: &str) -> Result<(), UnpackError> {
        link::check_target(target, self.limits.path_bytes)
            .map_err(|reason| link_error(path, target, reason))?;
        self.make_room(path, false)?;
        self.insert(path.clone(), Kind::Link { target: target.to_owned() })?;
        self.count_bytes(path, target.len() as u64)
    }

    /// Makes the links, gives the folders their modes, and the whole its name.
    pub(crate) fn finish(self) -> Result<Unpacked, UnpackError> {
        let target_of = |path: &EntryPath| match &self.nodes.get(path)?.kind {
            Kind::Link { target } => Some(target.as_str()),
            Kind::Folder { .. } | Kind::File => None,
        };
        let links = || self.nodes.keys().filter_map(|path| Some((path, target_of(path)?)));
        for (path, target) in links() {
            link::check_inside(path, target, target_of).map_err(|reason| link_error(path, target, reason))?;
        }
        for (path, target) in links() {
            let on_disk = self.on_disk(path);
            symlink(target, &on_disk).map_err(write_error(&on_disk))?;
        }
        // Innermost first, though owner bits would allow any order.
        for (path, node) in self.nodes.iter().rev() {
            if let Kind::Folder { mode } = node.kind {
                set_mode(&self.on_disk(path), mode)?;
            }
        }
        set_mode(self.staging.path(), FOLDER_MODE)?;
        fs::rename(self.staging.path(), &self.into).map_err(write_error(&self.into))?;
        // Its path names nothing of ours any more.
        let _ = self.staging.keep();
        Ok(self.size)
    }

    /// Sees to it that the folders above `path` exist, and that nothing stands in its place unless it
    /// and the newcomer are both folders.
    fn make_room(&mut self, path: &EntryPath, for_folder: bool) -> Result<(), UnpackError> {
        if path.is_root() {
            // Only a folder can be the root.
            return Err(UnpackError::Path { entry: "./".to_owned(), reason: BadPath::Empty });
        }
        for folder in path.folders_above() {
            self.clear_unless(&folder, true, path)?;
            if !self.nodes.contains_key(&folder) {
                self.make_folder(folder, FOLDER_MODE)?;
            }
        }
        self.clear_unless(path, for_folder, path)
    }

    /// Removes what is at `path`, unless it is a folder and one is wanted. Refuses if `entry` would turn
    /// a folder of its own source into something else or the reverse.
    fn clear_unless(
        &mut self,
        path: &EntryPath,
        folder_wanted: bool,
        entry: &EntryPath,
    ) -> Result<(), UnpackError> {
        let Some(node) = self.nodes.get(path) else {
            return Ok(());
        };
        let is_folder = matches!(node.kind, Kind::Folder { .. });
        if is_folder && folder_wanted {
            return Ok(());
        }
        if is_folder != folder_wanted && node.source == self.source {
            return Err(UnpackError::Conflict { entry: entry.to_string(), path: path.to_string() });
        }
        let on_disk = self.on_disk(path);
        match node.kind {
            Kind::Folder { .. } => fs::remove_dir_all(&on_disk).map_err(write_error(&on_disk))?,
            Kind::File => fs::remove_file(&on_disk).map_err(write_error(&on_disk))?,
            Kind::Link { .. } => {}
        }
        self.nodes.remove(path);
        if is_folder {
            let beneath = self.nodes.range(path.clone()..).take_while(|(other, _)| other.is_beneath(path));
            for other in beneath.map(|(other, _)| other.clone()).collect::<Vec<_>>() {
                self.nodes.remove(&other);
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, path: EntryPath, mode: u32) -> Result<(), UnpackError> {
        let on_disk = self.on_disk(&path);
        fs::create_dir(&on_disk).map_err(write_error(&on_disk))?;
        self.insert(path, Kind::Folder { mode })
    }

    fn insert(&mut self, path: EntryPath, kind: Kind) -> Result<(), UnpackError> {
        if self.size.entries >= self.limits.entries {
            return Err(UnpackError::TooMany { limit: self.limits.entries });
        }
        self.size.entries += 1;
        self.nodes.insert(path, Node { kind, source: self.source });
        Ok(())
    }

    fn count_bytes(&mut self, path: &EntryPath, bytes: u64) -> Result<(), UnpackError> {
        let total = self.size.bytes.saturating_add(bytes);
        if !self.limits.allows(total) {
            return Err(UnpackError::TooLarge { entry: path.to_string(), limits: self.limits });
        }
        self.size.bytes = total;
        Ok(())
    }

    fn copy(&mut self, path: &EntryPath, content: &mut dyn Read, file: &mut File) -> Result<(), UnpackError> {
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(UnpackError::Read { entry: path.to_string(), source });
                }
            };
            // Before they are written: a bomb gets no further than the limit, whatever it declares.
            self.count_bytes(path, count as u64)?;
            file.write_all(&self.buffer[..count]).map_err(write_error(&self.on_disk(path)))?;
        }
    }

    fn on_disk(&self, path: &EntryPath) -> PathBuf {
        self.staging.path().join(path.as_path())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), UnpackError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_owned();
    |source| UnpackError::Write { path, source }
}

fn link_error(path: &EntryPath, target: &str, reason: BadLink) -> UnpackError {
    UnpackError::Link { entry: path.to_string(), target: target.escape_debug().to_string(), reason }
}
