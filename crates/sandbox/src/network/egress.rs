//! Whether sandboxes on this host can reach the outside, by what, and what they may not reach there.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use firesteel_sandbox_init::network::{self as inside, Allowed, Pool, Prefix, RouterPlan, routes};

use crate::first_process::{self, InitProgram};
use crate::network::masquerade::{self, Masquerade};
use crate::network::pasta::{self, Pasta};
use crate::network::programs;
use crate::network::resolver::Resolver;

/// Why there is no way out. Each text ends with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Nothing could be kept from sandboxes without it.
    #[error("the program nft is not there: `apt install nftables` or `dnf install nftables`")]
    Nft,
    /// Neither of the two.
    #[error("nothing leads outside: {pasta}; or {masquerading}")]
    Uplink {
        /// What `pasta` lacks.
        pasta: String,
        /// What masquerading lacks.
        masquerading: String,
    },
    /// Asked for, and only `pasta` can.
    #[error("the host's loopback ({allowed}) cannot be opened by masquerading: {pasta}")]
    Loopback {
        /// What was asked for.
        allowed: Allowed,
        /// What `pasta` lacks.
        pasta: String,
    },
    /// The host's routes lead to each block that could be used.
    #[error("the host has routes to every private block of 65536 addresses: remove one")]
    Addresses,
    /// The kernel was asked for them in vain.
    #[error("reading the host's routes")]
    Routes(#[source] io::Error),
}

/// Why the way out was not opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spawner is gone, or `pasta` does not like this host.
    #[error("starting pasta")]
    Pasta(#[source] io::Error),
    /// The router is not there, or `nft` does not like this host.
    #[error("masquerading for the router")]
    Masquerade(#[source] io::Error),
}

/// A way out that this host has, not opened yet.
#[derive(Debug)]
pub struct Egress {
    plan: RouterPlan,
    pasta: Option<PathBuf>,
}

/// The way out, open. Dropped, it closes; to be dropped where blocking for a millisecond is allowed, and when the spawner has died.
#[derive(Debug)]
pub struct Uplink {
    _kept: Kept,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for what their drop does")]
enum Kept {
    Pasta(Pasta),
    Masquerade(Masquerade),
}

impl Egress {
    /// Looks at what the host has. `allowed` is what the user opens, in addition to all that is neither the host nor link-local.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn find(allowed: Vec<Allowed>) -> Result<Self, Unavailable> {
        let nft = programs::find("nft").ok_or(Unavailable::Nft)?;
        let pasta = programs::find("pasta");
        let lacking = pasta::why_not(pasta.as_deref());
        let uplink = match &lacking {
            None => inside::Uplink::Pasta,
            Some(lacking) => {
                if let Some(masquerading) = masquerade::why_not() {
                    return Err(Unavailable::Uplink { pasta: lacking.clone(), masquerading });
                }
                if let Some(&allowed) = allowed.iter().find(|allowed| allowed.is_loopback()) {
                    return Err(Unavailable::Loopback { allowed, pasta: lacking.clone() });
                }
                inside::Uplink::Veth { pid: std::process::id(), name: masquerade::interface() }
            }
        };
        let host = routes::own().map_err(Unavailable::Routes)?;
        let known = routes::known().map_err(Unavailable::Routes)?;
        let nameservers = Resolver::of_host(&host, None).nameservers;
        let pool = free_pool(&known, &nameservers, &allowed).ok_or(Unavailable::Addresses)?;
        let plan = RouterPlan { nft, pool, uplink, host, allowed, nameservers };
        Ok(Self { plan, pasta: pasta.filter(|_| lacking.is_none()) })
    }

    /// What the spawner is to open as its router.
    #[must_use]
    pub fn plan(&self) -> &RouterPlan {
        &self.plan
    }

    /// Where the host's 127.0.0.1 is found by sandboxes, if any of its loopback was allowed.
    #[must_use]
    pub fn host_loopback(&self) -> Option<Ipv4Addr> {
        self.plan.allowed.iter().any(Allowed::is_loopback).then(|| self.plan.pool.uplink_gateway())
    }

    /// What a sandbox made now is to have as its `/etc/resolv.conf`. Without a nameserver in it, names cannot be resolved.
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        let forwarder = self.pasta.is_some().then(|| self.plan.pool.nameserver());
        Resolver::of_host(&self.plan.host, forwarder).text()
    }

    /// Opens the way, from the router that the process `spawner` has opened with [`Egress::plan`]. Blocks until it is open, some ten
    /// milliseconds.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub fn start(&self, spawner: u32, init: &InitProgram) -> Result<Uplink, StartError> {
        let Some(pasta) = &self.pasta else {
            let masquerade = Masquerade::start(&self.plan.nft, self.plan.pool);
            return Ok(Uplink { _kept: Kept::Masquerade(masquerade.map_err(StartError::Masquerade)?) });
        };
        let start = || {
            Pasta::start(pasta::Plan {
                pasta: pasta.clone(),
                executable: first_process::path(init)?,
                pool: self.plan.pool,
                maps_loopback: self.host_loopback().is_some(),
                spawner,
            })
        };
        Ok(Uplink { _kept: Kept::Pasta(start().map_err(StartError::Pasta)?) })
    }
}

/// The first block that nobody here has a use for. Those that people choose by hand, and that other programs give out, come last.
fn free_pool(known: &[Prefix], nameservers: &[Ipv4Addr], allowed: &[Allowed]) -> Option<Pool> {
    let tens = (224..255).rev().map(|second| Ipv4Addr::new(10, second, 0, 0));
    let shared = (112..128).rev().map(|second| Ipv4Addr::new(100, second, 0, 0));
    let others = (16..32).rev().map(|second| Ipv4Addr::new(172, second, 0, 0));
    let is_used = |block: Prefix| {
        known.iter().any(|route| route.overlaps(block))
            || nameservers.iter().any(|address| block.contains(*address))
            // Opening everything names nothing in particular.
            || allowed.iter().any(|allowed| allowed.block.bits() > 0 && allowed.block.overlaps(block))
    };
    tens.chain(shared).chain(others).map(Pool::around).find(|pool| !is_used(pool.block()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_where_nothing_else_is() {
        let pool = |known: &[&str], nameservers: &[&str], allowed: &[&str]| {
            let known: Vec<Prefix> = known.iter().map(|text| text.parse().unwrap()).collect();
            let nameservers: Vec<Ipv4Addr> = nameservers.iter().map(|text| text.parse().unwrap()).collect();
            let allowed: Vec<Allowed> = allowed.iter().map(|text| text.parse().unwrap()).collect();
            free_pool(&known, &nameservers, &allowed).map(|pool| pool.block().to_string())
        };
        assert_eq!(pool(&[], &[], &[]).unwrap(), "10.254.0.0/16");
        assert_eq!(pool(&["10.254.7.0/24"], &["10.253.0.53"], &["10.252.0.1:80"]).unwrap(), "10.251.0.0/16");
        assert_eq!(pool(&["10.0.0.0/8"], &[], &["0.0.0.0/0"]).unwrap(), "100.127.0.0/16");
        assert_eq!(pool(&["0.0.0.0/1", "128.0.0.0/1"], &[], &[]), None);
    }
}
