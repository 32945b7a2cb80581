//! The HTTP that real runtimes and their client libraries speak.

use firesteel_runtime_api::{AnswerBody, Call, ErrorReport, Intake, Refusal};

use crate::harness::{ACCEPTED, BASE, Environment, event};

async fn delivered_after(request: &str) -> crate::harness::Answer {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.send(request).await;
    environment.next_reply().await.send(Ok(event("{\"n\":1}"))).unwrap();
    let answer = guest.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"n\":1}"), "for {request:?}");
    answer
}

#[tokio::test]
async fn next_in_every_dialect() {
    for (request, closes) in [
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), true),
        (format!("GET {BASE}/invocation/next?x=1&y HTTP/1.1\r\nHost: h\r\n\r\n"), false),
        (format!("GET http://127.0.0.1:9001{BASE}/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\nHost: h\n\n"), false),
        (format!("\r\nGET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\nExpect:\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), false),
        (format!("GET {BASE}/invocation/next HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{{}}"), false),
        // Java's client offers HTTP/2 on every first request.
        (
            format!(
                "GET {BASE}/invocation/next HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: h\r\n\
                 HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n\r\n"
            ),
            false,
        ),
    ] {
        assert_eq!(delivered_after(&request).await.closes(), closes, "for {request:?}");
    }
}

