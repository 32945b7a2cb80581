//! What it costs to know who sent a small invoke: fastest, median and 99th percentile over many requests.
//!
//! `cargo bench -p firesteel-api`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials as Signer;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use firesteel_api::authentication::{Authenticator, Credentials, Replay};
use firesteel_api::authorization::{Access, Caller, Context, decide};
use http::{HeaderValue, Request};
use jiff::Timestamp;

const TURNS: u32 = 20_000;
const FILE: &str = r#"{"Credentials": [{"AccessKeyId": "AK", "SecretAccessKey": "secret",
    "Arn": "arn:aws:iam::123456789012:user/alice", "Policy": {"Statement": [
        {"Effect": "Deny", "Action": "lambda:Delete*", "Resource": "*"},
        {"Effect": "Allow", "Action": "lambda:Invoke*", "Resource": "arn:aws:lambda:*:*:function:orders*"}]}}]}"#;

fn main() -> ExitCode {
    let credentials = Arc::new(Credentials::parse(FILE).expect("the file above is in its form"));
    let authenticator = Authenticator::new(credentials, "us-east-1", Replay::Refused);
    for size_bytes in [64, 64 * 1024, 6 * 1024 * 1024] {
        let turns = if size_bytes > 1 << 20 { TURNS / 200 } else { TURNS };
        let body = Bytes::from(vec![b'1'; size_bytes]);
        let mut took = Vec::new();
        for turn in 0..turns {
            let head = signed(&body, turn);
            let begun = Instant::now();
            let now = Timestamp::now();
            let pending = authenticator.begin(&head, now).expect("the head is good");
            let (identity, _) = pending.finish(body.clone(), now).expect("the signature is good");
            let access = Access {
                caller: Caller::Identity(&identity),
                action: "lambda:InvokeFunction",
                resource: "arn:aws:lambda:us-east-1:123456789012:function:orders",
                context: Context::default(),
            };
            decide(access, None).expect("the policy allows it");
            took.push(begun.elapsed());
        }
        told(size_bytes, took);
    }
    ExitCode::SUCCESS
}

/// Every request is another one, as the memory of requests wants it.
fn signed(body: &[u8], turn: u32) -> http::request::Parts {
    let path = "/2015-03-31/functions/orders/invocations";
    let turn = turn.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-amz-invocation-type", "RequestResponse"),
        ("x-amz-log-type", "None"),
        ("x-turn", turn.as_str()),
    ];
    let uri = format!("http://127.0.0.1:9000{path}");
    let mut request = Request::post(&uri);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(()).expect("the request is well formed");
    let identity = Signer::new("AK", "secret", None, None, "bench").into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("nothing is missing")
        .into();
    let signable = SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(body))
        .expect("the request is well formed");
    let (instructions, _) = sign(signable, &parameters).expect("the request can be signed").into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let (mut head, ()) = request.into_parts();
    head.headers.insert("host", HeaderValue::from_static("127.0.0.1:9000"));
    head.uri = http::Uri::from_static("/2015-03-31/functions/orders/invocations");
    head
}

#[expect(clippy::print_stdout, reason = "a benchmark tells what it measured")]
fn told(size_bytes: usize, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("{size_bytes:>8} bytes: {:>8.1?} {:>8.1?} {:>8.1?}", at(0), at(50), at(99));
}
