//! The one state of a deployment, kept as numbered objects.
//!
//! ```text
//! state/00000000000000000041      superseded, the last few are kept
//! state/00000000000000000042      the state: the highest number counts
//!                        43  ◄─── create, only if absent: whoever comes first. The other one reads 43 and tries again
//! ```
//!
//! Creating what is not there yet is the one conditional operation that a local folder and stores like S3 have in common, and
//! enough for compare-and-swap. There is one trap: who read number 42 long ago finds 43 absent again once it was cleaned
//! away. So after a creation the highest number is looked at: objects are removed only when they are [`KEPT`] behind it, and as
//! long as it is nearer than that, nobody can have removed ours before it was made.
//!
//! A state is sealed under the deployment's key with its number, so it can be neither read nor changed by whoever has the
//! store, nor given a later number. Handing out an earlier state and hiding the later ones is found by every server that has seen
//! a later one.
//!
//! ```text
//! offset  bytes                              numbers are little endian
//!      0      8  "fs-state"
//!      8      2  version of this format: 1
//!     10      8  number
//!     18      2  k: bytes of the wrapping key's id
//!     20      2  w: bytes of the wrapped key
//!     22    k+w  id of the wrapping key, wrapped key
//!                ── authenticated above, sealed below ──
//!            12  nonce
//!             …  the state, JSON
//!            16  tag
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use zeroize::Zeroizing;

use super::roots::{Event, LeaseId, Refusal, SecretSalt, State};
use crate::chunk::Salt;
use crate::manifest::{DataKey, KeyOwner, KeyVault, VaultError, WrappedKey, random};

const MAGIC: &[u8; 8] = b"fs-state";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 22;
const PURPOSE: &[u8] = b"state of the store";

/// A creation counts while the highest number is less than this ahead of it.
const KEPT: u64 = 32;
/// When as many superseded ones are there, they go.
const CLEAN_AT: usize = 64;
/// Every failed attempt is somebody else's success.
const ATTEMPTS: u32 = 100;
/// A state of more images than anybody has.
const MAX_STATE_BYTES: u64 = 256 * 1024 * 1024;

/// Keeps the state, for one server.
pub(super) struct Register {
    store: Arc<dyn ObjectStore>,
    vault: Arc<KeyVault>,
    /// The latest one seen.
    known: Mutex<Option<Arc<Known>>>,
    /// One update at a time: servers compete, their tasks need not.
    updating: tokio::sync::Mutex<()>,
}

/// A state and its number.
struct Known {
    number: u64,
    state: Arc<State>,
    /// What seals it, and the next one.
    key: DataKey,
    wrapped: WrappedKey,
}

