//! A node at the other end of a connection.
//!
//! ```text
//!              connected
//! Connecting ──────────────► Connected ─┐
//!     │ ▲                    │ ▲        │
//!     │ └ lost after a while ┘ │        │
//!     │                        │        │ lost at once
//!     │ refused,               │        │
//!     │ or too late            │ connected
//!     └──────────────────────► Down ◄───┘      tries again after a pause, which gets longer
//! ```
//!
//! One task keeps one connection, over which all requests go; no request makes one of its own. Who asks while it is being made for the
//! first time waits for it; who asks while the node is down is told so at once. A connection over which no answer comes to a
//! question whether the node is there is lost after twice [`PING`]. Until then its requests are given up by whoever
//! made them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::access::{Claims, NodeAccess, Secret};
use super::cluster::{NodeError, ShardNode};
use super::protocol::Resource;
use super::shards::{MAX_SHARD_BYTES, ShardKey};

/// For a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(2);

/// Between two questions whether the node is there, and for the answer.
const PING: Duration = Duration::from_secs(5);

/// Between two tries to connect: the shortest, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// For one request, however long its caller waits.
const REQUEST: Duration = Duration::from_secs(2);

/// For what is under way at a time: a shard of each of many requests.
#[expect(clippy::cast_possible_truncation, reason = "8 MiB")]
const WINDOW: u32 = 64 * MAX_SHARD_BYTES as u32;

/// A cache node at an address.
pub struct HttpNode {
    address: String,
    access: NodeAccess,
    state: watch::Receiver<State>,
    keeping: JoinHandle<()>,
}

#[derive(Clone)]
enum State {
    Connecting,
    Connected(SendRequest<Full<Bytes>>),
    Down,
}

impl HttpNode {
    /// At `HOST:PORT`. Begins to connect, within a runtime, and stays connected for as long as it is held.
    pub fn new(address: &str, access: NodeAccess) -> Self {
        let (publish, state) = watch::channel(State::Connecting);
        let keeping = tokio::spawn(keep_connected(address.to_owned(), access.clone(), publish));
        HttpNode { address: address.to_owned(), access, state, keeping }
    }

    /// Until it is known whether there is a connection, if only for now.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, NodeError> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| !matches!(state, State::Connecting)).await;
        match known.as_deref() {
            Ok(State::Connected(sender)) => Ok(sender.clone()),
            _ => Err(NodeError::NotConnected),
        }
    }

    async fn ask(
        &self,
        method: Method,
        shard: ShardKey,
        body: Bytes,
    ) -> Result<Response<Incoming>, NodeError> {
        let mut sender = self.sender().await?;
        let request = request(&self.address, &self.access, &method, Resource::Shard(shard), body)?;
        sender.send_request(request).await.map_err(failed)
    }
}

fn authorization(secret: &Secret, method: &Method, path: &str, body: &Bytes) -> String {
    let digest = blake3::hash(body);
    secret.sign(Claims { method: method.as_str(), path, digest }, SystemTime::now())
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NodeError {
    NodeError::Connection(error.into())
}

async fn within_time<T>(request: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    timeout(REQUEST, request).await.unwrap_or(Err(NodeError::TimedOut))
}

#[async_trait]
impl ShardNode for HttpNode {
    async fn get(&self, shard: ShardKey, max_bytes: usize) -> Result<Option<Bytes>, NodeError> {
        within_time(async {
            let response = self.ask(Method::GET, shard, Bytes::new()).await?;
            match response.status() {
                StatusCode::OK => {
                    let body = Limited::new(response.into_body(), max_bytes).collect().await;
                    Ok(Some(body.map_err(NodeError::Connection)?.to_bytes()))
                }
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(NodeError::Refused(status.as_u16())),
            }
        })
        .await
    }

    async fn put(&self, shard: ShardKey, bytes: Bytes) -> Result<(), NodeError> {
        within_time(async {
            match self.ask(Method::PUT, shard, bytes).await?.status() {
                StatusCode::NO_CONTENT => Ok(()),
                status => Err(NodeError::Refused(status.as_u16())),
            }
        })
        .await
    }
}

impl Drop for HttpNode {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl fmt::Debug for HttpNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpNode").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn keep_connected(address: String, access: NodeAccess, publish: watch::Sender<State>) {
    let mut pause = PAUSES.0;
    loop {
        let connecting = timeout(CONNECT, connect(&address, &access)).await;
        match connecting.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
            Ok((sender, connection)) => {
                publish.send_replace(State::Connected(sender.clone()));
                let began = Instant::now();
                let (ended, ()) = tokio::join!(connection, introduce(sender, &address, &access));
                if let Err(error) = ended {
                    tracing::debug!(address, %error, "the connection to a cache node was lost");
                }
                if began.elapsed() > PAUSES.1 {
                    // Whether it can be reached is known soon.
                    publish.send_replace(State::Connecting);
                    pause = PAUSES.0;
                    continue;
                }
                // It was closed as soon as it was there: so it would be again.
            }
            Err(error) if !matches!(*publish.borrow(), State::Down) => {
                tracing::warn!(address, %error, "a cache node cannot be reached");
            }
            Err(_) => {}
        }
        publish.send_replace(State::Down);
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Asks for something at once: of who only connects a node takes it that he may not ask, and parts with him.
async fn introduce(mut sender: SendRequest<Full<Bytes>>, address: &str, access: &NodeAccess) {
    let asking = async {
        let request = request(address, access, &Method::GET, Resource::Statistics, Bytes::new())?;
        sender.send_request(request).await.map_err(failed)
    };
    match within_time(asking).await {
        Ok(answer) if answer.status() != StatusCode::OK => {
            tracing::warn!(address, status = answer.status().as_u16(), "a cache node answers with an error");
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(address, %error, "a cache node has not answered"),
    }
}

fn request(
    address: &str,
    access: &NodeAccess,
    method: &Method,
    resource: Resource,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, NodeError> {
    let path = resource.to_string();
    let scheme = if access.tls.is_some() { "https" } else { "http" };
    let mut request = Request::builder().method(method).uri(format!("{scheme}://{address}{path}"));
    if let Some(secret) = &access.secret {
        request = request.header(AUTHORIZATION, authorization(secret, method, &path, &body));
    }
    request.body(Full::new(body)).map_err(failed)
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// To be driven for as long as it is to last.
type Connection = BoxFuture<'static, hyper::Result<()>>;

async fn connect(
    address: &str,
    access: &NodeAccess,
) -> Result<(SendRequest<Full<Bytes>>, Connection), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Duplex> = match &access.tls {
        None => Box::new(stream),
        Some(tls) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
            Box::new(TlsConnector::from(Arc::clone(&tls.client)).connect(name, stream).await?)
        }
    };
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        // What still comes for a request that was given up counts as an error of the node, and after a thousand of them the connection
        // would be ended. One in five is given up by design.
        .max_local_error_reset_streams(None)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    Ok((sender, connection.boxed()))
}
