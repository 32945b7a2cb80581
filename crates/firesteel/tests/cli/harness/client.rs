//! HTTP/1.1 by hand, so that a test can say exactly what goes over the wire.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::process::PATIENCE;

/// One kept connection.
pub(crate) struct Client(BufReader<TcpStream>);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    /// `POST` with a body of known length.
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.request("POST", path, headers, body)
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.ask(method, path, headers, body);
        self.receive()
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }

    /// Sends bytes that need not be HTTP.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// An answer of known length.
    pub(crate) fn receive(&mut self) -> Reply {
        let mut reply = self.receive_head();
        assert_eq!(reply.header("transfer-encoding"), None, "whole answers have a length");
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        reply.body.resize(length, 0);
        self.0.read_exact(&mut reply.body).unwrap();
        reply
    }

    /// An answer in chunks, up to its end.
    pub(crate) fn receive_chunked(&mut self) -> Reply {
        let mut reply = self.receive_head();
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "{}", reply.status);
        while let Some(chunk) = self.chunk().unwrap() {
            reply.body.extend(chunk);
        }
        reply
    }

    /// The next chunk of an answer, `None` for its end, an error if the connection is cut before that.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line();
        let length = usize::from_str_radix(&line, 16);
        let length = length.map_err(|_| io::Error::other(format!("{line:?} instead of a chunk")))?;
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk)?;
        assert_eq!(chunk.split_off(length), b"\r\n");
        Ok((length > 0).then_some(chunk))
    }

    /// Status and headers; the body is yet to be read.
    pub(crate) fn receive_head(&mut self) -> Reply {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not the first line of an answer: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Reply { status, headers, body: Vec::new() }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Values of a header that may be repeated.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn request_id(&self) -> &str {
        self.header("x-amzn-requestid").unwrap_or_default()
    }

    /// The lines of `X-Amz-Log-Result`.
    #[track_caller]
    pub(crate) fn log_tail(&self) -> String {
        Self::decoded_log(self.header("x-amz-log-result").expect("the log was asked for"))
    }

    /// The lines of a `LogResult`, in whatever it came.
    #[track_caller]
    pub(crate) fn decoded_log(encoded: &str) -> String {
        String::from_utf8_lossy(&BASE64_STANDARD.decode(encoded).unwrap()).into_owned()
    }

    /// The payload of an invocation that succeeded.
    #[track_caller]
    pub(crate) fn success(&self) -> String {
        assert_eq!((self.status, self.header("x-amz-function-error")), (200, None), "{}", self.text());
        self.text()
    }

    /// The payload of one whose function failed.
    #[track_caller]
    pub(crate) fn function_error(&self) -> String {
        assert_eq!(
            (self.status, self.header("x-amz-function-error")),
            (200, Some("Unhandled")),
            "{}",
            self.text()
        );
        self.text()
    }

    /// One whose function failed in a way that the platform found: type and text, in AWS's order.
    #[track_caller]
    pub(crate) fn failed(&self, error_type: &str, message: &str) {
        let expected = format!(
            r#"{{"errorType":"{error_type}","errorMessage":"RequestId: {} Error: {message}"}}"#,
            self.request_id()
        );
        assert_eq!(self.function_error(), expected);
    }

    /// A refusal: status, class, and the whole body.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, class: &str, body: &Value) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("x-amzn-errortype"), Some(class));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.request_id().len(), 36, "every answer has a request id");
        assert_eq!(self.header("x-amz-function-error"), None);
        assert_eq!(self.json(), *body);
    }
}
