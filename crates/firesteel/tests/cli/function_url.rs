//! Function URLs: HTTP requests answered by functions, with buffered and with streamed answers.

use serde_json::{Value, json};

use crate::harness::client::{Client, Reply};
use crate::harness::function::{ECHO, Function};
use crate::harness::program::Program;
use crate::harness::server::Server;

/// A runtime that answers each request with what is in its body.
const BODY: &str = "import json\nserve(lambda event: json.loads(event.body)['body'])";

const TEXT: (&str, &str) = ("Content-Type", "text/plain");
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// A server whose function `f` has a URL.
fn buffered(script: &str) -> Server {
    Server::of(&Function::scripted(script), &["--url", "f"])
}

/// Scripts that tell one event from another have to have them all.
fn streamed(script: &str) -> Server {
    Server::with_one_environment(&Function::scripted(script), &["--url-stream", "f", "--timeout", "60"])
}

#[track_caller]
fn bad_gateway(reply: &Reply) {
    assert_eq!((reply.status, &*reply.text()), (502, "Internal Server Error"));
    assert_eq!(reply.request_id().len(), 36);
}

#[test]
fn the_event_tells_of_the_request() {
    let server = buffered(ECHO);
    let mut client = server.url_client("f");
    let headers = [("X-Two", "1"), ("x-two", "2"), ("Cookie", "a=1; b=2"), TEXT, ("User-Agent", "test/1")];
    let reply = client.request("PUT", "/a%20b?x=1&x=2&y=%20", &headers, "é".as_bytes());
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let event = reply.json();
    assert_eq!((&event["version"], &event["routeKey"]), (&json!("2.0"), &json!("$default")));
    assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/a%20b"), &json!("x=1&x=2&y=%20")));
    assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": " "}));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("é"), &json!(false)));
    let seen = &event["headers"];
    assert_eq!((&seen["x-two"], &seen["host"]), (&json!("1,2"), &json!("localhost")));
    assert_eq!((&seen["x-forwarded-for"], &seen["x-forwarded-proto"]), (&json!("127.0.0.1"), &json!("http")));
    assert_eq!(seen["x-amzn-trace-id"], *reply.header("x-amzn-trace-id").unwrap());
    let context = &event["requestContext"];
    assert_eq!((&context["accountId"], &context["stage"]), (&json!("anonymous"), &json!("$default")));
    assert_eq!(context["requestId"], *reply.request_id());
    assert_eq!(
        context["http"],
        json!({"method": "PUT", "path": "/a b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test/1"})
    );
    assert_eq!(context["apiId"].as_str().unwrap().len(), 32);
}

#[test]
fn the_invocation_is_the_requests() {
    let server = buffered(
        "serve(lambda event: '\"' + ' '.join(event.headers['lambda-runtime-' + name] for name in ('aws-request-id', 'invoked-function-arn', 'trace-id')) + '\"')",
    );
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let reply = server.url_client("f").request("GET", "/", &[("X-Amzn-Trace-Id", trace)], b"");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(reply.text(), format!("{} {arn} {trace}", reply.request_id()));
}

#[test]
fn bytes_go_in_and_out_in_base64() {
    let server = buffered(
        "import json
def run(event):
    event = json.loads(event.body)
    return json.dumps({'statusCode': 200, 'body': event['body'], 'isBase64Encoded': event['isBase64Encoded'],
                       'headers': {'Content-Type': 'image/png'}})
serve(run)",
    );
    let bytes: Vec<u8> = (0..=255).collect();
    let reply = server.url_client("f").post("/", &[("Content-Type", "image/png")], &bytes);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
    assert_eq!(reply.body, bytes);
}

