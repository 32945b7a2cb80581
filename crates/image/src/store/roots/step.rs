//! What may happen to the state, and what becomes of it.

use super::{GRACE_MS, ImageRow, Lease, LeaseId, Phase, Root, SecretSalt, State};
use crate::manifest::{ImageId, ManifestId, RootId, SaltId};

/// Something that a server wants of the state. Sent twice, it does no more than once.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A lease on the active root, to write under it. Leases that have lapsed go.
    Write { lease: LeaseId, expires_ms: u64, now_ms: u64 },
    /// A lease on a root, to read from it.
    Read { lease: LeaseId, root: RootId, expires_ms: u64 },
    /// Still there.
    Renew { lease: LeaseId, expires_ms: u64 },
    /// Needed no more.
    Release { lease: LeaseId },
    /// An image is stored under the root of the lease, which is spent.
    Commit { lease: LeaseId, image: ImageId, row: ImageRow, name: Option<String> },
    /// Chunks and this manifest of an image have been copied from a root to that of the lease.
    Move { lease: LeaseId, image: ImageId, from: RootId, manifest: ManifestId },
    /// An image is needed no more, nor what it is called.
    Remove { image: ImageId },
    /// An image is called so from now on; `None`: nothing is.
    Name { tenant: String, name: String, image: Option<ImageId> },
    /// `active` is written no more, but a new root with this salt, or with the same one.
    Rotate { active: RootId, salt: Option<SecretSalt> },
    /// Nothing refers to a retired root any more.
    Expire { root: RootId, now_ms: u64 },
    /// Somebody is about to read from a root without a lease.
    Touch { root: RootId, now_ms: u64 },
    /// A person has looked at the alarm. The quarantine begins anew.
    Thaw { root: RootId, now_ms: u64 },
    /// The objects of an expired root may go.
    Delete { root: RootId, now_ms: u64, quarantine_ms: u64 },
    /// They are gone.
    Deleted { root: RootId },
}

/// Why nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Never was, or is gone.
    #[error("there is no root {root}")]
    NoRoot {
        /// Which.
        root: RootId,
    },
    /// It is not in the phase for this.
    #[error("root {root} is {phase:?}")]
    Phase {
        /// Which.
        root: RootId,
        /// What it is.
        phase: Phase,
    },
    /// It has lapsed, or was released.
    #[error("the lease is gone")]
    NoLease,
    /// Never was, or is gone.
    #[error("there is no image {image}")]
    NoImage {
        /// Which.
        image: ImageId,
    },
    /// It was moved, or removed and stored again, by somebody else.
    #[error("image {image} is in root {root}")]
    Moved {
        /// Which.
        image: ImageId,
        /// Where it is.
        root: RootId,
    },
    /// Something is in it, or somebody reads or writes it.
    #[error("root {root} has {images} images and {leases} leases")]
    InUse {
        /// Which.
        root: RootId,
        /// How many.
        images: usize,
        /// How many.
        leases: usize,
    },
    /// Not yet.
    #[error("root {root} is in quarantine for another {left_ms} ms")]
    Quarantined {
        /// Which.
        root: RootId,
        /// How long still.
        left_ms: u64,
    },
    /// Read after it had expired: a person has to look.
    #[error("root {root} was read after it had expired, and is kept")]
    Alarmed {
        /// Which.
        root: RootId,
    },
}

