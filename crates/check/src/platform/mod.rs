//! A platform for one start of a runtime, on a raw socket: every request is recorded as it came, and every answer
//! goes out exactly as a rule wants it.
//!
//! It knows no states and refuses nothing. [`Arrival`]s come out in the order they were complete; the connection
//! waits for its [`Reply`] and for nothing else.

mod reply;
mod request;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub(crate) use self::reply::{Closing, Letters, Reply};
use self::request::Incoming;
pub(crate) use self::request::{Request, shortened};

/// Arrivals that nobody has looked at. A runtime has few requests under way; more wait in its sockets.
const MAX_WAITING: usize = 64;

/// Something that came over a connection.
#[derive(Debug)]
pub(crate) enum Arrival {
    Request(Call),
    /// Not HTTP/1. The connection is closed.
    Malformed(String),
}

/// A request, and the way to answer it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request,
    reply: oneshot::Sender<Reply>,
}

impl Call {
    /// A runtime that has gone away does not hear it; whoever waits for its next request finds out.
    pub(crate) fn reply(self, reply: Reply) {
        let _ = self.reply.send(reply);
    }
}

/// Ends with its connections when dropped.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    _accepting: JoinSet<()>,
}

impl Platform {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel(MAX_WAITING);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, sender));
        Ok(Platform { address, arrivals, _accepting: accepting })
    }

    /// The next request. Cancel-safe.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The accepting task holds a sender for as long as this lives.
            None => std::future::pending().await,
        }
    }
}

async fn accept(listener: TcpListener, arrivals: mpsc::Sender<Arrival>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(converse(stream, arrivals.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, request by request.
async fn converse(stream: TcpStream, arrivals: mpsc::Sender<Arrival>) {
    // An answer in pieces is to leave in pieces.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut incoming = Incoming::new(stream);
    loop {
        let request = match incoming.request().await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(malformed) => {
                let _ = arrivals.send(Arrival::Malformed(malformed)).await;
                return;
            }
        };
        let (reply, replied) = oneshot::channel();
        let lost = request.truncated;
        if arrivals.send(Arrival::Request(Call { request, reply })).await.is_err() || lost {
            return;
        }
        // Not replied to: the connection closes, which is a way to answer, too.
        let Ok(reply) = replied.await else { return };
        match reply.write(incoming.stream()).await {
            Ok(Closing::Keep) => {}
            Ok(Closing::Announced | Closing::Silent) | Err(_) => return,
        }
    }
}