/// Why the state cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There are chunks and no state.
    #[error("the store has objects, but its state is missing")]
    Lost,
    /// It is not as it was written, or of another deployment.
    #[error("state {number} of the store is damaged: {reason}")]
    Damaged {
        /// Which.
        number: u64,
        /// In which way.
        reason: &'static str,
    },
    /// A later one was there before.
    #[error("the store has state {found}, and had {seen} before")]
    RolledBack {
        /// Which is there.
        found: u64,
        /// Which was.
        seen: u64,
    },
    /// Others were faster every time.
    #[error("the state of the store changes too often")]
    Contended,
    /// Its key is not there.
    #[error("the state of the store cannot be opened")]
    Vault(#[from] VaultError),
    /// The store cannot be asked.
    #[error("{action} the state of the store")]
    Store {
        /// What was tried.
        action: &'static str,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
}

/// Why an event has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// By the rules.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state could not be had or written. It may have changed all the same.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Register {
    /// That of a store; the first one makes it.
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        vault: Arc<KeyVault>,
        is_empty: impl Future<Output = object_store::Result<bool>>,
    ) -> Result<Self, StateError> {
        let register =
            Register { store, vault, known: Mutex::default(), updating: tokio::sync::Mutex::default() };
        if register.latest().await?.is_none() {
            if is_empty.await.map_err(failed("reading"))? {
                register.begin().await?;
            } else if register.latest().await?.is_none() {
                // Looked for once more: another server may have begun meanwhile, and have stored something.
                return Err(StateError::Lost);
            }
        }
        register.read().await?;
        Ok(register)
    }

    /// The state as it is now.
    pub(super) async fn read(&self) -> Result<Arc<State>, StateError> {
        Ok(Arc::clone(&self.refresh().await?.state))
    }

    /// The state as it was when this server last looked.
    pub(super) fn last_seen(&self) -> Option<Arc<State>> {
        self.known().map(|known| Arc::clone(&known.state))
    }

    /// Changes it by an event, and gives it as it is then.
    ///
    /// Dropped at an await, the change may still come to pass.
    pub(super) async fn apply(&self, event: Event) -> Result<Arc<State>, UpdateError> {
        let _one = self.updating.lock().await;
        let mut known = match self.known() {
            Some(known) => known,
            None => self.refresh().await?,
        };
        let mut fresh = false;
        for attempt in 0..ATTEMPTS {
            match known.state.step(event.clone()) {
                // By what was last seen: that may be old.
                Err(_) if !fresh => {}
                Err(refusal) => return Err(refusal.into()),
                Ok(next) if next == *known.state => {
                    if fresh {
                        return Ok(Arc::clone(&known.state));
                    }
                }
                Ok(next) => {
                    if let Some(written) = self.follow(&known, next).await? {
                        return Ok(Arc::clone(&written.state));
                    }
                    if attempt > 2 {
                        let wait_ms = u64::from(random::<1>()[0]).min(10 << attempt.min(5));
                        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    }
                }
            }
            known = self.refresh().await?;
            fresh = true;
        }
        Err(StateError::Contended.into())
    }

    /// Writes the state after `known`; `None` if there is another one already.
    async fn follow(&self, known: &Known, next: State) -> Result<Option<Arc<Known>>, StateError> {
        let number = known.number + 1;
        if !self.create(number, &next, &known.key, &known.wrapped).await? {
            return Ok(None);
        }
        let numbers = self.numbers().await?;
        let highest = numbers.iter().copied().max().unwrap_or(0);
        if highest >= number + KEPT {
            return Ok(None);
        }
        let (key, wrapped) = (known.key.clone(), known.wrapped.clone());
        let written = Arc::new(Known { number, state: Arc::new(next), key, wrapped });
        self.remember(Arc::clone(&written));
        if numbers.len() > CLEAN_AT {
            self.clean(&numbers, highest).await;
        }
        Ok(Some(written))
    }

    async fn begin(&self) -> Result<(), StateError> {
        let key = DataKey::draw();
        let wrapped = self.vault.wrap(KeyOwner::Deployment, PURPOSE, &key).await?;
        let deployment = LeaseId(u64::from_le_bytes(random()));
        let state = State::new(deployment, SecretSalt(Salt::from_bytes(random())));
        // If not, another one has begun.
        self.create(1, &state, &key, &wrapped).await.map(drop)
    }

    async fn create(
        &self,
        number: u64,
        state: &State,
        key: &DataKey,
        wrapped: &WrappedKey,
    ) -> Result<bool, StateError> {
        let mut bytes = header(number, wrapped);
        let json = serde_json::to_vec(state)
            .map(Zeroizing::new)
            .expect("a state has keys that are text, and no floats");
        let sealed = key.seal_again(&bytes, &json);
        bytes.extend_from_slice(&sealed);
        match self.store.put_opts(&key_of(number), bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(failed("writing")(source)),
        }
    }

    async fn refresh(&self) -> Result<Arc<Known>, StateError> {
        for _ in 0..ATTEMPTS {
            // Looked at first: what this server writes meanwhile is no reason to doubt the listing.
            let known = self.known();
            let found = self.latest().await?.ok_or(StateError::Lost)?;
            if let Some(known) = &known {
                if found == known.number {
                    return Ok(Arc::clone(known));
                }
                if found < known.number {
                    return Err(StateError::RolledBack { found, seen: known.number });
                }
            }
            let bytes = match self.store.get(&key_of(found)).await {
                Ok(object) if object.meta.size <= MAX_STATE_BYTES => object.bytes().await,
                Ok(_) => return Err(StateError::Damaged { number: found, reason: "it is too large" }),
                Err(error) => Err(error),
            };
            let bytes = match bytes {
                Ok(bytes) => bytes,
                // Superseded many times since it was listed.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(source) => return Err(failed("reading")(source)),
            };
            let read = Arc::new(self.unseal(found, &bytes, known.as_deref()).await?);
            self.remember(Arc::clone(&read));
            return Ok(read);
        }
        Err(StateError::Contended)
    }

    async fn unseal(&self, number: u64, bytes: &[u8], before: Option<&Known>) -> Result<Known, StateError> {
        let damaged = |reason| StateError::Damaged { number, reason };
        let (wrapped, sealed_at) = wrapped_key(bytes).ok_or_else(|| damaged("it is not one"))?;
        // Compared whole: version and number are in it.
        if bytes[..sealed_at] != header(number, &wrapped) {
            return Err(damaged("it is another one"));
        }
        let key = match before {
            Some(before) if before.wrapped == wrapped => before.key.clone(),
            _ => self.vault.unwrap(KeyOwner::Deployment, PURPOSE, &wrapped).await?,
        };
        let opened = key.open_again(&bytes[..sealed_at], &bytes[sealed_at..]);
        let opened = opened.ok_or_else(|| damaged("it is not as it was written"))?;
        let state: State = serde_json::from_slice(&opened).map_err(|_| damaged("it cannot be read"))?;
        state.check().map_err(damaged)?;
        if before.is_some_and(|before| before.state.deployment != state.deployment) {
            return Err(damaged("it is another deployment's"));
        }
        Ok(Known { number, state: Arc::new(state), key, wrapped })
    }

    /// Not in place of a later one, which another task may have seen meanwhile.
    fn remember(&self, read: Arc<Known>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.number < read.number) {
            *known = Some(read);
        }
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn latest(&self) -> Result<Option<u64>, StateError> {
        Ok(self.numbers().await?.into_iter().max())
    }

    async fn numbers(&self) -> Result<Vec<u64>, StateError> {
        let listed = self.store.list(Some(&Key::from("state")));
        let numbers = listed.try_filter_map(|object| async move { Ok(number_of(&object.location)) });
        numbers.try_collect().await.map_err(failed("listing"))
    }

    /// What cannot be removed now is next time.
    async fn clean(&self, numbers: &[u64], highest: u64) {
        let superseded =
            numbers.iter().filter(|number| **number + KEPT <= highest).map(|number| Ok(key_of(*number)));
        let superseded = futures_util::stream::iter(superseded.collect::<Vec<_>>()).boxed();
        let failures = self.store.delete_stream(superseded).filter_map(|removed| async { removed.err() });
        failures.for_each(|error| async move { tracing::debug!(%error, "a superseded state is left") }).await;
    }
}

