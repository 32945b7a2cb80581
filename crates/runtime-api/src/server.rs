//! The listener of one execution environment, and the connections on it.
//!
//! HTTP/1.0 and 1.1, in the dialects runtimes speak: kept alive or not, half-closed after the request,
//! pipelined. There are no timeouts, since an environment may be frozen in the middle of anything; a
//! connection lives until its peer ends it or the environment does. What a request means is in `routes`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::routes::Port;
use crate::{Call, Credentials, Metadata};

/// A guest needs one connection for its runtime and one or two for each of at most ten extensions. More
/// wait in the kernel's backlog, so that a guest cannot take the host's descriptors and memory.
const MAX_CONNECTIONS: usize = 128;

/// Request line, headers or trailers, each in all. Runtimes send an X-Ray cause of just under 1 MiB in one header.
const HEAD_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// How long and how far a finished connection is read on, see [`linger`].
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Pause after a failed accept: when the host is out of descriptors, the next try fails at once too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Which routes there are beyond those that every environment has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surface {
    /// `restore/next` and `restore/error`, which AWS routes in environments with SnapStart only.
    pub snap_start: bool,
    /// The credentials endpoint, for the same environments. It gives these for as long as it is served.
    pub credentials: Option<Credentials>,
}

/// Serves one environment's listener until `shutdown` is cancelled; then all its connections are closed,
/// whatever they are waiting for, and it returns.
///
/// `calls` may have any capacity. When its receiver is dropped, every call is answered with 500 and its
/// connection closed.
pub async fn serve(
    listener: TcpListener,
    calls: mpsc::Sender<Call>,
    metadata: Metadata,
    surface: Surface,
    shutdown: CancellationToken,
) {
    let port = Arc::new(Port { calls, metadata, surface });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    error!(%error, "connection task failed");
                }
            }
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&port)));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection until it ends.
async fn converse(stream: TcpStream, port: Arc<Port>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot switch off delayed sending");
    }
    let service = service_fn(move |request| {
        let port = Arc::clone(&port);
        async move { Ok::<_, Infallible>(port.answer(request).await) }
    });
    let mut connection = http1::Builder::new()
        .half_close(true)
        .title_case_headers(true)
        .max_header_size(HEAD_LIMIT_BYTES)
        .max_buf_size(HEAD_LIMIT_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = (&mut connection).await {
        debug!(%error, "connection ended");
    }
    linger(connection.into_parts().io.into_inner()).await;
}

/// Reads on until the peer closes its side too.
///
/// A socket closed with unread bytes is reset, and a reset overtakes the last answer: a client that is still
/// writing its too large head would find an error in place of its 431.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(LINGER_LIMIT_BYTES);
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}
