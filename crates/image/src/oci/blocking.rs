//! Work that blocks, on a thread that may be.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Dropped at an await, the work goes on, and its result is dropped.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is going down, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}
