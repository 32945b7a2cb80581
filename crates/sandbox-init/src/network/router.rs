//! The router: a network namespace of the process that makes sandboxes, to which each sandbox is connected.

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::Ipv4Addr;

use rustix::io::Errno;

use super::link::{self, End, Link, SANDBOX_INTERFACE};
use super::netlink::Netlink;
use super::plan::{Pool, RouterPlan, Uplink};
use super::prefix::Prefix;
use super::ruleset;

/// Interfaces of sandboxes have numbers from here, which the kernel would give out by itself only after as many others.
const FIRST_INDEX: u32 = 1 << 16;

/// Settings of the router's namespace, below `/proc/sys/net`.
const SETTINGS: [(&str, &str, Needed); 7] = [
    ("ipv4/ip_forward", "1", Needed::Yes),
    // A packet whose sender is not behind the interface that it came from is dropped: no sandbox can speak for another.
    ("ipv4/conf/all/rp_filter", "1", Needed::Yes),
    ("ipv4/conf/default/rp_filter", "1", Needed::Yes),
    // Sandboxes are not to be told of shorter ways to each other.
    ("ipv4/conf/all/send_redirects", "0", Needed::Yes),
    ("ipv4/conf/default/send_redirects", "0", Needed::Yes),
    ("ipv6/conf/all/disable_ipv6", "1", Needed::WhereItExists),
    ("ipv6/conf/default/disable_ipv6", "1", Needed::WhereItExists),
];

#[derive(PartialEq, Eq)]
enum Needed {
    Yes,
    WhereItExists,
}

/// The router of the namespace in which it was opened. It is gone with the namespace.
#[derive(Debug)]
pub struct Router {
    netlink: Netlink,
    plan: RouterPlan,
    /// How many sandboxes were connected so far.
    connected: u32,
}

impl Router {
    /// Makes the namespace of this process a router. It must be new, and this process the only one in it.
    ///
    /// Nothing passes before the rules stand. With [`Uplink::Pasta`] nothing gets out until `pasta` is there; its interface must be
    /// called [`Router::UPLINK`].
    ///
    /// # Errors
    /// With what could not be done in the text: a setting is refused where `/proc/sys` is read-only, as in many containers; `nft`
    /// says what it does not know.
    pub fn open(plan: &RouterPlan) -> io::Result<Self> {
        ruleset::apply(&plan.nft, &ruleset::whole(plan))?;
        for (setting, value, needed) in SETTINGS {
            set(setting, value, &needed)?;
        }
        let mut netlink = Netlink::open()?;
        let loopback = link::index(c"lo")?;
        let gateway = plan.pool.gateway();
        netlink.must([link::up(loopback), link::address(loopback, gateway, gateway, 32)])?;
        if let Uplink::Veth { pid, name } = &plan.uplink {
            let name = CString::new(name.as_str())?;
            netlink.must([link::pair(&End { name: UPLINK_C, index: 0 }, &name, *pid)])?;
            let uplink = link::index(UPLINK_C)?;
            netlink.must([
                link::address(uplink, plan.pool.uplink(), plan.pool.uplink(), Pool::UPLINK_BITS),
                link::default_route(uplink, plan.pool.uplink_gateway()),
            ])?;
        }
        Ok(Self { netlink, plan: plan.clone(), connected: 0 })
    }

    /// The interface that leads outside.
    pub const UPLINK: &str = "uplink";

    /// Connects the network namespace of a process, which gets an interface to be configured by [`configure`](super::configure).
    ///
    /// The connection ends with the namespace. The kernel takes its time over that, so addresses go round: one is used again when all
    /// others were, and when nobody has it any more.
    ///
    /// # Errors
    /// When the process is gone, has an `eth0` already, or every address is in use.
    pub fn connect(&mut self, pid: u32) -> io::Result<Link> {
        let gateway = self.plan.pool.gateway();
        let (index, mut address) = self.next();
        let name =
            CString::new(format!("{}{index}", ruleset::SANDBOX_INTERFACES)).expect("holds no zero byte");
        let here = End { name: &name, index };
        let pair = link::pair(&here, SANDBOX_INTERFACE, pid);
        let [paired, mut routed] = self.netlink.ask([pair, link::host_route(index, address, gateway)])?;
        paired?;
        for _ in 0..Pool::SANDBOXES {
            match routed {
                Ok(()) => return Ok(Link { address, gateway }),
                // Of a sandbox that still lives, from the last round.
                Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {
                    (_, address) = self.next();
                    [routed] = self.netlink.ask([link::host_route(index, address, gateway)])?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Errno::ADDRNOTAVAIL.into())
    }

    fn next(&mut self) -> (u32, Ipv4Addr) {
        let number = self.connected;
        // Interfaces have more numbers than there are addresses, and positive ones only.
        self.connected = (number + 1) % (i32::MAX.unsigned_abs() - FIRST_INDEX);
        (FIRST_INDEX + number, self.plan.pool.sandbox(number))
    }

    /// Replaces what of the host may not be reached. What is connected already stays so. Runs `nft`, some milliseconds.
    ///
    /// # Errors
    /// As [`Router::open`].
    pub fn set_host(&mut self, host: Vec<Prefix>) -> io::Result<()> {
        ruleset::apply(&self.plan.nft, &ruleset::host(&host))?;
        self.plan.host = host;
        Ok(())
    }
}

const UPLINK_C: &std::ffi::CStr = c"uplink";

fn set(setting: &str, value: &str, needed: &Needed) -> io::Result<()> {
    let path = format!("/proc/sys/net/{setting}");
    let is = fs::read_to_string(&path);
    match is {
        // Not written needlessly: it may be right and read-only.
        Ok(is) if is.trim() == value => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && *needed == Needed::WhereItExists => {
            return Ok(());
        }
        _ => {}
    }
    fs::write(&path, value)
        .map_err(|error| io::Error::new(error.kind(), format!("{path} cannot be set to {value}: {error}")))
}
