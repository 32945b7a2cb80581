//! Raw sockets against the accept loop. Clocks are tokio's and stand still, except where TLS or sockets need them to go.

use super::*;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::any;
use http::StatusCode;
use http_body_util::BodyExt;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// A server that is stopped by `stop`, or when it is dropped.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, router, settings, async {
            let _ = stopped.await;
        }));
        Server { address, stop: Some(stop), task }
    }

    async fn echo(limits: Limits) -> Self {
        Self::start(echo(), Settings { limits, tls: None }).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers with the body, or 408 when that breaks off.
fn echo() -> Router {
    Router::new().fallback(any(async |request: Request| match request.into_body().collect().await {
        Ok(body) => body.to_bytes().into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All that comes until the connection ends, however it ends.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// As much as there is up to and with `end`.
async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

const ASK: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn requests_are_answered_one_after_another_and_who_shuts_his_half_still_reads() {
    let server = Server::echo(Limits::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(ASK).await.unwrap();
        assert!(until(&mut stream, "\r\n\r\nhi").await.starts_with("HTTP/1.1 200 OK"));
    }
    stream.write_all(ASK).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nhi"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_dribbles_ends_the_connection_in_time() {
    let server = Server::echo(Limits { head: seconds(20), ..Limits::default() }).await;
    for first_request in [false, true] {
        let mut stream = server.connect().await;
        if !first_request {
            stream.write_all(ASK).await.unwrap();
            until(&mut stream, "\r\n\r\nhi").await;
        }
        let begun = tokio::time::Instant::now();
        let (mut reading, mut writing) = stream.into_split();
        let dribbling = tokio::spawn(async move {
            for byte in b"POST / HTTP/1.1\r\n".iter().chain(b"x: y\r\n".iter().cycle()) {
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(seconds(1)).await;
            }
        });
        assert_eq!(rest(&mut reading).await, "");
        let took = begun.elapsed();
        assert!(took >= seconds(19) && took <= seconds(22), "{took:?}");
        dribbling.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_ends_sooner_when_it_is_new() {
    let limits = Limits { head: seconds(20), idle: seconds(120), ..Limits::default() };
    let server = Server::echo(limits).await;
    let begun = tokio::time::Instant::now();
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    assert!(begun.elapsed() >= seconds(20) && begun.elapsed() <= seconds(21), "{:?}", begun.elapsed());

    let mut resting = server.connect().await;
    resting.write_all(ASK).await.unwrap();
    until(&mut resting, "\r\n\r\nhi").await;
    let begun = tokio::time::Instant::now();
    rest(&mut resting).await;
    assert!(begun.elapsed() >= seconds(119) && begun.elapsed() <= seconds(122), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_or_dribbles_is_given_up_in_time() {
    let limits = Limits { body_pause: seconds(30), body: seconds(300), ..Limits::default() };
    let server = Server::echo(limits).await;
    for (pause, expected) in [(None, 30), (Some(seconds(25)), 300)] {
        let mut stream = server.connect().await;
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        let (mut reading, mut writing) = stream.into_split();
        let dribbling = tokio::spawn(async move {
            let Some(pause) = pause else { return std::future::pending().await };
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let answer = rest(&mut reading).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        let took = begun.elapsed();
        assert!(took >= seconds(expected - 1) && took <= seconds(expected + 2), "{took:?}");
        dribbling.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_may_take_longer_than_any_clock_of_the_connection() {
    let router = Router::new().fallback(any(async || {
        tokio::time::sleep(seconds(900)).await;
        "late"
    }));
    let server = Server::start(router, Settings::default()).await;
    let mut stream = server.connect().await;
    // Twice: the clock of the first head must not end the second.
    for _ in 0..2 {
        stream.write_all(ASK).await.unwrap();
        assert!(until(&mut stream, "late").await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_given_up() {
    let (dropped, mut was_dropped) = mpsc::channel::<()>(1);
    let router = Router::new().fallback(any(move || {
        let dropped = dropped.clone();
        async move {
            let pieces = futures_util::stream::repeat_with(move || {
                let _held_by_the_answer = &dropped;
                Ok::<_, Infallible>(bytes::Bytes::from(vec![0; 1 << 16]))
            });
            Body::from_stream(pieces)
        }
    }));
    let limits = Limits { answer_pause: seconds(60), ..Limits::default() };
    let server = Server::start(router, Settings { limits, tls: None }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut stream, "\r\n\r\n").await;
    // The server's router holds one sender, and lives; the answer holds the other.
    drop(server);
    assert_eq!(was_dropped.recv().await, None);
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::echo(Limits { headers: 10, head_bytes: 4096, ..Limits::default() }).await;
    let many = "x: y\r\n".repeat(11);
    let long = format!("x: {}\r\n", "y".repeat(5000));
    for headers in [many, long] {
        let mut stream = server.connect().await;
        stream.write_all(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait() {
    let server = Server::echo(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.write_all(ASK).await.unwrap();
    until(&mut first, "\r\n\r\nhi").await;
    let mut second = server.connect().await;
    second.write_all(ASK).await.unwrap();
    let mut byte = [0];
    let early = futures_util::future::poll_immediate(second.read(&mut byte)).await;
    assert!(early.is_none(), "{early:?}");
    drop(first);
    assert!(until(&mut second, "\r\n\r\nhi").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_is_no_http_troubles_nobody_else() {
    let server = Server::echo(Limits::default()).await;
    let mut good = server.connect().await;
    let odd: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ];
    for bytes in odd {
        let mut stream = server.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    good.write_all(ASK).await.unwrap();
    until(&mut good, "\r\n\r\nhi").await;
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way_and_closes_what_rests() {
    let (entered, mut has_entered) = mpsc::channel(1);
    let (go_on, may_go_on) = tokio::sync::watch::channel(false);
    let router = Router::new().fallback(any(move || {
        let (entered, mut may_go_on) = (entered.clone(), may_go_on.clone());
        async move {
            entered.send(()).await.unwrap();
            may_go_on.wait_for(|may| *may).await.unwrap();
            "done"
        }
    }));
    let mut server = Server::start(router, Settings::default()).await;
    let mut resting = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(ASK).await.unwrap();
    has_entered.recv().await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(rest(&mut resting).await, "");
    assert!(!server.task.is_finished());
    go_on.send(true).unwrap();
    assert!(rest(&mut busy).await.ends_with("done"));
    (&mut server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn requests_know_who_asks_and_how() {
    let router = Router::new().fallback(any(async |request: Request| {
        let ConnectInfo(address) = *request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap();
        let Encrypted(encrypted) = *request.extensions().get::<Encrypted>().unwrap();
        format!("{address} {encrypted}!")
    }));
    let server = Server::start(router, Settings::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(ASK).await.unwrap();
    let answer = until(&mut stream, "!").await;
    assert!(answer.ends_with(&format!("{} false!", stream.local_addr().unwrap())), "{answer}");
}

fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/server/certificates").join(name)
}

/// A client that trusts one of the certificates.
fn trusting(name: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate(name)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

async fn ask_by_tls(server: &Server, trusted: &str) -> std::io::Result<String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = trusting(trusted).connect(name, server.connect().await).await?;
    stream.write_all(ASK).await?;
    Ok(until(&mut stream, "\r\n\r\nhi").await)
}

#[tokio::test]
async fn with_a_certificate_requests_come_by_tls_and_not_otherwise() {
    let tls = Tls::of_files(&certificate("first.pem"), &certificate("first.key")).unwrap();
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(echo(), Settings { limits, tls: Some(Arc::new(tls)) }).await;
    let mut silent = server.connect().await;
    let mut plain = server.connect().await;
    plain.write_all(ASK).await.unwrap();
    let answer = {
        let mut bytes = Vec::new();
        let _ = plain.read_to_end(&mut bytes).await;
        bytes
    };
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert!(ask_by_tls(&server, "first.pem").await.unwrap().starts_with("HTTP/1.1 200 "));
    assert!(ask_by_tls(&server, "second.pem").await.is_err(), "another certificate is trusted");
    assert_eq!(rest(&mut silent).await, "", "a handshake that does not come");
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let install = |name: &str| {
        for (kind, path) in [("pem", &chain), ("key", &key)] {
            std::fs::copy(certificate(&format!("{name}.{kind}")), path).unwrap();
        }
    };
    install("first");
    let tls = Tls::of_files(&chain, &key).unwrap();
    let begun = tokio::time::Instant::now();
    let first = tls.current(begun);
    // Half of the replacement: the pair does not fit together.
    std::fs::copy(certificate("second.pem"), &chain).unwrap();
    assert!(Arc::ptr_eq(&first, &tls.current(begun + seconds(6))));
    install("second");
    assert!(Arc::ptr_eq(&first, &tls.current(begun + seconds(7))), "files are looked at every few seconds");
    let second = tls.current(begun + seconds(20));
    assert!(!Arc::ptr_eq(&first, &second));
    std::fs::remove_file(&key).unwrap();
    assert!(Arc::ptr_eq(&second, &tls.current(begun + seconds(40))));
}

#[test]
fn certificates_that_cannot_be_used_are_told_apart() {
    let refused = |chain: &str, key: &str| Tls::of_files(&certificate(chain), &certificate(key)).unwrap_err();
    assert!(matches!(refused("missing.pem", "first.key"), TlsError::File { .. }));
    assert!(matches!(refused("first.pem", "first.pem"), TlsError::File { .. }));
    assert!(matches!(refused("first.key", "first.key"), TlsError::NoCertificate(_)));
    assert!(matches!(refused("first.pem", "second.key"), TlsError::Unusable(_)));
}
