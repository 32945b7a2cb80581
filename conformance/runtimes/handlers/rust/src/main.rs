//! The check handler in Rust: does what `firesteel check` asks of it. See conformance/runtimes/README.md.

use std::time::Duration;

use lambda_runtime::{
    Context, Error, FunctionResponse, LambdaEvent, MetadataPrelude, StreamResponse, run_concurrent, service_fn,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

type Response = FunctionResponse<Value, ReceiverStream<Result<String, Error>>>;

async fn handler(event: LambdaEvent<Value>) -> Result<Response, Error> {
    let LambdaEvent { payload, context } = event;
    let value = match payload["firesteel-check"].as_str().unwrap_or_default() {
        "echo" => payload["value"].clone(),
        "fail" => return Err(payload["message"].as_str().unwrap_or_default().into()),
        "size" => json!("x".repeat(payload["bytes"].as_u64().unwrap_or_default() as usize)),
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(payload["ms"].as_u64().unwrap_or_default())).await;
            payload["value"].clone()
        }
        "context" => described(&context),
        "stream" | "stream-fail" => return Ok(stream(payload)),
        _ => json!({"firesteel-check": "not played"}),
    };
    Ok(Response::BufferedResponse(value))
}

fn described(context: &Context) -> Value {
    json!({
        "request_id": context.request_id,
        "deadline_ms": context.deadline,
        "function_arn": context.invoked_function_arn,
        "trace_id": std::env::var("_X_AMZN_TRACE_ID").ok(),
        "client_context": context.client_context,
        "identity": context.identity,
    })
}

fn stream(event: Value) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let pause = Duration::from_millis(event["pause_ms"].as_u64().unwrap_or_default());
        for part in event["parts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // A reader that has gone away needs no more.
            let _ = sender.send(Ok(part.to_owned())).await;
            tokio::time::sleep(pause).await;
        }
        if event["firesteel-check"] == "stream-fail" {
            let _ = sender.send(Err(event["message"].as_str().unwrap_or_default().into())).await;
        }
    });
    let stream = ReceiverStream::new(receiver);
    Response::StreamingResponse(StreamResponse { metadata_prelude: MetadataPrelude::default(), stream })
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run_concurrent(service_fn(handler)).await
}
