//! SIGTERM to a process group, taken by the thread that would have taken it if nothing had ever stood still.
//!
//! A signal to a process is handed to its first thread, unless that thread is on its way out of a freeze: then to any other.
//! Some runtimes let handlers run in the first thread only, once whatever it waits for is interrupted. Python does: its function
//! waits for the next event, and never hears that it is to end. So the first thread is told, where it would be by itself.
//!
//! ```text
//!   in the group ─► one thread, or the first one blocks SIGTERM or is gone ──► to the process, as ever
//!              └──► all others ──────────────────────────────────────────────► to the first thread
//! ```
//!
//! Used by [`Descendants`](crate::descendants::Descendants). Where nothing is told of processes, the group gets it as such.

use rustix::process::{Pid, Signal, kill_process_group};

use crate::tree;

/// Without effect when nobody is left in the group.
pub(crate) fn terminate(group: Pid) {
    let is_member = |pid: &Pid| rustix::process::getpgid(Some(*pid)) == Ok(group);
    let below = tree::below(rustix::process::getpid()).into_iter().map(|descendant| descendant.pid);
    let members: Vec<_> = below.filter(is_member).collect();
    if members.iter().any(|member| imp::is_told_by_its_first_thread(*member)) {
        members.into_iter().for_each(imp::tell);
    } else {
        // In one call: whoever is just being forked is told too.
        let _ = kill_process_group(group, Signal::TERM);
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use rustix::process::{Pid, Signal};

    pub(super) fn tell(process: Pid) {
        if is_told_by_its_first_thread(process) {
            let pid = process.as_raw_pid();
            // SAFETY: three numbers, and no memory of this process's.
            unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGTERM) };
        } else {
            let _ = rustix::process::kill_process(process, Signal::TERM);
        }
    }

    /// There are others that could be handed a signal in its place, and it can take one.
    pub(super) fn is_told_by_its_first_thread(process: Pid) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_pid()));
        status.is_ok_and(|status| first_of_several_can_take(&status).unwrap_or(false))
    }

    /// By `/proc/<pid>/status`, which tells of the first thread.
    fn first_of_several_can_take(status: &str) -> Option<bool> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let blocked = u64::from_str_radix(field("SigBlk:")?, 16).ok()?;
        let threads: u32 = field("Threads:")?.parse().ok()?;
        let is_there = !field("State:")?.starts_with(['Z', 'X']);
        Some(threads > 1 && is_there && blocked & (1 << (libc::SIGTERM - 1)) == 0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_first_of_several_threads_takes_it_unless_it_cannot() {
            let told = |state: &str, threads: u32, blocked: &str| {
                let status =
                    format!("Name:\tx\nState:\t{state} (x)\nThreads:\t{threads}\nSigBlk:\t{blocked}\n");
                first_of_several_can_take(&status)
            };
            assert_eq!(told("S", 2, "0000000000000000"), Some(true));
            assert_eq!(told("T", 2, "ffffffffffffbfff"), Some(true));
            assert_eq!(told("S", 1, "0000000000000000"), Some(false));
            assert_eq!(told("S", 2, "0000000000004000"), Some(false));
            assert_eq!(told("Z", 2, "0000000000000000"), Some(false));
            assert_eq!(first_of_several_can_take("State:\tS"), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use rustix::process::Pid;

    pub(super) fn tell(_process: Pid) {}

    pub(super) fn is_told_by_its_first_thread(_process: Pid) -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A program with two threads, the first of which blocks SIGTERM if wanted, and which leads a group.
    fn two_threads(blocks: bool) -> Child {
        let block = if blocks { "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])" } else { "" };
        let program = format!(
            "import signal, threading, time\n\
             threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n{block}\nprint(flush=True)\ntime.sleep(60)"
        );
        let mut command = Command::new("python3");
        let mut child =
            command.args(["-c", &program]).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        child
    }

    /// Signals that wait for the first thread, and for the process.
    fn waiting(process: Pid) -> [u64; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_pid())).unwrap();
        ["SigPnd:", "ShdPnd:"].map(|name| {
            let field = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(field.trim(), 16).unwrap() & (1 << (libc::SIGTERM - 1))
        })
    }

    #[test]
    fn the_first_thread_is_told_if_it_can_take_it_and_else_the_process() {
        for blocks in [false, true] {
            let mut child = two_threads(blocks);
            let pid = Pid::from_child(&child);
            // What stands still leaves its signals where they were put.
            rustix::process::kill_process(pid, Signal::STOP).unwrap();
            while tree::activity(pid) != tree::Activity::Stopped {
                std::thread::yield_now();
            }
            terminate(pid);
            let [first, process] = waiting(pid).map(|signals| signals != 0);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!((first, process), (!blocks, blocks));
        }
    }
}
