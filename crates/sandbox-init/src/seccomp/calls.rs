//! Which system calls a guest may make: the table from which the filter is compiled.
//!
//! Names are the kernel's. A call in no group does not exist for the guest (ENOSYS), as on a kernel that is older or was
//! built without it: libraries know how to go on without. That holds for calls that are yet to be invented, and for
//! those left out with intent:
//!
//! | left out | why |
//! |---|---|
//! | `clone3` | its flags are in memory, where no filter can read them; C libraries fall back on `clone` |
//! | `io_uring_*` | does what other calls do, past any filter, and has been the way out of many a sandbox |
//! | `io_setup` and what belongs to it | `fs.aio-max-nr` is one number for the whole host |
//! | `cachestat` | tells which files of the host neighbours have read lately |
//! | `statmount`, `listmount`, `lsm_*`, `file_setattr`, `file_getattr` | nobody needs them yet |
//! | `modify_ldt`, `uselib`, `ustat`, `sysfs`, `_sysctl` and older | history, with a history of mistakes |
//!
//! Who adds to a group that allows asks first: is what it reaches a namespace's, a cgroup's or a limit's, or the whole
//! host's?

use linux_raw_sys::general::*;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The kernel runs it.
    Allow,
    /// The kernel does not run it, and the caller sees this errno. 0: it seems to have succeeded.
    Answer(i32),
    /// Run if all tests of any one of these cases hold, else answered with the errno.
    AllowIf(&'static [&'static [Test]], i32),
}

/// One argument, of which the kernel itself reads the lower half only. To look at the upper one as well would let
/// through with rubbish there what is refused without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Is(u8, u32),
    IsNot(u8, u32),
    HasNoneOf(u8, u32),
}

/// Calls with one fate for one reason.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) verdict: Verdict,
    pub(super) calls: &'static [(&'static str, u32)],
}

macro_rules! group {
    ($verdict:expr; $($call:ident)*) => {
        Group { verdict: $verdict, calls: &[$((stringify!($call), $call)),*] }
    };
}

use Test::{HasNoneOf, Is, IsNot};
use Verdict::{Allow, AllowIf, Answer};

/// All of them but for `CLONE_NEWTIME`, which `clone` takes for a part of the signal's number.
const NEW_NAMESPACES: u32 =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

const AF_UNIX: u32 = libc::AF_UNIX.cast_unsigned();
const AF_INET: u32 = libc::AF_INET.cast_unsigned();
const AF_INET6: u32 = libc::AF_INET6.cast_unsigned();
const AF_NETLINK: u32 = libc::AF_NETLINK.cast_unsigned();
const NETLINK_ROUTE: u32 = libc::NETLINK_ROUTE.cast_unsigned();

/// `libc` has their numbers in another type on each C library.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

const PER_LINUX: u32 = 0;
const PER_LINUX32: u32 = 8;
const UNAME26: u32 = 0x002_0000;
/// Debuggers set it for what they debug.
const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
const PERSONALITY_QUERY: u32 = 0xffff_ffff;

