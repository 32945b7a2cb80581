//! Cleans what a first process inherits from the server, before it does anything else.
//!
//! In order:
//! 1. Descriptor 0 must be a socket, or somebody started this by hand: refused before anything is touched.
//! 2. A session of its own, so that Ctrl-C at the server's terminal reaches the server only.
//! 3. Every other descriptor is closed. Most are close-on-exec already; one that a library forgot would
//!    otherwise reach every process of the sandbox.
//! 4. The control socket moves to a close-on-exec descriptor, and 0, 1, 2 become `/dev/null`.
//! 5. Signals: default dispositions and an empty mask, as children inherit both through exec.
//!    Those that would end this process get a handler that does nothing: a *handler* is reset by exec, where
//!    "ignored" or "blocked" would be passed on.
//! 6. As many descriptors as a sandbox may have, whatever the server has allowed itself.
//! 7. The scheduling policy of work that can wait a moment.
//! 8. Orphans below come to this process instead of to pid 1.

use std::io::{self, Read};
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit};

/// What is left after cleaning: all this process knows of the outside.
#[derive(Debug)]
pub(crate) struct World {
    /// To the server. Blocking.
    pub(crate) control: UnixStream,
    /// Becomes readable when a child has ended.
    pub(crate) child_ended: ChildEnded,
}

/// The reading end of a socket pair into which the handler of SIGCHLD writes.
#[derive(Debug)]
pub(crate) struct ChildEnded(UnixStream);

impl ChildEnded {
    /// Makes the pair, and gives its writing end to the handler. What the handler had before is not closed.
    fn open() -> io::Result<Self> {
        let (reading, writing) = UnixStream::pair()?;
        reading.set_nonblocking(true)?;
        writing.set_nonblocking(true)?;
        // Lives as long as the process; the handler may run at any time.
        CHILD_ENDED.store(OwnedFd::from(writing).into_raw_fd(), Ordering::Relaxed);
        Ok(ChildEnded(reading))
    }

    /// Forgets the signals that came so far. To be called before reaping, lest one that comes in between is lost.
    pub(crate) fn clear(&mut self) {
        let mut bytes = [0; 64];
        while matches!(self.0.read(&mut bytes), Ok(n) if n == bytes.len()) {}
    }
}

impl AsFd for ChildEnded {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The writing end, for the handler: a signal handler has no argument to be given it by.
static CHILD_ENDED: AtomicI32 = AtomicI32::new(-1);

/// The world of a process that was made to start a sandbox.
#[cfg(target_os = "linux")]
impl World {
    /// That of a copy of the spawner, which is clean but for what belongs to the spawner itself.
    pub(crate) fn of_clone(control: OwnedFd) -> io::Result<Self> {
        let before = CHILD_ENDED.load(Ordering::Relaxed);
        let child_ended = ChildEnded::open()?;
        // SAFETY: closes the end that the spawner's handler writes into, which nobody else knows in this copy of it: the
        // handler was given another above.
        unsafe { libc::close(before) };
        // Not even through a debugger of the same user, which a user namespace may bring about.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
        rustix::thread::set_name(c"sandbox-init")?;
        Ok(World { control: UnixStream::from(control), child_ended })
    }
}

pub(crate) fn clean() -> io::Result<World> {
    let stdin = std::io::stdin();
    rustix::net::sockopt::socket_type(&stdin)?;
    // Fails only if this already leads a session, which is what is wanted.
    let _ = rustix::process::setsid();
    close_all_above_stderr();
    let control = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let child_ended = reset_signals()?;
    limit_descriptors();
    #[cfg(target_os = "linux")]
    yield_to_the_server();
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        // Executed by way of `/proc/self/exe`, it would otherwise be listed as `exe`.
        rustix::thread::set_name(c"sandbox-init")?;
    }
    Ok(World { control: UnixStream::from(control), child_ended })
}

