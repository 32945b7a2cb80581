//! How much body is taken, and what becomes of one that does not come to its end.

use firesteel_runtime_api::{AnswerBody, Call, Intake, PAYLOAD_LIMIT_BYTES, Refusal};

use crate::harness::{BASE, Environment, Guest, chunks};

/// Posts a body of this size in one write, before anything is read.
async fn post(guest: &mut Guest, path: &str, size: usize, chunked: bool) {
    let body = vec![b'b'; size];
    if chunked {
        let head = format!(
            "POST {BASE}/{path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
        );
        guest.send([head.as_bytes(), &chunks(&body, 65_537), b"0\r\n\r\n"].concat()).await;
    } else {
        guest.post(&format!("{BASE}/{path}"), "", &body).await;
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let mut environment = Environment::start().await;
    let address = environment.address;
    for chunked in [false, true] {
        for path in ["invocation/1/response", "invocation/1/error"] {
            for (size, status) in [(PAYLOAD_LIMIT_BYTES, 202), (PAYLOAD_LIMIT_BYTES + 1, 413), (9 << 20, 413)]
            {
                let guest = tokio::spawn(async move {
                    let mut guest = Guest::connect(address).await;
                    post(&mut guest, path, size, chunked).await;
                    let answer = guest.answer().await;
                    guest.get("/2018-06-01/ping").await;
                    assert_eq!(guest.answer().await.body, "pong", "the connection is kept");
                    answer
                });
                let (_, body) = environment.take_answer().await;
                match body {
                    AnswerBody::Response { body, .. } => {
                        assert!(status == 202 && body.len() == size && body.iter().all(|byte| *byte == b'b'));
                    }
                    AnswerBody::Error(report) => assert!(status == 202 && report.body.len() == size),
                    AnswerBody::TooLarge { size_bytes } => {
                        assert!(status == 413 && size_bytes == size as u64, "{size_bytes} of {size}");
                    }
                    other => panic!("a whole body is not {other:?}"),
                }
                assert_eq!(guest.await.unwrap().status, status, "for {size} on {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_body_is_read_to_its_end_all_the_same() {
    let mut environment = Environment::start().await;
    let address = environment.address;
    for chunked in [false, true] {
        let guest = tokio::spawn(async move {
            let mut guest = Guest::connect(address).await;
            post(&mut guest, "invocation/1/response", 8 << 20, chunked).await;
            assert_eq!(guest.answer().await.status, 400);
            guest.get("/2018-06-01/ping").await;
            guest.answer().await.body
        });
        let (_, reply) = environment.begun().await;
        reply.send(Err(Refusal::InvalidRequestId)).unwrap();
        assert_eq!(guest.await.unwrap(), "pong");
    }
}

#[tokio::test]
async fn a_too_large_init_error_is_refused_without_a_call() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    post(&mut guest, "init/error", PAYLOAD_LIMIT_BYTES + 1, false).await;
    assert_eq!(guest.answer().await.status, 413);
    assert!(environment.calls.is_empty());
}

#[tokio::test]
async fn a_body_cut_short_is_told_to_the_lifecycle_and_to_who_still_reads() {
    let mut environment = Environment::start().await;
    for rest in [
        "Content-Length: 5\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    ] {
        for path in ["response", "error"] {
            let mut guest = environment.guest().await;
            guest.send(format!("POST {BASE}/invocation/1/{path} HTTP/1.1\r\n{rest}")).await;
            guest.half_close().await;
            let (_, body) = environment.take_answer().await;
            assert_eq!(body, AnswerBody::Truncated, "for {rest:?}");
            let answer = guest.answer().await;
            assert_eq!(answer.status, 400, "for {rest:?}");
            assert!(answer.body.contains("TruncatedHTTPRequest"), "{}", answer.body);
            assert_eq!(guest.rest().await, "");
        }
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_ends_the_answer() {
    // A queue of one is full while the lifecycle looks away.
    for capacity in [1, 8] {
        let mut environment = Environment::with_capacity(capacity).await;
        let mut guest = environment.guest().await;
        guest
            .send(format!("POST {BASE}/invocation/1/response HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"))
            .await;
        let (_, reply) = environment.begun().await;
        reply.send(Ok(Intake::Collect)).unwrap();
        let mut other = environment.guest().await;
        other.get(&format!("{BASE}/invocation/next")).await;
        guest.reset();
        let mut n_ended = 0;
        let mut n_nexts = 0;
        while n_ended + n_nexts < 2 {
            match environment.call().await {
                Call::AnswerEnded { request_id, body, .. } => {
                    assert_eq!((request_id.as_str(), body), ("1", AnswerBody::Truncated));
                    n_ended += 1;
                }
                Call::Next { .. } => n_nexts += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((n_ended, n_nexts), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_that_is_being_read_at_shutdown_ends_truncated() {
    let mut environment = Environment::with_capacity(1).await;
    let mut guest = environment.guest().await;
    guest.send(format!("POST {BASE}/invocation/1/response HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")).await;
    let (_, reply) = environment.begun().await;
    reply.send(Ok(Intake::Collect)).unwrap();
    environment.port.close().await;
    let mut ended = Vec::new();
    while let Some(call) = environment.calls.recv().await {
        ended.push(call);
    }
    assert!(matches!(&ended[..], [Call::AnswerEnded { body: AnswerBody::Truncated, .. }]), "{ended:?}");
}

#[tokio::test]
async fn a_verdict_that_finds_nobody_owes_no_end() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.post(&format!("{BASE}/invocation/1/response"), "", "{}").await;
    let (_, reply) = environment.begun().await;
    environment.port.close().await;
    assert!(matches!(reply.send(Ok(Intake::Collect)), Err(Ok(Intake::Collect))));
    assert!(environment.calls.recv().await.is_none());
}

#[tokio::test]
async fn an_init_error_cut_short_is_still_reported() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest
        .send(format!("POST {BASE}/init/error HTTP/1.1\r\nContent-Length: 99\r\n\r\n{{\"errorMessage\""))
        .await;
    guest.half_close().await;
    let Call::InitError { report, reply } = environment.call().await else { panic!("no init error") };
    assert_eq!(
        (&report.body[..], report.content_type.as_str()),
        (&b"{\"errorMessage\""[..], "application/octet-stream")
    );
    reply.send(Ok(())).unwrap();
    assert_eq!(guest.answer().await.status, 202);
}
