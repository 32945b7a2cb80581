//! HTTP/1.1 by hand, so that a test can say exactly what goes over the wire.

use std::io::{BufRead, BufReader, Read, Write};
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
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        self.receive()
    }

    /// Sends bytes that need not be HTTP.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Reply {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not the first line of an answer: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        assert_eq!(reply.header("transfer-encoding"), None, "whole answers have a length");
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        reply.body.resize(length, 0);
        self.0.read_exact(&mut reply.body).unwrap();
        reply
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
        let encoded = self.header("x-amz-log-result").expect("the log was asked for");
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
