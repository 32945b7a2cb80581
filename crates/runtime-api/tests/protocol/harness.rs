//! One environment's port with a test behind it, and the guest that calls it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use firesteel_runtime_api::{
    AnswerBody, AnswerHead, Call, Delivery, ForwardEnd, Intake, Metadata, Refusal, Reply, ResponseMode,
    Surface, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const BASE: &str = "/2018-06-01/runtime";

/// Fails a test that would hang.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("hangs")
}

/// A served port; the test plays the lifecycle.
pub(crate) struct Environment {
    pub(crate) address: SocketAddr,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) port: Port,
}

/// The server's side of a port.
pub(crate) struct Port {
    pub(crate) shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Port {
    pub(crate) async fn close(self) {
        self.shutdown.cancel();
        within(self.served).await.unwrap();
    }
}

impl Environment {
    pub(crate) async fn start() -> Self {
        Self::with_capacity(8).await
    }

    pub(crate) async fn with_capacity(capacity: usize) -> Self {
        Self::with(capacity, Surface::default()).await
    }

    pub(crate) async fn with_surface(surface: Surface) -> Self {
        Self::with(8, surface).await
    }

    async fn with(capacity: usize, surface: Surface) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::channel(capacity);
        let shutdown = CancellationToken::new();
        let metadata = Metadata { token: "s3cret".into(), availability_zone_id: "use1-az1".into() };
        let served = tokio::spawn(serve(listener, sender, metadata, surface, shutdown.clone()));
        Self { address, calls, port: Port { shutdown, served } }
    }

    pub(crate) async fn guest(&self) -> Guest {
        Guest::connect(self.address).await
    }

    pub(crate) async fn next_reply(&mut self) -> Reply<Delivery> {
        match self.call().await {
            Call::Next { reply } => reply,
            other => panic!("expected next, got {other:?}"),
        }
    }

    pub(crate) async fn begun(&mut self) -> (AnswerHead, Reply<Intake>) {
        match self.call().await {
            Call::AnswerBegun { answer, reply } => (answer, reply),
            other => panic!("expected the head of an answer, got {other:?}"),
        }
    }

    /// Accepts a response that is passed on through a channel of this capacity.
    pub(crate) async fn forward(&mut self, capacity: usize) -> mpsc::Receiver<Bytes> {
        let (_, reply) = self.begun().await;
        let (sender, chunks) = mpsc::channel(capacity);
        reply.send(Ok(Intake::Forward(sender))).unwrap();
        chunks
    }

    pub(crate) async fn ended(&mut self) -> (AnswerBody, Reply<()>) {
        match self.call().await {
            Call::AnswerEnded { body, reply, .. } => (body, reply),
            other => panic!("expected the end of an answer, got {other:?}"),
        }
    }

    /// Accepts an answer, whatever becomes of its body.
    pub(crate) async fn take_answer(&mut self) -> (AnswerHead, AnswerBody) {
        let (head, reply) = self.begun().await;
        reply.send(Ok(Intake::Collect)).unwrap();
        let (body, reply) = self.ended().await;
        let _ = reply.send(verdict_on(&body));
        (head, body)
    }

    pub(crate) async fn call(&mut self) -> Call {
        within(self.calls.recv()).await.expect("the port is served")
    }

    /// A lifecycle that allows a runtime everything, until the port is closed.
    pub(crate) fn oblige(self) -> (SocketAddr, Port, JoinHandle<Tally>) {
        let mut calls = self.calls;
        let lifecycle = tokio::spawn(async move {
            let mut tally = Tally::default();
            while let Some(call) = calls.recv().await {
                tally.oblige(call);
            }
            tally
        });
        (self.address, self.port, lifecycle)
    }
}

pub(crate) fn verdict_on(body: &AnswerBody) -> Result<(), Refusal> {
    match body {
        AnswerBody::Response { .. } | AnswerBody::Error(_) => Ok(()),
        AnswerBody::Forwarded { end: ForwardEnd::Complete(_), .. } => Ok(()),
        AnswerBody::TooLarge { .. } | AnswerBody::Forwarded { end: ForwardEnd::TooLarge, .. } => {
            Err(Refusal::TooLarge)
        }
        AnswerBody::Truncated | AnswerBody::Forwarded { end: ForwardEnd::Truncated, .. } => {
            Err(Refusal::Truncated)
        }
    }
}

