//! What both FUSE file systems have in common.

use std::io;
use std::time::Duration;

use fuser::{Config, Errno, Filesystem, KernelConfig};

use super::block_file::BlockReadError;

/// How long the kernel may believe what it was told: as long as it likes, for nothing in an image ever changes.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Requests that the kernel sends at a time without somebody waiting for each, above all to read ahead. More than
/// it would by itself: reads that are stuck until their deadline must not use up what others need. How many chunks are fetched
/// at a time is limited by the tiers.
const BACKGROUND_REQUESTS: u16 = 256;

/// Bytes that the kernel asks for at a time, at most.
pub(super) const READ_BYTES: u32 = 1 << 20;

/// Threads that take requests from one image's connection. One would do, as none of them waits for a chunk; but while it opens one
/// for the first reader, the second goes to the other.
const THREADS: usize = 2;

/// Asks the kernel for what it lets a file system have.
pub(super) fn init(config: &mut KernelConfig) -> io::Result<()> {
    let refused = |bound: u16| io::Error::other(format!("at most {bound} requests in the background"));
    config.set_max_background(BACKGROUND_REQUESTS).map_err(refused)?;
    config.set_congestion_threshold(BACKGROUND_REQUESTS).map_err(refused)?;
    Ok(())
}

/// How a connection is served.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.acl = fuser::SessionACL::All;
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    config
}

/// Threads that answer for a file system, until the kernel has done with it.
pub(super) type Serving = fuser::BackgroundSession;

/// Answers for a file system that has been mounted.
pub(super) fn serve(files: impl Filesystem, device: rustix::fd::OwnedFd) -> io::Result<Serving> {
    fuser::Session::from_fd(files, device, fuser::SessionACL::All, config())?.spawn()
}

/// What the kernel is told of bytes that cannot be had, and the log why.
pub(super) fn errno(error: &BlockReadError) -> Errno {
    // Of an image that is being unmounted nobody is to read.
    if !matches!(error, BlockReadError::Closed) {
        tracing::warn!(
            error = error as &(dyn std::error::Error + 'static),
            "a part of an image cannot be read"
        );
    }
    Errno::EIO
}
