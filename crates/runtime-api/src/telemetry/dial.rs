//! How a listener in the environment is reached.
//!
//! It listens on the environment's own loopback, which is this machine's only where environments have no network of
//! their own. Given by whoever made the environment; used by `http` and `tcp`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

type Dialing = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Connects to a port of the environment's loopback. Cheap to clone.
#[derive(Clone)]
pub struct Dial(Arc<dyn Fn(u16) -> Dialing + Send + Sync>);

impl Dial {
    /// Connects as `connect` does.
    pub fn new<F>(connect: impl Fn(u16) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<TcpStream>> + Send + 'static,
    {
        Dial(Arc::new(move |port| Box::pin(connect(port))))
    }

    /// Connects to this machine's loopback.
    #[must_use]
    pub fn this_machine() -> Self {
        Dial::new(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
    }

    pub(super) fn port(&self, port: u16) -> impl Future<Output = io::Result<TcpStream>> + Send + use<> {
        (self.0)(port)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}

/// For the HTTP client. Only the port of an address counts.
impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let dialing = self.port(to.port_u16().unwrap_or(80));
        Box::pin(async move {
            let stream = dialing.await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
