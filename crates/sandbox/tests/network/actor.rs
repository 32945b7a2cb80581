//! A process with a network namespace of its own that does what it is told, one thing at a time.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use firesteel_sandbox::InitProgram;
use firesteel_sandbox::network::{Egress, Uplink};
use firesteel_sandbox_init::network::{self, Allowed, Link, Prefix, Router, RouterPlan};
use firesteel_sandbox_init::wire::{self, Frames};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

pub(crate) const MODE: &str = "actor";

/// Somebody who is not root.
const USER: u32 = 12345;

/// What is not refused at once takes as long as this.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// A new network namespace, with its loopback.
    Enter,
    /// Likewise, in a user namespace: a new one in which this process is root, or that of another process.
    EnterAsUser(Option<u32>),
    Open(RouterPlan),
    Connect(u32),
    /// Makes a namespace that is connected, which comes with the answer.
    Vacant,
    /// Goes into the namespace that comes along.
    GoInto,
    SetHost(Vec<Prefix>),
    Configure(Link),
    /// Of `ip`.
    Ip(String),
    Listen(SocketAddr),
    /// Answers every datagram with itself.
    Echo(SocketAddr),
    Tcp(SocketAddr),
    Udp(SocketAddr),
    /// Receives datagrams there, for [`Order::Hear`].
    Bind(SocketAddr),
    Hear,
    /// Sends a datagram from the first to the second.
    Say(SocketAddr, SocketAddr),
    Socket,
    /// Is a server: opens the way out of the router of a process.
    Serve(u32, Vec<String>),
}

/// What came of it: a word, or an error's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Connected(Link),
    Reached,
    Refused,
    Silent,
    Failed(String),
}

/// The process, from outside. Killed when dropped.
pub(crate) struct Actor {
    child: Child,
    socket: UnixStream,
    frames: Frames,
}

impl Actor {
    /// In the namespace it is started from.
    pub(crate) fn here() -> Self {
        Self::start(&mut Command::new("/proc/self/exe"))
    }

    /// There, too, without root's rights.
    pub(crate) fn as_user() -> Self {
        Self::start(Command::new("/proc/self/exe").uid(USER).gid(USER))
    }

    fn start(command: &mut Command) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let child = command.arg(MODE).stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        Self { child, socket, frames: Frames::default() }
    }

    pub(crate) fn in_its_own_namespace() -> Self {
        let mut actor = Self::here();
        actor.must(&Order::Enter);
        actor
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, order: &Order) {
        let frame = wire::frame(order).unwrap();
        assert_eq!(wire::send(&self.socket, &frame, &[]).unwrap(), frame.len());
    }

    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = self.frames.take_message().unwrap() {
                return answer;
            }
            assert!(self.frames.receive(&self.socket).unwrap(), "the actor has ended");
        }
    }

    pub(crate) fn ask(&mut self, order: &Order) -> Answer {
        self.send(order);
        self.answer()
    }

    pub(crate) fn must(&mut self, order: &Order) {
        assert_eq!(self.ask(order), Answer::Done, "{order:?}");
    }

    pub(crate) fn ip(&mut self, arguments: &str) {
        self.must(&Order::Ip(arguments.to_owned()));
    }

    pub(crate) fn listen(&mut self, at: &str) {
        self.must(&Order::Listen(at.parse().unwrap()));
    }

    pub(crate) fn tcp(&mut self, to: &str) -> Answer {
        self.ask(&Order::Tcp(to.parse().unwrap()))
    }

    pub(crate) fn udp(&mut self, to: &str) -> Answer {
        self.ask(&Order::Udp(to.parse().unwrap()))
    }

    /// A namespace that is connected to it, of a router.
    pub(crate) fn vacant(&mut self) -> OwnedFd {
        self.must(&Order::Vacant);
        self.frames.take_descriptor().unwrap()
    }

    pub(crate) fn go_into(&mut self, namespace: &OwnedFd) {
        let frame = wire::frame(&Order::GoInto).unwrap();
        assert_eq!(wire::send(&self.socket, &frame, &[namespace.as_fd()]).unwrap(), frame.len());
        assert_eq!(self.answer(), Answer::Done);
    }

    /// A socket made by it.
    pub(crate) fn socket(&mut self) -> OwnedFd {
        self.must(&Order::Socket);
        self.frames.take_descriptor().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it has, until it ends.
#[derive(Default)]
struct Held {
    router: Option<Router>,
    heard: Option<UdpSocket>,
    uplink: Option<Uplink>,
}

pub(crate) fn main() -> ExitCode {
    // Lest it outlives a lab that a test has given up.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut frames = Frames::default();
    let mut held = Held::default();
    loop {
        if let Some(order) = frames.take_message::<Order>().unwrap() {
            let made = match &order {
                Order::Socket => Some(network::unbound_socket().unwrap()),
                Order::Vacant => Some(network::vacant(router(&mut held)).unwrap()),
                Order::GoInto => {
                    let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                    let namespace = frames.take_descriptor().unwrap();
                    rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).unwrap();
                    None
                }
                _ => None,
            };
            let answer = obey(order, &mut held).unwrap_or_else(|error| Answer::Failed(error.to_string()));
            let descriptors: Vec<_> = made.iter().map(AsFd::as_fd).collect();
            wire::send(&socket, &wire::frame(&answer).unwrap(), &descriptors).unwrap();
        } else if !frames.receive(&socket).unwrap() {
            return ExitCode::SUCCESS;
        }
    }
}

