//! The listener of one execution environment, and the connections on it.

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Call;

/// What the metadata endpoint of the environment knows.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// Bearer token the guest finds in `AWS_LAMBDA_METADATA_TOKEN`.
    pub token: String,
    /// For instance `use1-az1`.
    pub availability_zone_id: String,
}

/// Serves one environment's listener until `shutdown` is cancelled; then all its connections are closed.
pub async fn serve(
    listener: TcpListener,
    calls: mpsc::Sender<Call>,
    metadata: Metadata,
    shutdown: CancellationToken,
) {
    let _ = (listener, calls, metadata);
    shutdown.cancelled().await;
}
