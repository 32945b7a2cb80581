//! Cache nodes over real connections on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_image::chunk::ChunkId;
use firesteel_image::tiers::simulated::Latency;
use firesteel_image::tiers::{
    CacheNode, Cluster, ClusterOptions, HttpNode, MAX_SHARD_BYTES, NodeAccess, NodeError, NodeLimits,
    NodeOptions, NodeTls, NodeTlsError, Secret, ShardKey, ShardNode, serve_node,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{fetch_all, folder, store_of, until};

fn secret(byte: u8) -> NodeAccess {
    NodeAccess::by_secret(Secret::new(&[byte; 32]).unwrap())
}

/// A node that ends with its test.
struct Running {
    address: SocketAddr,
    node: Arc<CacheNode>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn new(access: NodeAccess, flash: Option<&Path>) -> Self {
        Running::at("127.0.0.1:0", access, flash, NodeLimits::default()).await
    }

    async fn at(address: &str, access: NodeAccess, flash: Option<&Path>, limits: NodeLimits) -> Self {
        let flash = flash.map(|folder| (folder.to_owned(), 1 << 30));
        let node = Arc::new(CacheNode::open(&NodeOptions { memory_bytes: 1 << 24, flash }).unwrap());
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let shutdown = stop.clone().cancelled_owned();
        let task = tokio::spawn(serve_node(listener, node.clone(), access, limits, shutdown));
        Running { address, node, stop, task }
    }

    fn client(&self, access: NodeAccess) -> HttpNode {
        HttpNode::new(&self.address.to_string(), access)
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn key(number: u64, index: u8) -> ShardKey {
    ShardKey { chunk: ChunkId::of(&number.to_le_bytes()), index }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, NodeError>) -> u16 {
    match answer.unwrap_err() {
        NodeError::Refused(status) => status,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_is_put_is_got() {
    let running = Running::new(secret(1), None).await;
    let client = running.client(secret(1));
    assert!(client.get(key(1, 0), 10).await.unwrap().is_none());
    let largest = Bytes::from(vec![7; MAX_SHARD_BYTES]);
    client.put(key(1, 0), largest.clone()).await.unwrap();
    client.put(key(1, 4), Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(client.get(key(1, 0), MAX_SHARD_BYTES).await.unwrap().unwrap(), largest);
    assert_eq!(client.get(key(1, 4), 5).await.unwrap().unwrap(), "other");
    client.put(key(1, 4), Bytes::from_static(b"newer")).await.unwrap();
    assert_eq!(client.get(key(1, 4), 5).await.unwrap().unwrap(), "newer");
    // Longer than whoever asks has room for.
    assert!(matches!(client.get(key(1, 4), 4).await, Err(NodeError::Connection(_))));
    assert_eq!(running.node.report().memory_shards, 2);
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn what_is_no_shard_is_refused() {
    let running = Running::new(secret(1), None).await;
    let client = running.client(secret(1));
    assert_eq!(refused(client.put(key(1, 0), Bytes::from(vec![0; MAX_SHARD_BYTES + 1])).await), 413);
    assert_eq!(refused(client.put(key(1, 0), Bytes::new()).await), 422);
    assert_eq!(refused(client.put(key(1, 5), Bytes::from_static(b"x")).await), 404);
    assert_eq!(running.node.report().puts, 0);
}

#[tokio::test]
async fn who_does_not_know_the_secret_gets_nothing() {
    let running = Running::new(secret(1), None).await;
    running.node.put(key(1, 0), Bytes::from_static(b"shard"));
    let stranger = running.client(secret(2));
    assert_eq!(refused(stranger.get(key(1, 0), 5).await), 401);
    assert_eq!(refused(stranger.put(key(1, 0), Bytes::from_static(b"wrong")).await), 401);
    assert_eq!(running.node.get(key(1, 0)).await.unwrap(), "shard");
}

#[tokio::test]
async fn flash_is_there_after_a_restart_and_flipped_bits_are_not() {
    let folder = folder();
    let running = Running::new(secret(1), Some(folder.path())).await;
    let client = running.client(secret(1));
    client.put(key(1, 2), Bytes::from_static(b"kept")).await.unwrap();
    client.put(key(2, 3), Bytes::from_static(b"damaged")).await.unwrap();
    until("shards are written", || running.node.report().files.unwrap().written == 2).await;
    drop(client);
    let Running { node, stop, task, .. } = running;
    stop.cancel();
    task.await.unwrap();
    drop(node);
    let name = key(2, 3).to_string();
    let file = folder.path().join(&name[..2]).join(&name);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let running = Running::new(secret(1), Some(folder.path())).await;
    let client = running.client(secret(1));
    assert_eq!(client.get(key(1, 2), 100).await.unwrap().unwrap(), "kept");
    assert!(client.get(key(2, 3), 100).await.unwrap().is_none());
    assert_eq!(running.node.report().files.unwrap().damaged, 1);
    assert!(!file.exists());
}

#[tokio::test]
async fn a_node_that_comes_back_is_found_again() {
    let running = Running::new(secret(1), None).await;
    let (address, client) = (running.address, running.client(secret(1)));
    client.put(key(1, 0), Bytes::from_static(b"shard")).await.unwrap();
    running.end().await;
    until_not_connected(&client).await;
    let running = Running::at(&address.to_string(), secret(1), None, NodeLimits::default()).await;
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    // It has nothing any more.
    while !matches!(client.get(key(1, 0), 5).await, Ok(None)) {
        assert!(std::time::Instant::now() < patience, "it was not found again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.end().await;
}

async fn until_not_connected(client: &HttpNode) {
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while !matches!(client.get(key(1, 0), 5).await, Err(NodeError::NotConnected)) {
        assert!(std::time::Instant::now() < patience, "it is still connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_node_that_was_never_there_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = HttpNode::new(&address.to_string(), secret(1));
    assert!(matches!(client.get(key(1, 0), 5).await, Err(NodeError::NotConnected)));
}

/// One of its own accepts, and says nothing.
#[tokio::test]
async fn six_nodes_of_which_one_says_nothing_serve_a_worker() {
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(Running::new(secret(1), None).await);
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut addresses: Vec<_> = running.iter().map(|node| node.address.to_string()).collect();
    addresses.push(silent.local_addr().unwrap().to_string());
    let nodes = (0..).zip(&addresses).map(|(index, address): (u32, _)| {
        (format!("node-{index}"), Arc::new(HttpNode::new(address, secret(1))) as Arc<dyn ShardNode>)
    });
    let options = ClusterOptions {
        budget: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::new(nodes.collect(), options).unwrap();
    let (store, chunks) = store_of(Latency::ZERO, 0..40);
    let source = cluster.over(store.clone());
    fetch_all(&source, &chunks).await.unwrap();
    let shards =
        |running: &[Running]| running.iter().map(|node| node.node.report().memory_shards).sum::<usize>();
    until("nodes are filled", || {
        let fills = cluster.report().fills;
        fills.put + fills.failed + 5 * fills.dropped >= 200
    })
    .await;
    let filled = shards(&running);
    assert!(filled >= 120, "{filled}");
    for _ in 0..5 {
        fetch_all(&source, &chunks).await.unwrap();
    }
    let report = cluster.report();
    assert!(report.reads.hits >= 200 - 5 * report.fills.dropped, "{report:?}");
    assert_eq!(report.nodes.iter().map(|node| node.wrong).sum::<u64>(), 0);
    drop((source, cluster));
    for node in running {
        node.end().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_request_trouble_nobody_else() {
    let moment = Duration::from_millis(300);
    let limits = NodeLimits { connections: 8, handshake: moment, grace: moment, ..NodeLimits::default() };
    let running = Running::at("127.0.0.1:0", secret(1), None, limits).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..60 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let mut garbage = if round % 2 == 0 { preface.to_vec() } else { Vec::new() };
        let length = random.usize(..2000);
        garbage.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
        // It may have been closed by now.
        let _ = stream.write_all(&garbage).await;
        if round % 3 == 0 {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    }
    // More than there may be, of whom none asks for anything: they are closed, and make room.
    let mut idle = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(preface).await.unwrap();
        idle.push(stream);
    }
    let client = running.client(secret(1));
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    while client.put(key(1, 0), Bytes::from_static(b"shard")).await.is_err() {
        assert!(std::time::Instant::now() < patience, "there is no room");
    }
    assert_eq!(client.get(key(1, 0), 5).await.unwrap().unwrap(), "shard");
    drop((idle, client));
    running.end().await;
}

#[tokio::test]
async fn requests_of_all_sorts_are_answered_and_do_nothing() {
    let running = Running::new(secret(1), None).await;
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut random = fastrand::Rng::with_seed(9);
    let good = format!("/v1/shards/{}/0", key(1, 0).chunk);
    let scheme = "Firesteel-HMAC-SHA256";
    for _ in 0..500 {
        let method = *random.choice(&["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "X"]).unwrap();
        let paths = ["/", "/v1", "/v1/shards//", "/v1/statistics", "*", "/v1/shards/%00/1", &good];
        let path = *random.choice(&paths).unwrap();
        let word = |random: &mut fastrand::Rng| {
            let length = random.usize(..100);
            std::iter::repeat_with(|| random.char(' '..='~')).take(length).collect::<String>()
        };
        let mut request = hyper::Request::builder().method(method).uri(format!("http://node{path}"));
        for _ in 0..random.usize(..3) {
            let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let words =
                [word(&mut random), format!("{scheme} {time} {} {}", "0".repeat(64), word(&mut random))];
            request = request.header("authorization", random.choice(words).unwrap());
        }
        let body = http_body_util::Full::new(Bytes::from(vec![1; random.usize(..300_000)]));
        let Ok(request) = request.body(body) else { continue };
        assert_eq!(sender.send_request(request).await.unwrap().status(), 401);
    }
    assert_eq!((running.node.report().puts, running.node.report().reads.misses), (0, 0));
    connection.abort();
}

#[tokio::test]
async fn requests_that_are_given_up_are_no_attack() {
    let running = Running::new(secret(1), None).await;
    let client = Arc::new(running.client(secret(1)));
    client.put(key(1, 0), Bytes::from(vec![1; MAX_SHARD_BYTES])).await.unwrap();
    for round in 0..2000_u32 {
        let getting = client.get(key(1, 0), MAX_SHARD_BYTES);
        // Some before they are sent, some after.
        tokio::select! {
            biased;
            _ = getting => {}
            () = async { for _ in 0..round % 4 { tokio::task::yield_now().await } } => {}
        }
    }
    assert!(client.get(key(1, 0), MAX_SHARD_BYTES).await.unwrap().is_some());
}

#[tokio::test]
async fn a_worker_that_has_nothing_to_ask_for_stays_connected() {
    let limits = NodeLimits { handshake: Duration::from_secs(1), ..NodeLimits::default() };
    let running = Running::at("127.0.0.1:0", secret(1), None, limits).await;
    let client = running.client(secret(1));
    // Others that ask for nothing are sent away, one after another: by then it has been connected for long enough.
    for _ in 0..2 {
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        idle.read_to_end(&mut Vec::new()).await.unwrap();
    }
    assert!(client.get(key(1, 0), 5).await.unwrap().is_none());
    drop(client);
    running.end().await;
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiers/certificates").join(name)
}

fn tls(who: &str, authority: &str) -> NodeAccess {
    let [own, key] = ["pem", "key"].map(|kind| certificate(&format!("{who}.{kind}")));
    let authority = certificate(&format!("{authority}.pem"));
    NodeAccess::by_certificates(NodeTls::of_files(&own, &key, &authority).unwrap())
}

#[tokio::test]
async fn with_certificates_each_end_knows_the_other() {
    let running = Running::new(tls("node", "authority"), None).await;
    let client = running.client(tls("node", "authority"));
    client.put(key(1, 0), Bytes::from_static(b"shard")).await.unwrap();
    assert_eq!(client.get(key(1, 0), 5).await.unwrap().unwrap(), "shard");
    let both = Running::new(tls("node", "authority").and_secret(Secret::new(&[1; 32]).unwrap()), None).await;
    assert_eq!(refused(both.client(tls("node", "authority")).get(key(1, 0), 5).await), 401);
    // One whose certificate is another authority's; one who takes it for the right one, and one who does not.
    for (who, authority) in [("stranger", "authority"), ("stranger", "other"), ("node", "other")] {
        let stranger = running.client(tls(who, authority));
        let answer = stranger.get(key(1, 0), 5).await;
        assert!(matches!(answer, Err(NodeError::NotConnected | NodeError::Connection(_))), "{answer:?}");
    }
    let plain = running.client(secret(1));
    assert!(plain.get(key(1, 0), 5).await.is_err());
    assert_eq!(running.node.report().reads.hits, 1);
}

#[test]
fn files_that_are_no_certificates_are_refused() {
    let folder = folder();
    let (nothing, missing) = (folder.path().join("nothing.pem"), folder.path().join("missing.pem"));
    std::fs::write(&nothing, "").unwrap();
    let [own, key, authority] = ["node.pem", "node.key", "authority.pem"].map(certificate);
    let load = |own: &Path, key: &Path, authority: &Path| NodeTls::of_files(own, key, authority).unwrap_err();
    assert!(matches!(load(&nothing, &key, &authority), NodeTlsError::NoCertificate(_)));
    assert!(matches!(load(&missing, &key, &authority), NodeTlsError::File { .. }));
    assert!(matches!(load(&own, &nothing, &authority), NodeTlsError::File { .. }));
    assert!(matches!(load(&own, &key, &nothing), NodeTlsError::NoCertificate(_)));
    assert!(matches!(load(&own, &certificate("stranger.key"), &authority), NodeTlsError::Unusable(_)));
}
