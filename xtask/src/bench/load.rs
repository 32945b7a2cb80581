//! The load generator: one blocking HTTP/1.1 connection per client, and the figures made of what the clients saw.
//!
//! A client is a `TcpStream`, a request prepared once, and a buffer. Nothing is shared between clients while they
//! run, no runtime is involved, so what is timed is the server. Called by `bench` and by each contestant's module.
//! Bounded by count or by time, and by [`ANSWER_LIMIT`] per answer. It refuses redirects, TLS and any address but
//! loopback.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long one answer may take before the client gives up.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The event of every invoke, and what the function's answer to it must hold.
const EVENT: &str = r#"{"name":"bench"}"#;
const GREETING: &[u8] = b"Hello, bench!";

/// Why an invoke gave nothing to time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    #[error("the load generator calls loopback only, not {0}")]
    NotLoopback(SocketAddr),
    #[error("no answer from {address}")]
    Connection {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the answer is not HTTP/1.1")]
    Malformed(#[source] httparse::Error),
    #[error("the answer is not HTTP/1.1: chunk size unreadable")]
    MalformedChunk,
    #[error("the answer is not a stream as it should be: {0}")]
    MalformedStream(String),
    #[error("unexpected answer {status}: {body}")]
    Unexpected { status: u16, body: String },
}

/// What an invoke came to, where it came to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The function's own answer, checked.
    Greeting,
    /// 429: every environment was busy; the caller tries again.
    Throttled,
}

/// A connection on which nothing waits for ever.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream, InvokeError> {
    if !address.ip().is_loopback() {
        return Err(InvokeError::NotLoopback(address));
    }
    TcpStream::connect_timeout(&address, ANSWER_LIMIT)
        .and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(ANSWER_LIMIT))?;
            stream.set_write_timeout(Some(ANSWER_LIMIT))?;
            Ok(stream)
        })
        .map_err(|source| InvokeError::Connection { address, source })
}

/// Lets so much time pass, and nothing happen in this thread.
#[expect(
    clippy::disallowed_methods,
    reason = "that time passes is what is measured; no task shares this thread"
)]
pub(super) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// One caller on one kept-alive connection.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, and prepares the request that every [`Client::invoke`] sends.
    pub(crate) fn connect(address: SocketAddr, function: &str) -> Result<Self, InvokeError> {
        let stream = connect(address)?;
        let request = format!(
            "POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{EVENT}",
            EVENT.len()
        );
        Ok(Self { address, stream, request: request.into_bytes(), buffer: Vec::with_capacity(4096) })
    }

    /// Sends the event and waits for the whole answer.
    pub(crate) fn invoke(&mut self) -> Result<Answer, InvokeError> {
        let lost = |source| InvokeError::Connection { address: self.address, source };
        self.stream.write_all(&self.request).map_err(lost)?;
        self.buffer.clear();
        let mut piece = [0; 4096];
        let reply = loop {
            match self.stream.read(&mut piece).map_err(lost)? {
                0 => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
                count => self.buffer.extend_from_slice(&piece[..count]),
            }
            if let Some(reply) = Reply::parse(&self.buffer)? {
                break reply;
            }
        };
        match reply.status {
            200 if !reply.function_error && holds(&reply.body, GREETING) => Ok(Answer::Greeting),
            429 => Ok(Answer::Throttled),
            status => Err(InvokeError::Unexpected {
                status,
                body: String::from_utf8_lossy(&reply.body).into_owned(),
            }),
        }
    }

    /// One invoke that must be answered by the function, and how long that took.
    pub(crate) fn timed(&mut self) -> Result<Duration, InvokeError> {
        let start = Instant::now();
        match self.invoke()? {
            Answer::Greeting => Ok(start.elapsed()),
            Answer::Throttled => Err(InvokeError::Unexpected { status: 429, body: "throttled".to_owned() }),
        }
    }
}

/// Several clients at once, each sending its next invoke when the last is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rush {
    pub(crate) answered: usize,
    pub(crate) throttled: usize,
    pub(crate) took: Duration,
}