/// Everything in a sandbox is batch work to the scheduler: it gets as much processor time as ever, but when it wakes it
/// does not push aside who runs, which is most often the server that has just sent it something and has more to send
/// to others. Inherited by children.
#[cfg(target_os = "linux")]
fn yield_to_the_server() {
    // SAFETY: an all-zero `sched_param` is valid, and the only one that the policy allows.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live structure; 0 means this process. Refused only where a sandbox around this one
    // forbids it, and then all is as it was.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
}

/// Most descriptors of one process in a sandbox.
const DESCRIPTORS: u64 = 1024;

fn limit_descriptors() {
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    // Refused only where the limit is lower already.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

#[cfg(target_os = "linux")]
fn close_all_above_stderr() {
    // SAFETY: the system call touches no memory. It closes descriptors behind the back of whoever owns them,
    // but nobody does: the only code that ran before is the runtime's start and `main` up to
    // `enter_if_asked`, which by its contract opens nothing.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed != 0 {
        close_listed("/proc/self/fd");
    }
}

#[cfg(not(target_os = "linux"))]
fn close_all_above_stderr() {
    close_listed("/dev/fd");
}

/// For kernels without `close_range` (before Linux 5.9; other systems).
fn close_listed(folder: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    // Collected first, so that the listing's own descriptor is closed by then and closing it again does no harm.
    let open: Vec<c_int> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in open {
        // SAFETY: closes a number; nobody owns any above 2 at this point, see `close_all_above_stderr`.
        unsafe { libc::close(fd) };
    }
}

fn reset_signals() -> io::Result<ChildEnded> {
    let child_ended = ChildEnded::open()?;
    for signal in 1..=last_signal() {
        let handler = match signal {
            libc::SIGCHLD => on_child_ended as extern "C" fn(c_int) as libc::sighandler_t,
            libc::SIGHUP
            | libc::SIGINT
            | libc::SIGQUIT
            | libc::SIGTERM
            | libc::SIGALRM
            | libc::SIGUSR1
            | libc::SIGUSR2
            | libc::SIGPIPE
            | libc::SIGVTALRM
            | libc::SIGPROF
            | libc::SIGIO => on_ignored as extern "C" fn(c_int) as libc::sighandler_t,
            _ => libc::SIG_DFL,
        };
        set_handler(signal, handler);
    }
    // SAFETY: an all-zero `sigset_t` is a valid value, made empty by the first call; the second reads it and
    // is given no place for the old mask.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    Ok(child_ended)
}

#[cfg(target_os = "linux")]
fn last_signal() -> c_int {
    libc::SIGRTMAX()
}

#[cfg(not(target_os = "linux"))]
fn last_signal() -> c_int {
    31
}

/// Signals that cannot be handled (SIGKILL, SIGSTOP, and two the C library keeps to itself) refuse, and are
/// left as they are.
fn set_handler(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: an all-zero `sigaction` is valid: no flags, an empty mask (which `sigemptyset` also sees to).
    // The handler is SIG_DFL or one of the two below, which are async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigemptyset(&raw mut action.sa_mask);
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_ignored(_: c_int) {}

extern "C" fn on_child_ended(_: c_int) {
    // SAFETY: `write` is async-signal-safe and reads one byte that is there. When the buffer is full the byte
    // is not needed: the reader will wake. The errno it may leave is put back, as the code that was
    // interrupted may be about to read its own.
    unsafe {
        let errno = errno_location();
        let before = *errno;
        libc::write(CHILD_ENDED.load(Ordering::Relaxed), [0_u8].as_ptr().cast(), 1);
        *errno = before;
    }
}

#[cfg(target_os = "linux")]
unsafe fn errno_location() -> *mut c_int {
    // SAFETY: returns the address of the thread's errno, always valid.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
unsafe fn errno_location() -> *mut c_int {
    // SAFETY: returns the address of the thread's errno, always valid.
    unsafe { libc::__error() }
}