#[tokio::test]
async fn http_1_0_closes_unless_it_asks_to_stay() {
    let answer = delivered_after(&format!("GET {BASE}/invocation/next HTTP/1.0\r\n\r\n")).await;
    assert!(answer.head.starts_with("HTTP/1.0 200"), "{}", answer.head);
    assert_ne!(answer.header("Connection"), Some("keep-alive"));

    let request = format!("GET {BASE}/invocation/next HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = delivered_after(&request).await;
    assert_eq!(answer.header("Connection"), Some("keep-alive"));
}

#[tokio::test]
async fn answers_in_every_dialect() {
    let mut environment = Environment::start().await;
    let to = format!("POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\n");
    for (request, expected) in [
        (format!("{to}Content-Length: 2\r\n\r\n{{}}"), "{}"),
        (format!("{to}Content-Length: 0\r\n\r\n"), ""),
        (format!("{to}\r\n"), ""),
        (format!("{to}Expect:\r\nContent-Length: 2\r\n\r\n{{}}"), "{}"),
        (format!("{to}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"), "{}"),
        (format!("{to}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), ""),
        (format!("{to}transfer-encoding: Chunked\r\n\r\n1;ext=1\r\n{{\r\n01\r\n}}\r\n000\r\n\r\n"), "{}"),
        (format!("POST {BASE}/invocation/1/response HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}"), "{}"),
        (format!("POST {BASE}/invocation/1/response HTTP/1.0\r\n\r\n"), ""),
        (
            format!(
                "POST http://h:9001{BASE}/invocation/1/response?a HTTP/1.1\r\nContent-Length: 1\r\n\r\n7"
            ),
            "7",
        ),
    ] {
        let mut guest = environment.guest().await;
        guest.send(&request).await;
        let (head, body) = environment.take_answer().await;
        assert_eq!(head.request_id, "1");
        let AnswerBody::Response { content_type, body, stream_error: None } = body else {
            panic!("{body:?} for {request:?}");
        };
        assert_eq!((content_type.as_str(), &body[..]), ("application/octet-stream", expected.as_bytes()));
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ACCEPTED), "for {request:?}");
    }
}

#[tokio::test]
async fn a_request_may_arrive_byte_by_byte() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let request = format!(
        "POST {BASE}/invocation/1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    );
    for byte in request.as_bytes() {
        guest.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    let (_, body) = environment.take_answer().await;
    assert!(matches!(body, AnswerBody::Response { body, .. } if body == "abcde"));
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_once_its_answer_is_allowed() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let head = format!(
        "POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    );
    guest.send(&head).await;
    let (_, reply) = environment.begun().await;
    reply.send(Ok(Intake::Collect)).unwrap();
    assert_eq!(guest.answer().await.status, 100);
    guest.send("hello").await;
    let (body, reply) = environment.ended().await;
    assert!(matches!(body, AnswerBody::Response { body, .. } if body == "hello"));
    reply.send(Ok(())).unwrap();
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn a_client_that_expects_100_is_refused_without_being_asked_for_its_body() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let head = format!(
        "POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    );
    guest.send(&head).await;
    let (_, reply) = environment.begun().await;
    reply.send(Err(Refusal::InvalidRequestId)).unwrap();
    let answer = guest.answer().await;
    // Nobody can know whether the body will come, so the connection cannot go on.
    assert!(answer.status == 400 && answer.closes(), "{answer:?}");
    assert_eq!(guest.rest().await, "");
}

#[tokio::test]
async fn a_half_closed_client_still_gets_its_answers() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/invocation/next")).await;
    guest.half_close().await;
    let reply = environment.next_reply().await;
    // Seeing the end of the stream is what would tempt a server to give up.
    let mut other = environment.guest().await;
    other.get("/2018-06-01/ping").await;
    other.answer().await;
    reply.send(Ok(event("{}"))).unwrap();
    assert_eq!(guest.answer().await.status, 200);
    assert_eq!(guest.rest().await, "");

    let mut guest = environment.guest().await;
    guest.post(&format!("{BASE}/invocation/1/response"), "", "{}").await;
    guest.half_close().await;
    environment.take_answer().await;
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest
        .send(format!(
            "GET {BASE}/invocation/next HTTP/1.1\r\n\r\n\
             POST {BASE}/invocation/1/response HTTP/1.1\r\nContent-Length: 3\r\n\r\none\
             POST {BASE}/invocation/2/error HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
             GET /2018-06-01/ping HTTP/1.1\r\n\r\n"
        ))
        .await;
    environment.next_reply().await.send(Ok(event("[]"))).unwrap();
    let (head, body) = environment.take_answer().await;
    assert_eq!(head.request_id, "1");
    assert!(matches!(body, AnswerBody::Response { body, .. } if body == "one"));
    let (head, body) = environment.take_answer().await;
    assert_eq!(head.request_id, "2");
    assert!(matches!(body, AnswerBody::Error(ErrorReport { body, .. }) if body == "two"));
    for expected in [(200, "[]"), (202, ACCEPTED), (202, ACCEPTED), (200, "pong")] {
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), expected);
    }
}

#[tokio::test]
async fn a_long_cause_in_a_header_is_taken_and_cropped() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let path = "x".repeat(80);
    let frame = format!(r#"{{"path":"{path}","line":7}}"#);
    let frames = vec![frame; 1024 * 1024 / 99].join(",");
    let cause =
        format!(r#"{{"exceptions":[{{"type":"T","stack":[{frames}]}}],"working_directory":"/var/task"}}"#);
    assert!(cause.len() > 1_000_000);
    let headers = format!(
        "Lambda-Runtime-Function-XRay-Error-Cause: {cause}\r\nLambda-Runtime-Function-Error-Type: Function.Bad\r\n"
    );
    guest.post(&format!("{BASE}/invocation/1/error"), &headers, "{}").await;
    let (_, body) = environment.take_answer().await;
    let AnswerBody::Error(report) = body else { panic!("{body:?}") };
    let cropped = report.xray_cause.unwrap();
    assert!(cropped.len() <= 64 * 1024 && cropped.contains("\"working_directory\":\"/var/task\""));
    assert_eq!(report.error_type, "Function.Bad");
    assert_eq!(guest.answer().await.status, 202);

    // The same on init, and the connection has survived both.
    guest.post(&format!("{BASE}/init/error"), &headers, "{}").await;
    let Call::InitError { report, reply } = environment.call().await else { panic!("no init error") };
    assert_eq!(report.xray_cause.unwrap(), cropped);
    reply.send(Ok(())).unwrap();
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn a_header_of_a_whole_mebibyte_is_within_the_limit() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let value = "v".repeat(1024 * 1024);
    let more: String = (0..80).map(|n| format!("X-{n}: {n}\r\n")).collect();
    guest.send(format!("GET {BASE}/invocation/next HTTP/1.1\r\nX-Long: {value}\r\n{more}\r\n")).await;
    environment.next_reply().await.send(Ok(event("{}"))).unwrap();
    assert_eq!(guest.answer().await.status, 200);
}

#[tokio::test]
async fn beyond_the_head_limits_the_client_can_read_its_431() {
    let environment = Environment::start().await;
    // More than the kernel buffers: the client is still writing when it is refused.
    let long = "v".repeat(32 * 1024 * 1024);
    let many: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
    for headers in [format!("X-Long: {long}\r\n"), many] {
        let mut guest = environment.guest().await;
        guest.send(format!("GET {BASE}/invocation/next HTTP/1.1\r\n{headers}\r\n")).await;
        let answer = guest.answer().await;
        assert_eq!(answer.status, 431);
        guest.half_close().await;
        assert_eq!(guest.rest().await, "");
    }
    let mut guest = environment.guest().await;
    guest.send(format!("GET /{} HTTP/1.1\r\n\r\n", "p".repeat(70_000))).await;
    assert_eq!(guest.answer().await.status, 414);
}
