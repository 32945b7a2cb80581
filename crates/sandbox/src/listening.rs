//! Where a sandbox's own calls are listened for.
//!
//! With a network of its own: on a socket that was made *inside* and handed out, at an address that is the same in every
//! sandbox and leads nowhere from any other. Without one: on the host's loopback, at a port that is free.
//!
//! Used by [`Sandbox::listen`](crate::Sandbox::listen). Each listening begins on a fresh socket: what was sent to
//! the one before by processes that are gone must not be taken for a call of those that come after.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// As on AWS.
const OWN_PORT: u16 = 9001;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;

/// The sockets of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Made inside, not used yet.
    fresh: Option<OwnedFd>,
    /// The last one that was listened on, which may still be open elsewhere.
    last: Option<TcpListener>,
}

impl Sockets {
    pub(crate) fn put(&self, socket: OwnedFd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fresh = Some(socket);
    }

    /// At `127.0.0.1:9001` of the sandbox's own network.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// On the host's loopback.
pub(crate) fn on_the_host() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}
