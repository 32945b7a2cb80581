//! What is kept in memory, up to a number of bytes.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::recency::Recency;

/// Values by key; which of them go is up to [`Recency`].
pub(super) struct Memory<K, V> {
    held: Mutex<Held<K, V>>,
}

struct Held<K, V> {
    recency: Recency<K>,
    values: HashMap<K, V>,
}

impl<K: Copy + Ord + Hash, V: Clone> Memory<K, V> {
    pub(super) fn new(room_bytes: u64) -> Self {
        Memory { held: Mutex::new(Held { recency: Recency::new(room_bytes), values: HashMap::new() }) }
    }

    pub(super) fn get(&self, key: &K, now: Duration) -> Option<V> {
        let mut held = self.held();
        let value = held.values.get(key).cloned()?;
        held.recency.touch(key, now);
        Some(value)
    }

    pub(super) fn insert(&self, key: K, value: V, bytes: u64, now: Duration) {
        let mut going = Vec::new();
        let mut held = self.held();
        held.values.insert(key, value);
        for victim in held.recency.insert(key, bytes, now) {
            going.extend(held.values.remove(&victim));
        }
        drop(held);
        // After the lock: freeing half a mebibyte may be a call into the kernel.
        drop(going);
    }

    /// How many there are, and their bytes.
    pub(super) fn size(&self) -> (usize, u64) {
        let held = self.held();
        (held.recency.len(), held.recency.bytes())
    }

    fn held(&self) -> MutexGuard<'_, Held<K, V>> {
        // Whoever panicked here was counting; a count that is off is better than no cache at all.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").finish_non_exhaustive()
    }
}
