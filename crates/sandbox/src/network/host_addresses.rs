//! The host's own addresses, as they change: a laptop moves, a container network is made.

use std::io;

use firesteel_sandbox_init::network::Prefix;
use firesteel_sandbox_init::network::routes;
use tokio::net::UnixDatagram;

/// Watches what the host delivers to itself.
#[derive(Debug)]
pub struct HostAddresses {
    /// Of another family in truth, of which only readiness and datagrams are wanted.
    changes: UnixDatagram,
    last: Vec<Prefix>,
}

impl HostAddresses {
    /// Begins with what is known, [`RouterPlan::host`](firesteel_sandbox_init::network::RouterPlan::host).
    ///
    /// # Errors
    /// When descriptors ran out.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn watch(known: Vec<Prefix>) -> io::Result<Self> {
        let changes = std::os::unix::net::UnixDatagram::from(routes::changes()?);
        Ok(Self { changes: UnixDatagram::from_std(changes)?, last: known })
    }

    /// Waits until they are others than were known or returned last. Cancel-safe. Routes that change without an address of the host's own
    /// are not told of.
    ///
    /// # Errors
    /// When descriptors ran out; to be called again later.
    pub async fn changed(&mut self) -> io::Result<Vec<Prefix>> {
        loop {
            // Looked at before waiting, too: there may have been changes before this began to listen.
            self.forget();
            let now = routes::own()?;
            if now != self.last {
                self.last.clone_from(&now);
                return Ok(now);
            }
            self.changes.readable().await?;
        }
    }

    fn forget(&self) {
        let mut datagram = [0; 64];
        // An error says that there were more than could be kept. They are heard of again, then.
        while self.changes.try_recv(&mut datagram).is_ok() {}
    }
}
