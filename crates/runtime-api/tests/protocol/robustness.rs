//! Nothing a guest does hangs the port, ends it, or is felt on another connection.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::JoinSet;

use crate::harness::{BASE, Environment, Guest, event, within};

#[tokio::test]
async fn a_thousand_invocations_on_one_connection() {
    let (address, port, lifecycle) = Environment::start().await.oblige();
    let mut guest = Guest::connect(address).await;
    for n in 0..1000 {
        guest.get(&format!("{BASE}/invocation/next")).await;
        assert_eq!(guest.answer().await.status, 200);
        let body = "r".repeat(n * 7);
        guest.post(&format!("{BASE}/invocation/{n}/response"), "", body).await;
        assert_eq!(guest.answer().await.status, 202);
    }
    port.close().await;
    let tally = lifecycle.await.unwrap();
    assert_eq!((tally.nexts, tally.begun, tally.ended, tally.truncated), (1000, 1000, 1000, 0));
}

#[tokio::test]
async fn a_thousand_connections_one_after_the_other() {
    let (address, port, lifecycle) = Environment::start().await.oblige();
    for n in 0..1000 {
        let mut guest = Guest::connect(address).await;
        if n % 2 == 0 {
            guest.get(&format!("{BASE}/invocation/next")).await;
            assert_eq!(guest.answer().await.status, 200);
        }
    }
    port.close().await;
    assert_eq!(lifecycle.await.unwrap().nexts, 500);
}

#[tokio::test]
async fn connections_do_not_wait_for_each_other() {
    let mut environment = Environment::with_capacity(1).await;
    let mut blocked = environment.guest().await;
    blocked.get(&format!("{BASE}/invocation/next")).await;
    let held = environment.next_reply().await;
    let address = environment.address;
    let mut others = JoinSet::new();
    for _ in 0..50 {
        others.spawn(async move {
            let mut guest = Guest::connect(address).await;
            guest.get("/2018-06-01/ping").await;
            guest.answer().await.body
        });
    }
    for body in within(others.join_all()).await {
        assert_eq!(body, "pong");
    }
    held.send(Ok(event("{}"))).unwrap();
    assert_eq!(blocked.answer().await.status, 200);
}

#[tokio::test]
async fn beyond_the_most_connections_a_client_waits_for_its_turn() {
    let environment = Environment::start().await;
    let mut guests = Vec::new();
    for _ in 0..140 {
        let mut guest = environment.guest().await;
        guest.get("/2018-06-01/ping").await;
        guests.push(guest);
    }
    // The last ones are served as the first ones leave.
    for mut guest in guests {
        assert_eq!(guest.answer().await.body, "pong");
    }
}

#[tokio::test]
async fn shutdown_closes_every_connection() {
    let mut environment = Environment::start().await;
    let mut idle = environment.guest().await;
    idle.get("/2018-06-01/ping").await;
    idle.answer().await;
    let mut blocked = environment.guest().await;
    blocked.get(&format!("{BASE}/invocation/next")).await;
    let reply = environment.next_reply().await;
    let mut sending = environment.guest().await;
    sending.send("GET /2018").await;
    let address = environment.address;
    environment.port.close().await;
    assert!(reply.send(Ok(event("{}"))).is_err(), "nobody waits for the event any more");
    for mut guest in [idle, blocked, sending] {
        assert_eq!(guest.rest().await, "");
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_cut_at_every_byte_leaves_no_answer_open() {
    let (address, port, lifecycle) = Environment::with_capacity(1).await.oblige();
    let requests = [
        format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("POST {BASE}/invocation/1/response HTTP/1.1\r\nContent-Length: 12\r\n\r\nhello, world"),
        format!(
            "POST {BASE}/invocation/1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\nLambda-Runtime-Function-Error-Type: T\r\n\r\n"
        ),
        format!(
            "POST {BASE}/invocation/1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n\
             5\r\nhello\r\n6\r\n world\r\n0\r\nLambda-Runtime-Function-Error-Type: T\r\n\r\n"
        ),
        format!("POST {BASE}/invocation/1/error HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
    ];
    for request in &requests {
        for end in 0..=request.len() {
            let cut = &request.as_bytes()[..end];

            let mut half_closed = Guest::connect(address).await;
            half_closed.send(cut).await;
            half_closed.half_close().await;
            let answer = half_closed.rest().await;
            let head_end = request.find("\r\n\r\n").unwrap() + 4;
            let expected = match end {
                _ if end == request.len() => ["HTTP/1.1 20", ""],
                _ if end >= head_end => ["HTTP/1.1 400", ""],
                _ => ["", "HTTP/1.1 400"],
            };
            assert!(answer.starts_with(expected[0]) || answer == expected[1], "{answer:?} after {end} bytes");
            assert_eq!(answer.is_empty(), end < head_end, "{answer:?} after {end} bytes of {request:?}");

            let mut closed = Guest::connect(address).await;
            closed.send(cut).await;
            drop(closed);

            let mut reset = Guest::connect(address).await;
            reset.send(cut).await;
            reset.reset();
        }
    }
    let mut guest = Guest::connect(address).await;
    guest.get("/2018-06-01/ping").await;
    assert_eq!(guest.answer().await.body, "pong");
    port.close().await;
    let tally = lifecycle.await.unwrap();
    assert_eq!(tally.begun, tally.ended);
    assert!(tally.truncated > 0 && tally.forwarded > 0);
}

/// Anything from noise to a request with one byte wrong.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let fragments = prop::sample::select(vec![
        "GET ",
        "POST ",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT h:1 ",
        "OPTIONS * ",
        "/2018-06-01/runtime/invocation/next",
        "/2018-06-01/runtime/invocation/1/response",
        "/2018-06-01/runtime/init/error",
        "/2020-01-01/extension/register",
        "/2020-01-01/extension/event/next",
        "/2020-01-01/extension/exit/error",
        "/2022-07-01/telemetry",
        "PUT ",
        "Lambda-Extension-Name: n\r\n",
        "Lambda-Extension-Identifier: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/9\r\n",
        "\r\n",
        "\r\n\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "Trailer: X\r\n",
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
    ]);
    let fragment = prop_oneof![
        4 => fragments.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let assembled = prop::collection::vec(fragment, 0..14).prop_map(|parts| parts.concat());
    let valid = format!(
        "POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\n\
         Trailer: Lambda-Runtime-Function-Error-Type\r\n\r\n5\r\nhello\r\n0\r\nLambda-Runtime-Function-Error-Type: T\r\n\r\n"
    )
    .into_bytes();
    let mutated = (0..valid.len(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut mutated = valid.clone();
        mutated[at] = byte;
        mutated
    });
    prop_oneof![assembled, mutated]
}

#[test]
fn garbage_neither_hangs_nor_ends_the_port_nor_disturbs_another_connection() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (address, port, lifecycle) = runtime.block_on(async { Environment::with_capacity(1).await.oblige() });
    let steady = tokio::sync::Mutex::new(runtime.block_on(Guest::connect(address)));
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    runner
        .run(&garbage(), |bytes| {
            runtime.block_on(async {
                let mut guest = Guest::connect(address).await;
                guest.send(&bytes).await;
                let mut steady = steady.lock().await;
                steady.get(&format!("{BASE}/invocation/next")).await;
                assert_eq!(steady.answer().await.status, 200);
                guest.half_close().await;
                guest.rest().await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(port.close());
    let tally = runtime.block_on(lifecycle).unwrap();
    assert_eq!(tally.begun, tally.ended);
    assert!(tally.nexts >= 1000);
}
