//! Who is below whom, and how to end them all, as `/proc` tells it. Linux only; elsewhere the tree
//! is always empty and only process groups can be ended.
//!
//! Used by the first process on itself, and by the server when a first process was killed.
//!
//! A reading is never the whole truth while the tree is alive: a process may fork behind the reader's back.
//! Callers repeat until the kernel says that no child is left.

use rustix::process::Pid;

/// A process and the parent it was found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descendant {
    /// Itself.
    pub pid: Pid,
    /// Its parent when it was found.
    pub parent: Pid,
}

/// Kills every process found below `root`, but not `root`. Returns how many were found.
///
/// No number is trusted to still mean the process it was read for: each is pinned, then
/// looked at again, then killed.
pub fn kill_below(root: Pid) -> usize {
    let found = below(root);
    for descendant in &found {
        imp::kill(root, *descendant);
    }
    found.len()
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

    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal};

    use super::Descendant;

    pub(super) fn kill(root: Pid, found: Descendant) {
        match rustix::process::pidfd_open(found.pid, PidfdFlags::empty()) {
            // A parent that has died in between leaves its child to the root.
            Ok(pinned) if parent(found.pid).is_some_and(|now| now == found.parent || now == root) => {
                // Fails when it has ended already, which is what is wanted.
                let _ = rustix::process::pidfd_send_signal(pinned, Signal::KILL);
            }
            // Before Linux 5.3, and where a filter forbids it: the number is microseconds old.
            Err(Errno::NOSYS | Errno::PERM) => {
                let _ = rustix::process::kill_process(found.pid, Signal::KILL);
            }
            _ => {}
        }
    }

    pub(super) fn below(root: Pid) -> Vec<Descendant> {
        if kernel_lists_children() {
            closure(root, children)
        } else {
            let everybody = everybody();
            closure(root, |parent| children_among(&everybody, parent))
        }
    }

    pub(super) fn children(parent: Pid) -> Vec<Pid> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid())) else {
            return Vec::new();
        };
        let mut children = Vec::new();
        for task in tasks.flatten() {
            match fs::read_to_string(task.path().join("children")) {
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

    fn closure(root: Pid, children: impl Fn(Pid) -> Vec<Pid>) -> Vec<Descendant> {
        let mut found: Vec<Descendant> = Vec::new();
        let mut parent = root;
        let mut next = 0;
        loop {
            for pid in children(parent) {
                // A process that moved to the root while we walked must not be walked twice.
                if pid != root && found.iter().all(|known| known.pid != pid) {
                    found.push(Descendant { pid, parent });
                }
            }
            let Some(descendant) = found.get(next) else {
                return found;
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
        let stat = fs::read_to_string(format!("/proc/{}/stat", of.as_raw_pid())).ok()?;
        // The second field is the program's name in parentheses and may itself hold any character.
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_ascii_whitespace().nth(index)?.parse().ok()
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
    use rustix::process::Pid;

    use super::Descendant;

    pub(super) fn kill(_: Pid, _: Descendant) {}

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
