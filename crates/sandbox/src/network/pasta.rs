//! `pasta`, of the package passt: makes connections on the host in the place of those that come out of the router, as an ordinary program.
//!
//! ```text
//!   start ─► ready ─► ended ─► (a moment, longer each time) ─► start …
//!     any ─► told to end: killed, reaped
//! ```
//!
//! One thread starts it, waits for it, and starts it again: the thread whose end kills it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use firesteel_sandbox_init::network::{Pool, Router, tether};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

/// How long it may take until it is ready; it takes some ten milliseconds.
const READY: Duration = Duration::from_secs(10);

/// Before it is started again, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is kept of its complaints.
const COMPLAINTS_BYTES: usize = 4096;

/// Why this host cannot, and what to type.
pub(super) fn why_not(pasta: Option<&Path>) -> Option<String> {
    if pasta.is_none() {
        return Some("the program pasta is not there: `apt install passt` or `dnf install passt`".to_owned());
    }
    let tun = File::options().read(true).write(true).open("/dev/net/tun").err()?;
    Some(match tun.kind() {
        io::ErrorKind::PermissionDenied => {
            "pasta needs /dev/net/tun, which this user may not open: `chmod 0666 /dev/net/tun` as root"
                .to_owned()
        }
        _ => format!("pasta needs /dev/net/tun, which cannot be opened ({tun}): `modprobe tun` as root"),
    })
}

/// How it is to be started.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) pasta: PathBuf,
    /// That holds it to this process.
    pub(super) executable: PathBuf,
    pub(super) pool: Pool,
    /// Whether 127.0.0.1 of the host is reached at [`Pool::uplink_gateway`].
    pub(super) maps_loopback: bool,
    /// In whose namespaces the router is.
    pub(super) spawner: u32,
}

/// It running, until dropped.
#[derive(Debug)]
pub(super) struct Pasta {
    /// Closed to end it.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Pasta {
    /// Blocks until it is ready.
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let namespace = File::open(format!("/proc/{}/ns/net", plan.spawner))?;
        let (stop, stopped) = UnixStream::pair()?;
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("pasta".to_owned())
            .spawn(move || Keeper { plan, namespace, stopped }.run(&tell))?;
        let pasta = Self { stop: Some(stop), thread: Some(thread) };
        told.recv().expect("the thread tells before it ends")?;
        Ok(pasta)
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Fails by a panic that has been printed.
            let _ = thread.join();
        }
    }
}

struct Keeper {
    plan: Plan,
    /// Where the router is, even if the process is gone.
    namespace: File,
    stopped: UnixStream,
}

/// Why a start came to its end.
enum End {
    /// Told to.
    Stopped,
    /// By itself; what it said.
    Failed(String),
}

