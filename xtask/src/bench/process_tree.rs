//! The processes below a server, as `/proc` tells of them: whose they are, what memory they use, whether they stand still.
//!
//! Called by the measurements of isolation. Empty where there is no `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where cgroup2 is mounted, alone or beside the first version.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// The processes below a server of Firesteel's.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// What makes and holds sandboxes, and what is their way out.
    pub(super) platform: BTreeSet<u32>,
    /// What was started in sandboxes.
    pub(super) functions: BTreeSet<u32>,
}

impl Below {
    /// All that is below `server` now.
    pub(super) fn of(server: u32) -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for pid in fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        {
            // One that has ended meanwhile has no parent.
            if let Some(parent) = parent(pid) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let program = program(server);
        let mut below = Self::default();
        let mut unseen = children.remove(&server).unwrap_or_default();
        while let Some(pid) = unseen.pop() {
            let under = children.remove(&pid).unwrap_or_default();
            // Only first processes are this program and have others below them: these are functions.
            if below.functions.contains(&pid) || program.is_some() && self::program(pid) == program {
                below.functions.extend(&under);
            }
            unseen.extend(under);
            if !below.functions.contains(&pid) {
                below.platform.insert(pid);
            }
        }
        below
    }

    /// How many functions are in a control group that stands still.
    pub(super) fn frozen(&self) -> usize {
        let frozen = |group: &PathBuf| {
            let events = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
            events.lines().any(|line| line == "frozen 1")
        };
        self.functions.iter().filter(|pid| control_group(**pid).as_ref().is_some_and(frozen)).count()
    }

    /// For how long, in all, their control groups have stood still. `None` where the kernel does not count it: it does
    /// since 6.18.
    pub(super) fn frozen_us(&self) -> Option<u64> {
        let groups: BTreeSet<_> = self.functions.iter().filter_map(|pid| control_group(*pid)).collect();
        groups
            .iter()
            .map(|group| {
                let stat = fs::read_to_string(group.join("cgroup.stat.local")).ok()?;
                stat.lines().find_map(|line| line.strip_prefix("frozen_usec "))?.parse::<u64>().ok()
            })
            .sum()
    }
}

/// Memory of all of them, shared pages divided among their users.
pub(super) fn pss_kib<'a>(pids: impl IntoIterator<Item = &'a u32>) -> u64 {
    pids.into_iter()
        .filter_map(|pid| kib(&Path::new("/proc").join(pid.to_string()).join("smaps_rollup"), "Pss:"))
        .sum()
}

/// A field of one of `/proc`'s files that are counted in KiB.
pub(super) fn kib(file: &Path, field: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything, parentheses too.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// By file, since it has other names in other places.
fn program(pid: u32) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((file.dev(), file.ino()))
}

fn control_group(pid: u32) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    CGROUPS.iter().map(|mount| Path::new(mount).join(path)).find(|group| group.join("cgroup.events").exists())
}
