//! The node's side of connections: bounded in number and in time, served, ended in order.
//!
//! | a connection that | ends after |
//! |---|---|
//! | does not finish its handshake | [`NodeLimits::handshake`] |
//! | has made no request that it may make | [`NodeLimits::handshake`], once more |
//! | does not answer when it is asked whether it is there | twice [`NodeLimits::ping`] |
//!
//! A request is judged by its head: who may not ask is answered before his body is read. A body may be as long as a shard can be, and
//! has [`NodeLimits::request`] to come.
//!
//! Called by the command that runs a node.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::NodeAccess;
use super::node::CacheNode;
use super::protocol::Resource;
use super::shards::MAX_SHARD_BYTES;

/// Of the head of a request: no header that means anything here is long.
const MAX_HEADERS_BYTES: u32 = 8 * 1024;

/// Streams that a worker gives up before they are looked at. One in five is given up by design: hyper's default takes that for
/// an attack.
const MAX_RESET_STREAMS: usize = 4096;

/// How much of workers is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Connections at a time; others wait to be accepted.
    pub connections: usize,
    /// Requests at a time on one connection.
    pub requests_of_connection: u32,
    /// Requests at a time; others are refused.
    pub requests: usize,
    /// From connecting to the end of the TLS handshake.
    pub handshake: Duration,
    /// Between two questions to a connection whether it is still there.
    pub ping: Duration,
    /// For one request, its body included.
    pub request: Duration,
    /// For requests under way when the node ends.
    pub grace: Duration,
}

impl Default for NodeLimits {
    fn default() -> Self {
        NodeLimits {
            connections: 1024,
            requests_of_connection: 512,
            requests: 2048,
            handshake: Duration::from_secs(5),
            ping: Duration::from_secs(10),
            request: Duration::from_secs(5),
            grace: Duration::from_secs(5),
        }
    }
}

/// Serves `node` on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve_node(
    listener: TcpListener,
    node: Arc<CacheNode>,
    access: NodeAccess,
    limits: NodeLimits,
    shutdown: impl Future<Output = ()>,
) {
    let requests = Arc::new(Semaphore::new(limits.requests));
    let door = Arc::new(Door { node, access, limits, requests, stop: CancellationToken::new() });
    let (room, connections) = (Arc::new(Semaphore::new(limits.connections)), TaskTracker::new());
    let accepting = async {
        loop {
            // Before accepting: who finds no room waits in the kernel's queue, not in memory.
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let door = Arc::clone(&door);
                    connections.spawn(async move {
                        door.connection(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    // Out of descriptors, mostly: it would fail again at once.
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    door.stop.cancel();
    connections.close();
    connections.wait().await;
}

/// What every connection is served with.
struct Door {
    node: Arc<CacheNode>,
    access: NodeAccess,
    limits: NodeLimits,
    requests: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Door {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Small answers must not wait for acknowledgements.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let Some(tls) = &self.access.tls else { return self.serve(stream).await };
        let accepting = TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream);
        tokio::select! {
            accepted = timeout(self.limits.handshake, accepting) => match accepted {
                Ok(Ok(stream)) => self.serve(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
            () = self.stop.cancelled() => {}
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self: Arc<Self>, stream: S) {
        let known = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request| {
            let (door, known) = (Arc::clone(&self), Arc::clone(&known));
            async move { Ok::<_, Infallible>(door.answer(request, &known).await) }
        });
        let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(self.limits.ping)
            .keep_alive_timeout(self.limits.ping)
            .max_concurrent_streams(self.limits.requests_of_connection)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS)
            .max_header_list_size(MAX_HEADERS_BYTES)
            .initial_stream_window_size(2 * MAX_WINDOW)
            .initial_connection_window_size(16 * MAX_WINDOW);
        let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = &mut serving => return tell(ended),
            () = self.stop.cancelled() => {}
            // Who may ask asks at once.
            () = async {
                sleep(self.limits.handshake).await;
                if known.load(Relaxed) {
                    std::future::pending::<()>().await;
                }
            } => {}
        }
        serving.as_mut().graceful_shutdown();
        match timeout(self.limits.grace, serving).await {
            Ok(ended) => tell(ended),
            Err(_) => tracing::debug!("a connection did not end in time"),
        }
    }

    async fn answer(&self, request: Request<Incoming>, known: &AtomicBool) -> Response<Full<Bytes>> {
        let Some(digest) = self.admit(&request) else { return empty(StatusCode::UNAUTHORIZED) };
        known.store(true, Relaxed);
        let Ok(_permit) = self.requests.try_acquire() else { return empty(StatusCode::SERVICE_UNAVAILABLE) };
        let Some(resource) = Resource::of_path(request.uri().path()) else {
            return empty(StatusCode::NOT_FOUND);
        };
        let answering = async {
            match (request.method(), resource) {
                (&Method::GET, Resource::Shard(key)) => match self.node.get(key).await {
                    Some(shard) => Response::new(Full::new(shard)),
                    None => empty(StatusCode::NOT_FOUND),
                },
                (&Method::PUT, Resource::Shard(key)) => match body(request.into_body(), digest).await {
                    Ok(shard) => {
                        self.node.put(key, shard);
                        empty(StatusCode::NO_CONTENT)
                    }
                    Err(status) => empty(status),
                },
                (&Method::GET, Resource::Statistics) => self.statistics(),
                _ => empty(StatusCode::METHOD_NOT_ALLOWED),
            }
        };
        timeout(self.limits.request, answering).await.unwrap_or_else(|_| empty(StatusCode::REQUEST_TIMEOUT))
    }

    /// What the body must be, if that is told; `None` if he may not ask.
    fn admit(&self, request: &Request<Incoming>) -> Option<Option<blake3::Hash>> {
        let Some(secret) = &self.access.secret else { return Some(None) };
        // Exactly one, and no query beside the path that is signed.
        let mut headers = request.headers().get_all(AUTHORIZATION).iter();
        let (authorization, None) = (headers.next()?.to_str().ok()?, headers.next()) else { return None };
        let path = request.uri().path_and_query()?.as_str();
        secret.verify(request.method().as_str(), path, authorization, SystemTime::now()).map(Some)
    }

    fn statistics(&self) -> Response<Full<Bytes>> {
        let json = serde_json::to_vec(&self.node.report()).expect("numbers can be written as JSON");
        let mut response = Response::new(Full::new(json.into()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        response
    }
}

#[expect(clippy::cast_possible_truncation, reason = "128 KiB")]
const MAX_WINDOW: u32 = MAX_SHARD_BYTES as u32;

/// A shard, if it is what was signed.
async fn body(body: Incoming, digest: Option<blake3::Hash>) -> Result<Bytes, StatusCode> {
    let collected = Limited::new(body, MAX_SHARD_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
    })?;
    // A copy: a small one may be a piece of the connection's buffer, and would keep all of it in memory.
    let shard = Bytes::copy_from_slice(&collected.to_bytes());
    let right = !shard.is_empty() && digest.is_none_or(|digest| digest == blake3::hash(&shard));
    if right { Ok(shard) } else { Err(StatusCode::UNPROCESSABLE_ENTITY) }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn tell(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}
