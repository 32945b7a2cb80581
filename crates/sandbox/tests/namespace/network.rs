//! Who can reach whom.

use std::io::{Read, Write};
use std::net::TcpStream;

use libtest_mimic::Trial;

use crate::fixture::Fixture;
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a listener is reached from inside and from nowhere else", listener),
        test("each listening ends the one before", listening_anew),
        test("what listens inside can be called", called_from_outside),
        test("without a network there is the loopback alone", alone),
    ]
}

const CALL: &str = "exec 3<>/dev/tcp/127.0.0.1/9001 && head -c 5 <&3";

fn called(script: &str) -> String {
    format!("bash -c '{script}' 2>&1")
}

async fn listener() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let mut neighbour = fixture.sandbox("b").await;
    let listener = sandbox.sandbox.listen().unwrap();
    assert_eq!(listener.local_addr().unwrap().to_string(), "127.0.0.1:9001");
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
    });
    assert!(TcpStream::connect("127.0.0.1:9001").is_err(), "the host's loopback is another");
    let (_, said) = neighbour.run(&called(CALL)).await;
    assert!(said.contains("refused"), "{said}");
    assert_eq!(sandbox.says(&called(CALL)).await, "hello");
    answering.join().unwrap();
    sandbox.close().await;
    neighbour.close().await;
    fixture.close().await;
}

async fn listening_anew() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let before = sandbox.sandbox.listen().unwrap();
    assert!(sandbox.sandbox.listen().is_err(), "there is one socket until all have ended");
    sandbox.sandbox.end_all().unwrap();
    assert_eq!(sandbox.event().await, firesteel_sandbox::Event::Emptied);
    let now = sandbox.sandbox.listen().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = now.accept().unwrap();
        stream.write_all(b"fresh").unwrap();
    });
    assert_eq!(sandbox.says(&called(CALL)).await, "fresh");
    answering.join().unwrap();
    drop(before);
    sandbox.close().await;
    fixture.close().await;
}

async fn called_from_outside() {
    let fixture = Fixture::new(0);
    let sandbox = fixture.sandbox("a").await;
    let script = "import socket\nlistener = socket.create_server((\"127.0.0.1\", 4243))\nprint(\"ready\", flush=True)\n\
                  while True: listener.accept()[0].sendall(b\"inside\")";
    let mut output = sandbox.start("listener", &format!("exec python3 -c '{script}'"));
    let mut ready = [0; 6];
    output.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    let dialer = sandbox.sandbox.dialer();
    for _ in 0..3 {
        let mut stream = dialer.clone().connect(4243).await.unwrap();
        let mut said = [0; 6];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said).await.unwrap();
        assert_eq!(&said, b"inside");
    }
    let refused = dialer.clone().connect(4244).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    sandbox.close().await;
    assert_eq!(dialer.connect(4243).await.unwrap_err().kind(), std::io::ErrorKind::NotConnected);
    fixture.close().await;
}

async fn alone() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    assert_eq!(sandbox.says("tail -n +3 /proc/net/dev | cut -d: -f1").await.trim(), "lo");
    sandbox.close().await;
    fixture.close().await;
}
