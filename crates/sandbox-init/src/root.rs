//! The root file system of a sandbox: what it sees, and nothing else.
//!
//! ```text
//!   furnish ─► a small file system in memory, on a folder of the host, that only this mount namespace shows
//!               ├── /usr, /lib, …     the host's, read-only
//!               ├── /proc, /dev       its own, with the host's secrets masked
//!               ├── /etc, …           files that are made here
//!               └── /tmp              a file system of the size that was asked for
//!   place   ─► /var/task, /opt, …     the function's, read-only
//!   enter   ─► this is `/`, read-only; the host's is gone
//! ```
//!
//! Where the root is a tree of files, such as an image's, the system's folders stay behind on entering, and all else is put
//! over the tree (see [`crate::overlay`]).
//!
//! Used by a [first process](crate::serve) that was cloned into namespaces of its own. Furnishing needs nothing of the
//! function and is done ahead. Until [`Furnished::enter`] nothing of the guest's runs.
//!
//! Unlike [`crate::mounts`] it refuses to be half done: a root without one of its masks is no root.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::furnishing::{Confinement, Root, Scratch};
use crate::layout::{DEVICE_LINKS, DEVICES, FOLDERS, MASKED, PROCESSORS, READ_ONLY_PROC, WORKSPACE};
use crate::mounts::add_attributes;
use crate::overlay::{Layer, OWN_FILES};
use crate::ownership;
use crate::protocol::Bind;
use crate::scratch;

/// Bytes of everything in the root that is not mounted on it.
const ROOT_SIZE: &CStr = c"size=1m,nr_inodes=4k,mode=755";

/// What is furnished and belongs into every root. Of `/sys`, what there is.
const IN_EVERY_ROOT: [&str; 4] = ["dev", "proc", "tmp", PROCESSORS];

/// A root that is built and not entered yet.
#[derive(Debug)]
pub(crate) struct Furnished {
    on: PathBuf,
    tmp: Scratch,
    /// To whom private folders are shown.
    guest: Confinement,
}

/// What could not be done, for people.
fn doing<T, E: Into<io::Error>>(what: impl FnOnce() -> String, result: Result<T, E>) -> io::Result<T> {
    result.map_err(|error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{}: {error}", what()))
    })
}

