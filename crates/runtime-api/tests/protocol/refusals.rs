//! Every status of the Runtime API, to the byte, and what the lifecycle is told before it.

use firesteel_runtime_api::{AnswerKind, Call, ExtensionRefusal, Intake, Refusal, ResponseMode};

use crate::harness::{ACCEPTED, BASE, Environment, event};

const TABLE: [(Refusal, u16, &str); 8] = [
    (
        Refusal::Transition { from: "RuntimeResponseSentState", to: "InvocationResponse" },
        403,
        "{\"errorMessage\":\"State transition from RuntimeResponseSentState to InvocationResponse failed for runtime. Error: State transition is not allowed\",\"errorType\":\"InvalidStateTransition\"}\n",
    ),
    (
        Refusal::InvalidRequestId,
        400,
        "{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n",
    ),
    (
        Refusal::InvalidResponseMode,
        400,
        "{\"errorMessage\":\"Invalid function response mode\",\"errorType\":\"InvalidFunctionResponseMode\"}\n",
    ),
    (
        Refusal::TooLarge,
        413,
        "{\"errorMessage\":\"Exceeded maximum allowed payload size (6291556 bytes).\",\"errorType\":\"RequestEntityTooLarge\"}\n",
    ),
    (
        Refusal::Truncated,
        400,
        "{\"errorMessage\":\"HTTP request detected as truncated\",\"errorType\":\"TruncatedHTTPRequest\"}\n",
    ),
    (Refusal::InvokeTimeout, 410, "{\"errorMessage\":\"Invoke timeout\",\"errorType\":\"InvokeTimeout\"}\n"),
    // No answer to a runtime.
    (
        Refusal::Extension(ExtensionRefusal::TooMany),
        500,
        "{\"errorMessage\":\"Internal Server Error\",\"errorType\":\"InternalServerError\"}\n",
    ),
    (
        Refusal::Platform,
        500,
        "{\"errorMessage\":\"Internal Server Error\",\"errorType\":\"InternalServerError\"}\n",
    ),
];

#[tokio::test]
async fn every_refusal_at_every_point_of_every_call_keeps_the_connection() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (refusal, status, body) in TABLE {
        for point in ["next", "init", "begun response", "begun error", "ended response", "ended error"] {
            let path = match point {
                "next" => "invocation/next",
                "init" => "init/error",
                _ if point.ends_with("response") => "invocation/1/response",
                _ => "invocation/1/error",
            };
            if point == "next" {
                guest.get(&format!("{BASE}/{path}")).await;
            } else {
                guest.post(&format!("{BASE}/{path}"), "", "{}").await;
            }
            match environment.call().await {
                Call::Next { reply } => reply.send(Err(refusal)).unwrap(),
                Call::InitError { reply, .. } => reply.send(Err(refusal)).unwrap(),
                Call::AnswerBegun { reply, .. } if point.starts_with("begun") => {
                    reply.send(Err(refusal)).unwrap();
                }
                Call::AnswerBegun { reply, .. } => {
                    reply.send(Ok(Intake::Collect)).unwrap();
                    environment.ended().await.1.send(Err(refusal)).unwrap();
                }
                other => panic!("not asked for: {other:?}"),
            }
            let answer = guest.answer().await;
            assert_eq!((answer.status, answer.body.as_str()), (status, body), "at {point}");
            assert_eq!(answer.header("Content-Type"), Some("application/json"));
            assert!(!answer.closes());
        }
    }
}

#[tokio::test]
async fn accepted_calls_are_answered_202() {
    let (address, port, lifecycle) = Environment::start().await.oblige();
    let mut guest = crate::harness::Guest::connect(address).await;
    for path in ["invocation/1/response", "invocation/1/error", "init/error"] {
        guest.post(&format!("{BASE}/{path}"), "", "{}").await;
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ACCEPTED), "for {path}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
    }
    port.close().await;
    let tally = lifecycle.await.unwrap();
    assert_eq!((tally.begun, tally.ended), (2, 2));
}

#[tokio::test]
async fn a_state_name_is_escaped_as_any_text() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/invocation/next")).await;
    let refusal = Refusal::Transition { from: "<a>", to: "&\"b" };
    environment.next_reply().await.send(Err(refusal)).unwrap();
    let answer = guest.answer().await;
    assert!(answer.body.contains(r#"from \u003ca\u003e to \u0026\"b failed"#), "{}", answer.body);
}

#[tokio::test]
async fn the_head_is_judged_before_any_byte_of_the_body() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest
        .send(format!(
            "POST {BASE}/invocation/77/response HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\
             Content-Type: text/a\r\nLambda-Runtime-Invocation-Id: try-2\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
        ))
        .await;
    let (head, reply) = environment.begun().await;
    assert_eq!(head.kind, AnswerKind::Response { content_type: "text/a".into() });
    assert_eq!(head.request_id, "77");
    assert_eq!(head.invocation_id.as_deref(), Some("try-2"));
    assert_eq!(head.mode, ResponseMode::Streaming);
    reply.send(Err(Refusal::InvalidRequestId)).unwrap();
    guest.send("abc").await;
    assert_eq!(guest.answer().await.status, 400);
    guest.get("/2018-06-01/ping").await;
    assert_eq!(guest.answer().await.body, "pong");
}

