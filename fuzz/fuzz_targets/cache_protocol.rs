//! A cache node is asked anything over a connection: who does not know the secret is refused, and what is put under the name of a shard
//! is what is got.
//!
//! Inputs: a byte that says how, a line that is the path, a line that is the authorization, a body.
#![no_main]
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use bytes::Bytes;
use firesteel_fuzz::wait;
use firesteel_image::tiers::{
    CacheNode, MAX_SHARD_BYTES, NodeAccess, NodeLimits, NodeOptions, Secret, ShardKey, serve_node,
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use libfuzzer_sys::fuzz_target;
use tokio::net::{TcpListener, TcpStream};

const SECRET: [u8; 32] = [7; 32];

async fn connect() -> SendRequest<Full<Bytes>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let node = Arc::new(CacheNode::open(&NodeOptions { memory_bytes: 32 << 20, flash: None }).unwrap());
    let access = NodeAccess::by_secret(Secret::new(&SECRET).unwrap());
    tokio::spawn(serve_node(listener, node, access, NodeLimits::default(), std::future::pending()));
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Status and body of the answer; `None` where there can be no such request.
async fn ask(method: &str, path: &str, authorization: &[&[u8]], body: Bytes) -> Option<(StatusCode, Bytes)> {
    thread_local!(static SENDER: OnceCell<SendRequest<Full<Bytes>>> = const { OnceCell::new() });
    let uri: hyper::Uri = format!("http://node{path}").parse().ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let request = request.body(Full::new(body)).ok()?;
    let known = SENDER.with(|sender| sender.get().cloned());
    let mut sender = match known {
        Some(sender) => sender,
        None => {
            let made = connect().await;
            SENDER.with(|sender| sender.get_or_init(|| made).clone())
        }
    };
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status();
    Some((status, response.into_body().collect().await.expect("a whole answer").to_bytes()))
}

/// As the protocol says, by nobody's code but this.
fn sign(method: &str, path: &str, body: &[u8]) -> String {
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let digest = blake3::hash(body);
    let signed = format!("firesteel cache 1\n{method}\n{path}\n{time}\n{digest}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), signed.as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Firesteel-HMAC-SHA256 {time} {digest} {tag}")
}

fn is_name_of_a_shard(path: &str) -> bool {
    let Some((chunk, index)) = path.strip_prefix("/v1/shards/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    chunk.len() == 64 && chunk.bytes().all(is_hex) && matches!(index, "0" | "1" | "2" | "3" | "4")
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let Some((how, path)) = lines.next().and_then(<[u8]>::split_first) else { return };
    let (Ok(path), Some(other)) = (std::str::from_utf8(path), lines.next()) else { return };
    let body = lines.next().unwrap_or_default();
    if let Ok(shard) = path.parse::<ShardKey>() {
        assert_eq!(shard.to_string(), path);
    }
    wait(async {
        let mut long = body.to_vec();
        if how & 4 != 0 {
            long = body.repeat(MAX_SHARD_BYTES.div_ceil(body.len().max(1)));
            long.truncate(MAX_SHARD_BYTES + usize::from(how & 8 != 0));
        }
        let body = Bytes::from(long);
        let of_body = sign("PUT", path, &body);
        let authorization: &[&[u8]] = match how & 3 {
            0 | 1 => &[of_body.as_bytes()],
            2 => &[other],
            _ => &[of_body.as_bytes(), other],
        };
        // The path that is signed is the one that arrives.
        let arrives = format!("http://node{path}")
            .parse()
            .is_ok_and(|uri: hyper::Uri| uri.path_and_query().is_some_and(|arrived| arrived == path));
        let Some((status, _)) = ask("PUT", path, authorization, body.clone()).await else { return };
        if how & 2 != 0 || !arrives {
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path:?}");
            return;
        }
        let shard_path = path.split_once('?').map_or(path, |(path, _)| path);
        let expected = match () {
            () if shard_path == "/v1/statistics" => StatusCode::METHOD_NOT_ALLOWED,
            () if !is_name_of_a_shard(shard_path) => StatusCode::NOT_FOUND,
            () if body.is_empty() => StatusCode::UNPROCESSABLE_ENTITY,
            () if body.len() > MAX_SHARD_BYTES => StatusCode::PAYLOAD_TOO_LARGE,
            () => StatusCode::NO_CONTENT,
        };
        assert_eq!(status, expected, "{path:?}");
        let signed = sign("GET", path, b"");
        let (status, got) = ask("GET", path, &[signed.as_bytes()], Bytes::new()).await.unwrap();
        if expected == StatusCode::NO_CONTENT {
            assert!(status == StatusCode::OK && got == body, "{status}");
        }
    });
});
