//! A runtime as small as one can be. An event is the number of a port: zero is answered at once, another after whoever
//! listens there has let go. With the handler `broken` its init fails, with `unprovisionable` where it is provisioned.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let fails = match std::env::var("_HANDLER").unwrap().as_str() {
        "broken" => true,
        "unprovisionable" => {
            std::env::var("AWS_LAMBDA_INITIALIZATION_TYPE").unwrap() == "provisioned-concurrency"
        }
        _ => false,
    };
    if fails {
        post(&api, "init/error", r#"{"errorType":"Function.Broken"}"#);
        return ExitCode::FAILURE;
    }
    loop {
        let (head, event) = call(&api, "GET", "invocation/next", "");
        let id = head.iter().find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: ")).unwrap();
        let port: u16 = event.parse().unwrap();
        if port != 0 {
            let mut gate = TcpStream::connect(("127.0.0.1", port)).unwrap();
            gate.read_to_end(&mut Vec::new()).unwrap();
        }
        post(&api, &format!("invocation/{id}/response"), "\"done\"");
    }
}

fn post(api: &str, path: &str, body: &str) {
    call(api, "POST", path, body);
}

/// Lines of the head in lower case, and the body.
fn call(api: &str, method: &str, path: &str, body: &str) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(api).unwrap();
    let length = body.len();
    let error_type = "Lambda-Runtime-Function-Error-Type: Function.Broken";
    let head = format!(
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {api}\r\n{error_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
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