#[test]
fn what_a_handler_returns_is_interpreted() {
    let server = buffered(BODY);
    let mut client = server.url_client("f");
    for (returned, status, body) in [
        (r#"{"statusCode": 201, "body": "made"}"#, 201, "made"),
        (r#"{"statusCode": 204}"#, 204, ""),
        (r#"{"statusCode": 204, "body": "no length of it may be told"}"#, 204, ""),
        (r#"{"statusCode": 205, "body": "nor this be sent"}"#, 205, ""),
        (r#"{"statusCode": 200, "body": "bWFkZQ==", "isBase64Encoded": true}"#, 200, "made"),
        (r#"{"statusCode": 200, "body": {"made": [1, 2]}}"#, 200, r#"{"made":[1,2]}"#),
        (r#"{ "body": "no status" }"#, 200, r#"{"body":"no status"}"#),
        (r#""hello""#, 200, "hello"),
        ("[1, 2]", 200, "[1,2]"),
        ("7", 200, "7"),
        ("null", 200, "null"),
    ] {
        let reply = client.post("/", &[TEXT], returned.as_bytes());
        assert_eq!((reply.status, &*reply.text()), (status, body), "{returned}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{returned}");
    }
}

#[test]
fn a_status_without_a_body_has_no_length() {
    let server = buffered(BODY);
    let mut client = server.url_client("f");
    let reply = client.post("/", &[TEXT], br#"{"statusCode": 204, "body": "hello"}"#);
    assert_eq!((reply.status, reply.header("content-length")), (204, None));
    assert_eq!(client.post("/", &[TEXT], b"1").text(), "1", "the connection serves on");
}

#[test]
fn a_tunnel_is_refused() {
    let server = buffered(ECHO);
    let reply = server.url_client("f").request("CONNECT", "localhost:1", &[], b"");
    assert_eq!((reply.status, &*reply.text()), (405, ""));
}

#[test]
fn status_headers_and_cookies_are_the_handlers() {
    let server = buffered(BODY);
    let returned = json!({
        "statusCode": 418,
        "headers": {"Content-Type": "text/html", "X-Number": 7, "Content-Length": "999", "Connection": "close"},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "<p>",
    });
    let mut client = server.url_client("f");
    let reply = client.post("/", &[TEXT], returned.to_string().as_bytes());
    assert_eq!((reply.status, reply.header("content-type"), &*reply.text()), (418, Some("text/html"), "<p>"));
    assert_eq!((reply.header("x-number"), reply.header("connection")), (Some("7"), None));
    assert_eq!(reply.headers("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(client.post("/", &[TEXT], b"1").text(), "1", "the connection serves on");
}

#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    let server = buffered(BODY);
    let mut client = server.url_client("f");
    let no_base64 = r#"{"statusCode": 200, "body": {}, "isBase64Encoded": true}"#;
    for returned in ["no json", r#"{"statusCode": "OK"}"#, no_base64, r#"{"statusCode": 20}"#] {
        bad_gateway(&client.post("/", &[TEXT], returned.as_bytes()));
    }
    server.logged("the answer of the function is no HTTP response");
}

#[test]
fn a_function_that_fails_is_a_bad_gateway() {
    let script = "event = next_event()\nreport(event.id, '{\"errorType\":\"Mine\"}')\nnext_event()";
    for server in [buffered(script), streamed(script)] {
        bad_gateway(&server.url_client("f").request("GET", "/", &[], b""));
    }
}

#[test]
fn an_answer_to_head_is_a_head_alone() {
    let server = buffered("serve(lambda event: '\"hello\"')");
    let mut client = server.url_client("f");
    client.ask("HEAD", "/", &[], b"");
    let head = client.receive_head();
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    assert_eq!(client.request("GET", "/", &[], b"").text(), "hello", "nothing came between");
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let server = buffered("serve(lambda event: str(len(event.body)))");
    let mut client = server.url_client("f");
    let limit = 6_291_456;
    // As text it would fit; in base64 it does not.
    for size in [limit + 1, limit - 1000] {
        let reply = client.post("/", &[], &vec![b'x'; size]);
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (413, Some("RequestEntityTooLargeException"))
        );
    }
    assert_eq!(client.post("/", &[TEXT], &vec![b'x'; limit - 1000]).status, 200);
}

#[test]
fn a_request_for_which_there_is_no_room_is_throttled() {
    let function = Function::scripted(
        "event = next_event()\nnote('busy')\nwait_for_gate()\nrespond(event.id, '1')\nnext_event()",
    );
    let server = Server::of(&function, &["--url", "f", "--max-environments", "1", "--timeout", "60"]);
    let mut busy = server.url_client("f");
    busy.ask("GET", "/", &[], b"");
    function.noted(1);
    assert_eq!(server.url_client("f").request("GET", "/", &[], b"").status, 429);
    function.open_gate();
    assert_eq!(busy.receive().text(), "1");
}

#[test]
fn every_function_may_have_its_url() {
    let (one, two) =
        (Function::scripted("serve(lambda event: '1')"), Function::scripted("serve(lambda event: '2')"));
    let server = Server::of_several(
        &[("one", &one), ("two", &two)],
        &["--url", "one", "--url-stream", "two=127.0.0.1:0"],
    );
    assert_eq!(server.url_client("one").request("GET", "/x", &[], b"").text(), "1");
    let mut client = server.url_client("two");
    client.ask("GET", "/y", &[], b"");
    assert_eq!(client.receive_chunked().text(), "2");
}

#[test]
fn what_cannot_have_a_url() {
    let target = Function::scripted(ECHO);
    let named = format!("f={}", target.target());
    let serve =
        |flag: &str, value: &str| Program::serve(&[&named, "--listen", "127.0.0.1:0", flag, value]).run();
    serve("--url", "g")
        .refused(2, &["--url is for a function that is served, and `g` is not", "try:   --url f"]);
    serve("--url-stream", "f=0.0.0.0:0")
        .refused(2, &["refusing to listen on 0.0.0.0:0", "--url-stream f=127.0.0.1"]);
    serve("--url", "f=here").refused(2, &["`here` is no address such as 127.0.0.1:9001"]);
}

#[test]
fn a_stream_without_a_prelude_has_the_content_type_of_the_runtime() {
    let server = streamed(
        "event = next_event()\nrespond(event.id, b'\\xff\\0', 'Content-Type: image/png')\nevent = next_event()\nrespond(event.id, '{\"statusCode\": 404}')\nevent = next_event()\nrespond(event.id, '')\nnext_event()",
    );
    let mut client = server.url_client("f");
    let mut get = || {
        client.ask("GET", "/", &[], b"");
        client.receive_chunked()
    };
    let reply = get();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
    assert_eq!(reply.body, b"\xff\0");
    let reply = get();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(reply.text(), r#"{"statusCode": 404}"#);
    let reply = client.request("GET", "/", &[], b"");
    assert_eq!((reply.status, reply.header("content-length"), &*reply.text()), (200, Some("0"), ""));
}

#[test]
fn a_prelude_gives_status_headers_and_cookies() {
    let script = format!(
        "event = next_event()
respond(event.id, b'{{\"statusCode\":201,\"headers\":{{\"Content-Type\":\"text/html\",\"Content-Length\":\"1\"}},\"cookies\":[\"a=1\",\"b=2\"]}}' + bytes(8) + b'\\0<p>', 'Content-Type: {INTEGRATION}')
event = next_event()
respond(event.id, b'{{}}' + bytes(8), 'Content-Type: {INTEGRATION}')
next_event()"
    );
    let server = streamed(&script);
    let mut client = server.url_client("f");
    client.ask("GET", "/", &[], b"");
    let reply = client.receive_chunked();
    assert_eq!((reply.status, reply.header("content-type")), (201, Some("text/html")));
    assert_eq!(reply.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(reply.body, b"\0<p>");
    client.ask("GET", "/", &[], b"");
    let reply = client.receive_chunked();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(reply.text(), "");
}

#[test]
fn a_prelude_that_is_none_is_a_bad_gateway() {
    let server = streamed(&format!(
        "import json
while True:
    event = next_event()
    respond(event.id, json.loads(event.body)['body'].replace('0', '\\0'), 'Content-Type: {INTEGRATION}')"
    ));
    let mut client = server.url_client("f");
    for answer in ["", "{}", "{}0000000", "no json00000000", "{\"statusCode\":\"x\"}00000000"] {
        bad_gateway(&client.post("/", &[TEXT], answer.as_bytes()));
    }
}

/// Asks, and reads head and first piece of a streamed answer.
fn begun(server: &Server) -> (Client, Reply, Vec<u8>) {
    let mut client = server.url_client("f");
    client.ask("GET", "/", &[], b"");
    let head = client.receive_head();
    let first = client.chunk().unwrap().unwrap();
    (client, head, first)
}

#[test]
fn a_piece_arrives_before_the_handler_has_ended() {
    let function = Function::scripted(&format!(
        "event = next_event()\nstream = Stream(event.id, 'Content-Type: {INTEGRATION}')\nstream.write('{{\"statusCode\":202')\nstream.write(b'}}' + bytes(8) + b'first')\nwait_for_gate()\nstream.write('second')\nstream.end()\nnext_event()"
    ));
    let server = Server::of(&function, &["--url-stream", "f", "--timeout", "60"]);
    let (mut client, head, first) = begun(&server);
    assert_eq!((head.status, &*first), (202, &b"first"[..]));
    function.open_gate();
    assert_eq!(client.chunk().unwrap().unwrap(), b"second");
    assert_eq!(client.chunk().unwrap(), None);
}

#[test]
fn an_answer_that_breaks_off_is_cut() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nwait_for_gate()\nstream.end('Lambda-Runtime-Function-Error-Type: Mine', 'Lambda-Runtime-Function-Error-Body: e30=')\nnext_event()",
    );
    let server = Server::of(&function, &["--url-stream", "f", "--timeout", "60"]);
    let (mut client, head, first) = begun(&server);
    assert_eq!((head.status, &*first), (200, &b"first"[..]));
    function.open_gate();
    client.chunk().unwrap_err();
}

#[test]
fn a_url_is_the_same_in_every_run() {
    let id = || -> Value {
        let server = buffered(ECHO);
        server.url_client("f").request("GET", "/", &[], b"").json()["requestContext"]["apiId"].clone()
    };
    assert_eq!(id(), id());
}
