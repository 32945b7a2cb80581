//! Requests as they are written, so that `Host` can be anything, and answers as they are read.

use std::net::SocketAddr;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::REGION;

/// A request. By default `GET`, without a body.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(host: &str, path: &str) -> Self {
        Request {
            method: "GET".into(),
            host: host.into(),
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn method(self, method: &str) -> Self {
        Request { method: method.into(), ..self }
    }

    /// Text, which the function receives as such.
    pub(crate) fn post(self, body: &str) -> Self {
        Request { body: body.into(), ..self.method("POST") }.header("content-type", "text/plain")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Changes what was signed.
    pub(crate) fn with_path(self, path: &str) -> Self {
        Request { path: path.into(), ..self }
    }

    pub(crate) fn signed(mut self, key: &str, secret: &str) -> Self {
        let identity = Credentials::new(key, secret, None, None, "test").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{}", self.host, self.path);
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let body = SignableBody::Bytes(self.body.as_bytes());
        let signable = SignableRequest::new(&self.method, uri, headers, body).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let added: Vec<_> = instructions.headers().map(|(name, value)| (name.into(), value.into())).collect();
        self.headers.extend(added);
        self
    }

    pub(crate) async fn send(&self, to: SocketAddr) -> Reply {
        let Request { method, host, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        Reply::read(&answer)
    }
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        // Keeps repeated ones.
        let headers = headers.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
        Reply { status, headers, body: body.into() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// All that is about other origins, sorted.
    pub(crate) fn cors(&self) -> Vec<String> {
        let about = self.headers.iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
        let mut lines: Vec<_> =
            about.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    /// The event, if the function answered with it.
    #[track_caller]
    pub(crate) fn event(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status.as_u16(), &*self.body), (status, body));
    }

    /// As recorded of the service, for whoever is not let in.
    #[track_caller]
    pub(crate) fn is_forbidden(&self) {
        self.is(
            403,
            r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#,
        );
        assert_eq!(self.header("x-amzn-errortype"), Some("AccessDeniedException"));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("x-amzn-requestid").map(str::len), Some(36));
    }
}
