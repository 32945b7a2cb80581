//! What a router is to be: made by the server, carried out by the process in which the router lives.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::prefix::{Prefix, PrefixError};

/// The host's loopback, which can be allowed but never reached under its own addresses.
pub(super) const LOOPBACK: Prefix = Prefix::new(Ipv4Addr::new(127, 0, 0, 0), 8);

/// Everything [`Router::open`](super::Router::open) needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterPlan {
    /// The program, by its absolute path.
    pub nft: PathBuf,
    /// Where all addresses come from.
    pub pool: Pool,
    /// How the outside is reached.
    pub uplink: Uplink,
    /// What of the host may not be reached: the destinations that the host delivers to itself.
    pub host: Vec<Prefix>,
    /// What may be reached all the same. Goes before every prohibition.
    pub allowed: Vec<Allowed>,
    /// Nameservers that sandboxes are told of. Their port 53 may be reached wherever they are; cloud providers have them at
    /// addresses that are refused otherwise.
    pub nameservers: Vec<Ipv4Addr>,
}

/// What leads from the router to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uplink {
    /// An interface that `pasta` makes and configures, later.
    Pasta,
    /// A pair of interfaces between the router and the namespace of a process, made by the router. Needs root.
    Veth {
        /// The server's own number.
        pid: u32,
        /// What the other end is called there.
        name: String,
    },
}

/// The 65 536 addresses a server uses, of which the host knows no route.
///
/// | addresses | whose |
/// |---|---|
/// | `.0.1` | the router's, towards every sandbox |
/// | `.0.9` | the router's, on its uplink |
/// | `.0.10` | the next hop on the uplink; the host's loopback, where that is allowed |
/// | `.0.11` | the nameserver of sandboxes, where the host's own is at its loopback |
/// | from `.1.0` | of the sandboxes |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool(Prefix);

impl Pool {
    /// How long the block of the uplink's addresses is.
    pub const UPLINK_BITS: u8 = 29;

    /// How many sandboxes have an address at a time.
    pub(super) const SANDBOXES: u32 = 0xff_00;

    /// The /16 around an address.
    #[must_use]
    pub const fn around(address: Ipv4Addr) -> Self {
        Self(Prefix::new(address, 16))
    }

    /// All of it.
    #[must_use]
    pub const fn block(self) -> Prefix {
        self.0
    }

    /// The next hop of each sandbox.
    #[must_use]
    pub const fn gateway(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The router's own on its uplink.
    #[must_use]
    pub const fn uplink(self) -> Ipv4Addr {
        self.at(9)
    }

    /// The router's next hop. With `pasta` it stands for the host's 127.0.0.1, if that is allowed.
    #[must_use]
    pub const fn uplink_gateway(self) -> Ipv4Addr {
        self.at(10)
    }

    /// Queries sent there are answered by the host's own nameserver, with `pasta`.
    #[must_use]
    pub const fn nameserver(self) -> Ipv4Addr {
        self.at(11)
    }

    pub(super) const fn sandbox(self, number: u32) -> Ipv4Addr {
        self.at(0x1_00 + number % Self::SANDBOXES)
    }

    const fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.address().to_bits() + offset)
    }
}

/// A destination opened by the user: `10.0.0.0/8`, `192.168.1.5`, `127.0.0.1:5432`.
///
/// Any address may be given, one of the host's too. Those of the host's loopback are a special case, possible with `pasta` only: a
/// sandbox has a loopback of its own, so it finds the host's, whichever address of 127.0.0.0/8 was given, at
/// [`Pool::uplink_gateway`], and there what listens on 127.0.0.1. Without a port that is everything, the server's own API among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Where.
    pub block: Prefix,
    /// Of TCP and UDP. `None` is each of them.
    pub port: Option<u16>,
}

impl Allowed {
    /// Whether it opens the host's loopback.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        LOOPBACK.contains(self.block.address())
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.block),
            None => write!(f, "{}", self.block),
        }
    }
}

impl FromStr for Allowed {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        match text.rsplit_once(':').map(|(block, port)| (block, port.parse())) {
            Some((block, Ok(port))) => Ok(Self { block: block.parse()?, port: Some(port) }),
            // Something else than a port is told of together with what stands before it.
            _ => Ok(Self { block: text.parse()?, port: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_with_and_without_a_port() {
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.168.1.5", "192.168.1.5/32"),
            ("127.0.0.1:5432", "127.0.0.1/32:5432"),
            ("10.0.0.0/8:443", "10.0.0.0/8:443"),
        ] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), written);
        }
        for wrong in
            ["", "localhost", "localhost:80", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "[::1]:80"]
        {
            assert!(wrong.parse::<Allowed>().is_err(), "{wrong}");
        }
        assert!("127.0.0.53:53".parse::<Allowed>().unwrap().is_loopback());
        assert!(!"0.0.0.0/0".parse::<Allowed>().unwrap().is_loopback());
    }

    #[test]
    fn no_sandbox_has_an_address_of_the_routers() {
        let pool = Pool::around(Ipv4Addr::new(10, 254, 3, 4));
        assert_eq!(pool.gateway(), Ipv4Addr::new(10, 254, 0, 1));
        assert_eq!(pool.sandbox(0), Ipv4Addr::new(10, 254, 1, 0));
        assert_eq!(pool.sandbox(Pool::SANDBOXES - 1), Ipv4Addr::new(10, 254, 255, 255));
        assert_eq!(pool.sandbox(Pool::SANDBOXES), pool.sandbox(0));
        let uplink = Prefix::new(pool.uplink(), Pool::UPLINK_BITS);
        assert!(uplink.contains(pool.uplink_gateway()) && uplink.contains(pool.nameserver()));
        assert!(!uplink.contains(pool.gateway()));
    }
}
