//! Requests, read from a connection and kept as they were on the wire.

use std::fmt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A head may hold an X-Ray cause of 1 MiB.
const HEAD_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// Far over what a response may have; guards the machine's memory against a runtime that never ends.
const BODY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Of a body, for people.
const SHOWN_BYTES: usize = 400;

/// One request, complete or cut off.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    pub(crate) minor_version: u8,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// After the last chunk.
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) chunked: bool,
    /// When the first byte of the body was read, if it has one, and when the last one was.
    pub(crate) body_read: Option<(Instant, Instant)>,
    /// The connection was closed within the body.
    pub(crate) truncated: bool,
}

impl Request {
    /// Value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        value_of(&self.headers, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        value_of(&self.trailers, name)
    }
}

fn value_of<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// As it was on the wire, with the middle of a long body left out.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} HTTP/1.{}", self.method, self.path, self.minor_version)?;
        for (name, value) in &self.headers {
            write!(f, "\n{name}: {}", shortened(value.as_bytes()))?;
        }
        if !self.body.is_empty() {
            write!(f, "\n\n{}", shortened(&self.body))?;
        }
        for (name, value) in &self.trailers {
            write!(f, "\n{name}: {} (trailer)", shortened(value.as_bytes()))?;
        }
        if self.truncated {
            write!(f, "\n(the connection was closed within the body)")?;
        }
        Ok(())
    }
}

/// For people: bytes that are no text escaped, and the middle left out.
pub(crate) fn shortened(bytes: &[u8]) -> String {
    let text = |bytes: &[u8]| -> String {
        let text = String::from_utf8_lossy(bytes);
        text.chars()
            .map(|c| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() })
            .collect()
    };
    if bytes.len() <= SHOWN_BYTES {
        return text(bytes);
    }
    let half = SHOWN_BYTES / 2;
    let (first, last) = (&bytes[..half], &bytes[bytes.len() - half..]);
    format!("{} … ({} bytes in all) … {}", text(first), bytes.len(), text(last))
}

/// The reading side of a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Why no request came.
enum Broken {
    Closed,
    NotHttp(String),
}

impl Incoming {
    pub(super) fn new(stream: TcpStream) -> Self {
        Incoming { stream, buffer: Vec::new() }
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The next request; `None` when the connection was closed between two.
    pub(super) async fn request(&mut self) -> Result<Option<Request>, String> {
        let mut request = match self.head().await {
            Ok(request) => request,
            Err(Broken::Closed) if self.buffer.is_empty() => return Ok(None),
            Err(Broken::Closed) => {
                return Err(format!("a connection closed within this head: {}", shortened(&self.buffer)));
            }
            Err(Broken::NotHttp(why)) => return Err(why),
        };
        // curl asks before it sends a large body, and waits a second for the word.
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            let _ = self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        match self.body(&mut request).await {
            Ok(()) => {}
            Err(Broken::Closed) => request.truncated = true,
            Err(Broken::NotHttp(why)) => return Err(format!("{why}, in the body of\n{request}")),
        }
        Ok(Some(request))
    }

    async fn head(&mut self) -> Result<Request, Broken> {
        loop {
            let mut headers = vec![httparse::EMPTY_HEADER; 128];
            let mut parsed = httparse::Request::new(&mut headers);
            match parsed.parse(&self.buffer) {
                Ok(httparse::Status::Complete(length)) => {
                    let request = Request {
                        method: parsed.method.unwrap_or_default().to_owned(),
                        path: parsed.path.unwrap_or_default().to_owned(),
                        minor_version: parsed.version.unwrap_or_default(),
                        headers: fields(parsed.headers),
                        ..Request::default()
                    };
                    self.buffer.drain(..length);
                    return Ok(request);
                }
                Ok(httparse::Status::Partial) if self.buffer.len() < HEAD_LIMIT_BYTES => self.more().await?,
                Ok(httparse::Status::Partial) => {
                    return Err(Broken::NotHttp(format!("a head of more than {HEAD_LIMIT_BYTES} bytes")));
                }
                Err(error) => {
                    let bytes = shortened(&self.buffer);
                    return Err(Broken::NotHttp(format!("no HTTP/1.1 request ({error}): {bytes}")));
                }
            }
        }
    }

    async fn body(&mut self, request: &mut Request) -> Result<(), Broken> {
        request.chunked = request
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        if request.chunked {
            return self.chunks(request).await;
        }
        let Some(length) = request.header("content-length") else { return Ok(()) };
        let length = length.trim().parse().map_err(|_| {
            Broken::NotHttp(format!("a Content-Length that is no number: {}", shortened(length.as_bytes())))
        })?;
        self.take(length, request).await
    }

    async fn chunks(&mut self, request: &mut Request) -> Result<(), Broken> {
        loop {
            let (used, size) = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => self.more().await?,
                    Err(_) => {
                        let bytes = shortened(&self.buffer);
                        return Err(Broken::NotHttp(format!("no size of a chunk: {bytes}")));
                    }
                }
            };
            self.buffer.drain(..used);
            if size == 0 {
                return self.trailers(request).await;
            }
            self.take(usize::try_from(size).unwrap_or(usize::MAX), request).await?;
            while self.buffer.len() < 2 {
                self.more().await?;
            }
            if !self.buffer.starts_with(b"\r\n") {
                let bytes = shortened(&self.buffer);
                return Err(Broken::NotHttp(format!("a chunk longer than its size: {bytes}")));
            }
            self.buffer.drain(..2);
        }
    }

    async fn trailers(&mut self, request: &mut Request) -> Result<(), Broken> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            match httparse::parse_headers(&self.buffer, &mut headers) {
                Ok(httparse::Status::Complete((used, found))) => {
                    request.trailers = fields(found);
                    self.buffer.drain(..used);
                    return Ok(());
                }
                Ok(httparse::Status::Partial) => self.more().await?,
                Err(error) => {
                    let bytes = shortened(&self.buffer);
                    return Err(Broken::NotHttp(format!("no trailers ({error}): {bytes}")));
                }
            }
        }
    }

    /// Moves so many bytes of the body over.
    async fn take(&mut self, length: usize, request: &mut Request) -> Result<(), Broken> {
        if request.body.len().saturating_add(length) > BODY_LIMIT_BYTES {
            return Err(Broken::NotHttp(format!("more than {BODY_LIMIT_BYTES} bytes")));
        }
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let part = left.min(self.buffer.len());
            request.body.extend(self.buffer.drain(..part));
            left -= part;
            let now = Instant::now();
            request.body_read = Some((request.body_read.map_or(now, |(began, _)| began), now));
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), Broken> {
        self.buffer.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => Err(Broken::Closed),
            Ok(_) => Ok(()),
        }
    }
}

