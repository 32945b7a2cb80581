//! Interfaces of this process's namespace, and the socket that a sandbox listens on.

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use super::netlink::{self, Netlink, Request};

/// What a sandbox calls its way out.
pub(super) const SANDBOX_INTERFACE: &CStr = c"eth0";

/// Always the first interface of a namespace.
const LOOPBACK: u32 = 1;

const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u16 = 10;

/// A sandbox's end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Of the sandbox.
    pub address: Ipv4Addr,
    /// Its next hop on the way to everything.
    pub gateway: Ipv4Addr,
}

/// Brings the loopback of this namespace up; a new namespace has it down.
///
/// # Errors
/// Without the right to configure this namespace.
pub fn loopback_up() -> io::Result<()> {
    Netlink::open()?.must([up(LOOPBACK)])
}

/// Configures the interface that [`Router::connect`](super::Router::connect) has put into this namespace.
///
/// # Errors
/// When there is none, or without the right to configure it.
pub fn configure(link: &Link) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let eth0 = index(SANDBOX_INTERFACE)?;
    // Before it comes up, or it would get an address. A kernel that has no IPv6 refuses, and needs nothing.
    let _ = netlink.ask([without_ipv6(eth0)])?;
    netlink.must([
        up(eth0),
        // With its next hop as the other end, which is a route to it.
        address(eth0, link.address, link.gateway, 32),
        default_route(eth0, link.gateway),
    ])
}

/// A TCP socket that belongs to this namespace for ever, to be bound and listened on by whoever it is handed to.
///
/// Its port can be bound again at once after one that listened there before was shut down. What it accepts sends small writes
/// without waiting.
///
/// # Errors
/// When descriptors ran out.
pub fn unbound_socket() -> io::Result<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted sockets inherit it.
    rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket)
}

/// An interface of this namespace, known by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface(u32);

impl Interface {
    /// Finds it.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn named(name: &CStr) -> io::Result<Self> {
        Ok(Self(index(name)?))
    }

    /// Gives it an address in a block of this length, and brings it up.
    ///
    /// # Errors
    /// When it has the address already, is gone, or without the right.
    pub fn bring_up(self, at: Ipv4Addr, bits: u8) -> io::Result<()> {
        Netlink::open()?.must([address(self.0, at, at, bits), up(self.0)])
    }
}

pub(super) fn index(name: &CStr) -> io::Result<u32> {
    let any = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let name = name.to_str().map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(rustix::net::netdevice::name_to_index(any, name)?)
}

/// One end of a new pair.
pub(super) struct End<'a> {
    pub(super) name: &'a CStr,
    /// 0 lets the kernel choose.
    pub(super) index: u32,
}

/// A pair of interfaces: one here, which is up; the other, which is not, in the namespace of a process.
pub(super) fn pair(here: &End<'_>, there: &CStr, pid: u32) -> Request {
    // One queue each: by default there is one for each processor of the host, and a sandbox has a share of one or two.
    let queues = |request: Request| {
        request
            .attribute(IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes())
            .attribute(IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes())
    };
    let peer = |request: Request| {
        queues(request.raw(&interface(0, 0)))
            .attribute(IFLA_IFNAME, there.to_bytes_with_nul())
            .attribute(IFLA_NET_NS_PID, &pid.to_ne_bytes())
    };
    let request = Request::new(
        netlink::RTM_NEWLINK,
        netlink::NLM_F_CREATE | netlink::NLM_F_EXCL,
        &interface(here.index, IFF_UP),
    );
    queues(request).attribute(IFLA_IFNAME, here.name.to_bytes_with_nul()).nested(IFLA_LINKINFO, |info| {
        info.attribute(IFLA_INFO_KIND, b"veth")
            .nested(IFLA_INFO_DATA, |data| data.nested(VETH_INFO_PEER, peer))
    })
}

pub(super) fn up(index: u32) -> Request {
    Request::new(netlink::RTM_SETLINK, 0, &interface(index, IFF_UP))
}

fn without_ipv6(index: u32) -> Request {
    Request::new(netlink::RTM_SETLINK, 0, &interface(index, 0)).nested(IFLA_AF_SPEC, |families| {
        families
            .nested(AF_INET6, |inet6| inet6.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]))
    })
}

/// `peer` is the other end of a point-to-point connection, or the address itself in a block with others.
pub(super) fn address(index: u32, local: Ipv4Addr, peer: Ipv4Addr, bits: u8) -> Request {
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [AF_INET, bits, 0, RT_SCOPE_UNIVERSE, a, b, c, d];
    Request::new(netlink::RTM_NEWADDR, netlink::NLM_F_CREATE | netlink::NLM_F_EXCL, &header)
        .attribute(IFA_LOCAL, &local.octets())
        .attribute(IFA_ADDRESS, &peer.octets())
}

pub(super) fn default_route(index: u32, gateway: Ipv4Addr) -> Request {
    route(0, RT_SCOPE_UNIVERSE)
        .attribute(RTA_OIF, &index.to_ne_bytes())
        .attribute(RTA_GATEWAY, &gateway.octets())
}

/// To one address right behind an interface. Fails if there is one to that address.
pub(super) fn host_route(index: u32, destination: Ipv4Addr, from: Ipv4Addr) -> Request {
    route(32, RT_SCOPE_LINK)
        .attribute(RTA_DST, &destination.octets())
        .attribute(RTA_OIF, &index.to_ne_bytes())
        .attribute(RTA_PREFSRC, &from.octets())
}

fn route(bits: u8, scope: u8) -> Request {
    let header = [AF_INET, bits, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0];
    Request::new(netlink::RTM_NEWROUTE, netlink::NLM_F_CREATE | netlink::NLM_F_EXCL, &header)
}

/// `struct ifinfomsg`, with the flags that are to be set.
fn interface(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}
