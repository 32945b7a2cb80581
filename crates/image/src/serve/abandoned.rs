//! What a killed server leaves mounted.
//!
//! Its connections have ended with it, and the FUSE files, which had no path, with them. What is left are the mounts of
//! trees: whoever is in one reads what is cached, and errors beyond that. They are in the way of whoever removes the run's folder.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::kernel;

/// Unmounts all that is mounted below a folder, and removes the places that images had in it. To be called for the folder of a
/// run that is certainly over, before it is removed. How many mounts there were; it is no error if there is no such folder.
///
/// Waits for nobody, whatever state the file systems are in.
pub fn remove_abandoned(folder: &Path) -> io::Result<usize> {
    let folder = match fs::canonicalize(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        canonical => canonical?,
    };
    let table = fs::read("/proc/self/mountinfo")?;
    let below: Vec<PathBuf> = mount_points(&table).filter(|path| path.starts_with(&folder)).collect();
    // Later mounts may lie on earlier ones.
    for path in below.iter().rev() {
        tracing::info!(path = %path.display(), "unmounting what a killed run left");
        match kernel::unmount_by_force(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unmount_as_user(path)?,
            unmounted => unmounted?,
        }
    }
    for place in fs::read_dir(&folder)?.filter_map(Result::ok) {
        // Only what is empty: never what is in an image.
        let _ = fs::remove_dir(place.path().join("root"));
        let _ = fs::remove_dir(place.path());
    }
    Ok(below.len())
}

/// What was mounted with the help of `fusermount3` is unmounted by it.
fn unmount_as_user(path: &Path) -> io::Result<()> {
    let mut command = std::process::Command::new("fusermount3");
    let status = command.args(["-u", "-q", "-z", "--"]).arg(path).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("fusermount3 ends with {status}"))) }
}

/// Where things are mounted, in the order in which they were.
fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let escaped = line.split(|byte| *byte == b' ').nth(4)?;
        Some(PathBuf::from(OsString::from_vec(unescaped(escaped))))
    })
}

/// Blanks and backslashes are written as three octal digits.
fn unescaped(mut escaped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    while let [first, rest @ ..] = escaped {
        match escaped {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                escaped = after;
            }
            _ => {
                bytes.push(*first);
                escaped = rest;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        let table = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n\
            50 27 0:40 / /a\\040b\\134c/root ro,nosuid shared:1 - erofs /proc/self/fd/9 ro\n";
        let found: Vec<PathBuf> = mount_points(table).collect();
        assert_eq!(found, [PathBuf::from("/"), PathBuf::from("/a b\\c/root")]);
    }
}