impl Furnished {
    pub(crate) fn build(root: &Root, guest: &Confinement) -> io::Result<Self> {
        // Before the first mount is made, or it would appear on the host.
        doing(
            || "mounts cannot be made private".into(),
            rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC),
        )?;
        let on = &root.on;
        let safe = MountFlags::NOSUID | MountFlags::NODEV;
        doing(
            || format!("no file system in memory on {}", on.display()),
            rustix::mount::mount("firesteel", on, "tmpfs", safe, ROOT_SIZE),
        )?;
        for folder in FOLDERS {
            fs::create_dir_all(on.join(folder))?;
        }
        let furnished = Furnished { on: on.clone(), tmp: root.tmp.clone(), guest: guest.clone() };
        for path in &root.system {
            furnished.show(path)?;
        }
        furnished.make_proc()?;
        furnished.make_devices()?;
        for (path, content) in &root.files {
            let place = furnished.inside(path);
            doing(
                || format!("making {}", path.display()),
                make_parent(&place).and_then(|()| fs::write(&place, content)),
            )?;
            // Whatever the mask of this process is.
            fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
        }
        scratch::mount(&root.tmp, &on.join("tmp"))?;
        Ok(furnished)
    }

    /// A host's file, folder or link at the same place.
    fn show(&self, path: &Path) -> io::Result<()> {
        let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
        if found.is_symlink() {
            let place = self.inside(path);
            make_parent(&place)?;
            return doing(
                || format!("making the link {}", path.display()),
                symlink(fs::read_link(path)?, place),
            );
        }
        self.bind(&Bind { from: path.to_owned(), at: path.to_owned(), read_only: true }, Owners::AsTheyAre)
    }

    /// Puts a file or folder of the host's at a place inside, which is made.
    fn bind(&self, bind: &Bind, owners: Owners) -> io::Result<()> {
        let place = self.inside(&bind.at);
        let bound = (|| {
            let found = fs::metadata(&bind.from)?;
            if found.is_dir() {
                fs::create_dir_all(&place)?;
            } else if fs::symlink_metadata(&place).is_err() {
                make_parent(&place)?;
                File::options().create(true).append(true).open(&place)?;
            }
            show_at(bind, &place, &found, (owners == Owners::MayBeTheGuest).then_some(&self.guest))
        })();
        doing(|| format!("{} cannot be put at {}", bind.from.display(), bind.at.display()), bound)
    }

    fn make_proc(&self) -> io::Result<()> {
        let proc = self.on.join("proc");
        let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        doing(|| "mounting /proc".into(), rustix::mount::mount("proc", &proc, "proc", safe, None))?;
        for name in READ_ONLY_PROC {
            let place = proc.join(name);
            if place.exists() {
                let bound = rustix::mount::mount_bind(&place, &place).and_then(|()| {
                    let flags = safe | MountFlags::RDONLY | MountFlags::BIND;
                    rustix::mount::mount_remount(&place, flags, "")
                });
                doing(|| format!("protecting /proc/{name}"), bound)?;
            }
        }
        for name in MASKED {
            let place = proc.join(name);
            let masked = match fs::metadata(&place) {
                Ok(found) if found.is_dir() => rustix::mount::mount(
                    "firesteel",
                    &place,
                    "tmpfs",
                    safe | MountFlags::RDONLY,
                    c"size=0,nr_inodes=1,mode=555",
                ),
                Ok(_) => rustix::mount::mount_bind("/dev/null", &place),
                Err(_) => continue,
            };
            doing(|| format!("masking /proc/{name}"), masked)?;
        }
        self.show(&Path::new("/").join(PROCESSORS))
    }

    fn make_devices(&self) -> io::Result<()> {
        let dev = self.on.join("dev");
        for name in DEVICES {
            let place = dev.join(name);
            File::create(&place)?;
            // Not made anew: that takes rights which a user namespace does not give. The file system they come from
            // allows devices, unlike the one around them.
            doing(
                || format!("making /dev/{name}"),
                rustix::mount::mount_bind(Path::new("/dev").join(name), &place),
            )?;
        }
        for (name, target) in DEVICE_LINKS {
            symlink(target, dev.join(name))?;
        }
        Ok(())
    }

    /// Its own `/dev/null`: that path is what it is known by once the root is entered.
    pub(crate) fn null(&self) -> io::Result<File> {
        File::options().read(true).write(true).open(self.on.join("dev/null"))
    }

    /// Puts the function's folders in their places, and makes this the root, or what the tree becomes; the host's is out of
    /// reach then.
    pub(crate) fn enter(
        self,
        places: &[Bind],
        tmp: Option<&Scratch>,
        tree: Option<OwnedFd>,
    ) -> io::Result<()> {
        // Before the places, of which some may lie in it.
        if let Some(tmp) = tmp.filter(|tmp| **tmp != self.tmp) {
            let place = self.on.join("tmp");
            rustix::mount::unmount(&place, UnmountFlags::DETACH)?;
            scratch::mount(tmp, &place)?;
        }
        let root = match tree {
            Some(tree) => lay_over(tree, &self.on, &self.on, places, &self.guest)?,
            None => {
                for place in places {
                    self.bind(place, Owners::MayBeTheGuest)?;
                }
                let nothing_more =
                    MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::BIND;
                doing(
                    || "the root cannot be made read-only".into(),
                    rustix::mount::mount_remount(&self.on, nothing_more, ""),
                )?;
                self.on
            }
        };
        change(&root)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.on.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Who owns what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owners {
    /// Whoever does on the host. What the system keeps from its users is kept from guests.
    AsTheyAre,
    /// The guest, if nobody but the owner could read it: it is the function's.
    MayBeTheGuest,
}

/// Becomes the root that a tree is, of a process that is in another one already, which was made for it by somebody else.
pub(crate) fn replace(tree: OwnedFd, places: &[Bind], guest: &Confinement) -> io::Result<()> {
    change(&lay_over(tree, Path::new("/"), Path::new(WORKSPACE), places, guest)?)
}

/// Leaves the root for another.
fn change(root: &Path) -> io::Result<()> {
    rustix::process::chdir(root)?;
    // Onto itself: the old root lies over the new one then, and is taken off.
    doing(|| "the root cannot be changed".into(), rustix::process::pivot_root(".", "."))?;
    doing(|| "the former root cannot be left".into(), rustix::mount::unmount(".", UnmountFlags::DETACH))?;
    Ok(rustix::process::chdir("/")?)
}

/// Makes a root of a tree, built in `on`: takes over what belongs into every root from one that is furnished, and puts the
/// places there.
fn lay_over(
    tree: OwnedFd,
    furnished: &Path,
    on: &Path,
    places: &[Bind],
    guest: &Confinement,
) -> io::Result<PathBuf> {
    let mut layer = doing(|| "the tree cannot be mounted".into(), Layer::begin(on, tree))?;
    let taken: Vec<_> = IN_EVERY_ROOT.iter().filter(|name| furnished.join(name).exists()).collect();
    for name in &taken {
        layer.folder(Path::new(name))?;
    }
    for file in OWN_FILES {
        let path = Path::new(file);
        layer.own_file(path, &fs::read(furnished.join(path.strip_prefix("/").unwrap_or(path)))?)?;
    }
    for Bind { from, at, .. } in places {
        let made = fs::metadata(from).and_then(|found| layer.place(at, &found));
        doing(|| format!("{} cannot be put at {}", from.display(), at.display()), made)?;
    }
    let joined = doing(|| "nothing can be laid over the tree".into(), layer.join())?;
    for name in taken {
        let took = take_over(&furnished.join(name), &joined.join(name));
        doing(|| format!("/{name} cannot be had"), took)?;
    }
    for bind in places {
        let Bind { from, at, .. } = bind;
        let place = joined.join(at.strip_prefix("/").unwrap_or(at));
        let bound = fs::metadata(from).and_then(|found| show_at(bind, &place, &found, Some(guest)));
        doing(|| format!("{} cannot be put at {}", from.display(), at.display()), bound)?;
    }
    Ok(joined)
}

/// Puts a file or folder of the host's, with all below it, at a place that exists. `guest`: who may own it.
fn show_at(
    Bind { from, read_only: protected, .. }: &Bind,
    place: &Path,
    found: &fs::Metadata,
    guest: Option<&Confinement>,
) -> io::Result<()> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, from, flags)?;
    // What the host trusts is not trusted here.
    let safe = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let attributes = if *protected { safe | libc::MOUNT_ATTR_RDONLY } else { safe };
    // To write as the owner is another matter: what a guest made would be root's on the host, a program with the set-uid
    // bit too.
    if let Some(guest) = guest.filter(|_| *protected)
        && rustix::process::geteuid().is_root()
        && ownership::is_private(found)
    {
        // A file system that cannot do it, or has another one mounted below: the function will be told "permission denied".
        let _ = ownership::mapping(found, guest)
            .and_then(|mapping| add_attributes(tree.as_fd(), c"", 0, Some(mapping.as_fd())));
    }
    add_attributes(tree.as_fd(), c"", attributes, None)?;
    Ok(rustix::mount::move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Shows in another place what was furnished in one, with all that is mounted below. Folders of the root's own file system
/// are read-only there, as they are here once the root is entered.
fn take_over(from: &Path, place: &Path) -> io::Result<()> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, from, flags)?;
    if from.ends_with("dev") {
        add_attributes(tree.as_fd(), c"", libc::MOUNT_ATTR_RDONLY, None)?;
    }
    Ok(rustix::mount::move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn make_parent(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), fs::create_dir_all)
}
