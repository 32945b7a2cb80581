//! Who comes second waits for who came first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::digest::Digest;

/// Of each layer, whether somebody is at it.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>);

impl SingleFlight {
    /// Waits until nobody else is at this layer, and keeps others off it until the guard is dropped.
    pub(super) async fn enter(&self, layer: Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, turn| turn.strong_count() > 0);
            match flights.get(&layer).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::new(AsyncMutex::new(()));
                    flights.insert(layer, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
    }
}
