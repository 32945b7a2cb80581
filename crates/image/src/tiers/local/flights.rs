//! One fetch at a time for each chunk, however many wait for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::chunk::{ChunkRef, FetchError, VerifiedChunk};

type Fetched = Result<VerifiedChunk, FetchError>;
type Flight = BoxFuture<'static, Fetched>;

/// Fetches that are under way.
///
/// A flight is driven by whichever of its waiters is woken, and belongs to none: when the one who began it goes away, the others
/// drive it on; when all have gone, it ends, and so does whatever it was doing. Its mark is a value inside of the flight, so that
/// there is no mark without a flight.
#[derive(Debug, Default)]
pub(super) struct Flights {
    marks: Arc<Mutex<Marks>>,
}

#[derive(Debug, Default)]
struct Marks {
    by_chunk: HashMap<ChunkRef, Mark>,
    begun: u64,
}

#[derive(Debug)]
struct Mark {
    number: u64,
    flight: WeakShared<Flight>,
}

impl Flights {
    /// The flight for this chunk, and whether it has begun with this call.
    pub(super) fn board<F>(&self, chunk: ChunkRef, begin: impl FnOnce() -> F) -> (Shared<Flight>, bool)
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let mut marks = lock(&self.marks);
        marks.begun += 1;
        let number = marks.begun;
        let found = marks.by_chunk.get(&chunk).and_then(|mark| mark.flight.upgrade());
        if let Some(flight) = found {
            return (flight, false);
        }
        let landing = Landing { marks: Arc::clone(&self.marks), chunk, number };
        let fetch = begin();
        let flight = async move {
            let _landing = landing;
            fetch.await
        };
        let flight = flight.boxed().shared();
        let weak = flight.downgrade().expect("it has not been driven yet");
        marks.by_chunk.insert(chunk, Mark { number, flight: weak });
        (flight, true)
    }

    /// How many there are.
    pub(super) fn under_way(&self) -> usize {
        lock(&self.marks).by_chunk.len()
    }
}

/// Takes the mark away when the flight ends, in whichever way.
struct Landing {
    marks: Arc<Mutex<Marks>>,
    chunk: ChunkRef,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        // Another flight may have begun, if this one was found to be ending.
        if let Entry::Occupied(mark) = lock(&self.marks).by_chunk.entry(self.chunk)
            && mark.get().number == self.number
        {
            mark.remove();
        }
    }
}

fn lock(marks: &Mutex<Marks>) -> MutexGuard<'_, Marks> {
    marks.lock().unwrap_or_else(PoisonError::into_inner)
}
