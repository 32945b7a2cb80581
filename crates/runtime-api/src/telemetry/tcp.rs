//! Batches as lines on a connection.
//!
//! Used by `delivery` for one subscriber. What the kernel has taken counts as delivered, since nothing comes back; a
//! connection that breaks is made anew, and the line that it broke in is sent whole. The listener is on the
//! environment's loopback.

use std::io;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tracing::debug;

use super::delivery::{Hurry, Patience, Pauses};
use super::dial::Dial;

/// A listener for lines.
pub(super) struct Tcp {
    dial: Dial,
    port: u16,
    connection: Option<TcpStream>,
    patience: Patience,
}

impl Tcp {
    pub(super) fn new(dial: Dial, port: u16, patience: Patience) -> Self {
        Tcp { dial, port, connection: None, patience }
    }

    /// Returns once the batch is written.
    pub(super) async fn deliver(&mut self, batch: &[Bytes], hurry: &Hurry) {
        let lines = lines(batch);
        let mut rest = lines.as_slice();
        let mut pauses = Pauses::new();
        loop {
            self.patience.awake().await;
            let before = rest.len();
            match self.write(&mut rest).await {
                Ok(()) => return,
                Err(error) => debug!(%error, "a subscriber could not be reached"),
            }
            self.connection = None;
            if rest.len() < before {
                pauses = Pauses::new();
            }
            rest = &lines[start_of_line(&lines, lines.len() - rest.len())..];
            pauses.pause(hurry).await;
        }
    }

    /// Takes from `rest` what was written.
    async fn write(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        let connection = match self.connection.take().filter(is_open) {
            Some(connection) => self.connection.insert(connection),
            None => {
                let connect = self.dial.port(self.port);
                self.connection.insert(self.patience.with(connect).await.unwrap_or_else(too_slow)?)
            }
        };
        while !rest.is_empty() {
            let written = self.patience.with(connection.write(rest)).await.unwrap_or_else(too_slow)?;
            *rest = &rest[written..];
        }
        Ok(())
    }
}

fn too_slow<T>() -> io::Result<T> {
    Err(io::ErrorKind::TimedOut.into())
}

/// A peer that has gone is known by its end of the stream; writing alone would tell one batch later. Read past
/// tokio, which learns of the end only when it is next idle.
fn is_open(connection: &TcpStream) -> bool {
    const READS: usize = 8;
    let mut ignored = [0; 1024];
    for _ in 0..READS {
        match rustix::io::read(connection, &mut ignored) {
            Ok(0) => return false,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return error == Errno::AGAIN,
        }
    }
    true
}

fn lines(events: &[Bytes]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
    for event in events {
        lines.extend_from_slice(event);
        lines.push(b'\n');
    }
    lines
}

/// Where the line begins that is cut at `end`.
fn start_of_line(lines: &[u8], end: usize) -> usize {
    lines[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_line_is_sent_whole() {
        let all = lines(&[Bytes::from_static(b"one"), Bytes::from_static(b"two")]);
        assert_eq!(all, b"one\ntwo\n");
        for (end, start) in [(0, 0), (1, 0), (3, 0), (4, 4), (5, 4), (7, 4), (8, 8)] {
            assert_eq!(start_of_line(&all, end), start, "{end}");
        }
    }
}
