//! A function's stdout and stderr, line by line.
//!
//! Both go into one pipe, so that what was written first is read first, whichever of the two it was written to.
//! The driver waits on [`Capture::readable`] and, at the end of an invocation, calls [`Capture::drain`]: what a
//! process wrote before it called `next` is in the pipe by then, so no line of an invocation comes after its
//! REPORT. Reading never waits; a function that floods its output is slowed by the full pipe and nothing else.

use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe::Receiver;

/// A longer line is passed on in pieces of this size.
const LINE_LIMIT_BYTES: usize = 256 * 1024;

/// How much is read in one go.
const READ_BYTES: usize = 16 * 1024;

/// How often the pipe is read before others get their turn, which is twice what a pipe holds: a writer that never
/// pauses must not keep the driver from its deadlines.
const READS_PER_TURN: usize = 8;

/// The output of a runtime.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Gone once every writer has closed its end.
    pipe: Option<Receiver>,
    /// A line that has begun.
    partial: Vec<u8>,
    buffer: Vec<u8>,
}

/// The ends that the process gets.
#[derive(Debug)]
pub(crate) struct Writers {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Two ways to read a pipe without waiting.
#[derive(Debug, Clone, Copy)]
enum How {
    /// As tokio was told that it is readable, which it also unlearns here.
    WhenReadable,
    /// Past what tokio was told, which may lag behind the pipe: at the end of an invocation the truth is
    /// wanted.
    Now,
}

impl Capture {
    /// A new pipe.
    pub(crate) fn new() -> io::Result<(Self, Writers)> {
        let (reader, writer) = io::pipe()?;
        let pipe = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let writers = Writers { stdout: writer.try_clone()?.into(), stderr: writer.into() };
        Ok((Capture { pipe: Some(pipe), partial: Vec::new(), buffer: vec![0; READ_BYTES] }, writers))
    }

    /// Resolves when there may be something to read; never, once the pipe is closed. Cancel-safe.
    pub(crate) async fn readable(&self) {
        match &self.pipe {
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// Passes on the complete lines that can be had without waiting, up to a bound. True when there may be more.
    pub(crate) fn read(&mut self, mut line: impl FnMut(&[u8])) -> bool {
        self.read_some(How::WhenReadable, &mut line)
    }

    /// Passes on everything that was written until now, and what stands without its newline. A background
    /// thread that writes on and on does not keep an invocation from ending: there is a bound here too.
    pub(crate) fn drain(&mut self, mut line: impl FnMut(&[u8])) {
        self.read_some(How::Now, &mut line);
        self.flush(&mut line);
    }

    fn read_some(&mut self, how: How, line: &mut impl FnMut(&[u8])) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let more = (0..READS_PER_TURN).all(|_| self.read_once(how, &mut buffer, line));
        self.buffer = buffer;
        more
    }

    /// One read. True when there may be more.
    fn read_once(&mut self, how: How, buffer: &mut [u8], line: &mut impl FnMut(&[u8])) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let result = match how {
            How::WhenReadable => pipe.try_read(buffer),
            How::Now => rustix::io::read(pipe, &mut *buffer).map_err(io::Error::from),
        };
        match result {
            Ok(0) => {
                self.pipe = None;
                self.flush(line);
                false
            }
            Ok(count) => {
                self.split(&buffer[..count], line);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }

    fn split(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                line(&bytes[..end]);
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                line(&self.partial);
                self.partial.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        while self.partial.len() >= LINE_LIMIT_BYTES {
            let rest = self.partial.split_off(LINE_LIMIT_BYTES);
            line(&self.partial);
            self.partial = rest;
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial.clear();
        }
    }
}
