//! A runtime as small as one can be. It answers with the event it was given, the version that runs, and what the package has
//! in its file `name`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

pub(crate) fn main() -> ExitCode {
    let variable = |name| std::env::var(name).unwrap();
    let api = variable("AWS_LAMBDA_RUNTIME_API");
    let version = variable("AWS_LAMBDA_FUNCTION_VERSION");
    let package = std::fs::read_to_string(Path::new(&variable("LAMBDA_TASK_ROOT")).join("name")).unwrap();
    loop {
        let (head, event) = call(&api, "GET", "invocation/next", "");
        let id = head.iter().find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: ")).unwrap();
        let event: Value = serde_json::from_str(&event).unwrap();
        let answer = json!({"event": event, "package": package, "version": version}).to_string();
        call(&api, "POST", &format!("invocation/{id}/response"), &answer);
    }
}

/// Lines of the head in lower case, and the body.
fn call(api: &str, method: &str, path: &str, body: &str) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(api).unwrap();
    let length = body.len();
    let head = format!(
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\n\r\n"
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
