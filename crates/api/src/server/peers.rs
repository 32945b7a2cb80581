//! How many connections each peer has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// All peers, each with the number of its connections.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    limit: usize,
}

/// One connection's room, free when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    counted: Option<(Peers, IpAddr)>,
    _permit: OwnedSemaphorePermit,
}

impl Peers {
    pub(super) fn new(limit: usize) -> Self {
        Peers { counts: Arc::default(), limit }
    }

    /// Room for one more connection, unless the peer has as many as it may have.
    pub(super) fn place(&self, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let peer = peer_of(address);
        // All that run on this machine are one address, and not one peer.
        if peer.is_loopback() {
            return Some(Place { counted: None, _permit: permit });
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { counted: Some((self.clone(), peer)), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, peer)) = &self.counted else { return };
        let mut counts = peers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(peer);
            }
        }
    }
}

/// The address, or the first half of an IPv6 one: who has any has all with the same first half.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[test]
    fn a_peer_has_so_many_places_and_gets_them_back() {
        let room = Arc::new(Semaphore::new(100));
        let peers = Peers::new(2);
        let place = |address: &str| {
            let permit = Arc::clone(&room).try_acquire_owned().unwrap();
            peers.place(address.parse().unwrap(), permit)
        };
        let held = (place("192.0.2.1").unwrap(), place("::ffff:192.0.2.1").unwrap());
        assert!(place("192.0.2.1").is_none());
        let other = place("192.0.2.2").unwrap();
        drop(held.0);
        let again = place("192.0.2.1").unwrap();
        let network = (place("2001:db8::1").unwrap(), place("2001:db8::2").unwrap());
        assert!(place("2001:db8::3").is_none() && place("2001:db8:0:1::3").is_some());
        let local: Vec<_> = (0..5).map(|_| place("127.0.0.1").unwrap()).collect();
        drop((held.1, other, again, network, local));
        assert!(peers.counts.lock().unwrap().is_empty());
        assert_eq!(room.available_permits(), 100);
    }
}
