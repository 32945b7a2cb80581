//! A stream that fails after it began says so in its trailers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use firesteel_runtime_api::{AnswerBody, StreamError};

use crate::harness::{BASE, Environment};

/// Streams `data` and the end of a chunked body, and gives back what the lifecycle learns.
async fn streamed(declared: &str, end: &str) -> (Bytes, Option<StreamError>) {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest
        .send(format!(
            "POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{declared}\
             Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n4\r\ndata\r\n{end}"
        ))
        .await;
    let (_, body) = environment.take_answer().await;
    assert_eq!(guest.answer().await.status, 202);
    guest.get("/2018-06-01/ping").await;
    assert_eq!(guest.answer().await.body, "pong", "the connection is kept");
    match body {
        AnswerBody::Response { body, stream_error, .. } => (body, stream_error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn trailers_are_read_however_they_were_declared() {
    let error = "{\"errorMessage\":\"late\"}";
    let encoded = STANDARD.encode(error);
    let end = format!(
        "0\r\nLambda-Runtime-Function-Error-Type: Handler.Late\r\nLambda-Runtime-Function-Error-Body: {encoded}\r\n\r\n"
    );
    for declared in [
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n",
        "Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n",
        "",
    ] {
        let (body, stream_error) = streamed(declared, &end).await;
        assert_eq!(body, "data");
        // The type is not put through the rule for error reports.
        let expected = StreamError { error_type: "Handler.Late".into(), error_body: error.into() };
        assert_eq!(stream_error, Some(expected), "for {declared:?}");
    }
}

#[tokio::test]
async fn declared_trailers_that_do_not_come_are_no_error() {
    let declared = "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n";
    for end in [
        "0\r\n\r\n",
        "0\r\nX-Other: 1\r\n\r\n",
        "0\r\nLambda-Runtime-Function-Error-Type:\r\nLambda-Runtime-Function-Error-Body:\r\n\r\n",
    ] {
        assert_eq!(streamed(declared, end).await, ("data".into(), None), "for {end:?}");
    }
}

#[tokio::test]
async fn one_trailer_alone_is_an_error_too() {
    let (_, stream_error) = streamed("", "0\r\nlambda-runtime-function-error-type: T\r\n\r\n").await;
    assert_eq!(stream_error, Some(StreamError { error_type: "T".into(), error_body: Bytes::new() }));
    let (_, stream_error) = streamed("", "0\r\nLambda-Runtime-Function-Error-Body: eA==\r\n\r\n").await;
    assert_eq!(stream_error, Some(StreamError { error_type: String::new(), error_body: "x".into() }));
}

#[tokio::test]
async fn a_trailer_body_that_is_not_base64_is_kept_as_it_is() {
    let (_, stream_error) = streamed("", "0\r\nLambda-Runtime-Function-Error-Body: {no}\r\n\r\n").await;
    assert_eq!(stream_error.unwrap().error_body, "{no}");
}

#[tokio::test]
async fn a_long_stack_trace_fits_into_a_trailer() {
    let error = "s".repeat(300_000);
    let encoded = STANDARD.encode(&error);
    let (_, stream_error) =
        streamed("", &format!("0\r\nLambda-Runtime-Function-Error-Body: {encoded}\r\n\r\n")).await;
    assert_eq!(stream_error.unwrap().error_body, error);
}

#[tokio::test]
async fn trailers_written_into_the_body_stay_data() {
    // The published Rust runtime does this.
    let quirk = "Lambda-Runtime-Function-Error-Type: T\r\nLambda-Runtime-Function-Error-Body: eA==\r\n";
    let (body, stream_error) = streamed("", &format!("{:x}\r\n{quirk}\r\n0\r\n\r\n", quirk.len())).await;
    assert_eq!((body, stream_error), (Bytes::from(format!("data{quirk}")), None));
}
