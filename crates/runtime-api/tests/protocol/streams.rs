//! A response that is passed on as it comes.

use std::io::ErrorKind;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use firesteel_runtime_api::{
    AnswerBody, Call, ForwardEnd, Intake, PAYLOAD_LIMIT_BYTES, Refusal, STREAM_LIMIT_BYTES, StreamError,
};
use tokio::sync::mpsc;

use crate::harness::{ACCEPTED, BASE, Environment, Guest, chunks, verdict_on, within};

/// What `Intake::Forward` promises.
const PIECE_BYTES: usize = 64 * 1024;

fn head(framing: &str) -> String {
    format!(
        "POST {BASE}/invocation/1/response HTTP/1.1\r\nHost: h\r\n{framing}\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
    )
}

/// All that still comes, until the channel ends.
async fn gather(mut from: mpsc::Receiver<Bytes>) -> Vec<u8> {
    let mut gathered = Vec::new();
    while let Some(piece) = within(from.recv()).await {
        assert!((1..=PIECE_BYTES).contains(&piece.len()), "a piece of {} bytes", piece.len());
        gathered.extend_from_slice(&piece);
    }
    gathered
}

/// The end of a forwarded answer, which is judged as the lifecycle would.
async fn forward_end(environment: &mut Environment) -> (u64, ForwardEnd) {
    let (body, reply) = environment.ended().await;
    let _ = reply.send(verdict_on(&body));
    match body {
        AnswerBody::Forwarded { size_bytes, end } => (size_bytes, end),
        other => panic!("not forwarded: {other:?}"),
    }
}

#[tokio::test]
async fn bytes_arrive_while_the_body_is_still_being_sent() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.send(head("Transfer-Encoding: chunked")).await;
    let mut pieces = environment.forward(1).await;
    for said in ["a", "few", "words"] {
        guest.send(chunks(said.as_bytes(), 64)).await;
        assert_eq!(within(pieces.recv()).await.unwrap(), said);
    }
    assert!(environment.calls.is_empty());
    guest.send("0\r\n\r\n").await;
    assert_eq!(within(pieces.recv()).await, None);
    assert_eq!(forward_end(&mut environment).await, (9, ForwardEnd::Complete(None)));
    let answer = guest.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ACCEPTED));
}

#[tokio::test]
async fn large_bodies_come_whole_in_small_pieces() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let body: Vec<u8> = (0..251).cycle().take(PAYLOAD_LIMIT_BYTES).collect();
    for (framing, sent) in [
        (format!("Content-Length: {}", body.len()), body.clone()),
        ("Transfer-Encoding: chunked".into(), [chunks(&body, 1_000_003), b"0\r\n\r\n".to_vec()].concat()),
    ] {
        let address = environment.address;
        let request = [head(&framing).into_bytes(), sent].concat();
        let sending = tokio::spawn(async move {
            let mut guest = Guest::connect(address).await;
            guest.send(request).await;
            guest.answer().await.status
        });
        let pieces = environment.forward(2).await;
        assert!(gather(pieces).await == body);
        assert_eq!(
            forward_end(&mut environment).await,
            (body.len() as u64, ForwardEnd::Complete(None)),
            "for {framing}"
        );
        assert_eq!(sending.await.unwrap(), 202);
    }
    guest.get("/2018-06-01/ping").await;
    assert_eq!(guest.answer().await.body, "pong");
}

#[tokio::test]
async fn the_channel_has_ended_when_the_lifecycle_hears_of_the_end() {
    let mut environment = Environment::start().await;
    for (sent, size_bytes) in [("0\r\n\r\n", 0), ("2\r\nok\r\n0\r\n\r\n", 2)] {
        let mut guest = environment.guest().await;
        guest.send(head("Transfer-Encoding: chunked") + sent).await;
        let pieces = environment.forward(8).await;
        let (body, reply) = environment.ended().await;
        assert!(pieces.is_closed());
        assert_eq!(body, AnswerBody::Forwarded { size_bytes, end: ForwardEnd::Complete(None) });
        assert_eq!(gather(pieces).await.len() as u64, size_bytes);
        reply.send(Ok(())).unwrap();
        assert_eq!(guest.answer().await.status, 202);
    }
}

