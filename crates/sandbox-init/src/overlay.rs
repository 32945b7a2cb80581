//! A tree of files that is not the host's, as the root of a sandbox: read-only, below a thin layer with what every root has.
//!
//! ```text
//!   layer   folders and files to mount on, /etc/hosts, …   made for this sandbox
//!   tree    whatever is in it                              not touched, and shared by many
//!   ─────
//!   root    one over the other, by overlayfs, without a place to write to
//! ```
//!
//! A tree that nobody may write to lacks places to mount on, or has links and files where they should be: the layer has them,
//! and hides what is in their place. Folders that are in both keep the tree's mode.
//!
//! Used by `root`. It refuses places that lie behind a link or a file of the tree: who follows links of a stranger's tree
//! may end anywhere.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags};

use crate::mounts::add_attributes;

/// Where the layer is, in the folder that both are joined in.
const LAYER: &str = "layer";

/// Where the tree is mounted, likewise.
const TREE: &str = "tree";

/// Where both are joined, likewise.
const JOINED: &str = "joined";

/// Files of `/etc` that are the sandbox's own whatever the tree has: they tell of its network.
pub(crate) const OWN_FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Redirections are for layers that somebody wrote to; a tree that comes with some is not to be believed.
const OPTIONS: &std::ffi::CStr = c"lowerdir=layer:tree,redirect_dir=nofollow";

/// The layer that lies over a tree.
#[derive(Debug)]
pub(crate) struct Layer {
    on: PathBuf,
    /// Of folders that are in both. Given to them in the end, as nothing could be made in some of them.
    modes: Vec<(PathBuf, u32)>,
}

impl Layer {
    /// Begins one in `on`, with nothing in it, over a tree that is mounted there.
    pub(crate) fn begin(on: &Path, tree: OwnedFd) -> io::Result<Self> {
        show(on, tree)?;
        make_folder(&on.join(LAYER))?;
        Ok(Layer { on: on.to_owned(), modes: Vec::new() })
    }

    /// Makes sure that there is a folder.
    pub(crate) fn folder(&mut self, at: &Path) -> io::Result<PathBuf> {
        let (mut here, mut below) = (self.on.join(LAYER), self.on.join(TREE));
        let parts: Vec<_> = at.strip_prefix("/").unwrap_or(at).components().collect();
        for (index, part) in parts.iter().enumerate() {
            let Component::Normal(part) = part else { return Err(unplaceable(at)) };
            here.push(part);
            below.push(part);
            let mode = match fs::symlink_metadata(&below) {
                Ok(found) if found.is_dir() => Some(found.permissions().mode() & 0o7777),
                // Hidden, unless something is wanted behind it.
                Ok(_) if index + 1 < parts.len() => return Err(unplaceable(at)),
                _ => None,
            };
            match make_folder(&here) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && here.is_dir() => {}
                made => {
                    made?;
                    self.modes.extend(mode.map(|mode| (here.clone(), mode)));
                }
            }
        }
        Ok(here)
    }

    /// Makes sure that there is a file, to be mounted on or written to.
    pub(crate) fn file(&mut self, at: &Path) -> io::Result<PathBuf> {
        let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else { return Err(unplaceable(at)) };
        let below = self.on.join(TREE).join(parent.strip_prefix("/").unwrap_or(parent));
        if fs::symlink_metadata(below).is_ok_and(|found| !found.is_dir()) {
            return Err(unplaceable(at));
        }
        let place = self.folder(parent)?.join(name);
        File::options().create(true).append(true).open(&place)?;
        // Whatever the mask of this process is.
        fs::set_permissions(&place, Permissions::from_mode(0o644))?;
        Ok(place)
    }

    /// Makes sure that what was found can be mounted there.
    pub(crate) fn place(&mut self, at: &Path, found: &Metadata) -> io::Result<PathBuf> {
        if found.is_dir() { self.folder(at) } else { self.file(at) }
    }

    /// Makes one of [`OWN_FILES`]. Left out where the tree has something else than a folder in the place of `/etc`, which
    /// is not for us to hide.
    pub(crate) fn own_file(&mut self, at: &Path, content: &[u8]) -> io::Result<()> {
        match self.file(at) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(()),
            place => fs::write(place?, content),
        }
    }

    /// Mounts it over the tree. Returns the place. This process's working folder is that in which it was begun from then on:
    /// a relative name needs no escaping from the commas and colons of overlayfs.
    pub(crate) fn join(self) -> io::Result<PathBuf> {
        let Layer { on, modes } = self;
        for (folder, mode) in modes.into_iter().rev() {
            fs::set_permissions(folder, Permissions::from_mode(mode))?;
        }
        let joined = on.join(JOINED);
        make_folder(&joined)?;
        rustix::process::chdir(&on)?;
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("firesteel", JOINED, "overlay", flags, OPTIONS)?;
        Ok(joined)
    }
}

/// A tree of the host's, to be mounted elsewhere, also by a process that does not see it: it can be sent.
///
/// # Errors
/// Without the right to mount where this process is (EPERM), or when there is no such folder.
pub fn open(tree: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, tree, flags)?)
}

fn show(on: &Path, tree: OwnedFd) -> io::Result<()> {
    let place = on.join(TREE);
    make_folder(&place)?;
    let safe = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    add_attributes(tree.as_fd(), c"", safe, None)?;
    Ok(rustix::mount::move_mount(tree, "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn make_folder(at: &Path) -> io::Result<()> {
    fs::create_dir(at)?;
    // Whatever the mask of this process is.
    fs::set_permissions(at, Permissions::from_mode(0o755))
}

fn unplaceable(at: &Path) -> io::Error {
    let text = format!("{} lies behind a link or file of the tree", at.display());
    io::Error::new(io::ErrorKind::NotADirectory, text)
}
