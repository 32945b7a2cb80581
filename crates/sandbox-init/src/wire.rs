//! Frames on the control socket, and the descriptors that travel with them.
//!
//! ```text
//!   0        4                 4+n
//!   ┌────────┬──────────────────┐
//!   │ n: u32 │ n bytes of JSON  │    little-endian; descriptors by SCM_RIGHTS on the frame's first byte
//!   └────────┴──────────────────┘
//! ```
//!
//! Since the kernel hands over descriptors no later than the byte they were sent with, those of a frame
//! have arrived whenever the frame is complete; and since frames are written in order, a queue of
//! descriptors suffices to match them.
//!
//! No I/O policy here: [`send`] and [`Frames::receive`] make one system call each, so that the first process
//! may block in them and the server may wrap them in readiness.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Larger frames are refused on both ends. Twice what Linux accepts as arguments and environment together
/// by default, so that anything that could be executed can be asked for.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// A directory of cgroup2 and the files by which up to three controllers' groups are entered; no frame carries more.
pub const MAX_DESCRIPTORS: usize = 4;

const HEADER_BYTES: usize = size_of::<u32>();

/// Makes a message into a frame.
///
/// # Errors
/// When the message is larger than [`MAX_FRAME_BYTES`], or holds a path that is not UTF-8.
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut bytes, message)?;
    let n = bytes.len() - HEADER_BYTES;
    match u32::try_from(n) {
        Ok(header) if n <= MAX_FRAME_BYTES => bytes[..HEADER_BYTES].copy_from_slice(&header.to_le_bytes()),
        _ => return Err(too_large(n)),
    }
    Ok(bytes)
}

/// Sends some of `bytes`, the descriptors with the first of them. Returns how many bytes went; the rest is
/// to be sent without descriptors.
///
/// # Errors
/// As `sendmsg`: among them `EPIPE` (never the signal) when the other end is gone.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)), "a frame carries few");
    }
    // Apple's kernels have no such flag; the Rust runtime ignores the signal there and here.
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::empty();
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)?)
}

/// Makes a message into a frame and sends all of it, with its descriptors. For blocking sockets.
///
/// # Errors
/// As [`frame`] and [`send`].
pub fn send_whole(
    socket: impl AsFd,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let frame = frame(message)?;
    let (mut rest, mut descriptors) = (frame.as_slice(), descriptors);
    while !rest.is_empty() {
        match send(&socket, rest, descriptors) {
            Ok(n) => (rest, descriptors) = (&rest[n..], &[]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The receiving end: bytes and descriptors that have arrived and were not taken yet.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Frames {
    /// Receives what is there. `false` when the other end has closed.
    ///
    /// # Errors
    /// As `recvmsg`.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<bool> {
        let mut chunk = [0; 8192];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        // Without it a descriptor would leak into whatever is executed next.
        #[cfg(not(target_vendor = "apple"))]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let flags = RecvFlags::empty();
        let received =
            rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut chunk)], &mut ancillary, flags)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        #[cfg(target_vendor = "apple")]
        for descriptor in &self.descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        self.bytes.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes > 0)
    }

    /// The next complete message, if one has arrived.
    ///
    /// # Errors
    /// When the bytes are not what the other end may send. Nothing after it can be trusted.
    pub fn take_message<M: DeserializeOwned>(&mut self) -> io::Result<Option<M>> {
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let n = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if n > MAX_FRAME_BYTES {
            return Err(too_large(n));
        }
        let Some(body) = rest.get(..n) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body)?;
        self.bytes.drain(..HEADER_BYTES + n);
        Ok(Some(message))
    }

    /// The oldest descriptor not taken yet.
    pub fn take_descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }
}

fn too_large(n: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("frame of {n} bytes exceeds {MAX_FRAME_BYTES}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::protocol::{Report, Request, Signal};

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let first = Report::Started { name: "a".into(), pid: 7 };
        let second = Report::Emptied;
        let bytes = [frame(&first).unwrap(), frame(&second).unwrap()].concat();
        for cut in 0..=bytes.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                frames.bytes.extend_from_slice(part);
                while let Some(report) = frames.take_message::<Report>().unwrap() {
                    seen.push(report);
                }
            }
            assert_eq!(seen, [first.clone(), second.clone()], "cut at {cut}");
        }
    }

    #[test]
    fn descriptors_arrive_with_their_frame_and_are_closed_on_exec() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let carried = rustix::pipe::pipe().unwrap();
        let bytes = frame(&Request::Signal { name: "x".into(), signal: Signal::Kill }).unwrap();
        assert_eq!(send(&ours, &bytes, &[carried.0.as_fd(), carried.1.as_fd()]).unwrap(), bytes.len());
        let mut frames = Frames::default();
        assert!(frames.receive(&theirs).unwrap());
        assert!(matches!(frames.take_message::<Request>().unwrap(), Some(Request::Signal { .. })));
        for _ in 0..2 {
            let descriptor = frames.take_descriptor().unwrap();
            assert!(rustix::io::fcntl_getfd(&descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        drop(ours);
        assert!(!frames.receive(&theirs).unwrap());
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused() {
        let mut frames = Frames { bytes: u32::MAX.to_le_bytes().to_vec(), ..Frames::default() };
        assert!(frames.take_message::<Request>().is_err());
        let name = "x".repeat(MAX_FRAME_BYTES);
        assert!(frame(&Request::Signal { name, signal: Signal::Kill }).is_err());
    }
}