#[tokio::test]
async fn the_attempt_is_echoed_by_both_answers() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (header, expected) in [
        ("Lambda-Runtime-Invocation-Id: try-2\r\n", Some("try-2")),
        ("lambda-runtime-invocation-id: try-2\r\n", Some("try-2")),
        ("Lambda-Runtime-Invocation-Id:\r\n", None),
        ("", None),
    ] {
        for path in ["response", "error"] {
            guest.post(&format!("{BASE}/invocation/1/{path}"), header, "x").await;
            let (head, reply) = environment.begun().await;
            assert_eq!(head.invocation_id.as_deref(), expected, "for {header:?} on {path}");
            reply.send(Err(Refusal::InvalidRequestId)).unwrap();
            assert_eq!(guest.answer().await.status, 400);
        }
    }
}

#[tokio::test]
async fn only_the_exact_response_mode_is_known() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (header, expected) in [
        ("", ResponseMode::Buffered),
        ("Lambda-Runtime-Function-Response-Mode:\r\n", ResponseMode::Buffered),
        ("lambda-runtime-function-response-mode: streaming\r\n", ResponseMode::Streaming),
        ("Lambda-Runtime-Function-Response-Mode: Streaming\r\n", ResponseMode::Unknown),
        ("Lambda-Runtime-Function-Response-Mode: buffered\r\n", ResponseMode::Unknown),
        ("Lambda-Runtime-Function-Response-Mode: \u{e9}\r\n", ResponseMode::Unknown),
    ] {
        for path in ["response", "error"] {
            guest.post(&format!("{BASE}/invocation/1/{path}"), header, "x").await;
            let (head, reply) = environment.begun().await;
            assert_eq!(head.mode, expected, "for {header:?} on {path}");
            reply.send(Err(Refusal::InvalidResponseMode)).unwrap();
            assert_eq!(guest.answer().await.status, 400);
        }
    }
}

#[tokio::test]
async fn a_dropped_reply_is_a_platform_fault_and_closes_the_connection() {
    let mut environment = Environment::start().await;
    for n_granted in 0..2 {
        for path in ["invocation/next", "init/error", "invocation/1/response", "invocation/1/error"] {
            let mut guest = environment.guest().await;
            if path == "invocation/next" {
                guest.get(&format!("{BASE}/{path}")).await;
            } else {
                guest.post(&format!("{BASE}/{path}"), "", "{}").await;
            }
            match environment.call().await {
                Call::AnswerBegun { reply, .. } if n_granted == 1 => {
                    reply.send(Ok(Intake::Collect)).unwrap();
                    drop(environment.ended().await);
                }
                call => drop(call),
            }
            let answer = guest.answer().await;
            assert_eq!(answer.status, 500);
            assert_eq!(
                answer.body,
                "{\"errorMessage\":\"Internal Server Error\",\"errorType\":\"InternalServerError\"}\n"
            );
            assert!(answer.closes());
            assert_eq!(guest.rest().await, "");
        }
    }
}

#[tokio::test]
async fn without_a_lifecycle_every_call_is_a_platform_fault() {
    let Environment { address, calls, port } = Environment::start().await;
    drop(calls);
    for path in ["invocation/next", "init/error", "invocation/1/response"] {
        let mut guest = crate::harness::Guest::connect(address).await;
        if path == "invocation/next" {
            guest.get(&format!("{BASE}/{path}")).await;
        } else {
            guest.post(&format!("{BASE}/{path}"), "", "{}").await;
        }
        let answer = guest.answer().await;
        assert!(answer.status == 500 && answer.closes(), "for {path}: {answer:?}");
    }
    port.close().await;
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (method, path, expected, allow) in [
        ("GET", "/", 404, None),
        ("GET", "/2018-06-01/runtime/restore/next", 404, None),
        ("POST", "/2018-06-01/runtime/restore/error", 404, None),
        ("GET", "/2021-04-23/credentials", 404, None),
        ("GET", "/2018-06-01/runtime/invocation/next/", 404, None),
        ("GET", "/2020-01-01/extension/event/next/", 404, None),
        ("POST", "/2020-01-01/extension/error", 404, None),
        ("PUT", "/2022-07-01/logs", 404, None),
        ("GET", "/2015-03-31/functions", 404, None),
        ("POST", "/2018-06-01/runtime/invocation/next", 405, Some("GET")),
        ("HEAD", "/2018-06-01/runtime/invocation/next", 405, Some("GET")),
        ("GET", "/2018-06-01/runtime/invocation/1/response", 405, Some("POST")),
        ("PUT", "/2018-06-01/runtime/invocation/1/error", 405, Some("POST")),
        ("DELETE", "/2018-06-01/runtime/init/error", 405, Some("POST")),
        ("POST", "/2018-06-01/ping", 405, Some("GET")),
        ("GET", "/2020-01-01/extension/register", 405, Some("POST")),
        ("POST", "/2020-01-01/extension/event/next", 405, Some("GET")),
        ("PUT", "/2020-01-01/extension/init/error", 405, Some("POST")),
        ("GET", "/2020-01-01/extension/exit/error", 405, Some("POST")),
        ("POST", "/2020-08-15/logs", 405, Some("PUT")),
        ("GET", "/2022-07-01/telemetry", 405, Some("PUT")),
        ("POST", "/2026-01-15/metadata/execution-environment", 405, Some("GET")),
    ] {
        guest.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{{}}")).await;
        let answer = guest.answer().await;
        assert_eq!(answer.status, expected, "for {method} {path}");
        assert_eq!(answer.header("Allow"), allow);
        if expected == 404 {
            assert_eq!(answer.body, "404 page not found\n");
        }
    }
    // None of it was the lifecycle's business, and the connection is as good as new.
    guest.get(&format!("{BASE}/invocation/next")).await;
    environment.next_reply().await.send(Ok(event("{}"))).unwrap();
    assert_eq!(guest.answer().await.status, 200);
}
