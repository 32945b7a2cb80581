//! What the store holds and until when: roots, images, names, leases. No counting of references.
//!
//! ```text
//!            Rotate               Expire                    Delete                Deleted
//!  Active ──────────► Retired ──────────────► Expired ──────────────► Deleting ──────────► gone
//!  read, write        read only;              nobody should read      its objects go
//!                     live images move        │ Touch: somebody does ─► alarm: halted, until Thaw
//!                     to the active one       └ quarantine passes
//! ```
//!
//! A chunk is written under the active root and never removed by itself: a root goes as a whole, by its prefix, once
//! everything that is live in it has been copied forward. So nothing is ever removed that somebody might just have found to
//! be there already.
//!
//! - **Writers** hold a lease on the root they write under. [`Event::Commit`] makes an image visible, in the same step in
//!   which it checks that the lease is still there: a writer that was taken for dead has written nothing that counts, and begins
//!   again. What a dead one leaves goes with its root.
//! - **Readers** hold a lease on the root they read from. A root does not expire while there is one.
//! - A lease lapses, because its holder may have been killed: [`GRACE_MS`] after it says so, for clocks that differ.
//!   A reader that was only asleep finds on its next read that it has none, and asks for one: if the root has expired meanwhile,
//!   this is the read that raises the alarm, days before anything is removed.
//!
//! Invariants, which [`State::check`] tells and the tests walk: one root is active; every image and every lease is in an
//! active or retired root; every name is of an image that is there; every root's salt is there.
//!
//! Synchronous and pure: no clock, no lock, no I/O. [`Register`](super::register::Register) applies events to the one state
//! of a deployment, one at a time, whoever sends them.

mod step;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chunk::Salt;
use crate::manifest::{ImageId, ManifestId, RootId, SaltId};

pub(crate) use self::step::Event;
pub use self::step::Refusal;

/// How long after its end a lease still counts: clocks of servers may differ by so much.
pub(crate) const GRACE_MS: u64 = 60 * 1000;

/// The state of a deployment's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Drawn once: the state of another deployment is none of this one.
    pub(crate) deployment: LeaseId,
    pub(crate) roots: BTreeMap<RootId, Root>,
    /// No root at or after it ever was.
    pub(crate) next_root: RootId,
    /// Those of the roots that are there.
    pub(crate) salts: BTreeMap<SaltId, SecretSalt>,
    pub(crate) next_salt: SaltId,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    pub(crate) images: BTreeMap<ImageId, ImageRow>,
    /// By tenant, then by name.
    pub(crate) names: BTreeMap<String, BTreeMap<String, ImageId>>,
}

/// An epoch of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Root {
    pub(crate) salt: SaltId,
    pub(crate) phase: Phase,
}

/// What may be done with a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Read and written.
    Active,
    /// Read; its images are being moved to the active one.
    Retired,
    /// Nothing refers to it. Deleted once it has been so for as long as the quarantine is.
    Expired {
        /// Since when, in milliseconds of the Unix epoch.
        since_ms: u64,
        /// When somebody read it all the same, which should not be: it is kept until a person has looked.
        alarm_ms: Option<u64>,
    },
    /// Being removed.
    Deleting {
        /// As before; what has not been removed yet is kept.
        alarm_ms: Option<u64>,
    },
}

/// Names a lease. Drawn by who asks for it, so that asking twice is asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LeaseId(pub(crate) u64);

/// Keeps a root from expiring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lease {
    pub(crate) root: RootId,
    pub(crate) expires_ms: u64,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRow {
    /// Where its chunks and its manifest are.
    pub root: RootId,
    /// Its manifest: no other one is taken for it.
    pub manifest: ManifestId,
    /// Whose it is.
    pub tenant: String,
    /// Of what it was made from.
    pub digest: String,
    /// Of the flat image.
    pub image_bytes: u64,
    /// Of its chunks, each counted once, those included that it shares with other images.
    pub stored_bytes: u64,
    /// When it was stored, in milliseconds of the Unix epoch.
    pub created_ms: u64,
}

/// A salt as the state keeps it, which is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct SecretSalt(pub(crate) Salt);

impl State {
    /// Of a new deployment, with one root.
    pub(crate) fn new(deployment: LeaseId, salt: SecretSalt) -> Self {
        State {
            deployment,
            roots: BTreeMap::from([(RootId(1), Root { salt: SaltId(1), phase: Phase::Active })]),
            next_root: RootId(2),
            salts: BTreeMap::from([(SaltId(1), salt)]),
            next_salt: SaltId(2),
            leases: BTreeMap::new(),
            images: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// The root that is written under.
    pub(crate) fn active(&self) -> RootId {
        let active = self.roots.iter().find(|(_, root)| root.phase == Phase::Active);
        *active.expect("one root is active").0
    }

    /// What goes into the keys of a root's new chunks.
    pub(crate) fn salt(&self, root: RootId) -> Option<(SaltId, Salt)> {
        let id = self.roots.get(&root)?.salt;
        Some((id, self.salts.get(&id)?.0.clone()))
    }

    /// Says which invariant does not hold. A state is checked whenever it is read: nothing else relies on its writer.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let readable = |root: &RootId| self.roots.get(root).is_some_and(|root| root.phase.is_readable());
        if self.roots.values().filter(|root| root.phase == Phase::Active).count() != 1 {
            return Err("not exactly one root is active");
        }
        if self.roots.keys().next_back().is_some_and(|last| *last >= self.next_root) {
            return Err("a root is to be made that is there already");
        }
        if !self.roots.values().all(|root| self.salts.contains_key(&root.salt)) {
            return Err("a root has no salt");
        }
        if !self.images.values().all(|row| readable(&row.root)) {
            return Err("an image is in a root that is not read");
        }
        if !self.leases.values().all(|lease| readable(&lease.root)) {
            return Err("a lease is on a root that is not read");
        }
        let mut named =
            self.names.iter().flat_map(|(tenant, names)| names.values().map(move |id| (tenant, id)));
        if !named.all(|(tenant, id)| self.images.get(id).is_some_and(|row| row.tenant == *tenant)) {
            return Err("a name is of no image of its tenant");
        }
        Ok(())
    }
}

impl Phase {
    /// Whether images may be in it.
    pub(crate) fn is_readable(self) -> bool {
        matches!(self, Phase::Active | Phase::Retired)
    }
}

impl std::fmt::Debug for SecretSalt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretSalt")
    }
}

impl From<SecretSalt> for String {
    fn from(salt: SecretSalt) -> String {
        blake3::Hash::from_bytes(*salt.0.as_bytes()).to_hex().to_string()
    }
}

impl TryFrom<String> for SecretSalt {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = blake3::Hash::from_hex(&text).map_err(|_| "not a salt")?;
        Ok(SecretSalt(Salt::from_bytes(*bytes.as_bytes())))
    }
}

#[cfg(test)]
mod tests;
