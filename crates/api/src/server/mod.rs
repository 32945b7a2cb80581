//! Connections: accepted, bounded in number and in time, served, ended in order.
//!
//! ```text
//!  accept ─► place (peers.rs) ─► TLS, if any (tls.rs) ─► HTTP/1.1 ◄─ connection.rs: head in time, answer taken in time
//!                                                          │
//!                                                          └─► Router ◄─ request_body.rs: body in time
//! ```
//!
//! | a connection that | ends after |
//! |---|---|
//! | does not finish its handshake | [`Limits::handshake`] |
//! | has begun a request and does not finish its head | [`Limits::head`] |
//! | asks for nothing more | [`Limits::idle`] |
//! | sends nothing of a body, or not all of it | [`Limits::body_pause`], [`Limits::body`]; the request is answered before |
//! | takes nothing of its answer | [`Limits::answer_pause`] |
//!
//! How long an operation takes is not bounded here: functions run for minutes. Who speaks no HTTP, or no TLS, loses the
//! connection and troubles nobody else. When the server ends, requests under way are finished, and idle connections closed.
//!
//! Called with the API's routes and with those of each function URL. It knows nothing of either.

mod connection;
mod exposure;
mod peers;
mod request_body;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use self::connection::{Busy, Connection, Phase};
use self::peers::{Peers, Place};
use self::request_body::RequestBody;

pub use self::exposure::{Exposed, may_listen};
pub use self::tls::{Tls, TlsError};

/// How much of a connection is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From connecting to the end of the TLS handshake.
    pub handshake: Duration,
    /// From connecting (or the handshake), or from the first byte of a later request, to the end of its head.
    pub head: Duration,
    /// Between requests. Longer than pools of SDKs keep idle connections, so that it is they who close them.
    pub idle: Duration,
    /// Between two pieces of a body.
    pub body_pause: Duration,
    /// From the first wait for a body to its end. As long as a signature is good.
    pub body: Duration,
    /// Between two pieces of an answer that the caller takes.
    pub answer_pause: Duration,
    /// Headers of a request.
    pub headers: usize,
    /// First line and headers of a request together.
    pub head_bytes: usize,
    /// Connections at a time; others wait to be accepted.
    pub connections: usize,
    /// Connections at a time of one address, or of one network of IPv6; others are closed. Does not count for loopback.
    pub connections_of_peer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(20),
            idle: Duration::from_secs(120),
            body_pause: Duration::from_secs(30),
            body: Duration::from_secs(300),
            answer_pause: Duration::from_secs(300),
            headers: 100,
            head_bytes: 64 * 1024,
            connections: 8192,
            connections_of_peer: 1024,
        }
    }
}

/// How connections are served.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What is borne.
    pub limits: Limits,
    /// With TLS, if there is a certificate; then without it not at all.
    pub tls: Option<Arc<Tls>>,
}

/// Whether a request came by TLS: an extension of every request, beside `ConnectInfo<SocketAddr>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted(pub bool);

/// Serves `router` on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) {
    let Settings { limits, tls } = settings;
    let room = Arc::new(Semaphore::new(limits.connections));
    let peers = Peers::new(limits.connections_of_peer);
    let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
    let accepting = async {
        loop {
            // Before accepting: who finds no room waits in the kernel's queue, not in memory.
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            let (stream, address) = accept(&listener).await;
            let Some(place) = peers.place(address.ip(), permit) else {
                tracing::debug!(%address, "a peer has too many connections");
                continue;
            };
            let served = Served { router: router.clone(), limits, address, stop: stop.clone() };
            connections.spawn(served.begin(stream, tls.clone(), place));
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    stop.cancel();
    connections.close();
    connections.wait().await;
}

/// The next connection. Those that were lost before they were accepted are nobody's business.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                // Out of descriptors, mostly: it would fail again at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What one connection is served with.
struct Served {
    router: Router,
    limits: Limits,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Served {
    /// Until the connection ends. `_place` is free then.
    async fn begin(self, stream: TcpStream, tls: Option<Arc<Tls>>, _place: Place) {
        // Small answers must not wait for acknowledgements.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let Some(tls) = tls else { return self.requests(stream, Encrypted(false)).await };
        let handshake = tokio::time::timeout(self.limits.handshake, tls.accept(stream));
        tokio::select! {
            handshake = handshake => match handshake {
                Ok(Ok(stream)) => self.requests(stream, Encrypted(true)).await,
                Ok(Err(error)) => tracing::debug!(address = %self.address, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(address = %self.address, "a TLS handshake took too long"),
            },
            () = self.stop.cancelled() => {}
        }
    }

    async fn requests<S>(&self, stream: S, encrypted: Encrypted)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.limits;
        let phase = Arc::new(Phase::default());
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let busy = Busy::new(&phase);
            let mut request = request.map(|body| RequestBody::new(body, limits.body_pause, limits.body));
            request.extensions_mut().insert(ConnectInfo(self.address));
            request.extensions_mut().insert(encrypted);
            let answer = self.router.clone().call(request);
            async move {
                let Ok(response) = answer.await;
                Ok::<_, Infallible>(response.map(|body| busy.until_end_of(body)))
            }
        });
        let stream =
            TokioIo::new(Connection::new(stream, Arc::clone(&phase), limits.head, limits.answer_pause));
        let mut http = http1::Builder::new();
        // hyper starts this clock when a connection has nothing to do. That a head, once begun, comes in time is
        // seen to by the connection.
        http.timer(TokioTimer::new()).header_read_timeout(limits.idle);
        // Who has closed only the sending half still reads the answer.
        http.half_close(true).max_headers(limits.headers).max_header_size(limits.head_bytes);
        let mut serving = pin!(http.serve_connection(stream, service));
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %self.address, %error, "a connection broke off");
        }
    }
}

#[cfg(test)]
mod tests;
