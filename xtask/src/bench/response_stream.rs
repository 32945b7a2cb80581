//! A caller of `InvokeWithResponseStream`: one blocking connection, read piece by piece.
//!
//! ```text
//! socket ──► Chunked (transfer coding off) ──► ResponseStream (messages off, where there are any) ──► the function's bytes
//! ```
//!
//! It never reads ahead of its caller by more than [`READ_BYTES`] and one message, so that a slow caller is a slow
//! reader. The floor answers without messages: the bytes as they are. Checksums are not looked at, since they are the
//! tests' business and would slow the caller down.

use std::io::{self, BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use super::guest::Event;
use super::load::{InvokeError, connect, holds};

/// What is read from the socket at a time.
const READ_BYTES: usize = 64 * 1024;

/// The largest message that is believed.
const MESSAGE_LIMIT: usize = 1024 * 1024;

/// A streamed answer on its way.
pub(super) struct ResponseStream {
    address: SocketAddr,
    body: Chunked<BufReader<TcpStream>>,
    in_messages: bool,
    piece: Vec<u8>,
}

impl ResponseStream {
    /// Invokes, and waits for the head of the answer.
    pub(super) fn open(address: SocketAddr, function: &str, event: &Event) -> Result<Self, InvokeError> {
        let lost = |source| InvokeError::Connection { address, source };
        let event = serde_json::to_string(event).expect("numbers and an address make JSON");
        let mut stream = connect(address)?;
        let request = format!(
            "POST /2021-11-15/functions/{function}/response-streaming-invocations HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        );
        io::Write::write_all(&mut stream, request.as_bytes()).map_err(lost)?;

        let mut stream = BufReader::with_capacity(READ_BYTES, stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        match status {
            Some(200) if head.contains("transfer-encoding: chunked") => {}
            Some(status @ (..200 | 300..)) => {
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let mut body = String::new();
                stream.take(length.unwrap_or(0)).read_to_string(&mut body).map_err(lost)?;
                return Err(InvokeError::Unexpected { status, body });
            }
            _ => return Err(InvokeError::MalformedStream(head)),
        }
        let in_messages = head.contains("application/vnd.amazon.eventstream");
        Ok(Self {
            address,
            body: Chunked { inner: stream, left: 0, ended: false },
            in_messages,
            piece: Vec::new(),
        })
    }

    /// The next bytes of the function's; nothing at the proper end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, InvokeError> {
        if self.in_messages {
            return self.next_message();
        }
        self.piece.resize(READ_BYTES, 0);
        let count = self.body.read(&mut self.piece).map_err(|source| self.lost(source))?;
        self.piece.truncate(count);
        Ok((count > 0).then_some(&self.piece))
    }

    /// A message is: its length, the length of its headers, a checksum; headers; payload; a checksum.
    fn next_message(&mut self) -> Result<Option<&[u8]>, InvokeError> {
        let mut prelude = [0; 12];
        self.body.read_exact(&mut prelude).map_err(|source| self.lost(source))?;
        let [length, headers] = [0, 4].map(|at| {
            let field = prelude[at..at + 4].try_into().expect("four of twelve bytes");
            usize::try_from(u32::from_be_bytes(field)).unwrap_or(usize::MAX)
        });
        let rest = length.saturating_sub(prelude.len());
        if length > MESSAGE_LIMIT || rest < headers.saturating_add(4) {
            return Err(InvokeError::MalformedStream(format!(
                "a message of {length} bytes, {headers} of headers"
            )));
        }
        self.piece.resize(rest, 0);
        self.body
            .read_exact(&mut self.piece)
            .map_err(|source| InvokeError::Connection { address: self.address, source })?;
        let (headers, payload) = self.piece[..rest - 4].split_at(headers);
        if holds(headers, b"PayloadChunk") {
            return Ok(Some(payload));
        }
        if payload != b"{}" {
            return Err(InvokeError::MalformedStream(String::from_utf8_lossy(payload).into_owned()));
        }
        Ok(None)
    }

    fn lost(&self, source: io::Error) -> InvokeError {
        InvokeError::Connection { address: self.address, source }
    }
}

/// Takes the chunked transfer coding off. Trailers are not expected.
struct Chunked<R> {
    inner: R,
    /// Of the chunk at hand.
    left: usize,
    ended: bool,
}

impl<R: io::BufRead> Chunked<R> {
    /// Goes on to the next chunk, or over the end of the last.
    fn start(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.inner.read_line(&mut line)?;
        self.left = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        if self.left == 0 {
            self.ended = true;
            self.end_of_line()?;
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> io::Result<()> {
        let mut mark = [0; 2];
        self.inner.read_exact(&mut mark)?;
        if &mark == b"\r\n" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

impl<R: io::BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.start()?;
        }
        if self.ended {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        if self.left == 0 {
            self.end_of_line()?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(coded: &str, expect: Option<&str>) {
        let mut body = String::new();
        let read = Chunked { inner: coded.as_bytes(), left: 0, ended: false }.read_to_string(&mut body);
        assert_eq!(read.ok().map(|_| body.as_str()), expect, "{coded:?}");
    }

    #[test]
    fn a_body_ends_with_its_last_chunk_and_nowhere_before() {
        check("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", Some("abc0123456789"));
        check("0\r\n\r\n", Some(""));
        check("3\r\nabc\r\n", None);
        check("3\r\nab", None);
        check("3\r\nabcd\r\n0\r\n\r\n", None);
        check("x\r\n", None);
    }
}