#[tokio::test]
async fn a_full_channel_holds_the_runtime_back() {
    // Far more than the sockets of both sides and the port hold together.
    const BODY_BYTES: usize = 100 << 20;
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let mut other = environment.guest().await;
    guest.send(head(&format!("Content-Length: {BODY_BYTES}"))).await;
    let mut pieces = environment.forward(1).await;
    let block = vec![b'x'; 1 << 20];

    // It does not get further although the port has time for another connection.
    let mut n_written = 0;
    let mut n_stalls = 0;
    while n_stalls < 200 {
        let rest = block.len().min(BODY_BYTES - n_written);
        match guest.stream.try_write(&block[..rest]) {
            Ok(n) => {
                n_written += n;
                n_stalls = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => n_stalls += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(n_written < BODY_BYTES, "nothing holds the runtime back");
        other.get("/2018-06-01/ping").await;
        assert_eq!(other.answer().await.body, "pong");
    }

    let writing = tokio::spawn(async move {
        while n_written < BODY_BYTES {
            let rest = block.len().min(BODY_BYTES - n_written);
            guest.send(&block[..rest]).await;
            n_written += rest;
        }
        guest.answer().await.status
    });
    let mut n_read = 0;
    while let Some(piece) = within(pieces.recv()).await {
        n_read += piece.len();
    }
    assert_eq!(n_read, BODY_BYTES);
    forward_end(&mut environment).await;
    assert_eq!(writing.await.unwrap(), 202);
}

#[tokio::test]
async fn without_a_receiver_the_runtime_runs_on() {
    let mut environment = Environment::start().await;
    let address = environment.address;
    let size = 9 << 20;
    for takes_first in [false, true] {
        let sending = tokio::spawn(async move {
            let mut guest = Guest::connect(address).await;
            let body = [chunks(&vec![b'x'; size], 70_000), b"0\r\n\r\n".to_vec()].concat();
            guest.send([head("Transfer-Encoding: chunked").into_bytes(), body].concat()).await;
            guest.answer().await.status
        });
        let mut pieces = environment.forward(1).await;
        if takes_first {
            // The channel is full again, or soon will be.
            within(pieces.recv()).await.unwrap();
        }
        drop(pieces);
        assert_eq!(forward_end(&mut environment).await, (size as u64, ForwardEnd::Complete(None)));
        assert_eq!(sending.await.unwrap(), 202);
    }
}

#[tokio::test]
async fn a_stream_at_the_limit_is_passed_on_and_beyond_it_is_cut() {
    let mut environment = Environment::start().await;
    let address = environment.address;
    for (over_bytes, end, status) in
        [(0, ForwardEnd::Complete(None), 202), (3 << 20, ForwardEnd::TooLarge, 413)]
    {
        let sending = tokio::spawn(async move {
            let mut guest = Guest::connect(address).await;
            guest.send(head(&format!("Content-Length: {}", STREAM_LIMIT_BYTES + over_bytes))).await;
            let block = vec![b'x'; 1 << 20];
            for _ in 0..(STREAM_LIMIT_BYTES + over_bytes) >> 20 {
                guest.send(&block).await;
            }
            guest.answer().await
        });
        let mut pieces = environment.forward(4).await;
        let mut n_read = 0;
        while let Some(piece) = within(pieces.recv()).await {
            n_read += piece.len() as u64;
        }
        assert_eq!(n_read, STREAM_LIMIT_BYTES);
        let (size_bytes, ended) = forward_end(&mut environment).await;
        assert_eq!((ended, size_bytes > STREAM_LIMIT_BYTES), (end, over_bytes > 0));
        let answer = sending.await.unwrap();
        assert_eq!((answer.status, answer.closes()), (status, over_bytes > 0));
    }
}

#[tokio::test]
async fn a_stream_cut_short_is_told_to_the_lifecycle_and_to_who_still_reads() {
    let mut environment = Environment::start().await;
    for (framing, sent, expected) in [
        ("Content-Length: 5", "abc", "abc"),
        ("Content-Length: 5", "", ""),
        ("Transfer-Encoding: chunked", "5\r\nabc", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\nzz\r\n", "abc"),
    ] {
        let mut guest = environment.guest().await;
        guest.send(head(framing) + sent).await;
        guest.half_close().await;
        let pieces = environment.forward(8).await;
        assert_eq!(gather(pieces).await, expected.as_bytes(), "for {sent:?}");
        let size_bytes = expected.len() as u64;
        assert_eq!(forward_end(&mut environment).await, (size_bytes, ForwardEnd::Truncated), "for {sent:?}");
        let answer = guest.answer().await;
        assert_eq!(answer.status, 400, "for {sent:?}");
        assert!(answer.body.contains("TruncatedHTTPRequest"), "{}", answer.body);
        assert_eq!(guest.rest().await, "");
    }
}

#[tokio::test]
async fn a_stream_that_fails_late_says_so_in_its_trailers() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let error = "{\"errorMessage\":\"late\"}";
    let encoded = STANDARD.encode(error);
    guest
        .send(
            head("Transfer-Encoding: chunked")
                + &format!(
                    "4\r\ndata\r\n0\r\nLambda-Runtime-Function-Error-Type: Handler.Late\r\n\
                     Lambda-Runtime-Function-Error-Body: {encoded}\r\n\r\n"
                ),
        )
        .await;
    let pieces = environment.forward(1).await;
    assert_eq!(gather(pieces).await, b"data");
    let stream_error = StreamError { error_type: "Handler.Late".into(), error_body: error.into() };
    assert_eq!(forward_end(&mut environment).await, (4, ForwardEnd::Complete(Some(stream_error))));
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn trailers_written_into_a_stream_stay_data() {
    // The published Rust runtime does this.
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    let quirk = "Lambda-Runtime-Function-Error-Type: T\r\nLambda-Runtime-Function-Error-Body: eA==\r\n";
    guest
        .send(head("Transfer-Encoding: chunked") + &format!("{:x}\r\n{quirk}\r\n0\r\n\r\n", quirk.len()))
        .await;
    let pieces = environment.forward(1).await;
    assert_eq!(gather(pieces).await, quirk.as_bytes());
    assert_eq!(forward_end(&mut environment).await, (quirk.len() as u64, ForwardEnd::Complete(None)));
}

#[tokio::test]
async fn every_verdict_on_a_stream_is_rendered() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (refusal, status) in
        [(Refusal::TooLarge, 413), (Refusal::Truncated, 400), (Refusal::InvokeTimeout, 410)]
    {
        guest.send(head("Content-Length: 2") + "ok").await;
        let _pieces = environment.forward(1).await;
        environment.ended().await.1.send(Err(refusal)).unwrap();
        assert_eq!(guest.answer().await.status, status);
    }
    guest.send(head("Content-Length: 2") + "ok").await;
    let _pieces = environment.forward(1).await;
    drop(environment.ended().await);
    let answer = guest.answer().await;
    assert!(answer.status == 500 && answer.closes(), "{answer:?}");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_when_its_stream_is_taken() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.send(head("Expect: 100-continue\r\nContent-Length: 5")).await;
    let pieces = environment.forward(1).await;
    assert_eq!(guest.answer().await.status, 100);
    guest.send("hello").await;
    assert_eq!(gather(pieces).await, b"hello");
    forward_end(&mut environment).await;
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn the_body_of_an_error_is_collected_all_the_same() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.post(&format!("{BASE}/invocation/1/error"), "", "{}").await;
    let pieces = environment.forward(1).await;
    assert_eq!(gather(pieces).await, b"");
    let (body, reply) = environment.ended().await;
    assert!(matches!(body, AnswerBody::Error(report) if report.body == "{}"));
    reply.send(Ok(())).unwrap();
    assert_eq!(guest.answer().await.status, 202);
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_stream_ends_it() {
    // A queue of one is full while the lifecycle looks away.
    for capacity in [1, 8] {
        let mut environment = Environment::with_capacity(capacity).await;
        let mut guest = environment.guest().await;
        guest.send(head("Content-Length: 9") + "abc").await;
        let mut pieces = environment.forward(1).await;
        assert_eq!(within(pieces.recv()).await.unwrap(), "abc");
        let mut other = environment.guest().await;
        other.get(&format!("{BASE}/invocation/next")).await;
        guest.reset();
        assert_eq!(within(pieces.recv()).await, None);
        let mut ends = Vec::new();
        let mut n_nexts = 0;
        while ends.len() + n_nexts < 2 {
            match environment.call().await {
                Call::AnswerEnded { request_id, body, .. } => ends.push((request_id, body)),
                Call::Next { .. } => n_nexts += 1,
                other => panic!("{other:?}"),
            }
        }
        let truncated = AnswerBody::Forwarded { size_bytes: 3, end: ForwardEnd::Truncated };
        assert_eq!((ends, n_nexts), (vec![("1".to_owned(), truncated)], 1));
    }
}

#[tokio::test]
async fn a_stream_at_shutdown_ends_truncated_and_once() {
    // Waiting for the body, and waiting for room in the channel.
    for sent in ["abc", "abcdef"] {
        let mut environment = Environment::with_capacity(1).await;
        let mut guest = environment.guest().await;
        guest.send(head("Transfer-Encoding: chunked")).await;
        let mut pieces = environment.forward(1).await;
        for part in sent.as_bytes().chunks(3) {
            guest.send(chunks(part, 3)).await;
        }
        if sent.len() == 3 {
            assert_eq!(within(pieces.recv()).await.unwrap(), "abc");
        }
        let mut other = environment.guest().await;
        other.get("/2018-06-01/ping").await;
        other.answer().await;
        environment.port.close().await;
        gather(pieces).await;
        let mut ended = Vec::new();
        while let Some(call) = environment.calls.recv().await {
            ended.push(call);
        }
        assert!(
            matches!(
                &ended[..],
                [Call::AnswerEnded { body: AnswerBody::Forwarded { end: ForwardEnd::Truncated, .. }, .. }]
            ),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_allowed_as_the_port_closes_ends_once_or_is_not_owed() {
    // The verdict is read, or lies in the channel when the connection's task is dropped, or finds nobody.
    for order in ["allowed, closed", "both at once", "closed, allowed"] {
        let mut environment = Environment::start().await;
        let mut guest = environment.guest().await;
        guest.send(head("Content-Length: 9")).await;
        let (_, reply) = environment.begun().await;
        let (sender, mut pieces) = mpsc::channel(1);
        let allow = move || reply.send(Ok(Intake::Forward(sender))).is_ok();
        let is_allowed = match order {
            "allowed, closed" => {
                let is_allowed = allow();
                environment.port.close().await;
                is_allowed
            }
            "both at once" => {
                // Without an await in between, on one thread: the port acts on both at once.
                environment.port.shutdown.cancel();
                let is_allowed = allow();
                environment.port.close().await;
                is_allowed
            }
            _ => {
                environment.port.close().await;
                allow()
            }
        };
        assert_eq!(is_allowed, order != "closed, allowed");
        assert_eq!(within(pieces.recv()).await, None);
        let mut ended = Vec::new();
        while let Some(call) = within(environment.calls.recv()).await {
            let Call::AnswerEnded { body, .. } = call else { panic!("{call:?}") };
            ended.push(body);
        }
        let truncated = AnswerBody::Forwarded { size_bytes: 0, end: ForwardEnd::Truncated };
        assert_eq!(ended, if is_allowed { vec![truncated] } else { Vec::new() }, "{order}");
    }
}
