//! The layer and the streaming function in `examples/` do what their texts say.

use rustix::process::Signal;

use crate::harness::function::{ECHO, Function, nodejs_is_there};
use crate::harness::server::Server;
use crate::harness::skipped;

#[test]
fn a_shell_script_with_curl_is_an_extension() {
    if !["curl", "bash"].iter().all(|tool| std::path::Path::new("/usr/bin").join(tool).exists()) {
        skipped("a_shell_script_with_curl_is_an_extension", "no bash or no curl in /usr/bin");
        return;
    }
    let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/layer-shell-extension");
    let function = Function::scripted(ECHO);
    let mut server = Server::with_one_environment(&function, &["--layer", layer, "--timeout", "20"]);
    for number in 1..=2 {
        let id = server.invoke("{}").request_id().to_owned();
        server.logged(&format!("observe: invocation {number} is {id}"));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    server.logged("observe: the end, by spindown, after 2 invocations");
}

#[test]
fn a_streaming_nodejs_function_greets_through_its_url_and_at_once() {
    if !nodejs_is_there() {
        skipped(
            "a_streaming_nodejs_function_greets_through_its_url_and_at_once",
            "no Node.js of version 18 or later on PATH",
        );
        return;
    }
    let source = include_str!("../../../../examples/nodejs-streaming/index.mjs");
    let function = Function::empty().with("index.mjs", source, 0o644);
    let server = Server::of(&function, &["--url-stream", "f", "--timeout", "20"]);
    let mut client = server.url_client("f");
    client.ask("GET", "/?name=Ada", &[], b"");
    let reply = client.receive_chunked();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(reply.text(), "Hello, Ada!\n");
    assert_eq!(server.invoke(r#"{"name": "Bob"}"#).success(), "Hello, Bob!\n");
}
