//! The least of a Runtime API: one event for whoever asks, and the moment of its response.
//!
//! Loopback only. A runtime that does not come is given up after [`LIMIT`].

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A start over a slow origin takes seconds; one that takes this long has failed.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a runtime asks for events.
pub(super) struct RuntimeApi {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// What a function responded, and when it did.
pub(super) struct Response {
    pub(super) at: Instant,
    pub(super) body: String,
}

impl RuntimeApi {
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Hands out the event until there is a response, or `ended` says that there will be none.
    pub(super) fn first_response(
        &self,
        event: &str,
        mut ended: impl FnMut() -> io::Result<bool>,
    ) -> io::Result<Response> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let mut poll = [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
            let tick = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            rustix::event::poll(&mut poll, Some(&tick))?;
            match self.listener.accept() {
                Ok((connection, _)) => {
                    if let Some(response) = serve(&connection, event)? {
                        return Ok(response);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if ended()? {
                        return Err(io::Error::other("the runtime has ended without a response"));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Requests of one connection, until it is closed or brings the response.
fn serve(mut connection: &TcpStream, event: &str) -> io::Result<Option<Response>> {
    connection.set_nonblocking(false)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(LIMIT))?;
    let mut received = Vec::new();
    loop {
        let Some((head_bytes, path, body_bytes)) = head(&received)? else {
            let mut piece = [0; 4096];
            match connection.read(&mut piece)? {
                0 => return Ok(None),
                bytes => received.extend_from_slice(&piece[..bytes]),
            }
            continue;
        };
        if path.ends_with("/invocation/next") {
            // With all that AWS sends: the runtime's client is not prepared for less.
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 lambda-runtime-aws-request-id: 11111111-1111-4111-8111-111111111111\r\n\
                 lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n\
                 lambda-runtime-deadline-ms: 4102444800000\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n\r\n{event}",
                event.len()
            );
            connection.write_all(answer.as_bytes())?;
            received.drain(..head_bytes);
            continue;
        }
        while received.len() < head_bytes + body_bytes {
            let mut piece = [0; 4096];
            match connection.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => received.extend_from_slice(&piece[..bytes]),
            }
        }
        let at = Instant::now();
        let body = String::from_utf8_lossy(&received[head_bytes..head_bytes + body_bytes]).into_owned();
        connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
        return if path.ends_with("/response") {
            Ok(Some(Response { at, body }))
        } else {
            Err(io::Error::other(format!("the runtime reports to {path}: {body}")))
        };
    }
}

/// Of a request whose head is complete: how long that is, its path, and how long its body is.
fn head(received: &[u8]) -> io::Result<Option<(usize, String, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = request.parse(received).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body_bytes = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    Ok(Some((bytes, request.path.unwrap_or_default().to_owned(), body_bytes.unwrap_or(0))))
}
