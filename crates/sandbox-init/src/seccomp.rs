//! The filter for system calls: which of the kernel's entrances a guest finds open.
//!
//! ```text
//!   calls.rs ──► ranges with one fate each ──► binary search in BPF ──► Filter ──► installed before each exec
//!   (table)      0..=40 allow, 41 depends, …      (compiled once)
//! ```
//!
//! Where a call's number is looked for decides what a spawn costs: when a filter is installed the kernel runs it once for
//! every number there is, to remember which are always allowed. With a list that is gone through from its start, as the
//! crate `seccompiler` makes it, that took 0.8 ms where a search takes 0.06.
//! A remembered call never runs the filter at all.
//!
//! What a guest may do and may not:
//!
//! | calls | answer |
//! |---|---|
//! | files, memory, threads, processes, signals, time, pipes, System V and POSIX IPC | run |
//! | `ptrace`, `process_vm_readv`, `process_vm_writev`, `pidfd_getfd`: profilers, debuggers | run; the process namespace and the rights of the first process bound them |
//! | `landlock_*`, `seccomp`: a guest that confines itself further | run |
//! | `clone` with a new namespace, `unshare`, `setns` | EPERM |
//! | `clone3`, whose flags cannot be read | ENOSYS, upon which C libraries use `clone` |
//! | `socket` of other families than AF_UNIX, AF_INET, AF_INET6, and AF_NETLINK for routes; `socketpair` but AF_UNIX | EAFNOSUPPORT |
//! | `ioctl` TIOCSTI, TIOCLINUX | EPERM |
//! | `personality`, but for harmless values | EPERM |
//! | mounts, by old calls and by new ones; `pivot_root`, `chroot` | EPERM |
//! | files by handle; `fanotify` | EPERM |
//! | modules, `kexec`, `bpf` | EPERM |
//! | `perf_event_open`, `userfaultfd`, `kcmp`, the kernel's log | EPERM |
//! | keys | EPERM |
//! | setting clocks and names, swap, quotas, accounting, reboot, ports | EPERM |
//! | `io_uring`, `io_setup`, `cachestat`, and all that is newer than the table | ENOSYS |
//! | `sync` | succeeds, and does nothing: it would write out the disks of the whole host |
//! | x32 calls | ENOSYS |
//! | 32-bit calls | the process is killed |
//!
//! Used by [`Confinement`](crate::confinement::Confinement). It is the second line: namespaces, no capabilities and the
//! lack of new privileges refuse most of it by themselves. A guest can add filters, which can only take away.

mod calls;

use std::io;

use libc::sock_filter;

use calls::{Group, Test, Verdict};

/// A compiled filter. To be made once; installing it copies a few hundred instructions.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Vec<sock_filter>);

/// A range of numbers that ends where the next begins.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: u32,
    verdict: Verdict,
}

impl Filter {
    pub(crate) fn build() -> Self {
        let mut program = vec![
            load(std::mem::offset_of!(libc::seccomp_data, arch)),
            // Numbers mean nothing without it.
            jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
            load(std::mem::offset_of!(libc::seccomp_data, nr)),
        ];
        program.extend(search(&ranges()));
        Self(program)
    }

    /// From here on, for this thread and all that it starts, for good. Needs `no_new_privs`, or root.
    pub(crate) fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).expect("the table fits into a program, as tests have seen"),
            // Only read by the kernel.
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: `program` is live and says truly how many instructions there are.
        let done =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = linux_raw_sys::ptrace::AUDIT_ARCH_X86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = linux_raw_sys::ptrace::AUDIT_ARCH_AARCH64;

/// For numbers in no group. x32 is above them all.
const UNKNOWN: Verdict = Verdict::Answer(libc::ENOSYS);

fn groups() -> impl Iterator<Item = &'static Group> {
    calls::EVERYWHERE.iter().chain(calls::HERE)
}

/// All numbers from 0 on, with neighbours of one fate together.
fn ranges() -> Vec<Range> {
    let mut known: Vec<(u32, Verdict)> =
        groups().flat_map(|group| group.calls.iter().map(|(_, number)| (*number, group.verdict))).collect();
    known.sort_by_key(|(number, _)| *number);
    let mut ranges = vec![Range { from: 0, verdict: UNKNOWN }];
    for (number, verdict) in known {
        // What was put in after the call before, in case that this one does not follow it.
        if ranges.last().is_some_and(|last| last.from == number) {
            ranges.pop();
        }
        for range in [Range { from: number, verdict }, Range { from: number + 1, verdict: UNKNOWN }] {
            if ranges.last().is_none_or(|last| last.verdict != range.verdict) {
                ranges.push(range);
            }
        }
    }
    ranges
}

/// Finds the range that the number in the accumulator is in.
fn search(ranges: &[Range]) -> Vec<sock_filter> {
    if let [range] = ranges {
        return judge(range.verdict);
    }
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (search(lower), search(upper));
    [vec![jump(libc::BPF_JGE, upper[0].from, below.len(), 0)], below, above].concat()
}

fn judge(verdict: Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Allow => vec![answer(libc::SECCOMP_RET_ALLOW)],
        Verdict::Answer(errno) => vec![refuse(errno)],
        Verdict::AllowIf(cases, errno) => {
            let cases = cases.iter().flat_map(|tests| case(tests));
            cases.chain([refuse(errno)]).collect()
        }
    }
}

/// Allows if all tests hold, else goes on behind itself.
fn case(tests: &[Test]) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (i, test) in tests.iter().enumerate() {
        // Over the tests that follow, of two instructions each, and the answer.
        let to_end = 2 * (tests.len() - 1 - i) + 1;
        let (argument, test) = match *test {
            Test::Is(argument, value) => (argument, jump(libc::BPF_JEQ, value, 0, to_end)),
            Test::IsNot(argument, value) => (argument, jump(libc::BPF_JEQ, value, to_end, 0)),
            Test::HasNoneOf(argument, bits) => (argument, jump(libc::BPF_JSET, bits, to_end, 0)),
        };
        // The lower half: both architectures are little-endian.
        let offset =
            std::mem::offset_of!(libc::seccomp_data, args) + usize::from(argument) * size_of::<u64>();
        program.extend([load(offset), test]);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

fn load(offset: usize) -> sock_filter {
    let offset = u32::try_from(offset).expect("the structure is of 64 bytes");
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Skips so many instructions if it holds, so many if not.
fn jump(comparison: u32, value: u32, holds: usize, does_not: usize) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, value, holds, does_not)
}

fn answer(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn refuse(errno: i32) -> sock_filter {
    answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())
}

fn instruction(code: u32, k: u32, jt: usize, jf: usize) -> sock_filter {
    sock_filter {
        code: u16::try_from(code).expect("codes are of 16 bits"),
        jt: u8::try_from(jt).expect("half of the table is below 256 instructions, as tests have seen"),
        jf: u8::try_from(jf).expect("a case has few tests"),
        k,
    }
}

#[cfg(test)]
mod tests;