/// On every architecture.
pub(super) const EVERYWHERE: &[Group] = &[
    // ---- what any program does ----
    group!(Allow; __NR_read __NR_write __NR_readv __NR_writev __NR_pread64 __NR_pwrite64 __NR_preadv __NR_pwritev
        __NR_preadv2 __NR_pwritev2 __NR_lseek __NR_sendfile __NR_splice __NR_tee __NR_vmsplice __NR_copy_file_range
        __NR_close __NR_close_range __NR_dup __NR_dup3 __NR_fcntl __NR_flock __NR_pipe2
        __NR_fsync __NR_fdatasync __NR_syncfs __NR_sync_file_range __NR_fallocate __NR_ftruncate __NR_truncate
        __NR_fadvise64 __NR_readahead),
    // Files. `mknodat` makes pipes and sockets; for devices it takes a capability. No handles: see below.
    group!(Allow; __NR_openat __NR_openat2 __NR_faccessat __NR_faccessat2 __NR_newfstatat __NR_fstat __NR_statx
        __NR_statfs __NR_fstatfs __NR_getdents64 __NR_getcwd __NR_chdir __NR_fchdir __NR_readlinkat
        __NR_mkdirat __NR_mknodat __NR_unlinkat __NR_renameat __NR_renameat2 __NR_linkat __NR_symlinkat
        __NR_fchmod __NR_fchmodat __NR_fchmodat2 __NR_fchown __NR_fchownat __NR_umask __NR_utimensat
        __NR_setxattr __NR_lsetxattr __NR_fsetxattr __NR_getxattr __NR_lgetxattr __NR_fgetxattr
        __NR_listxattr __NR_llistxattr __NR_flistxattr __NR_removexattr __NR_lremovexattr __NR_fremovexattr
        __NR_setxattrat __NR_getxattrat __NR_listxattrat __NR_removexattrat
        __NR_inotify_init1 __NR_inotify_add_watch __NR_inotify_rm_watch),
    group!(Allow; __NR_ppoll __NR_pselect6 __NR_epoll_create1 __NR_epoll_ctl __NR_epoll_pwait __NR_epoll_pwait2
        __NR_eventfd2 __NR_signalfd4 __NR_timerfd_create __NR_timerfd_settime __NR_timerfd_gettime),
    // Memory. What is locked is bounded by a limit. No `userfaultfd`, `move_pages`: see below.
    group!(Allow; __NR_brk __NR_mmap __NR_munmap __NR_mremap __NR_mprotect __NR_madvise __NR_mincore __NR_msync
        __NR_mlock __NR_mlock2 __NR_mlockall __NR_munlock __NR_munlockall __NR_remap_file_pages __NR_mseal
        __NR_memfd_create __NR_memfd_secret __NR_membarrier __NR_pkey_alloc __NR_pkey_free __NR_pkey_mprotect
        __NR_map_shadow_stack __NR_get_mempolicy __NR_set_mempolicy __NR_mbind __NR_set_mempolicy_home_node),
    // Threads and processes. `execve` gains nobody anything: there are no new privileges.
    group!(Allow; __NR_execve __NR_execveat __NR_exit __NR_exit_group __NR_wait4 __NR_waitid
        __NR_getpid __NR_getppid __NR_gettid __NR_getpgid __NR_setpgid __NR_getsid __NR_setsid
        __NR_set_tid_address __NR_set_robust_list __NR_get_robust_list __NR_rseq
        __NR_futex __NR_futex_waitv __NR_futex_wait __NR_futex_wake __NR_futex_requeue
        __NR_sched_yield __NR_sched_getaffinity __NR_sched_setaffinity __NR_sched_getscheduler
        __NR_sched_setscheduler __NR_sched_getparam __NR_sched_setparam __NR_sched_getattr __NR_sched_setattr
        __NR_sched_get_priority_max __NR_sched_get_priority_min __NR_sched_rr_get_interval
        __NR_getpriority __NR_setpriority __NR_ioprio_get __NR_ioprio_set
        __NR_getrlimit __NR_setrlimit __NR_prlimit64 __NR_getrusage __NR_times __NR_prctl __NR_getcpu
        __NR_pidfd_open __NR_pidfd_send_signal __NR_process_madvise __NR_process_mrelease),
    group!(Allow; __NR_kill __NR_tkill __NR_tgkill __NR_rt_sigaction __NR_rt_sigprocmask __NR_rt_sigpending
        __NR_rt_sigsuspend __NR_rt_sigtimedwait __NR_rt_sigqueueinfo __NR_rt_tgsigqueueinfo __NR_rt_sigreturn
        __NR_sigaltstack __NR_restart_syscall),
    // Profilers and debuggers work on a function's own processes as they do on AWS. All that can be seen has the same
    // user and lives in the same process namespace; the first process refuses, having rights that others lack (or none
    // that may look). A traced call is filtered after the tracer has changed it (since Linux 4.8).
    group!(Allow; __NR_ptrace __NR_process_vm_readv __NR_process_vm_writev __NR_pidfd_getfd),
    // Time is read; who sets it is below.
    group!(Allow; __NR_clock_gettime __NR_clock_getres __NR_clock_nanosleep __NR_gettimeofday __NR_nanosleep
        __NR_getitimer __NR_setitimer __NR_timer_create __NR_timer_settime __NR_timer_gettime
        __NR_timer_getoverrun __NR_timer_delete),
    // Users and rights: programs set what they have already, or give up what they no longer need.
    group!(Allow; __NR_getuid __NR_geteuid __NR_getgid __NR_getegid __NR_getresuid __NR_getresgid __NR_getgroups
        __NR_setuid __NR_setgid __NR_setreuid __NR_setregid __NR_setresuid __NR_setresgid __NR_setfsuid
        __NR_setfsgid __NR_setgroups __NR_capget __NR_capset __NR_seccomp
        __NR_landlock_create_ruleset __NR_landlock_add_rule __NR_landlock_restrict_self),
    group!(Allow; __NR_bind __NR_listen __NR_accept __NR_accept4 __NR_connect __NR_shutdown __NR_getsockname
        __NR_getpeername __NR_getsockopt __NR_setsockopt __NR_sendto __NR_recvfrom __NR_sendmsg __NR_recvmsg
        __NR_sendmmsg __NR_recvmmsg),
    // Of the sandbox's own ipc namespace.
    group!(Allow; __NR_shmget __NR_shmat __NR_shmdt __NR_shmctl __NR_semget __NR_semop __NR_semtimedop __NR_semctl
        __NR_msgget __NR_msgsnd __NR_msgrcv __NR_msgctl __NR_mq_open __NR_mq_unlink __NR_mq_timedsend
        __NR_mq_timedreceive __NR_mq_notify __NR_mq_getsetattr),
    group!(Allow; __NR_uname __NR_sysinfo __NR_getrandom),
    // ---- what depends on the arguments ----
    // A new namespace, a user namespace above all, opens to anybody what in the kernel was written for root.
    group!(AllowIf(&[&[HasNoneOf(0, NEW_NAMESPACES)]], libc::EPERM); __NR_clone),
    // Other families are loaded on demand, seldom used, and often broken; a virtual machine's socket leads to the host.
    // Of netlink the one protocol by which every C library lists the interfaces.
    group!(AllowIf(
            &[
                &[Is(0, AF_UNIX)],
                &[Is(0, AF_INET)],
                &[Is(0, AF_INET6)],
                &[Is(0, AF_NETLINK), Is(2, NETLINK_ROUTE)],
            ],
            libc::EAFNOSUPPORT,
        ); __NR_socket),
    group!(AllowIf(&[&[Is(0, AF_UNIX)]], libc::EAFNOSUPPORT); __NR_socketpair),
    // Types into the terminal from which the server was started.
    group!(AllowIf(&[&[IsNot(1, TIOCSTI), IsNot(1, TIOCLINUX)]], libc::EPERM); __NR_ioctl),
    // The rest changes how addresses and binaries of other systems are understood.
    group!(AllowIf(
            &[
                &[Is(0, PERSONALITY_QUERY)],
                &[Is(0, PER_LINUX)],
                &[Is(0, PER_LINUX32)],
                &[Is(0, UNAME26)],
                &[Is(0, UNAME26 | PER_LINUX32)],
                &[Is(0, ADDR_NO_RANDOMIZE)],
            ],
            libc::EPERM,
        ); __NR_personality),
    // Writes out the disks of the whole host, neighbours' included, as often as it is asked to. It promises the caller
    // nothing, and `fsync` and `syncfs` are there for those who need a promise.
    group!(Answer(0); __NR_sync),
    // ---- what is refused ----
    // What the sandbox's file system is made of could be unmade.
    group!(Answer(libc::EPERM); __NR_mount __NR_umount2 __NR_move_mount __NR_open_tree __NR_open_tree_attr
        __NR_fsopen __NR_fsconfig __NR_fsmount __NR_fspick __NR_mount_setattr __NR_pivot_root __NR_chroot),
    // Leads into other namespaces.
    group!(Answer(libc::EPERM); __NR_setns __NR_unshare),
    // A handle names a file past every folder, and a watch on a mount tells what neighbours do to it.
    group!(Answer(libc::EPERM); __NR_name_to_handle_at __NR_open_by_handle_at __NR_fanotify_init
        __NR_fanotify_mark),
    // Code for the kernel.
    group!(Answer(libc::EPERM); __NR_init_module __NR_finit_module __NR_delete_module __NR_kexec_load
        __NR_kexec_file_load __NR_bpf),
    // Looks into the kernel or holds it up; each has been half of many an exploit.
    group!(Answer(libc::EPERM); __NR_perf_event_open __NR_userfaultfd __NR_kcmp __NR_lookup_dcookie __NR_syslog),
    // Keys belong to a user of the host, not to a sandbox.
    group!(Answer(libc::EPERM); __NR_keyctl __NR_add_key __NR_request_key),
    // Where memory of other processes is.
    group!(Answer(libc::EPERM); __NR_move_pages __NR_migrate_pages),
    // Of the whole machine.
    group!(Answer(libc::EPERM); __NR_settimeofday __NR_clock_settime __NR_adjtimex __NR_clock_adjtime
        __NR_sethostname __NR_setdomainname __NR_reboot __NR_swapon __NR_swapoff __NR_acct __NR_quotactl
        __NR_quotactl_fd __NR_nfsservctl __NR_vhangup),
];

/// What only this architecture has. Most are older forms of the above, which C libraries for x86-64 still use.
#[cfg(target_arch = "x86_64")]
pub(super) const HERE: &[Group] = &[
    group!(Allow; __NR_open __NR_creat __NR_access __NR_stat __NR_lstat __NR_getdents __NR_readlink __NR_mkdir
        __NR_mknod __NR_rmdir __NR_unlink __NR_rename __NR_link __NR_symlink __NR_chmod __NR_chown __NR_lchown
        __NR_utime __NR_utimes __NR_futimesat __NR_dup2 __NR_pipe __NR_poll __NR_select __NR_epoll_create
        __NR_epoll_wait __NR_eventfd __NR_signalfd __NR_inotify_init __NR_pause __NR_alarm __NR_time
        __NR_getpgrp __NR_fork __NR_vfork __NR_arch_prctl
        // The kernel's own, when the host looks into a guest with uprobes: refused, the guest would die of it.
        __NR_uretprobe),
    // Ports of the machine.
    group!(Answer(libc::EPERM); __NR_iopl __NR_ioperm),
];

/// What only this architecture has: nothing, it began without the older forms.
#[cfg(target_arch = "aarch64")]
pub(super) const HERE: &[Group] = &[];
