//! Room for the descriptors of a server: an environment takes a dozen, and the usual soft limit is 1 024.

use std::fs::File;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors the kernel has a place for from the start: those of some thousand environments, in 128 KiB.
const PLACES: u64 = 16 * 1024;

/// Raises the limit as far as it goes, and has the kernel make places ahead.
///
/// Its table of a process grows by doubling. With several threads, each doubling waits until no processor can look at the old one any
/// more, ten to thirty milliseconds in which no thread gets a descriptor: whoever asked for the twelfth environment, or the twenty-ninth,
/// felt it. Called while there is one thread, nothing waits.
pub(crate) fn make_room() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open descriptors could not be raised");
    }
    let places = getrlimit(Resource::Nofile).current.unwrap_or(PLACES).min(PLACES);
    let last = i32::try_from(places.saturating_sub(1)).expect("it is one of some thousands");
    // The table stays as large as it was for its last descriptor.
    let opened = File::open("/dev/null").and_then(|file| Ok(fcntl_dupfd_cloexec(file, last)?));
    if let Err(error) = opened {
        tracing::warn!(%error, "room for descriptors is made when they are opened");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_room_and_none_is_left_open() {
        make_room();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(size.trim().parse::<u64>().unwrap() >= limit.maximum.unwrap_or(PLACES).min(PLACES));
        let last = format!("/proc/self/fd/{}", PLACES - 1);
        assert!(!std::fs::exists(last).unwrap());
    }
}