impl Keeper {
    fn run(self, tell: &mpsc::Sender<io::Result<()>>) {
        let mut was_ready = false;
        let mut pause = PAUSE;
        loop {
            let mut ready_now = false;
            let end = self.run_once(|| {
                ready_now = true;
                // Heard only the first time.
                let _ = tell.send(Ok(()));
            });
            let reason = match end {
                Ok(End::Stopped) => return,
                Ok(End::Failed(reason)) => reason,
                Err(error) => error.to_string(),
            };
            was_ready |= ready_now;
            if !was_ready {
                let _ = tell.send(Err(io::Error::other(reason)));
                return;
            }
            pause = if ready_now { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tracing::warn!(
                reason,
                ?pause,
                "pasta ended; sandboxes reach nothing outside until it runs again"
            );
            if self.is_stopped_within(pause) {
                return;
            }
        }
    }

    /// Starts it and waits for its end.
    fn run_once(&self, mut on_ready: impl FnMut()) -> io::Result<End> {
        let mut child = self.spawn()?;
        let end = self.watch(&mut child, &mut on_ready);
        let _ = child.kill();
        let _ = child.wait();
        end
    }

    fn watch(&self, child: &mut Child, on_ready: &mut impl FnMut()) -> io::Result<End> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a number");
        let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let mut output = child.stdout.take().expect("asked for when it was started");
        let mut complaints = child.stderr.take().expect("asked for when it was started");
        let mut said = Vec::new();
        let mut ready = false;
        loop {
            let mut news = [
                PollFd::new(&self.stopped, PollFlags::IN),
                PollFd::new(&complaints, PollFlags::IN),
                PollFd::new(&ended, PollFlags::IN),
                PollFd::new(&output, PollFlags::IN),
            ];
            // Once it is ready there is nothing more to come from its output but its end.
            let heard = if ready { &mut news[..3] } else { &mut news[..] };
            let limit = (!ready).then(|| timespec(READY));
            if rustix::io::retry_on_intr(|| rustix::event::poll(heard, limit.as_ref()))? == 0 {
                return Ok(End::Failed(format!("it is not ready after {READY:?}")));
            }
            let [stopped, complained, ended, written] = news.map(|fd| !fd.revents().is_empty());
            if stopped {
                return Ok(End::Stopped);
            }
            if complained {
                let mut some = [0; COMPLAINTS_BYTES];
                let n = complaints.read(&mut some)?;
                said.extend_from_slice(&some[..n]);
                said.drain(..said.len().saturating_sub(COMPLAINTS_BYTES));
                if n > 0 {
                    continue;
                }
            }
            if ended || complained {
                return Ok(End::Failed(reason(&said)));
            }
            if written && !ready {
                // Its number, written when all is set up. The end of the pipe means that it is ending.
                ready = output.read(&mut [0; 32])? > 0;
                if ready {
                    on_ready();
                }
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let Plan { pasta, executable, pool, maps_loopback, spawner } = &self.plan;
        let mut command = tether::command(executable, pasta);
        command
            .args(["--foreground", "--quiet", "--ipv4-only", "--config-net", "--ns-ifname", Router::UPLINK])
            // No port of the host leads into the router, and none of the router's to the host.
            .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
            // Addresses of its own rather than copies of the host's: the host's must lead outside, to be refused or allowed there, and
            // it starts on a host that has no way out yet. The interface is one that any host has, and means nothing.
            .args(["--interface", "lo", "--mac-addr", "02:00:00:00:00:01"])
            .args(["--address", &pool.uplink().to_string()])
            .args(["--netmask", &Pool::UPLINK_BITS.to_string()])
            .args(["--gateway", &pool.uplink_gateway().to_string()])
            .args(["--dns-forward", &pool.nameserver().to_string()])
            // Descriptors instead of paths: it gives up the right to look into other processes before it opens them, and closes
            // what it inherits but the first three.
            .args(["--netns", "/proc/self/fd/0", "--no-netns-quit", "--pid", "/proc/self/fd/1"]);
        if !maps_loopback {
            command.arg("--no-map-gw");
        }
        let user_namespace = format!("/proc/{spawner}/ns/user");
        if fs::read_link("/proc/self/ns/user")? == fs::read_link(&user_namespace)? {
            command.arg("--netns-only");
        } else {
            command.args(["--userns", &user_namespace]);
        }
        if rustix::process::geteuid().is_root() {
            // As somebody else it could not enter the router, and would no longer be held to this process. It gives up root's rights
            // itself, but for the one to enter namespaces.
            command.args(["--runas", "0"]);
        }
        command.stdin(self.namespace.try_clone()?).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    fn is_stopped_within(&self, pause: Duration) -> bool {
        let mut news = [PollFd::new(&self.stopped, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut news, Some(&timespec(pause))))
            .is_ok_and(|n| n > 0)
    }
}

/// Its last words. It may complain of the system's log meanwhile, which is no reason.
fn reason(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let last =
        said.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.ends_with("to syslog"));
    last.unwrap_or("it said nothing").to_owned()
}

fn timespec(duration: Duration) -> Timespec {
    duration.try_into().expect("some seconds fit")
}
