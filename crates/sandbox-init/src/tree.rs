//! Who is below whom, what they are doing, and how to reach them with a signal, as `/proc` tells it. Linux only;
//! elsewhere the tree is always empty and only process groups can be reached.
//!
//! Used by the first process on itself, and by the server when a first process was killed.
//!
//! A reading is never the whole truth while the tree is alive: a process may fork behind the reader's back.
//! Callers repeat until the kernel says that no child is left.

use rustix::process::{Pid, Signal};

/// A process and the parent it was found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descendant {
    /// Itself.
    pub pid: Pid,
    /// Its parent when it was found.
    pub parent: Pid,
}

/// Whether this system tells of any tree; where not, every tree is found empty.
pub(crate) const IS_KNOWN: bool = cfg!(target_os = "linux");

/// Kills every process found below `root`, but not `root`. Returns how many were found.
///
/// No number is trusted to still mean the process it was read for: each is pinned, then
/// looked at again, then killed.
pub fn kill_below(root: Pid) -> usize {
    let found = below(root);
    for descendant in &found {
        if let Some(pinned) = pin(root, *descendant) {
            pinned.send(Signal::KILL);
        }
    }
    found.len()
}

/// A process held by more than its number, which another may be given once it has ended.
#[derive(Debug)]
pub(crate) struct Pinned(imp::Pinned);

impl Pinned {
    /// Without effect when it has ended.
    pub(crate) fn send(&self, signal: Signal) {
        self.0.send(signal);
    }
}

/// `None` when it has ended, or its number means another by now.
pub(crate) fn pin(root: Pid, found: Descendant) -> Option<Pinned> {
    imp::pin(root, found).map(Pinned)
}

/// What a process does, all of its threads taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// A thread at least is not stopped. It may wait for something.
    Running,
    /// By a signal, or by a debugger.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is told of processes there"))]
    Stopped,
    /// It is gone, or all that is left is to reap it.
    Ended,
}

pub(crate) fn activity(of: Pid) -> Activity {
    imp::activity(of)
}

/// Hands over every process found below `root`, siblings together and as soon as they are found: before
/// their own children are looked for, so that those of one that has stopped by then are all found.
pub(crate) fn walk(root: Pid, found: impl FnMut(&[Descendant])) {
    imp::walk(root, found);
}

/// Every process found below `root`, parents before children.
#[must_use]
pub fn below(root: Pid) -> Vec<Descendant> {
    imp::below(root)
}

/// The direct children of `parent`, from all of its threads.
#[must_use]
pub fn children(parent: Pid) -> Vec<Pid> {
    imp::children(parent)
}

