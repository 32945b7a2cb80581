//! Provisioned concurrency: the environments that versions and aliases are to have ready, as the catalog says.
//!
//! ```text
//!  catalog: function, version or alias, number ─► reconcile ─► pool: environments kept initialised ─► status
//! ```
//!
//! [`Provisioning::reconcile`] is called at the start and after every change of a function; it makes what is missing, changes
//! numbers, and ends what is no longer asked for. An alias that moves on takes its environments along: those of the new
//! version are made, and the old ones end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firesteel_catalog::{FunctionName, Qualifier};
use firesteel_environment::{Pool, Progress, ProvisionFailure, ProvisionStatus, Provisioned};

use crate::deployments::{Deployment, Deployments};
use crate::synchronous::INVALID_ENTRYPOINT;

/// What one version or alias is to have.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) qualifier: Qualifier,
    pub(crate) version: Arc<firesteel_catalog::Version>,
    pub(crate) count: u32,
    /// Whether the function has a reservation, of which these are a part.
    pub(crate) is_reserved: bool,
}

/// Who has environments provisioned, and how far that has come.
#[derive(Debug)]
pub(crate) struct Provisioning {
    pool: Pool,
    kept: Mutex<HashMap<FunctionName, Vec<Kept>>>,
    /// Of all functions, so that the way of an invocation asks no lock where nothing is provisioned.
    total: AtomicU32,
    /// Likewise, of functions without a reservation: set aside for them.
    set_aside: AtomicU32,
}

/// A wish, and by what it was fulfilled.
#[derive(Debug)]
struct Kept {
    entry: Entry,
    /// None where the version has nothing that could be started.
    handle: Option<Provisioned>,
}

#[derive(Debug)]
struct Entry {
    qualifier: Qualifier,
    instance: u64,
    count: u32,
    is_reserved: bool,
}

impl Provisioning {
    pub(crate) fn new(pool: Pool) -> Self {
        Provisioning { pool, kept: Mutex::default(), total: AtomicU32::new(0), set_aside: AtomicU32::new(0) }
    }

    /// Makes what is kept what is wanted.
    pub(crate) async fn reconcile(
        &self,
        name: &FunctionName,
        wanted: Vec<Wanted>,
        deployments: &Deployments,
    ) {
        let mut planned = Vec::new();
        for Wanted { qualifier, version, count, is_reserved } in wanted {
            let spec = match deployments.of(&version).await {
                Ok(Deployment::Runs(spec)) => Some(spec),
                // Its state tells why.
                Ok(Deployment::NothingToStart { .. }) | Err(_) => None,
            };
            planned.push((Entry { qualifier, instance: version.instance, count, is_reserved }, spec));
        }
        let unwanted = {
            let mut kept = self.kept();
            let mut before = kept.remove(name).unwrap_or_default();
            let mut after = Vec::new();
            for (entry, spec) in planned {
                let same = before.iter().position(|kept| {
                    kept.entry.qualifier == entry.qualifier && kept.entry.instance == entry.instance
                });
                let count = usize::try_from(entry.count).unwrap_or(usize::MAX);
                let handle = match same.map(|index| before.swap_remove(index)) {
                    Some(same) => {
                        if let Some(handle) = &same.handle
                            && same.entry.count != entry.count
                        {
                            handle.request(count);
                        }
                        same.handle
                    }
                    None => spec.map(|spec| self.pool.provision(&spec, count)),
                };
                after.push(Kept { entry, handle });
            }
            if !after.is_empty() {
                kept.insert(name.clone(), after);
            }
            let all = || kept.values().flatten().map(|kept| &kept.entry);
            let total = all().map(|entry| entry.count).sum();
            self.total.store(total, Ordering::Relaxed);
            let set_aside = all().filter(|entry| !entry.is_reserved).map(|entry| entry.count).sum();
            self.set_aside.store(set_aside, Ordering::Relaxed);
            before
        };
        // Outside the lock: the end of environments is no work to be done under it.
        drop(unwanted);
    }

    /// How far it has come; `None` where nothing is provisioned.
    pub(crate) fn progress(&self, name: &FunctionName, qualifier: &Qualifier) -> Option<Progress> {
        let kept = self.kept();
        let kept = kept.get(name)?.iter().find(|kept| kept.entry.qualifier == *qualifier)?;
        Some(match &kept.handle {
            Some(handle) => handle.progress(),
            None => nothing_to_start(&kept.entry),
        })
    }

    /// What admission wants to know: how many environments of this version or alias are initialised, and how many the
    /// whole function is to have.
    pub(crate) fn of_function(&self, name: &FunctionName, qualifier: &Qualifier) -> (u32, u32) {
        if self.total.load(Ordering::Relaxed) == 0 {
            return (0, 0);
        }
        let kept = self.kept();
        let Some(kept) = kept.get(name) else { return (0, 0) };
        let available = kept.iter().filter(|kept| kept.entry.qualifier == *qualifier).filter_map(|kept| {
            let progress = kept.handle.as_ref()?.progress();
            u32::try_from(progress.available).ok()
        });
        (available.sum(), kept.iter().map(|kept| kept.entry.count).sum())
    }

    /// What functions without a reservation are to have.
    pub(crate) fn set_aside(&self) -> u32 {
        self.set_aside.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<FunctionName, Vec<Kept>>> {
        // A map of handles is never left half-changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// AWS would find out with the first environment, whose init fails.
fn nothing_to_start(entry: &Entry) -> Progress {
    Progress {
        requested: usize::try_from(entry.count).unwrap_or(usize::MAX),
        allocated: 0,
        available: 0,
        status: ProvisionStatus::Failed(ProvisionFailure::Init { error_type: INVALID_ENTRYPOINT.to_owned() }),
    }
}
