//! A function's stdout and stderr, line by line.
//!
//! The driver waits on [`Capture::readable`] and, at the end of an invocation, calls [`Capture::drain`]: what a
//! process wrote before it called `next` is in the pipe by then, so no line of an invocation comes after its
//! REPORT. Reading never waits; a function that floods its output is slowed by the full pipe and nothing else.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// A longer line is passed on in pieces of this size.
const LINE_LIMIT_BYTES: usize = 256 * 1024;

/// How much is read in one go; as large as a pipe is by default.
const READ_BYTES: usize = 64 * 1024;

/// How often a pipe is read before others get their turn: a writer that never pauses must not keep the
/// driver from its deadlines.
const READS_PER_TURN: usize = 4;

/// Both outputs of a runtime.
#[derive(Debug)]
pub(crate) struct Capture {
    stdout: Stream,
    stderr: Stream,
    buffer: Vec<u8>,
}

/// The ends that the process gets.
#[derive(Debug)]
pub(crate) struct Writers {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

#[derive(Debug)]
struct Stream {
    /// Gone once every writer has closed its end.
    pipe: Option<AsyncFd<OwnedFd>>,
    partial: Vec<u8>,
}

impl Capture {
    /// Two new pipes.
    pub(crate) fn new() -> io::Result<(Self, Writers)> {
        let (stdout, stdout_writer) = Stream::new()?;
        let (stderr, stderr_writer) = Stream::new()?;
        let capture = Capture { stdout, stderr, buffer: vec![0; READ_BYTES] };
        Ok((capture, Writers { stdout: stdout_writer, stderr: stderr_writer }))
    }

    /// Resolves when there may be something to read; never, once both pipes are closed. Cancel-safe.
    pub(crate) async fn readable(&self) {
        tokio::select! {
            () = self.stdout.readable() => {}
            () = self.stderr.readable() => {}
        }
    }

    /// Passes on the complete lines that can be had without waiting, up to a bound.
    pub(crate) fn read(&mut self, mut line: impl FnMut(&[u8])) {
        for _ in 0..READS_PER_TURN {
            let more = self.stdout.read(&mut self.buffer, &mut line);
            if !(self.stderr.read(&mut self.buffer, &mut line) || more) {
                return;
            }
        }
    }

    /// Passes on everything that was written until now, and what stands without its newline.
    pub(crate) fn drain(&mut self, mut line: impl FnMut(&[u8])) {
        // The bound is what two full pipes hold, twice: a background thread that writes on and on must not
        // keep an invocation from ending.
        for _ in 0..READS_PER_TURN {
            let more = self.stdout.read(&mut self.buffer, &mut line);
            if !(self.stderr.read(&mut self.buffer, &mut line) || more) {
                break;
            }
        }
        self.stdout.flush(&mut line);
        self.stderr.flush(&mut line);
    }
}

impl Stream {
    fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        let reader = OwnedFd::from(reader);
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((Stream { pipe: Some(AsyncFd::new(reader)?), partial: Vec::new() }, OwnedFd::from(writer)))
    }

    async fn readable(&self) {
        match &self.pipe {
            // The readiness is cleared when a read finds nothing, see `read`.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// One read. True when there may be more.
    fn read(&mut self, buffer: &mut [u8], line: &mut impl FnMut(&[u8])) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        // Past tokio's cached readiness, which may lag behind the pipe: at the end of an invocation the truth
        // is wanted.
        match rustix::io::read(pipe.get_ref(), &mut *buffer) {
            Ok(0) => {
                self.pipe = None;
                self.flush(line);
                false
            }
            Ok(count) => {
                self.split(&buffer[..count], line);
                true
            }
            Err(rustix::io::Errno::INTR) => true,
            Err(rustix::io::Errno::AGAIN) => {
                self.clear_readiness();
                false
            }
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }

    /// Tells tokio that the pipe was found empty. Only a readiness that it reports now may be cleared, or a
    /// write that came in between would be missed: `try_io` looks again under the same readiness.
    fn clear_readiness(&self) {
        let Some(pipe) = &self.pipe else { return };
        let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(Ok(mut guard)) = pipe.poll_read_ready(context) {
            let _ = guard.try_io(|pipe| {
                let mut available = [rustix::event::PollFd::new(pipe.get_ref(), rustix::event::PollFlags::IN)];
                match rustix::event::poll(&mut available, Some(&rustix::time::Timespec::default())) {
                    Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
                    _ => Ok(()),
                }
            });
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