fn fields(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let headers = headers.iter();
    headers.map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is understood of these bytes, sent in two parts, before the connection is closed.
    async fn read(bytes: &[u8]) -> Vec<Result<Option<Request>, String>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        client.write_all(first).await.unwrap();
        client.write_all(second).await.unwrap();
        client.shutdown().await.unwrap();
        let mut incoming = Incoming::new(stream);
        let mut all = Vec::new();
        loop {
            let result = incoming.request().await;
            let goes_on = matches!(&result, Ok(Some(request)) if !request.truncated);
            all.push(result);
            if !goes_on {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn requests_follow_each_other_with_a_length_chunked_or_without_a_body() {
        let bytes = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n\
            POST /b HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
            POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\nX-Late: yes\r\n\r\n";
        let all = read(bytes).await;
        let [Ok(Some(a)), Ok(Some(b)), Ok(Some(c)), Ok(None)] = &all[..] else { panic!("{all:?}") };
        assert_eq!((a.method.as_str(), a.path.as_str(), a.header("HOST")), ("GET", "/a", Some("h")));
        assert_eq!((b.body.as_slice(), b.chunked), (b"abc".as_slice(), false));
        assert_eq!(
            (c.body.as_slice(), c.chunked, c.trailer("x-late")),
            (b"def".as_slice(), true, Some("yes"))
        );
        assert_eq!(
            c.to_string(),
            "POST /c HTTP/1.1\nTransfer-Encoding: chunked\n\ndef\nX-Late: yes (trailer)"
        );
    }

    #[tokio::test]
    async fn a_body_that_is_cut_off_is_said_to_be() {
        for bytes in [
            b"POST /b HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc".as_slice(),
            b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let all = read(bytes).await;
            let [Ok(Some(request))] = &all[..] else { panic!("{all:?}") };
            assert!(request.truncated && request.body == b"abc", "{request:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_http_is_shown() {
        for bytes in [
            b"NEXT, please\n\n".as_slice(),
            b"GET /a HTTP/1.1\r\nHost: h",
            b"POST /b HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            let all = read(bytes).await;
            let [Err(why)] = &all[..] else { panic!("{all:?}") };
            assert!(!why.is_empty());
        }
    }

    #[test]
    fn long_bodies_are_shown_by_their_ends() {
        let text = shortened("x".repeat(10_000).as_bytes());
        assert!(text.len() < 500 && text.contains("(10000 bytes in all)"), "{text}");
        assert_eq!(shortened(b"a\0b\nc"), "a\\u{0}b\nc");
    }
}