impl State {
    /// The state after an event.
    pub(crate) fn step(&self, event: Event) -> Result<State, Refusal> {
        let mut next = self.clone();
        match event {
            Event::Write { lease, expires_ms, now_ms } => {
                next.leases.retain(|_, lease| !lease.has_lapsed(now_ms));
                let root = next.active();
                next.leases.entry(lease).or_insert(Lease { root, expires_ms });
            }
            Event::Read { lease, root, expires_ms } => {
                let phase = next.root(root)?.phase;
                if !phase.is_readable() {
                    return Err(Refusal::Phase { root, phase });
                }
                next.leases.entry(lease).or_insert(Lease { root, expires_ms });
            }
            Event::Renew { lease, expires_ms } => {
                let lease = next.leases.get_mut(&lease).ok_or(Refusal::NoLease)?;
                lease.expires_ms = lease.expires_ms.max(expires_ms);
            }
            Event::Release { lease } => drop(next.leases.remove(&lease)),
            Event::Commit { lease, image, row, name } => next.commit(lease, image, row, name)?,
            Event::Move { lease, image, from, manifest } => {
                let to = next.leases.get(&lease).ok_or(Refusal::NoLease)?.root;
                let row = next.images.get_mut(&image).ok_or(Refusal::NoImage { image })?;
                if (row.root, row.manifest) != (from, manifest) {
                    return Err(Refusal::Moved { image, root: row.root });
                }
                row.root = to;
            }
            Event::Remove { image } => {
                next.images.remove(&image);
                next.names.values_mut().for_each(|names| names.retain(|_, named| *named != image));
                next.names.retain(|_, names| !names.is_empty());
            }
            Event::Name { tenant, name, image } => next.name(tenant, name, image)?,
            Event::Rotate { active, salt } => {
                let root = next.root_mut(active)?;
                // Another one has done so already.
                if root.phase != Phase::Active {
                    return Err(Refusal::Phase { root: active, phase: root.phase });
                }
                root.phase = Phase::Retired;
                let mut salt_id = root.salt;
                if let Some(salt) = salt {
                    salt_id = next.next_salt;
                    next.salts.insert(salt_id, salt);
                    next.next_salt = SaltId(salt_id.0 + 1);
                }
                next.roots.insert(next.next_root, Root { salt: salt_id, phase: Phase::Active });
                next.next_root = RootId(next.next_root.0 + 1);
            }
            Event::Expire { root, now_ms } => next.expire(root, now_ms)?,
            Event::Touch { root, now_ms } => match &mut next.root_mut(root)?.phase {
                // Whoever reads these should have a lease, and loses nothing without one.
                Phase::Active | Phase::Retired => {}
                Phase::Expired { alarm_ms, .. } | Phase::Deleting { alarm_ms } => {
                    alarm_ms.get_or_insert(now_ms);
                }
            },
            Event::Thaw { root, now_ms } => match &mut next.root_mut(root)?.phase {
                phase @ (Phase::Active | Phase::Retired) => {
                    return Err(Refusal::Phase { root, phase: *phase });
                }
                Phase::Expired { since_ms, alarm_ms } => (*since_ms, *alarm_ms) = (now_ms, None),
                Phase::Deleting { alarm_ms } => *alarm_ms = None,
            },
            Event::Delete { root, now_ms, quarantine_ms } => {
                let phase = &mut next.root_mut(root)?.phase;
                match *phase {
                    Phase::Active | Phase::Retired => return Err(Refusal::Phase { root, phase: *phase }),
                    Phase::Expired { alarm_ms: Some(_), .. } | Phase::Deleting { alarm_ms: Some(_) } => {
                        return Err(Refusal::Alarmed { root });
                    }
                    Phase::Expired { since_ms, alarm_ms: None } => {
                        let left_ms = since_ms.saturating_add(quarantine_ms).saturating_sub(now_ms);
                        if left_ms > 0 {
                            return Err(Refusal::Quarantined { root, left_ms });
                        }
                        *phase = Phase::Deleting { alarm_ms: None };
                    }
                    Phase::Deleting { alarm_ms: None } => {}
                }
            }
            Event::Deleted { root } => match next.root(root)?.phase {
                phase @ (Phase::Active | Phase::Retired | Phase::Expired { .. }) => {
                    return Err(Refusal::Phase { root, phase });
                }
                Phase::Deleting { alarm_ms: Some(_) } => return Err(Refusal::Alarmed { root }),
                Phase::Deleting { alarm_ms: None } => {
                    next.roots.remove(&root);
                    let State { roots, salts, .. } = &mut next;
                    salts.retain(|salt, _| roots.values().any(|root| root.salt == *salt));
                }
            },
        }
        debug_assert_eq!(next.check(), Ok(()));
        Ok(next)
    }

    fn commit(
        &mut self,
        lease: LeaseId,
        image: ImageId,
        mut row: ImageRow,
        name: Option<String>,
    ) -> Result<(), Refusal> {
        row.root = self.leases.remove(&lease).ok_or(Refusal::NoLease)?.root;
        let tenant = row.tenant.clone();
        // Two have stored the same image. It is in the later root, from which it need not be moved.
        match self.images.get(&image) {
            Some(there) if there.root >= row.root => {}
            _ => drop(self.images.insert(image, row)),
        }
        match name {
            Some(name) => self.name(tenant, name, Some(image)),
            None => Ok(()),
        }
    }

    fn name(&mut self, tenant: String, name: String, image: Option<ImageId>) -> Result<(), Refusal> {
        let Some(image) = image else {
            if let Some(names) = self.names.get_mut(&tenant) {
                names.remove(&name);
            }
            self.names.retain(|_, names| !names.is_empty());
            return Ok(());
        };
        // Of another tenant is as good as none: who asks must not learn of it.
        if self.images.get(&image).is_none_or(|row| row.tenant != tenant) {
            return Err(Refusal::NoImage { image });
        }
        self.names.entry(tenant).or_default().insert(name, image);
        Ok(())
    }

    fn expire(&mut self, root: RootId, now_ms: u64) -> Result<(), Refusal> {
        match self.root(root)?.phase {
            phase @ (Phase::Active | Phase::Deleting { .. }) => return Err(Refusal::Phase { root, phase }),
            // Since when counts from the first time.
            Phase::Expired { .. } => return Ok(()),
            Phase::Retired => {}
        }
        self.leases.retain(|_, lease| !lease.has_lapsed(now_ms));
        let images = self.images.values().filter(|row| row.root == root).count();
        let leases = self.leases.values().filter(|lease| lease.root == root).count();
        if images > 0 || leases > 0 {
            return Err(Refusal::InUse { root, images, leases });
        }
        self.root_mut(root)?.phase = Phase::Expired { since_ms: now_ms, alarm_ms: None };
        Ok(())
    }

    fn root(&self, root: RootId) -> Result<&Root, Refusal> {
        self.roots.get(&root).ok_or(Refusal::NoRoot { root })
    }

    fn root_mut(&mut self, root: RootId) -> Result<&mut Root, Refusal> {
        self.roots.get_mut(&root).ok_or(Refusal::NoRoot { root })
    }
}

impl Lease {
    fn has_lapsed(&self, now_ms: u64) -> bool {
        now_ms > self.expires_ms.saturating_add(GRACE_MS)
    }
}