/// What an obliging lifecycle was asked.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) nexts: usize,
    /// Answers whose acceptance reached the port.
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    pub(crate) truncated: usize,
    pub(crate) forwarded: usize,
}

impl Tally {
    fn oblige(&mut self, call: Call) {
        match call {
            Call::Next { reply } => {
                self.nexts += 1;
                let _ = reply.send(Ok(event("{}")));
            }
            Call::AnswerBegun { answer, reply } => {
                let intake = match answer.mode {
                    ResponseMode::Streaming => {
                        let (sender, mut chunks) = mpsc::channel(1);
                        tokio::spawn(async move { while chunks.recv().await.is_some() {} });
                        Intake::Forward(sender)
                    }
                    _ => Intake::Collect,
                };
                self.begun += usize::from(reply.send(Ok(intake)).is_ok());
            }
            Call::AnswerEnded { body, reply, .. } => {
                self.ended += 1;
                let verdict = verdict_on(&body);
                self.truncated += usize::from(verdict == Err(Refusal::Truncated));
                self.forwarded += usize::from(matches!(body, AnswerBody::Forwarded { .. }));
                let _ = reply.send(verdict);
            }
            Call::InitError { reply, .. } => {
                let _ = reply.send(Ok(()));
            }
            Call::Register { reply, .. } => drop(reply.send(Err(Refusal::Platform))),
            Call::ExtensionNext { reply, .. } => drop(reply.send(Err(Refusal::Platform))),
            Call::RestoreError { reply, .. }
            | Call::ExtensionError { reply, .. }
            | Call::Subscribe { reply, .. }
            | Call::RestoreNext { reply } => drop(reply.send(Ok(()))),
        }
    }
}

pub(crate) fn event(payload: &'static str) -> Delivery {
    Delivery {
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into(),
        invocation_id: None,
        deadline_ms: 1_542_409_706_888,
        function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".into(),
        trace_id: None,
        client_context: None,
        cognito_identity: None,
        tenant_id: None,
        content_type: String::new(),
        payload: Bytes::from_static(payload.as_bytes()),
    }
}

/// A client that says exactly what it is told to say.
pub(crate) struct Guest {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, as they were sent.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Header lines as sent, without the date.
    pub(crate) fn header_lines(&self) -> Vec<&str> {
        self.head.lines().skip(1).filter(|line| !line.starts_with("Date: ")).collect()
    }

    /// Looks for exactly this spelling.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

pub(crate) const ACCEPTED: &str = "{\"status\":\"OK\"}\n";

impl Guest {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    }

    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        self.request("POST", path, headers, body).await;
    }

    pub(crate) async fn request(&mut self, method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.send([head.as_bytes(), body].concat()).await;
    }

    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends the connection so that the server finds an error, not an end.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The next answer, an interim one too.
    pub(crate) async fn answer(&mut self) -> Answer {
        within(async {
            loop {
                if let Some(answer) = self.parse() {
                    return answer;
                }
                let n_read = self.stream.read_buf(&mut self.read).await.unwrap();
                assert_ne!(n_read, 0, "ended after {:?}", String::from_utf8_lossy(&self.read));
            }
        })
        .await
    }

    /// All until the server closes; what a reset cut off is left out.
    pub(crate) async fn rest(&mut self) -> String {
        within(async { while !matches!(self.stream.read_buf(&mut self.read).await, Ok(0) | Err(_)) {} })
            .await;
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    fn parse(&mut self) -> Option<Answer> {
        let head_end = self.read.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.read[..head_end]).unwrap().to_owned();
        let mut answer = Answer { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        let body = self.read.get(head_end + 4..head_end + 4 + length)?;
        answer.body = String::from_utf8(body.to_vec()).unwrap();
        self.read.drain(..head_end + 4 + length);
        Some(answer)
    }
}

/// A body in chunks of the given size, without the end.
pub(crate) fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(body.len() + body.len() / size * 16);
    for chunk in body.chunks(size) {
        encoded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded
}
