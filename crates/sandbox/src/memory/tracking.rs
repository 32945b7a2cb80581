//! Follows the processes below a first process, at little cost per reading.
//!
//! The tree can have grown only if the kernel has given out a process number since it was last walked, and
//! `/proc/loadavg` tells the most recent one. Tasks of the whole host have numbers, so on a busy host it is
//! walked often; that is cheap too as long as processes have one thread, since the files that list children
//! are per thread and kept open. A process with more threads has its threads listed each time.
//!
//! A descriptor into `/proc` means the process it was opened for and no later one of the same number: once
//! that has ended, reading fails.

use std::fs::File;
use std::os::unix::fs::FileExt;

use firesteel_sandbox_init::tree;
use rustix::process::Pid;

use super::status::{self, Usage};

/// The processes below one first process.
#[derive(Debug)]
pub(crate) struct Processes {
    first_process: Pid,
    /// What the first process, which has one thread, has for children. `None` where the kernel
    /// does not list children; then every process of the host is looked at instead.
    first_children: Option<File>,
    load: Option<File>,
    /// The most recent process number given out before the tree was last walked.
    newest: Option<u64>,
    /// What the last walk found, less what has ended since.
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    pid: Pid,
    status: File,
    /// Of the main thread.
    children: Option<File>,
}

impl Processes {
    pub(crate) fn new(first_process: Pid) -> Self {
        let first_children = open(first_process, &children_file(first_process));
        let load = File::open("/proc/loadavg").ok();
        Self { first_process, first_children, load, newest: None, known: Vec::new() }
    }

    /// Those that live, with what they use now.
    pub(crate) fn read(&mut self) -> Vec<(Pid, Usage)> {
        // Before walking: what is started during the walk has a newer number and is found by the next.
        let newest = self.load.as_ref().and_then(newest_pid);
        if newest.is_none() || newest != self.newest {
            self.newest = newest;
            return self.walk();
        }
        let mut usages = Vec::with_capacity(self.known.len());
        self.known.retain(|known| match status::usage(&known.status) {
            Some(usage) => {
                usages.push((known.pid, usage));
                true
            }
            None => false,
        });
        usages
    }

    fn walk(&mut self) -> Vec<(Pid, Usage)> {
        let mut before = std::mem::take(&mut self.known);
        let mut usages: Vec<(Pid, Usage)> = Vec::with_capacity(before.len());
        let mut waiting = match &self.first_children {
            Some(file) => listed(file),
            None => tree::below(self.first_process).into_iter().map(|descendant| descendant.pid).collect(),
        };
        while let Some(pid) = waiting.pop() {
            if usages.iter().any(|(seen, _)| *seen == pid) {
                continue;
            }
            let old = before.iter().position(|known| known.pid == pid).map(|index| before.swap_remove(index));
            // An old one that cannot be read has ended, and its number means another now.
            let read = |known: Known| status::usage(&known.status).map(|usage| (known, usage));
            let Some((known, usage)) = old.and_then(read).or_else(|| Known::open(pid).and_then(read)) else {
                continue;
            };
            if self.first_children.is_some() {
                match &known.children {
                    Some(file) if usage.threads == 1 => waiting.extend(listed(file)),
                    _ => waiting.extend(tree::children(pid)),
                }
            }
            usages.push((pid, usage));
            self.known.push(known);
        }
        usages
    }
}

impl Known {
    fn open(pid: Pid) -> Option<Self> {
        Some(Self { pid, status: open(pid, "status")?, children: open(pid, &children_file(pid)) })
    }
}

fn open(pid: Pid, name: &str) -> Option<File> {
    File::open(format!("/proc/{}/{name}", pid.as_raw_pid())).ok()
}

fn children_file(pid: Pid) -> String {
    format!("task/{}/children", pid.as_raw_pid())
}

fn newest_pid(load: &File) -> Option<u64> {
    let mut text = [0; 128];
    let n = load.read_at(&mut text, 0).ok()?;
    text[..n].trim_ascii_end().rsplit(|&byte| byte == b' ').next().and_then(status::number)
}

/// The process numbers in a file that lists children.
fn listed(file: &File) -> Vec<Pid> {
    let mut text = vec![0; 256];
    let mut length = 0;
    // The kernel hands out at most a page at once.
    while let Ok(n @ 1..) = file.read_at(&mut text[length..], u64::try_from(length).expect("a short file")) {
        length += n;
        text.resize(text.len().max(length + 4096), 0);
    }
    text[..length]
        .split(u8::is_ascii_whitespace)
        .filter_map(|number| Pid::from_raw(i32::try_from(status::number(number)?).ok()?))
        .collect()
}
