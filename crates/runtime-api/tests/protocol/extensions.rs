//! The Extensions API: registration, events and errors, to the byte.

use firesteel_runtime_api::{
    Call, ExtensionErrorPhase, ExtensionEvent, ExtensionRefusal, PAYLOAD_LIMIT_BYTES, Refusal, Registered,
    Registration, ShutdownReason,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::{Uuid, uuid};

use crate::harness::{ACCEPTED, Answer, Environment, Guest};

const EXTENSION: &str = "/2020-01-01/extension";
const ID: Uuid = uuid!("8476a536-e9f4-11e8-9739-2dfe598c3fcd");
const WHO: &str = "Lambda-Extension-Identifier: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n";
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type: Extension.Bad\r\n";

fn registered(account_id: Option<&str>) -> Registered {
    Registered {
        identifier: ID,
        function_name: "f".into(),
        function_version: "$LATEST".into(),
        handler: "app.<handler>".into(),
        account_id: account_id.map(str::to_owned),
    }
}

fn error(error_type: &str, message: &str) -> String {
    format!("{{\"errorMessage\":\"{message}\",\"errorType\":\"{error_type}\"}}\n")
}

/// Refused, and the connection goes on.
fn assert_refused(answer: &Answer, error_type: &str, message: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (403, error(error_type, message).as_str()));
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert!(!answer.closes());
}

/// One request of each kind that reaches the lifecycle, and the target of its transition.
const CALLS: [(&str, &str, &str); 4] = [
    ("POST", "register", "Registered"),
    ("GET", "event/next", "Ready"),
    ("POST", "init/error", "InitError"),
    ("POST", "exit/error", "ExitError"),
];

async fn send(guest: &mut Guest, method: &str, path: &str) {
    let headers = format!("Lambda-Extension-Name: one\r\n{WHO}{ERROR_TYPE}");
    guest.request(method, &format!("{EXTENSION}/{path}"), &headers, "{}").await;
}

fn refuse(call: Call, refusal: Refusal) {
    match call {
        Call::Register { reply, .. } => reply.send(Err(refusal)).unwrap(),
        Call::ExtensionNext { reply, .. } => reply.send(Err(refusal)).unwrap(),
        Call::ExtensionError { reply, .. } => reply.send(Err(refusal)).unwrap(),
        other => panic!("no extension's: {other:?}"),
    }
}

