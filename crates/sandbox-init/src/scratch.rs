//! A file system of a given size for what a function writes to `/tmp`.
//!
//! On AWS it is a disk: what lies there is no memory of the function's, and when it is full, that is ENOSPC. So it is a
//! disk here too where the host allows that: an image file, copied from an empty one, unlinked and
//! mounted by a loop device that the kernel gives up with the last mount. Nothing of it can be left behind. Else it is in memory,
//! and counts as such.
//!
//! Used by `root`, and by servers that have a [`Disk`] mounted by others.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::mount::MountFlags;

use crate::furnishing::Scratch;

pub(crate) fn mount(scratch: &Scratch, at: &Path) -> io::Result<()> {
    let mounted = match scratch {
        Scratch::Image(template) => mount_image(template, at),
        Scratch::Memory { bytes } => mount_memory(*bytes, at),
    };
    mounted.map_err(|error| io::Error::new(error.kind(), format!("making /tmp: {error}")))
}

/// A disk that nobody has mounted yet. Gone when dropped, or with its last mount.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    _device: File,
}

impl Disk {
    /// With a copy of this image on it.
    ///
    /// # Errors
    /// Without root, loop devices or room on the disk of the image.
    pub fn of(template: &Path) -> io::Result<Self> {
        let original = File::open(template)?;
        let image = empty_like(&original, template)?;
        // All sandboxes of a server would be told of the same free device, and one at a time would have it.
        original.lock()?;
        let attached = attach(&image);
        original.unlock()?;
        let (device, path) = attached?;
        // After it was attached, for which the kernel waits until all of an image is on the disk: milliseconds, and others
        // wait for the lock.
        copy(&original, &image)?;
        Ok(Disk { path, _device: device })
    }

    /// The device, to be mounted as ext4.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn mount_memory(bytes: u64, at: &Path) -> io::Result<()> {
    let options = CString::new(format!("size={bytes},mode=1777"))?;
    Ok(rustix::mount::mount("tmp", at, "tmpfs", SAFE, options.as_c_str())?)
}

const SAFE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOATIME);

fn mount_image(template: &Path, at: &Path) -> io::Result<()> {
    let disk = Disk::of(template)?;
    // It is thrown away in the end: nobody needs to wait until it is safe on the disk. The device is held by the mount from here on.
    Ok(rustix::mount::mount(disk.path(), at, "ext4", SAFE, c"nobarrier")?)
}

/// Without a name, so that it goes with its last user.
fn empty_like(original: &File, template: &Path) -> io::Result<File> {
    let folder = template.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let image = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
    image.set_len(original.metadata()?.len())?;
    Ok(image)
}

fn copy(original: &File, image: &File) -> io::Result<()> {
    let length = original.metadata()?.len();
    let mut at = 0;
    // Only what is written: most of an empty file system is a hole.
    while at < length {
        let Ok(data) = rustix::fs::seek(original, SeekFrom::Data(at)) else { break };
        let hole = rustix::fs::seek(original, SeekFrom::Hole(data))?;
        let (mut from, mut to) = (data, data);
        while from < hole {
            let rest = usize::try_from(hole - from).unwrap_or(usize::MAX);
            if rustix::fs::copy_file_range(original, Some(&mut from), image, Some(&mut to), rest)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        at = hole;
    }
    Ok(())
}

const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Or what is cached of the file system would be cached of the image too. Without effect where the disk cannot do it.
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config` of the kernel's interface (Linux 5.8), with its `struct loop_info64` in the middle.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    lo_device: u64,
    lo_inode: u64,
    lo_rdevice: u64,
    lo_offset: u64,
    lo_sizelimit: u64,
    lo_number: u32,
    lo_encrypt_type: u32,
    lo_encrypt_key_size: u32,
    lo_flags: u32,
    lo_file_name: [u8; 64],
    lo_crypt_name: [u8; 64],
    lo_encrypt_key: [u8; 32],
    lo_init: [u64; 2],
    reserved: [u64; 8],
}

/// How often another program of the host may have taken the device that was free.
const TRIES: u32 = 100;

fn attach(image: &File) -> io::Result<(File, PathBuf)> {
    let control = File::options().read(true).write(true).open("/dev/loop-control")?;
    let fd = u32::try_from(image.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    for _ in 0..TRIES {
        // SAFETY: the call takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(true).open(&path)?;
        // SAFETY: an all-zero configuration is valid: it is all integers.
        let mut config: LoopConfig = unsafe { std::mem::zeroed() };
        config.fd = fd;
        config.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
        // SAFETY: the structure is live and of the layout that the call reads.
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } == 0 {
            return Ok((device, path));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(error);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}
