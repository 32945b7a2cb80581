//! Which users of the host guests are.
//!
//! As root, each sandbox has a user of its own that is nobody else: the kernel counts much for each user (inotify's instances,
//! pending signals, pages of pipes, bytes of queues), and what one guest uses up would be refused to all. Files of
//! the host are nobody's of these, so guests have what others than owner and group have.
//!
//! Without root there is one user, the server's, who is 993 inside as on AWS.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use firesteel_sandbox_init::furnishing::Confinement;
use firesteel_sandbox_init::spawner::{GUEST_GID, GUEST_UID};

/// Beyond what systems give to people, services, and the user namespaces of containers; below what some programs take
/// for a negative number.
const FIRST: u32 = 1_900_000_000;
const COUNT: u32 = 200_000_000;

/// Descriptors of one process, as on AWS.
const DESCRIPTORS: u64 = 1024;

/// Hands out users, one after the other.
#[derive(Debug)]
pub(crate) enum Guests {
    OfTheirOwn(AtomicU32),
    TheServers,
}

impl Guests {
    /// Servers on one machine begin in different places.
    pub(crate) fn new(server: &str) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Guests::TheServers;
        }
        let mut hasher = DefaultHasher::new();
        server.hash(&mut hasher);
        let start =
            u32::try_from(hasher.finish() % u64::from(COUNT)).expect("less than a number of this size");
        Guests::OfTheirOwn(AtomicU32::new(start))
    }

    /// The next one, with the group of the same number.
    pub(crate) fn next(&self) -> Confinement {
        let (uid, gid) = match self {
            Guests::OfTheirOwn(next) => {
                let number = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
                (number, number)
            }
            Guests::TheServers => (GUEST_UID, GUEST_GID),
        };
        Confinement { uid, gid, descriptors: DESCRIPTORS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_guests_are_one_user() {
        let guests = Guests::OfTheirOwn(AtomicU32::new(COUNT - 1));
        let (last, first) = (guests.next(), guests.next());
        assert_eq!((last.uid, last.gid), (2_099_999_999, 2_099_999_999));
        assert_eq!((first.uid, first.gid), (FIRST, FIRST));
    }
}
