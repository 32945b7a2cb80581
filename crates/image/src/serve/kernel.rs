//! What is asked of the kernel: mounts that are nowhere until they are put somewhere, and their end.
//!
//! Mounts are made as descriptors first. A FUSE file never gets a path: the file system that is mounted on it holds it, and the
//! descriptor holds that; when the last holder is gone, all of it is. Only the tree is given a place.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};

use super::fuse::READ_BYTES;

/// What is in an image gets no more rights than it would have elsewhere: no set-user-id, no devices.
const ATTRIBUTES: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY
    .union(MountAttrFlags::MOUNT_ATTR_NOSUID)
    .union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// A setting of a file system that is about to be mounted.
enum Setting<'a> {
    Is(&'static str, &'a str),
    Flag(&'static str),
}

/// A mount that is nowhere.
fn new_mount(kind: &str, settings: &[Setting<'_>], attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |setting: &Setting<'_>| match setting {
        Setting::Is(name, value) => rustix::mount::fsconfig_set_string(&context, *name, *value),
        Setting::Flag(name) => rustix::mount::fsconfig_set_flag(&context, *name),
    };
    settings.iter().try_for_each(set)?;
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The connection to answer on, and a mount whose root is a regular file: the requests for it arrive on the connection.
pub(super) fn new_fuse_file() -> io::Result<(OwnedFd, OwnedFd)> {
    let device = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let (number, read_bytes) = (device.as_raw_fd().to_string(), READ_BYTES.to_string());
    let settings = [
        Setting::Is("source", "firesteel"),
        Setting::Is("fd", &number),
        Setting::Is("rootmode", "100400"),
        Setting::Is("user_id", "0"),
        Setting::Is("group_id", "0"),
        // Whoever reads the tree above reads the file.
        Setting::Flag("allow_other"),
        Setting::Is("max_read", &read_bytes),
    ];
    let mount = new_mount("fuse", &settings, ATTRIBUTES)?;
    Ok((device, mount))
}

/// An EROFS mount of a file, without a loop device in between. It keeps the file open.
pub(super) fn new_erofs(file: &OwnedFd) -> io::Result<OwnedFd> {
    // The file has no other path.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    new_mount("erofs", &[Setting::Is("source", &path)], ATTRIBUTES)
}

/// Puts a mount at a place, a folder.
pub(super) fn attach(mount: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Takes what is mounted at a place away: at once, or from everybody's sight if somebody is still in it.
pub(super) fn unmount(at: &Path) -> io::Result<()> {
    match rustix::mount::unmount(at, UnmountFlags::NOFOLLOW) {
        Err(rustix::io::Errno::BUSY) => {
            tracing::warn!(path = %at.display(), "an image is unmounted while somebody is in it");
            Ok(rustix::mount::unmount(at, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)?)
        }
        ended => Ok(ended?),
    }
}

/// Takes away what is mounted at a place, and ends all requests to its file system.
pub(super) fn unmount_by_force(at: &Path) -> io::Result<()> {
    let flags = UnmountFlags::NOFOLLOW | UnmountFlags::FORCE | UnmountFlags::DETACH;
    Ok(rustix::mount::unmount(at, flags)?)
}

/// The number of the FUSE connection that a mount is of.
pub(super) fn connection_of(mount: &OwnedFd) -> io::Result<u32> {
    // The mount itself, without a question to whoever serves it.
    let flags = rustix::fs::AtFlags::EMPTY_PATH | rustix::fs::AtFlags::STATX_DONT_SYNC;
    let found = rustix::fs::statx(mount, "", flags, rustix::fs::StatxFlags::empty())?;
    Ok(found.stx_dev_minor)
}

/// The kernel's files about FUSE connections, wherever the host has them mounted, or not at all.
#[derive(Debug)]
pub(super) struct Connections(OwnedFd);

impl Connections {
    pub(super) fn open() -> io::Result<Self> {
        // To be written to.
        let attributes = ATTRIBUTES.difference(MountAttrFlags::MOUNT_ATTR_RDONLY);
        new_mount("fusectl", &[], attributes).map(Connections)
    }

    /// Ends a connection: what was asked gets an error, and whoever answers is told that it is over. Nothing of it waits for
    /// anybody. One that is gone has ended.
    pub(super) fn abort(&self, connection: u32) -> io::Result<()> {
        let path = format!("{connection}/abort");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.0.as_fd(), path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        rustix::io::write(file, b"1")?;
        Ok(())
    }
}
