//! Where a sandbox's own calls are listened for.
//!
//! With a network of its own: on a socket that was made *inside* and handed out, at an address that is the same in every
//! sandbox and leads nowhere from any other. Without one: on the host's loopback, at a port that is free.
//!
//! The other way round too: what listens inside can be called on a socket that was made there.
//!
//! Used by [`Sandbox::listen`](crate::Sandbox::listen) and [`Sandbox::dialer`](crate::Sandbox::dialer). Each listening begins on a fresh socket: what was sent to
//! the one before by processes that are gone must not be taken for a call of those that come after.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firesteel_sandbox_init::protocol::Request;
use firesteel_sandbox_init::wire;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::control::Outgoing;

/// As on AWS.
const OWN_PORT: u16 = 9001;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// The sockets of one sandbox.
#[derive(Debug)]
pub(crate) struct Sockets(Mutex<Held>);

impl Default for Sockets {
    fn default() -> Self {
        Sockets(Mutex::new(Held { fresh: None, last: None, asked: Some(VecDeque::new()) }))
    }
}

#[derive(Debug)]
struct Held {
    /// Made inside, not used yet.
    fresh: Option<OwnedFd>,
    /// The last one that was listened on, which may still be open elsewhere.
    last: Option<TcpListener>,
    /// Those who have asked for one to call by, in the order of their requests; `None` when no more will come.
    asked: Option<VecDeque<oneshot::Sender<OwnedFd>>>,
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, socket: OwnedFd) {
        self.lock().fresh = Some(socket);
    }

    /// What was asked for first. Without a socket, who asked for it is told so.
    pub(crate) fn answer(&self, socket: Option<OwnedFd>) {
        let asked = self.lock().asked.as_mut().and_then(VecDeque::pop_front);
        if let (Some(asked), Some(socket)) = (asked, socket) {
            // In vain when whoever asked has gone.
            let _ = asked.send(socket);
        }
    }

    /// Whoever waits is told that nothing will come.
    pub(crate) fn close(&self) {
        self.lock().asked = None;
    }

    /// At `127.0.0.1:9001` of the sandbox's own network.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let mut held = self.lock();
        let socket = held.fresh.take().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotConnected, "the sandbox has handed out no socket to listen on")
        })?;
        if let Some(last) = held.last.take() {
            // Frees the port at once, whoever else has the socket open.
            let _ = rustix::net::shutdown(&last, rustix::net::Shutdown::Read);
        }
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, OWN_PORT)))?;
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = TcpListener::from(socket);
        held.last = Some(listener.try_clone()?);
        Ok(listener)
    }
}

/// Calls what listens in a sandbox. Cheap to clone; keeps nothing alive.
#[derive(Debug, Clone)]
pub struct Dialer {
    sockets: Arc<Sockets>,
    /// Without a network of its own, there is nothing to ask for.
    requests: Option<mpsc::WeakSender<Outgoing>>,
}

impl Dialer {
    pub(crate) fn new(sockets: Arc<Sockets>, requests: Option<mpsc::WeakSender<Outgoing>>) -> Self {
        Dialer { sockets, requests }
    }

    /// Connects to a port of the sandbox's loopback.
    ///
    /// # Errors
    /// When nobody listens there, the sandbox is gone, or descriptors ran out.
    pub async fn connect(self, port: u16) -> io::Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let Some(requests) = self.requests else { return TcpStream::connect(address).await };
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the sandbox hands out no socket");
        let frame = wire::frame(&Request::Socket)?;
        let (sender, socket) = oneshot::channel();
        {
            // Together: sockets come in the order in which they were asked for.
            let mut held = self.sockets.lock();
            let asked = held.asked.as_mut().ok_or_else(gone)?;
            let requests = requests.upgrade().ok_or_else(gone)?;
            requests.try_send(Outgoing { frame, descriptors: Vec::new() }).map_err(|_| gone())?;
            asked.push_back(sender);
        }
        let socket = socket.await.map_err(|_| gone())?;
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        TcpSocket::from_std_stream(socket).connect(address).await
    }
}

/// On the host's loopback.
pub(crate) fn on_the_host() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}