/// Lets `clients` run for `duration`, all starting at once.
pub(crate) fn rush(
    address: SocketAddr,
    function: &str,
    clients: usize,
    duration: Duration,
) -> Result<Rush, InvokeError> {
    let callers: Vec<Client> =
        (0..clients).map(|_| Client::connect(address, function)).collect::<Result<_, _>>()?;
    let gate = Barrier::new(clients);
    let run = |mut caller: Client| {
        gate.wait();
        let start = Instant::now();
        let mut seen = Rush::default();
        while start.elapsed() < duration {
            match caller.invoke()? {
                Answer::Greeting => seen.answered += 1,
                Answer::Throttled => seen.throttled += 1,
            }
        }
        seen.took = start.elapsed();
        Ok(seen)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = callers.into_iter().map(|caller| scope.spawn(|| run(caller))).collect();
        running.into_iter().try_fold(Rush::default(), |sum, thread| {
            let one = thread.join().expect("a caller's thread has nothing that panics")?;
            Ok(Rush {
                answered: sum.answered + one.answered,
                throttled: sum.throttled + one.throttled,
                took: sum.took.max(one.took),
            })
        })
    })
}

/// Percentiles of a set of durations, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: usize,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
}

impl Percentiles {
    /// By nearest rank, so that each figure is one that was measured. `None` of nothing.
    pub(crate) fn of(samples: &[Duration]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
            Some(sorted.get(index)?.as_secs_f64() * 1e6)
        };
        Some(Self { count: sorted.len(), p50_us: rank(50)?, p90_us: rank(90)?, p99_us: rank(99)? })
    }
}

/// A whole answer, as far as the load generator cares.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    function_error: bool,
    body: Vec<u8>,
}

impl Reply {
    /// `None` until all of it is there.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, InvokeError> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(bytes).map_err(InvokeError::Malformed)? else {
            return Ok(None);
        };
        let header = |name: &str| {
            let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok()
        };
        let rest = &bytes[length..];
        let body = match header("content-length").and_then(|value| value.parse::<usize>().ok()) {
            Some(length) => rest.get(..length).map(<[u8]>::to_vec),
            None => dechunk(rest)?,
        };
        Ok(body.map(|body| Self {
            status: head.code.unwrap_or_default(),
            function_error: header("x-amz-function-error").is_some(),
            body,
        }))
    }
}

/// The chunks of a body put together, `None` until its last chunk is there. Trailers are not expected.
fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, InvokeError> {
    let mut body = Vec::new();
    loop {
        let Ok(parsed) = httparse::parse_chunk_size(rest) else {
            return Err(InvokeError::MalformedChunk);
        };
        let httparse::Status::Complete((start, size)) = parsed else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(|_| InvokeError::MalformedChunk)?;
        let Some((chunk, after)) = rest[start..].split_at_checked(size) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        rest = after;
        match (rest.len() >= 2, size) {
            (false, _) => return Ok(None),
            (true, 0) => return Ok(Some(body)),
            (true, _) => rest = &rest[2..],
        }
    }
}

pub(super) fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever arrives, an answer is complete at its last byte and at none before.
    fn check(answer: &str, expect: &Reply) {
        let bytes = answer.as_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..end]).unwrap(), None, "complete after {end} bytes");
        }
        assert_eq!(Reply::parse(bytes).unwrap().as_ref(), Some(expect));
    }

    #[test]
    fn an_answer_of_known_length_ends_with_its_body() {
        check(
            "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello",
            &Reply { status: 200, function_error: false, body: b"hello".to_vec() },
        );
    }

    #[test]
    fn a_chunked_answer_is_put_together() {
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Amz-Function-Error: Unhandled\r\n\r\n\
             3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            &Reply { status: 200, function_error: true, body: b"hello".to_vec() },
        );
    }

    #[test]
    fn an_answer_that_is_not_http_is_refused() {
        assert!(matches!(Reply::parse(b"SSH-2.0-x\r\n"), Err(InvokeError::Malformed(_))));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let samples: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        let found = Percentiles::of(&samples).unwrap();
        let near =
            |value: f64, expect: f64| assert!((value - expect).abs() < 1e-6, "{value} is not {expect}");
        near(found.p50_us, 100.0);
        near(found.p90_us, 180.0);
        near(found.p99_us, 198.0);
        assert_eq!(Percentiles::of(&[]), None);
    }
}