fn obey(order: Order, held: &mut Held) -> Result<Answer, Box<dyn std::error::Error>> {
    match order {
        Order::Enter => {
            unshare(UnshareFlags::NEWNET);
            network::loopback_up()?;
        }
        Order::EnterAsUser(other) => {
            match other {
                None => {
                    unshare(UnshareFlags::NEWUSER);
                    std::fs::write("/proc/self/setgroups", "deny")?;
                    std::fs::write("/proc/self/uid_map", format!("0 {USER} 1"))?;
                    std::fs::write("/proc/self/gid_map", format!("0 {USER} 1"))?;
                }
                Some(pid) => {
                    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/user"))?;
                    let kind = Some(rustix::thread::LinkNameSpaceType::User);
                    rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
                }
            }
            unshare(UnshareFlags::NEWNET);
            network::loopback_up()?;
        }
        Order::Open(plan) => held.router = Some(Router::open(&plan)?),
        Order::Connect(pid) => return Ok(Answer::Connected(router(held).connect(pid)?)),
        Order::SetHost(host) => router(held).set_host(host)?,
        Order::Configure(link) => network::configure(&link)?,
        Order::Ip(arguments) => ip(&arguments)?,
        Order::Listen(at) => {
            let listener = TcpListener::bind(at)?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
        Order::Echo(at) => {
            let socket = UdpSocket::bind(at)?;
            std::thread::spawn(move || {
                let mut datagram = [0; 512];
                while let Ok((n, from)) = socket.recv_from(&mut datagram) {
                    socket.send_to(&datagram[..n], from).unwrap();
                }
            });
        }
        Order::Tcp(to) => return Ok(tcp(to)),
        Order::Udp(to) => return udp(to),
        Order::Bind(at) => held.heard = Some(UdpSocket::bind(at)?),
        Order::Hear => {
            let socket = held.heard.as_ref().expect("bound before");
            socket.set_read_timeout(Some(PATIENCE))?;
            let heard = socket.recv(&mut [0; 16]);
            return Ok(if heard.is_ok() { Answer::Reached } else { Answer::Silent });
        }
        Order::Say(from, to) => {
            UdpSocket::bind(from)?.send_to(b"question", to)?;
        }
        Order::Socket | Order::Vacant | Order::GoInto => {}
        Order::Serve(router, allowed) => {
            let allowed: Result<Vec<Allowed>, _> = allowed.iter().map(|text| text.parse()).collect();
            held.uplink = Some(Egress::find(allowed?)?.start(router, &InitProgram::CurrentExe)?);
        }
    }
    Ok(Answer::Done)
}

fn router(held: &mut Held) -> &mut Router {
    held.router.as_mut().expect("opened before")
}

fn tcp(to: SocketAddr) -> Answer {
    match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(_) => Answer::Reached,
        Err(error) if error.kind() == ErrorKind::TimedOut => Answer::Silent,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn udp(to: SocketAddr) -> Result<Answer, Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"question")?;
    let mut datagram = [0; 16];
    Ok(match socket.recv(&mut datagram) {
        Ok(n) if datagram[..n] == *b"question" => Answer::Reached,
        Ok(_) => Answer::Failed("another answer".to_owned()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Answer::Silent,
        Err(_) => Answer::Refused,
    })
}

pub(crate) fn ip(arguments: &str) -> Result<(), Box<dyn std::error::Error>> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

#[expect(unsafe_code, reason = "namespaces have no safe wrapper")]
pub(crate) fn unshare(flags: UnshareFlags) {
    // SAFETY: dangerous only for descriptors shared between threads, which is not asked for; and there is one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }.unwrap();
}
