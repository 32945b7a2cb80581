//! Reads the memory fields of `/proc/<pid>/status` and its like.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The fields that matter here, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) anonymous: u64,
    pub(crate) file: u64,
    pub(crate) shared: u64,
    /// A number, not bytes.
    pub(crate) threads: u64,
}

/// Of the process whose status file this is. `None` when it has ended, reaped or not.
pub(crate) fn usage(status: &File) -> Option<Usage> {
    // The file is longer only with very many groups or processors; the latter come after the fields read.
    let mut text = [0; 4096];
    let n = status.read_at(&mut text, 0).ok()?;
    parse(&text[..n])
}

fn parse(text: &[u8]) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut alive = false;
    for (name, value) in lines(text) {
        match name {
            // Kernel threads and the dead have no memory.
            b"VmHWM" => (usage.peak, alive) = (bytes(value)?, true),
            b"VmRSS" => usage.resident = bytes(value)?,
            b"RssAnon" => usage.anonymous = bytes(value)?,
            b"RssFile" => usage.file = bytes(value)?,
            b"RssShmem" => usage.shared = bytes(value)?,
            b"Threads" => {
                usage.threads = number(value)?;
                break;
            }
            _ => {}
        }
    }
    alive.then_some(usage)
}

/// Names and values of lines of the form `Name:   value`.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// Of a value such as `123 kB`.
pub(crate) fn bytes(value: &[u8]) -> Option<u64> {
    Some(number(value.strip_suffix(b" kB")?)? * 1024)
}

pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_fields_are_found_among_the_others() {
        let text = b"Name:\tVmHWM: 7 kB\nVmPeak:\t  9 kB\nVmHWM:\t  12 kB\nVmRSS:\t  10 kB\n\
                     RssAnon:\t  4 kB\nRssFile:\t  5 kB\nRssShmem:\t  1 kB\nThreads:\t3\nMems:\t0\n";
        let expected =
            Usage { resident: 10240, peak: 12288, anonymous: 4096, file: 5120, shared: 1024, threads: 3 };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse(b"Name:\tzombie\nState:\tZ (zombie)\nThreads:\t1\n"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = usage(&File::open("/proc/self/status").unwrap()).unwrap();
        assert!(usage.peak >= usage.resident && usage.resident > 0 && usage.threads > 0);
    }
}
