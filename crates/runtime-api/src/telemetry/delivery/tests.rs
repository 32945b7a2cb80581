//! Delivery to real listeners in this process.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::telemetry::{Api, Buffering, Schema, Types};

/// Nothing here takes this long; what should never come is not waited for at all.
const LIMIT: Duration = Duration::from_secs(60);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("within the limit of a test")
}

fn subscription(destination: Destination) -> Subscription {
    Subscription {
        api: Api::Telemetry,
        schema: Schema::V20221213,
        types: Types { platform: true, function: true, extension: true },
        destination,
        buffering: Buffering { timeout: Duration::from_millis(25), max_bytes: 262_144, max_items: 1000 },
    }
}

fn http(port: u16) -> Subscription {
    subscription(Destination::Http { port, path: "/in?key=1".into(), put: false })
}

fn tcp(port: u16) -> Subscription {
    subscription(Destination::Tcp { port })
}

fn event(number: usize) -> Bytes {
    format!(r#"{{"number":{number}}}"#).into()
}

/// Events of 64 KiB, of which 16 are all that is held.
fn large(number: usize) -> Bytes {
    let rest = "x".repeat(64 * 1024 - 26);
    let event = format!(r#"{{"number":{number:>5},"rest":"{rest}"}}"#);
    assert_eq!(event.len(), 64 * 1024);
    event.into()
}

/// Puts events in line, each a little after the one before, and waits until they are gone.
async fn offer_and_flush(subscriber: &Subscriber, events: impl Iterator<Item = Bytes>) {
    events.for_each(|event| subscriber.offer(event));
    within(subscriber.flush()).await;
}

#[derive(Debug)]
struct Received {
    method: Method,
    path: String,
    host: String,
    content_type: String,
    sequence_id: String,
    body: Bytes,
}

impl Received {
    fn events(&self) -> Vec<Value> {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn numbers(&self) -> Vec<Value> {
        self.events().iter().map(|event| event["number"].clone()).collect()
    }
}

/// Answers with these statuses in turn, then with 200; a 0 is no answer at all.
async fn http_listener(statuses: &[u16]) -> (u16, mpsc::UnboundedReceiver<Received>, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::unbounded_channel();
    let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
            let service = service_fn(move |request: Request<Incoming>| {
                let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
                async move {
                    let (head, body) = request.into_parts();
                    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
                    let received = Received {
                        method: head.method.clone(),
                        path: head.uri.to_string(),
                        host: header("host"),
                        content_type: header("content-type"),
                        sequence_id: header("sequence-id"),
                        body: body.collect().await.unwrap().to_bytes(),
                    };
                    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                    let _ = sender.send(received);
                    if status == 0 {
                        std::future::pending::<()>().await;
                    }
                    let response = Response::builder().status(status).body(Empty::<Bytes>::new());
                    Ok::<_, Infallible>(response.unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (port, receiver, AbortOnDropHandle::new(task))
}

async fn tcp_listener() -> (u16, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

/// Reads a connection line by line.
struct Reader(tokio::io::Lines<BufReader<TcpStream>>);

impl Reader {
    fn new(stream: TcpStream) -> Self {
        Reader(BufReader::new(stream).lines())
    }

    async fn number(&mut self) -> Value {
        let line = within(self.0.next_line()).await.unwrap().expect("a line");
        serde_json::from_str::<Value>(&line).unwrap()["number"].clone()
    }
}

#[tokio::test]
async fn a_batch_is_a_request_with_an_array() {
    let (port, mut received, _server) = http_listener(&[]).await;
    let subscriber = Subscriber::start(http(port), Dial::this_machine());
    // Without a flush: the timeout sends it.
    subscriber.offer(event(1));
    subscriber.offer(event(2));
    let request = within(received.recv()).await.unwrap();
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.path, "/in?key=1");
    assert_eq!(request.host, format!("sandbox.localdomain:{port}"));
    assert_eq!(request.content_type, "application/json");
    assert_eq!(request.body, br#"[{"number":1},{"number":2}]"#.as_slice());
    assert_eq!(request.sequence_id, BASE64_STANDARD.encode(Sha256::digest(&request.body)));
}

#[tokio::test]
async fn the_digest_is_that_of_the_standard() {
    let (port, mut received, _server) = http_listener(&[]).await;
    let subscriber = Subscriber::start(
        subscription(Destination::Http { port, path: "/".into(), put: true }),
        Dial::this_machine(),
    );
    offer_and_flush(&subscriber, ["{}".into()].into_iter()).await;
    let request = received.recv().await.unwrap();
    assert_eq!(request.method, Method::PUT);
    // printf '[{}]' | openssl dgst -sha256 -binary | base64
    assert_eq!(request.sequence_id, "4QgI1Dl13EAHMQUzhoSfhk8pfmxPdRnDgPPbr3BnqEA=");
}

#[tokio::test]
async fn a_refused_batch_is_sent_again_before_anything_else() {
    let (port, mut received, _server) = http_listener(&[500, 404]).await;
    let subscriber = Subscriber::start(http(port), Dial::this_machine());
    subscriber.offer(event(1));
    let first = within(received.recv()).await.unwrap();
    subscriber.offer(event(2));
    within(subscriber.flush()).await;
    for _ in 0..2 {
        let again = received.recv().await.unwrap();
        assert_eq!((again.body, again.sequence_id), (first.body.clone(), first.sequence_id.clone()));
    }
    assert_eq!(received.recv().await.unwrap().numbers(), [2]);
    assert_eq!(subscriber.take_dropped(), None);
}

#[tokio::test]
async fn events_wait_for_a_listener_that_is_not_there_yet() {
    let (port, listener) = tcp_listener().await;
    drop(listener);
    let subscriber = Subscriber::start(tcp(port), Dial::this_machine());
    subscriber.offer(event(1));
    let flush = subscriber.flush();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let (stream, _) = within(listener.accept()).await.unwrap();
    assert_eq!(Reader::new(stream).number().await, 1);
    within(flush).await;
}

#[tokio::test]
async fn full_batches_are_cut_by_items_and_keep_their_order() {
    let (port, mut received, _server) = http_listener(&[]).await;
    let subscriber = Subscriber::start(http(port), Dial::this_machine());
    offer_and_flush(&subscriber, (0..2500).map(event)).await;
    drop(subscriber);
    received.close();
    let mut numbers = Vec::new();
    while let Some(request) = received.recv().await {
        let of_this = request.numbers();
        assert!(of_this.len() <= 1000, "{}", of_this.len());
        numbers.extend(of_this);
    }
    assert_eq!(numbers, (0..2500).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_listener_that_never_answers_holds_nobody_up() {
    let (port, mut received, _server) = http_listener(&[0]).await;
    let subscriber = Subscriber::start(http(port), Dial::this_machine());
    subscriber.offer(large(0));
    assert_eq!(within(received.recv()).await.unwrap().numbers(), [0]);
    // All of this returns at once: it does not wait for anything.
    (1..100).for_each(|number| subscriber.offer(large(number)));
    assert_eq!(subscriber.take_dropped(), Some(Dropped { records: 84, bytes: 84 * 64 * 1024 }));
    assert_eq!(subscriber.take_dropped(), None);
    let flush = subscriber.flush();
    drop(subscriber);
    // Given up with the subscriber.
    within(flush).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_asked_for_again() {
    let (port, mut received, _server) = http_listener(&[0, 200]).await;
    let subscriber = Subscriber::start_with(http(port), Dial::this_machine(), Duration::from_millis(200));
    offer_and_flush(&subscriber, (0..2).map(event)).await;
    for _ in 0..2 {
        assert_eq!(received.recv().await.unwrap().numbers(), [0, 1]);
    }
}

#[tokio::test]
async fn a_slow_reader_loses_what_does_not_fit_and_is_told_so() {
    let (port, mut received, _server) = http_listener(&[503]).await;
    let subscriber = Subscriber::start(http(port), Dial::this_machine());
    (0..20).for_each(|number| subscriber.offer(large(number)));
    within(subscriber.flush()).await;
    offer_and_flush(&subscriber, [large(20)].into_iter()).await;
    assert_eq!(subscriber.take_dropped(), Some(Dropped { records: 4, bytes: 4 * 64 * 1024 }));
    drop(subscriber);
    received.close();
    received.recv().await.expect("the one that is refused");
    let mut told = Vec::new();
    while let Some(request) = received.recv().await {
        told.extend(request.events());
    }
    let summary: Vec<Value> =
        told.iter().map(|event| event.get("number").unwrap_or(&event["record"]).clone()).collect();
    let mut expected: Vec<Value> = (0..16).map(Value::from).collect();
    expected.push(json!({
        "reason": "the subscriber takes its events too slowly",
        "droppedRecords": 4,
        "droppedBytes": 262_144,
    }));
    expected.push(20.into());
    assert_eq!(summary, expected);
    assert_eq!(told[16]["type"], "platform.logsDropped");
    let time = told[16]["time"].as_str().unwrap();
    assert!(time.len() == "2026-10-08T06:53:45.183Z".len() && time.ends_with('Z'), "{time}");
}

#[tokio::test]
async fn lines_go_over_one_connection_and_another_when_it_is_lost() {
    let (port, listener) = tcp_listener().await;
    let subscriber = Subscriber::start(tcp(port), Dial::this_machine());
    subscriber.offer(event(1));
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut reader = Reader::new(stream);
    assert_eq!(reader.number().await, 1);
    offer_and_flush(&subscriber, (2..4).map(event)).await;
    assert_eq!(reader.number().await, 2);
    assert_eq!(reader.number().await, 3);
    drop(reader);
    offer_and_flush(&subscriber, (4..5).map(event)).await;
    let (stream, _) = within(listener.accept()).await.unwrap();
    assert_eq!(Reader::new(stream).number().await, 4);
}

#[tokio::test]
async fn a_reader_that_stops_reading_loses_its_own_events_only() {
    let (port, listener) = tcp_listener().await;
    let subscriber = Subscriber::start(tcp(port), Dial::this_machine());
    subscriber.offer(event(0));
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    // More than the socket's buffers and the backlog hold.
    let mut offered = 0;
    let dropped = loop {
        subscriber.offer(large(offered));
        offered += 1;
        if let Some(dropped) = subscriber.take_dropped() {
            break dropped;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(dropped, Dropped { records: 1, bytes: 64 * 1024 });
    // Everything else comes through as soon as it reads again.
    let flush = subscriber.flush();
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    });
    within(flush).await;
    within(subscriber.flush()).await;
    drop(subscriber);
    let all = within(reader).await.unwrap();
    let lines: Vec<Value> = all
        .trim_ascii_end()
        .split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let numbers: Vec<usize> = lines
        .iter()
        .filter_map(|line| line["number"].as_u64())
        .map(|number| usize::try_from(number).unwrap())
        .collect();
    let expected: Vec<usize> = [0].into_iter().chain(0..offered - 1).collect();
    assert_eq!(numbers, expected);
    assert_eq!(lines.last().unwrap()["record"]["droppedRecords"], 1);
}

#[tokio::test]
async fn a_reader_that_never_reads_is_left_for_a_new_connection() {
    let (port, listener) = tcp_listener().await;
    let subscriber = Subscriber::start_with(tcp(port), Dial::this_machine(), Duration::from_millis(200));
    let mut offered = 0;
    // Until the socket's buffers and the backlog are full.
    while subscriber.take_dropped().is_none() {
        subscriber.offer(large(offered));
        offered += 1;
        tokio::task::yield_now().await;
    }
    let (_never_read, _) = within(listener.accept()).await.unwrap();
    let (stream, _) = within(listener.accept()).await.unwrap();
    let mut reader = Reader::new(stream);
    // The line that the first connection was left in comes whole, and the others after it.
    let first = reader.number().await.as_u64().unwrap();
    assert!(first > 0, "what was written is not sent again");
    assert_eq!(reader.number().await, first + 1);
}

#[tokio::test]
async fn dropping_a_subscriber_ends_its_connection() {
    let (port, listener) = tcp_listener().await;
    let subscriber = Subscriber::start(tcp(port), Dial::this_machine());
    subscriber.offer(event(1));
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    drop(subscriber);
    let mut all = Vec::new();
    within(stream.read_to_end(&mut all)).await.unwrap();
    assert!(all.is_empty() || all == b"{\"number\":1}\n");
}
