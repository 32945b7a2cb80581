//! Where chunks come from.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::id::{ChunkId, ChunkRef};
use super::verified::{BadChunk, VerifiedChunk};

/// One tier of those that have chunks: the worker's own, cache nodes, the store. Each asks the next for what it has not.
#[async_trait]
pub trait ChunkSource: Send + Sync + Debug {
    /// One chunk. Dropped at an await, nothing is left but what others have asked for as well.
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError>;
}

/// Why there is no chunk. Several may have waited for the same one: it is told to each.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody has it.
    #[error("chunk {id} is not stored")]
    Missing {
        /// Its name.
        id: ChunkId,
    },
    /// Whoever has it has something else under its name, and nobody has it right.
    #[error("chunk {id} is damaged")]
    Corrupt {
        /// Its name.
        id: ChunkId,
        /// In which way.
        #[source]
        source: BadChunk,
    },
    /// As many are being fetched as may be: come again.
    #[error("{tier} has no room for another read")]
    Busy {
        /// Who has none.
        tier: &'static str,
    },
    /// It took longer than it may.
    #[error("{tier} did not answer in time")]
    TimedOut {
        /// Who did not.
        tier: &'static str,
    },
    /// It cannot be asked.
    #[error("{tier} cannot be reached")]
    Unreachable {
        /// Who cannot.
        tier: &'static str,
        /// What went wrong.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}
