//! What the kernel of this namespace says of addresses: which are its own, and which it knows a way to.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use super::netlink::{self, Netlink, Request};
use super::prefix::Prefix;

const RT_TABLE_LOCAL: u8 = 255;
const RTA_DST: u16 = 1;
const RTMSG_BYTES: usize = 12;
const AF_INET: u8 = 2;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;

/// The destinations that are delivered here: addresses of interfaces, their broadcasts, and blocks that somebody has declared local.
/// From the table that the kernel itself decides by, so that nothing which it would take for itself is missing.
///
/// # Errors
/// When descriptors ran out.
pub fn own() -> io::Result<Vec<Prefix>> {
    let own = destinations()?.into_iter().filter(|(table, _)| *table == RT_TABLE_LOCAL);
    Ok(Prefix::without_contained(own.map(|(_, block)| block).collect()))
}

/// The destinations there is a way to, but for the way to everything.
///
/// # Errors
/// When descriptors ran out.
pub fn known() -> io::Result<Vec<Prefix>> {
    let known = destinations()?.into_iter().filter(|(_, block)| block.bits() > 0);
    Ok(Prefix::without_contained(known.map(|(_, block)| block).collect()))
}

fn destinations() -> io::Result<Vec<(u8, Prefix)>> {
    let mut header = [0; RTMSG_BYTES];
    header[0] = AF_INET;
    let entries = Netlink::open()?.dump(Request::new(netlink::RTM_GETROUTE, 0, &header))?;
    let destination = |entry: &Vec<u8>| {
        let (header, rest) = entry.split_first_chunk::<RTMSG_BYTES>()?;
        let address = netlink::attributes(rest).find(|(kind, _)| *kind == RTA_DST);
        // Absent where the destination is everything.
        let address = address.and_then(|(_, value)| <[u8; 4]>::try_from(value).ok()).unwrap_or_default();
        Some((header[4], Prefix::new(Ipv4Addr::from(address), header[1])))
    };
    Ok(entries.iter().filter_map(destination).collect())
}

/// A socket that receives a datagram whenever an address or a route of this namespace changes. It does not block.
///
/// # Errors
/// When descriptors ran out.
pub fn changes() -> io::Result<OwnedFd> {
    let socket = Netlink::listening(RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE)?.into_socket();
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_its_own() {
        let own = own().unwrap();
        assert!(own.iter().any(|block| block.contains(Ipv4Addr::LOCALHOST)), "{own:?}");
        assert!(!own.iter().any(|block| block.contains(Ipv4Addr::new(8, 8, 8, 8))), "{own:?}");
    }
}
