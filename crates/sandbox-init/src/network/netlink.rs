//! Route netlink: requests with their acknowledgements, and dumps. Synchronous.
//!
//! Written here because the library there is for it brings fifty thousand lines and a second `syn` into the program that is the first
//! process of each sandbox, for five kinds of message. The numbers are the kernel's (`linux/rtnetlink.h`, `if_link.h`, `if_addr.h`,
//! `veth.h`) and the same on every architecture.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_SETLINK: u16 = 19;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_GETROUTE: u16 = 26;

pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_EXCL: u16 = 0x200;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// Marks an attribute that holds attributes.
const NLA_F_NESTED: u16 = 0x8000;

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;

/// What the kernel sends in one go at most: 32 KiB in a dump.
const RECEIVED_BYTES: usize = 64 << 10;

/// One request, being written.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// `header` is the fixed part that messages of this kind begin with.
    pub(super) fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        // Length and sequence number are written when it is sent; the sender's port is the kernel's to fill in.
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(header);
        Self(bytes)
    }

    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.nest(kind, |request| request.0.extend_from_slice(value));
        self
    }

    /// An attribute whose value is written by `inner`: more attributes, after a fixed part where it has one.
    pub(super) fn nested(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        self.nest(kind | NLA_F_NESTED, |request| {
            request.0 = inner(Self(std::mem::take(&mut request.0))).0;
        });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; ATTRIBUTE_BYTES]);
        write(self);
        let n = u16::try_from(self.0.len() - start).expect("attributes here are a few hundred bytes");
        self.0[start..start + 2].copy_from_slice(&n.to_ne_bytes());
        self.0[start + 2..start + ATTRIBUTE_BYTES].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(&mut self, sequence: u32, flags: u16) {
        let n = u32::try_from(self.0.len()).expect("requests here are a few hundred bytes");
        let flags = flags | u16::from_ne_bytes([self.0[6], self.0[7]]);
        self.0[..4].copy_from_slice(&n.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

/// A socket to the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        Self::listening(0)
    }

    /// One to which the kernel also sends news of these groups.
    pub(super) fn listening(groups: u32) -> io::Result<Self> {
        // No protocol is number 0, which for this family is routing.
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { socket, sequence: 0 })
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Has requests carried out in order. The result is that of each; a request that fails does not keep the next from being tried.
    pub(super) fn ask<const N: usize>(
        &mut self,
        mut requests: [Request; N],
    ) -> io::Result<[io::Result<()>; N]> {
        let first = self.sequence;
        for request in &mut requests {
            request.finish(self.sequence, NLM_F_ACK);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.send(&requests.map(|request| request.0).concat())?;
        let mut results: [Option<io::Result<()>>; N] = std::array::from_fn(|_| None);
        while results.iter().any(Option::is_none) {
            self.receive(|kind, sequence, body| {
                let position = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if let (NLMSG_ERROR, Some(result)) = (kind, results.get_mut(position)) {
                    *result = Some(outcome(body));
                }
            })?;
        }
        Ok(results.map(|result| result.expect("the loop ends when each is there")))
    }

    /// Likewise; the first failure is the result.
    pub(super) fn must<const N: usize>(&mut self, requests: [Request; N]) -> io::Result<()> {
        self.ask(requests)?.into_iter().collect()
    }

    /// Every entry of a table, each without the netlink header.
    pub(super) fn dump(&mut self, mut request: Request) -> io::Result<Vec<Vec<u8>>> {
        let asked = self.sequence;
        request.finish(asked, NLM_F_DUMP);
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&request.0)?;
        let mut entries = Vec::new();
        let mut end = None;
        while end.is_none() {
            self.receive(|kind, sequence, body| match kind {
                _ if sequence != asked => {}
                NLMSG_DONE => end = Some(Ok(())),
                NLMSG_ERROR => end = Some(outcome(body)),
                _ => entries.push(body.to_vec()),
            })?;
        }
        end.expect("the loop ends when it is there").map(|()| entries)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, bytes, SendFlags::empty()))?;
        Ok(())
    }

    fn receive(&self, mut message: impl FnMut(u16, u32, &[u8])) -> io::Result<()> {
        let mut buffer = vec![0_u8; RECEIVED_BYTES];
        let (n, _) = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty())
        })?;
        let mut rest = &buffer[..n];
        while let Some((header, _)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let n = usize::try_from(u32_at(header, 0)).unwrap_or(0);
            let Some(body) = rest.get(HEADER_BYTES..n) else {
                return Err(Errno::BADMSG.into());
            };
            message(u16::from_ne_bytes([header[4], header[5]]), u32_at(header, 8), body);
            rest = rest.get(n.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The attributes of a message after its fixed part.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (header, _) = bytes.split_first_chunk::<ATTRIBUTE_BYTES>()?;
        let n = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = bytes.get(ATTRIBUTE_BYTES..n)?;
        bytes = bytes.get(n.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([header[2], header[3]]) & !NLA_F_NESTED, value))
    })
}

fn outcome(body: &[u8]) -> io::Result<()> {
    let Some((errno, _)) = body.split_first_chunk::<4>() else {
        return Err(Errno::BADMSG.into());
    };
    match i32::from_ne_bytes(*errno) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
