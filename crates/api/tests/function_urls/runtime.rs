//! A runtime as small as one can be. It answers with the body of the request, or with the event if that has none. By its
//! path a request has it fail (`/fail`), or stream the body behind a prelude (`/stream`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use serde_json::Value;

pub(crate) fn main() -> ExitCode {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    loop {
        let (head, event) = call(&api, "GET", "next", "", "");
        let id = head.iter().find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: ")).unwrap();
        let request: Value = serde_json::from_str(&event).unwrap();
        let body = request["body"].as_str().unwrap_or(&event);
        match request["rawPath"].as_str() {
            Some("/fail") => {
                call(&api, "POST", &format!("{id}/error"), "", r#"{"errorType":"Function.Failed"}"#)
            }
            Some("/stream") => {
                let headers = "Lambda-Runtime-Function-Response-Mode: streaming\r\n\
                               Content-Type: application/vnd.awslambda.http-integration-response\r\n";
                let body = format!("{{\"statusCode\":202}}\0\0\0\0\0\0\0\0{body}");
                call(&api, "POST", &format!("{id}/response"), headers, &body)
            }
            _ => call(&api, "POST", &format!("{id}/response"), "", body),
        };
    }
}

/// Lines of the head in lower case, and the body.
fn call(api: &str, method: &str, path: &str, headers: &str, body: &str) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(api).unwrap();
    let head = format!("{method} /2018-06-01/runtime/invocation/{path} HTTP/1.1\r\nHost: {api}\r\n{headers}");
    // Streamed bodies have to be chunked, and others may be.
    let body = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
    let framing = if method == "GET" {
        "\r\n".to_owned()
    } else {
        format!("Transfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n")
    };
    stream.write_all(format!("{head}{framing}").as_bytes()).unwrap();
    let mut answer = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    answer.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}