fn header(number: u64, wrapped: &WrappedKey) -> Vec<u8> {
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + wrapped.key_id.len() + wrapped.bytes.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&length(wrapped.key_id.as_bytes()));
    bytes.extend_from_slice(&length(&wrapped.bytes));
    bytes.extend_from_slice(wrapped.key_id.as_bytes());
    bytes.extend_from_slice(&wrapped.bytes);
    bytes
}

/// And where it ends.
fn wrapped_key(bytes: &[u8]) -> Option<(WrappedKey, usize)> {
    let length = |at: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let id_ends = HEADER_BYTES + length(18)?;
    let key_ends = id_ends + length(20)?;
    let key_id = std::str::from_utf8(bytes.get(HEADER_BYTES..id_ends)?).ok()?.to_owned();
    Some((WrappedKey { key_id, bytes: bytes.get(id_ends..key_ends)?.to_vec() }, key_ends))
}

fn key_of(number: u64) -> Key {
    Key::from(format!("state/{number:020}"))
}

fn number_of(key: &Key) -> Option<u64> {
    let number = key.filename()?.parse().ok()?;
    (key_of(number) == *key).then_some(number)
}

fn failed(action: &'static str) -> impl FnOnce(object_store::Error) -> StateError {
    move |source| StateError::Store { action, source }
}

impl fmt::Debug for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.known().map(|known| known.number);
        formatter.debug_struct("Register").field("number", &number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