#[tokio::test]
async fn a_registration_says_what_is_wanted() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (headers, body, invoke, shutdown, account_id) in [
        ("", r#"{"events":["INVOKE","SHUTDOWN"]}"#, true, true, false),
        ("Lambda-Extension-Accept-Feature: accountId\r\n", r#"{"events":["INVOKE"]}"#, true, false, true),
        ("lambda-extension-accept-feature: x, accountId ,y\r\n", "{}", false, false, true),
        ("Lambda-Extension-Accept-Feature: accountid\r\n", r#"{"events":[]}"#, false, false, false),
        ("Content-Type: text/plain\r\n", r#"{"events":["SHUTDOWN"],"more":1}"#, false, true, false),
    ] {
        let headers = format!("lambda-extension-name: my extension\r\n{headers}");
        guest.post(&format!("{EXTENSION}/register"), &headers, body).await;
        let Call::Register { registration, reply } = environment.call().await else {
            panic!("no registration")
        };
        let name = "my extension".to_owned();
        assert_eq!(registration, Registration { name, invoke, shutdown, account_id }, "for {body}");
        reply.send(Ok(registered(None))).unwrap();
        assert_eq!(guest.answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_registered_extension_is_told_its_identifier_and_its_function() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (account_id, member) in [(None, ""), (Some("123456789012"), ",\"accountId\":\"123456789012\"")] {
        send(&mut guest, "POST", "register").await;
        let Call::Register { reply, .. } = environment.call().await else { panic!("no registration") };
        reply.send(Ok(registered(account_id))).unwrap();
        let answer = guest.answer().await;
        assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 200 OK"));
        let length = format!("Content-Length: {}", answer.body.len());
        assert_eq!(answer.header_lines(), [WHO.trim_end(), "Content-Type: application/json", &length]);
        assert_eq!(
            answer.body,
            format!(
                "{{\"functionName\":\"f\",\"functionVersion\":\"$LATEST\",\
                 \"handler\":\"app.\\u003chandler\\u003e\"{member}}}\n"
            )
        );
    }
}

#[tokio::test]
async fn a_malformed_registration_never_reaches_the_lifecycle() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let name = "Lambda-Extension-Name: one\r\n";
    for headers in ["", "Lambda-Extension-Name:\r\n"] {
        guest.post(&format!("{EXTENSION}/register"), headers, r#"{"events":["FOO"]}"#).await;
        assert_refused(&guest.answer().await, "Extension.InvalidExtensionName", "Empty extension name");
    }
    for body in ["", "{", "[]", "{\"events\":\"INVOKE\"}", "{\"events\":[1]}"] {
        guest.post(&format!("{EXTENSION}/register"), name, body).await;
        let answer = guest.answer().await;
        assert_eq!(answer.status, 403, "for {body}");
        assert!(answer.body.ends_with(",\"errorType\":\"InvalidRequestFormat\"}\n"), "{}", answer.body);
    }
    guest.post(&format!("{EXTENSION}/register"), name, r#"{"configurationKeys":["a"]}"#).await;
    let message = "configurationKeys are deprecated; use environment variables instead";
    assert_refused(&guest.answer().await, "InvalidRequestFormat", message);
    for (event, shown) in [("FOO", "FOO"), ("invoke", "invoke"), ("", ""), ("<b>", "\\u003cb\\u003e")] {
        guest.post(&format!("{EXTENSION}/register"), name, format!(r#"{{"events":["{event}"]}}"#)).await;
        let message = format!("{shown}: ErrorInvalidEventType");
        assert_refused(&guest.answer().await, "Extension.InvalidEventType", &message);
    }
    assert!(environment.calls.is_empty());
}

#[tokio::test]
async fn a_registration_that_is_cut_short_or_too_large_is_refused() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let body = vec![b' '; PAYLOAD_LIMIT_BYTES + 1];
    guest.post(&format!("{EXTENSION}/register"), "Lambda-Extension-Name: one\r\n", body).await;
    assert_eq!(guest.answer().await.status, 413);
    guest
        .send(format!(
            "POST {EXTENSION}/register HTTP/1.1\r\nLambda-Extension-Name: one\r\nContent-Length: 9\r\n\r\n{{}}"
        ))
        .await;
    guest.half_close().await;
    let answer = guest.answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("TruncatedHTTPRequest"), "{}", answer.body);
    assert!(environment.calls.is_empty());
}

#[tokio::test]
async fn an_invocation_is_announced() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let mut identifiers = Vec::new();
    for (trace, tracing) in [
        (None, ""),
        (Some(""), ""),
        (
            Some("Root=1-5bef4de7;Sampled=1"),
            ",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"Root=1-5bef4de7;Sampled=1\"}",
        ),
    ] {
        send(&mut guest, "GET", "event/next").await;
        let Call::ExtensionNext { extension, reply } = environment.call().await else { panic!("no next") };
        assert_eq!(extension, ID);
        let event = ExtensionEvent::Invoke {
            deadline_ms: 1_542_409_706_888,
            request_id: "r-1".into(),
            function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".into(),
            trace: trace.map(str::to_owned),
        };
        reply.send(Ok(event)).unwrap();
        let answer = guest.answer().await;
        assert_eq!(answer.status, 200);
        let identifier = answer.header("Lambda-Extension-Event-Identifier").unwrap().to_owned();
        Uuid::parse_str(&identifier).unwrap();
        let length = format!("Content-Length: {}", answer.body.len());
        assert_eq!(
            answer.header_lines(),
            [
                &format!("Lambda-Extension-Event-Identifier: {identifier}"),
                "Content-Type: application/json",
                &length
            ]
        );
        assert_eq!(
            answer.body,
            format!(
                "{{\"eventType\":\"INVOKE\",\"deadlineMs\":1542409706888,\"requestId\":\"r-1\",\
                 \"invokedFunctionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:f\"{tracing}}}\n"
            )
        );
        identifiers.push(identifier);
    }
    identifiers.dedup();
    assert_eq!(identifiers.len(), 3);
}

#[tokio::test]
async fn the_end_is_announced_with_its_reason() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (reason, name) in [
        (ShutdownReason::Spindown, "spindown"),
        (ShutdownReason::Timeout, "timeout"),
        (ShutdownReason::Failure, "failure"),
    ] {
        send(&mut guest, "GET", "event/next").await;
        let Call::ExtensionNext { reply, .. } = environment.call().await else { panic!("no next") };
        reply.send(Ok(ExtensionEvent::Shutdown { reason, deadline_ms: 676_051 })).unwrap();
        let answer = guest.answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            format!("{{\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"{name}\",\"deadlineMs\":676051}}\n")
        );
        let length = format!("Content-Length: {}", answer.body.len());
        assert_eq!(answer.header_lines(), ["Content-Type: application/json", &length]);
    }
}

#[tokio::test]
async fn an_error_is_reported_with_its_phase_and_type() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (path, expected) in
        [("init/error", ExtensionErrorPhase::Init), ("exit/error", ExtensionErrorPhase::Exit)]
    {
        for body in ["", r#"{"errorMessage":"m"}"#, "{"] {
            let headers = format!("{WHO}{ERROR_TYPE}");
            guest.post(&format!("{EXTENSION}/{path}"), &headers, body).await;
            let Call::ExtensionError { extension, phase, error_type, reply } = environment.call().await
            else {
                panic!("no error");
            };
            assert_eq!((extension, phase, error_type.as_str()), (ID, expected, "Extension.Bad"));
            reply.send(Ok(())).unwrap();
            let answer = guest.answer().await;
            assert_eq!((answer.status, answer.body.as_str()), (202, ACCEPTED));
        }
        for headers in [WHO.to_owned(), format!("{WHO}Lambda-Extension-Function-Error-Type:\r\n")] {
            guest.post(&format!("{EXTENSION}/{path}"), &headers, "{}").await;
            let message = "Lambda-Extension-Function-Error-Type not found";
            assert_refused(&guest.answer().await, "Extension.MissingHeader", message);
        }
    }
    assert!(environment.calls.is_empty());
}

#[tokio::test]
async fn an_identifier_is_needed_and_looked_at_first() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (method, path) in [
        ("GET", "/2020-01-01/extension/event/next"),
        ("POST", "/2020-01-01/extension/init/error"),
        ("POST", "/2020-01-01/extension/exit/error"),
        ("PUT", "/2022-07-01/telemetry"),
        ("PUT", "/2020-08-15/logs"),
    ] {
        for headers in ["", "Lambda-Extension-Identifier:\r\n"] {
            guest.request(method, path, headers, "{").await;
            let message = "Missing Lambda-Extension-Identifier header";
            assert_refused(&guest.answer().await, "Extension.MissingExtensionIdentifier", message);
        }
        for sent in
            ["x", "8476a536-e9f4-11e8-9739-2dfe598c3fc", "\u{e9}", "8476a536_e9f4_11e8_9739_2dfe598c3fcd"]
        {
            guest.request(method, path, &format!("Lambda-Extension-Identifier: {sent}\r\n"), "{").await;
            let message = "Invalid Lambda-Extension-Identifier";
            assert_refused(&guest.answer().await, "Extension.InvalidExtensionIdentifier", message);
        }
    }
    assert!(environment.calls.is_empty());
}

#[test]
fn an_identifier_is_a_uuid_in_any_of_its_forms_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let environment = runtime.block_on(Environment::start());
    let guest = tokio::sync::Mutex::new(runtime.block_on(environment.guest()));
    let environment = tokio::sync::Mutex::new(environment);
    let sent = prop_oneof![
        any::<u128>().prop_map(|bits| Uuid::from_u128(bits).hyphenated().to_string()),
        any::<u128>().prop_map(|bits| format!("{:X}", Uuid::from_u128(bits).simple())),
        any::<u128>().prop_map(|bits| Uuid::from_u128(bits).braced().to_string()),
        any::<u128>().prop_map(|bits| Uuid::from_u128(bits).urn().to_string()),
        "[!-~]{1,40}",
    ];
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    runner
        .run(&sent, |sent| {
            runtime.block_on(async {
                let (mut guest, mut environment) = (guest.lock().await, environment.lock().await);
                let headers = format!("Lambda-Extension-Identifier: {sent}\r\n");
                guest.request("GET", &format!("{EXTENSION}/event/next"), &headers, "").await;
                if let Ok(expected) = Uuid::parse_str(&sent) {
                    let Call::ExtensionNext { extension, reply } = environment.call().await else {
                        panic!("no next");
                    };
                    assert_eq!(extension, expected);
                    let event = ExtensionEvent::Shutdown { reason: ShutdownReason::Spindown, deadline_ms: 1 };
                    reply.send(Ok(event)).unwrap();
                    assert_eq!(guest.answer().await.status, 200);
                } else {
                    assert_eq!(guest.answer().await.status, 403);
                    assert!(environment.calls.is_empty());
                }
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(environment.into_inner().port.close());
}

#[tokio::test]
async fn every_refusal_of_the_lifecycle_is_told_to_the_byte() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (refusal, error_type, message) in [
        (
            ExtensionRefusal::RegistrationClosed,
            "Extension.RegistrationClosed",
            "Extension registration closed already",
        ),
        (
            ExtensionRefusal::NameTaken,
            "Extension.InvalidExtensionState",
            "Extension with this name already registered",
        ),
        (ExtensionRefusal::TooMany, "Extension.TooManyExtensions", "Extension limit (10) reached"),
        (
            ExtensionRefusal::ShutdownNotSupported,
            "Extension.InvalidEventType",
            "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
        ),
    ] {
        send(&mut guest, "POST", "register").await;
        refuse(environment.call().await, Refusal::Extension(refusal));
        assert_refused(&guest.answer().await, error_type, message);
    }
    for (method, path, to) in CALLS {
        send(&mut guest, method, path).await;
        let refusal = ExtensionRefusal::Transition { from: "ExitError", to };
        refuse(environment.call().await, Refusal::Extension(refusal));
        let who = if path == "register" { "one".to_owned() } else { ID.to_string() };
        let message = format!(
            "State transition from ExitError to {to} failed for extension {who}. \
             Error: State transition is not allowed"
        );
        assert_refused(&guest.answer().await, "Extension.InvalidExtensionState", &message);
        if path == "register" {
            continue;
        }
        send(&mut guest, method, path).await;
        refuse(environment.call().await, Refusal::Extension(ExtensionRefusal::UnknownIdentifier));
        let message = match path {
            "event/next" => format!("Unknown extension {ID}"),
            _ => "Unknown Lambda-Extension-Identifier".to_owned(),
        };
        assert_refused(&guest.answer().await, "Extension.UnknownExtensionIdentifier", &message);
    }
}

#[tokio::test]
async fn a_name_is_escaped_as_any_text() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.post(&format!("{EXTENSION}/register"), "Lambda-Extension-Name: <a\"b>\r\n", "{}").await;
    let refusal = ExtensionRefusal::Transition { from: "Ready", to: "Registered" };
    refuse(environment.call().await, Refusal::Extension(refusal));
    let answer = guest.answer().await;
    assert!(answer.body.contains(r#"for extension \u003ca\"b\u003e. Error"#), "{}", answer.body);
}

#[tokio::test]
async fn a_platform_fault_keeps_the_connection_and_a_dropped_reply_closes_it() {
    let mut environment = Environment::start().await;
    for (method, path, _) in CALLS {
        let mut guest = environment.guest().await;
        send(&mut guest, method, path).await;
        refuse(environment.call().await, Refusal::Platform);
        let fault = guest.answer().await;
        assert_eq!(fault.body, error("InternalServerError", "Internal Server Error"));
        assert!(fault.status == 500 && !fault.closes(), "{fault:?}");
        send(&mut guest, method, path).await;
        drop(environment.call().await);
        let fault = guest.answer().await;
        assert!(fault.status == 500 && fault.closes(), "{fault:?}");
        assert_eq!(guest.rest().await, "");
    }
}