/// The session of a process, as a bare number: 0 for one whose leader lives outside of the reader's pid namespace,
/// which `getsid` and those who take its answer for a process number cannot tell. `None` when it is gone.
#[must_use]
pub fn session(of: Pid) -> Option<i32> {
    imp::session(of)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal};

    use super::{Activity, Descendant};

    #[derive(Debug)]
    pub(super) enum Pinned {
        Process(OwnedFd),
        /// Before Linux 5.3, where a filter forbids the other, and in trees of more processes than a process may
        /// have descriptors.
        Number(Pid),
    }

    impl Pinned {
        pub(super) fn send(&self, signal: Signal) {
            let _ = match self {
                Pinned::Process(process) => rustix::process::pidfd_send_signal(process, signal),
                Pinned::Number(pid) => rustix::process::kill_process(*pid, signal),
            };
        }
    }

    pub(super) fn pin(root: Pid, found: Descendant) -> Option<Pinned> {
        match rustix::process::pidfd_open(found.pid, PidfdFlags::empty()) {
            // A parent that has died in between leaves its child to the root.
            Ok(process) => parent(found.pid)
                .is_some_and(|now| now == found.parent || now == root)
                .then_some(Pinned::Process(process)),
            Err(Errno::NOSYS | Errno::PERM | Errno::MFILE | Errno::NFILE) => Some(Pinned::Number(found.pid)),
            Err(_) => None,
        }
    }

    /// Thread by thread: what is told of a process as a whole is told of its first thread, which may be stopped
    /// before the others are, or have ended.
    pub(super) fn activity(of: Pid) -> Activity {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", of.as_raw_pid())) else {
            return Activity::Ended;
        };
        let mut activity = Activity::Ended;
        for task in tasks.flatten() {
            match read(&task.path().join("stat")).ok().as_deref().and_then(state) {
                Some('T' | 't') => activity = Activity::Stopped,
                Some('Z' | 'X') | None => {}
                Some(_) => return Activity::Running,
            }
        }
        activity
    }

    pub(super) fn below(root: Pid) -> Vec<Descendant> {
        let mut below = Vec::new();
        walk(root, |siblings| below.extend_from_slice(siblings));
        below
    }

    pub(super) fn walk(root: Pid, found: impl FnMut(&[Descendant])) {
        if kernel_lists_children() {
            closure(root, children, found);
        } else {
            let everybody = everybody();
            closure(root, |parent| children_among(&everybody, parent), found);
        }
    }

    pub(super) fn children(parent: Pid) -> Vec<Pid> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid())) else {
            return Vec::new();
        };
        let mut children = Vec::new();
        for task in tasks.flatten() {
            match read(&task.path().join("children")) {
                Ok(line) => children.extend(line.split_ascii_whitespace().filter_map(pid)),
                Err(_) if !kernel_lists_children() => {
                    return children_among(&everybody(), parent);
                }
                // The thread has ended, and its children went to another.
                Err(_) => {}
            }
        }
        children
    }

    /// Built with CONFIG_PROC_CHILDREN, that is. Asked of a thread that surely exists.
    fn kernel_lists_children() -> bool {
        fs::exists("/proc/thread-self/children").unwrap_or(false)
    }

    fn closure(root: Pid, children: impl Fn(Pid) -> Vec<Pid>, mut found: impl FnMut(&[Descendant])) {
        let mut known: Vec<Descendant> = Vec::new();
        let mut parent = root;
        let mut next = 0;
        loop {
            let before = known.len();
            for pid in children(parent) {
                // A process that moved to the root while we walked must not be walked twice.
                if pid != root && known.iter().all(|known| known.pid != pid) {
                    known.push(Descendant { pid, parent });
                }
            }
            if known.len() > before {
                found(&known[before..]);
            }
            let Some(descendant) = known.get(next) else {
                return;
            };
            parent = descendant.pid;
            next += 1;
        }
    }

    fn everybody() -> Vec<Descendant> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| pid(entry.file_name().to_str()?))
            .filter_map(|pid| Some(Descendant { pid, parent: parent(pid)? }))
            .collect()
    }

    fn children_among(everybody: &[Descendant], parent: Pid) -> Vec<Pid> {
        everybody.iter().filter(|one| one.parent == parent).map(|one| one.pid).collect()
    }

    fn parent(of: Pid) -> Option<Pid> {
        Pid::from_raw(stat_field(of, 1)?)
    }

    pub(super) fn session(of: Pid) -> Option<i32> {
        stat_field(of, 3)
    }

    /// A field of `/proc/<pid>/stat`, counted from the process's state.
    fn stat_field(of: Pid, index: usize) -> Option<i32> {
        let stat = read(Path::new(&format!("/proc/{}/stat", of.as_raw_pid()))).ok()?;
        after_name(&stat)?.nth(index)?.parse().ok()
    }

    /// With half of the system calls of `fs::read_to_string`, which asks for the size of what has none.
    fn read(path: &Path) -> io::Result<String> {
        let file = fs::File::open(path)?;
        let mut bytes = Vec::with_capacity(512);
        while rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes))? > 0 {
            bytes.reserve(512);
        }
        String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn state(stat: &str) -> Option<char> {
        after_name(stat)?.next()?.chars().next()
    }

    /// The second field is the program's name in parentheses and may itself hold any character.
    fn after_name(stat: &str) -> Option<std::str::SplitAsciiWhitespace<'_>> {
        Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
    }

    fn pid(text: &str) -> Option<Pid> {
        Pid::from_raw(text.parse().ok()?)
    }

    #[cfg(test)]
    mod tests {
        use std::process::{Command, Stdio};

        use super::*;

        #[test]
        fn both_ways_of_reading_agree() {
            let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
            let pid = Pid::from_child(&child);
            let me = rustix::process::getpid();
            assert_eq!(parent(pid), Some(me));
            assert_eq!(session(pid), session(me));
            assert!(children(me).contains(&pid));
            assert!(children_among(&everybody(), me).contains(&pid));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use rustix::process::{Pid, Signal};

    use super::{Activity, Descendant};

    #[derive(Debug)]
    pub(super) enum Pinned {}

    impl Pinned {
        pub(super) fn send(&self, _: Signal) {
            match *self {}
        }
    }

    pub(super) fn pin(_: Pid, _: Descendant) -> Option<Pinned> {
        None
    }

    pub(super) fn activity(_: Pid) -> Activity {
        Activity::Ended
    }

    pub(super) fn walk(_: Pid, _: impl FnMut(&[Descendant])) {}

    pub(super) fn below(_: Pid) -> Vec<Descendant> {
        Vec::new()
    }

    pub(super) fn children(_: Pid) -> Vec<Pid> {
        Vec::new()
    }

    pub(super) fn session(_: Pid) -> Option<i32> {
        None
    }
}
