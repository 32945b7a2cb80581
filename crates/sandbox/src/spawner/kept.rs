//! The spawner of a server, kept: started when it is needed, and anew when it has ended.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use firesteel_sandbox_init::network::Prefix;

use super::Spawner;
use crate::first_process::InitProgram;
use crate::namespace::Network;
use crate::network::HostAddresses;

/// To be closed by [`KeptSpawner::close`]. Dropped, the spawner ends too, and nobody knows when.
#[derive(Debug)]
pub(crate) struct KeptSpawner {
    init: InitProgram,
    /// Where it works.
    folder: PathBuf,
    network: Network,
    running: Mutex<Running>,
    /// The host's own addresses, when they have changed since the start.
    host: Mutex<Option<Vec<Prefix>>>,
    /// For those who look after a spawner's end.
    me: Weak<KeptSpawner>,
}

/// One at a time.
#[derive(Debug, Default)]
enum Running {
    /// To be started by who needs it.
    #[default]
    Not,
    Yes(Arc<Spawner>),
    /// None is to be started any more.
    Closed,
}

impl KeptSpawner {
    /// Starts nothing yet; from then on it is kept up to date with the host's addresses. Must be called within an async
    /// runtime.
    pub(crate) fn new(init: InitProgram, folder: PathBuf, network: Network) -> io::Result<Arc<Self>> {
        let changes = match &network {
            Network::Egress(egress) => Some(HostAddresses::watch(egress.plan().host.clone())?),
            Network::None | Network::Host => None,
        };
        let kept = Arc::new_cyclic(|me| KeptSpawner {
            init,
            folder,
            network,
            running: Mutex::default(),
            host: Mutex::default(),
            me: me.clone(),
        });
        if let Some(changes) = changes {
            tokio::spawn(follow_host(Arc::downgrade(&kept), changes));
        }
        Ok(kept)
    }

    /// What it connects sandboxes to.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Asks the running one, or another if that has ended. One that fails is not asked again: it may be that it has ended. Blocks
    /// for as long as asking does, and some milliseconds where it has to be started. Must be called within an async runtime.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Spawner) -> io::Result<T>) -> io::Result<T> {
        let spawner = self.running()?;
        ask(&spawner).inspect_err(|_| self.forget(&spawner))
    }

    /// Ends it. None is started from then on.
    pub(crate) async fn close(&self) {
        let spawner = std::mem::replace(&mut *self.lock(), Running::Closed);
        // One that is still talked to ends right after that.
        if let Running::Yes(spawner) = spawner
            && let Some(spawner) = Arc::into_inner(spawner)
        {
            spawner.end().await;
        }
    }

    fn running(&self) -> io::Result<Arc<Spawner>> {
        let mut running = self.lock();
        match &*running {
            Running::Yes(spawner) => Ok(Arc::clone(spawner)),
            Running::Closed => Err(io::Error::other("no more sandboxes are made")),
            Running::Not => {
                let egress = match &self.network {
                    Network::Egress(egress) => Some(egress),
                    Network::None | Network::Host => None,
                };
                let started = Arc::new(Spawner::start(&self.init, &self.folder, egress)?);
                if let Some(host) = &*self.host.lock().unwrap_or_else(PoisonError::into_inner) {
                    started.set_host(host.clone())?;
                }
                let its_end = started.process.its_end()?;
                tokio::spawn(look_after(self.me.clone(), Arc::downgrade(&started), its_end));
                *running = Running::Yes(Arc::clone(&started));
                Ok(started)
            }
        }
    }

    fn forget(&self, failed: &Arc<Spawner>) {
        let mut running = self.lock();
        if matches!(&*running, Running::Yes(spawner) if Arc::ptr_eq(spawner, failed)) {
            *running = Running::Not;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a spawner up that has ended, also when nobody needs another for now: until then it would not be reaped.
async fn look_after(kept: Weak<KeptSpawner>, spawner: Weak<Spawner>, its_end: impl Future<Output = ()>) {
    its_end.await;
    let Some((kept, spawner)) = kept.upgrade().zip(spawner.upgrade()) else { return };
    kept.forget(&spawner);
    // Its way out is taken down, which blocks.
    let _ = tokio::task::spawn_blocking(move || drop(spawner)).await;
}

/// Keeps what may not be reached of the host up to date, as long as sandboxes are made.
async fn follow_host(kept: Weak<KeptSpawner>, mut changes: HostAddresses) {
    loop {
        let Ok(host) = changes.changed().await else {
            // Descriptors ran out; there will be others.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let Some(kept) = kept.upgrade() else { return };
        let told = tokio::task::spawn_blocking(move || {
            *kept.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.clone());
            kept.running()?.set_host(host)
        });
        if let Ok(Err(error)) = told.await {
            tracing::error!(%error, "new addresses of this host can be reached by functions");
        }
    }
}
