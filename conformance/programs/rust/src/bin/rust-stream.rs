//! A function that streams its response, and waits in the middle of it for a sign of its caller.

use lambda_runtime::streaming::{Body, Response, Sender, channel};
use lambda_runtime::{LambdaEvent, MetadataPrelude, run, service_fn, spawn_graceful_shutdown_handler};
use programs::{Error, tell, wait_for};
use serde_json::Value;

async fn write(mut stream: Sender, sign: String, fails: bool) -> Result<(), Error> {
    stream.send_data("first".into()).await?;
    wait_for(&sign).await?;
    if fails {
        stream.abort();
        return Ok(());
    }
    stream.send_data("second".into()).await?;
    Ok(())
}

async fn handler(event: LambdaEvent<Value>) -> Result<Response<Body>, Error> {
    // In the query when it is called through a function URL.
    let asked = event.payload.get("queryStringParameters").unwrap_or(&event.payload);
    let sign = asked["sign"].as_str().ok_or("an event without a sign")?.to_owned();
    let fails = asked["fail"].as_bool().unwrap_or(false);
    let (stream, body) = channel();
    tokio::spawn(async move {
        if let Err(error) = write(stream, sign, fails).await {
            eprintln!("the stream broke: {error}");
        }
    });
    let mut metadata_prelude =
        MetadataPrelude { cookies: vec!["a=1".to_owned()], ..MetadataPrelude::default() };
    metadata_prelude.headers.insert("x-told-by", "rust-stream".parse()?);
    Ok(Response { metadata_prelude, stream: body })
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // An internal extension without events, registered so that the runtime gets SIGTERM before SIGKILL.
    spawn_graceful_shutdown_handler(|| async {
        if let Err(error) = tell("shutdown", "in order").await {
            eprintln!("the check was not told: {error}");
        }
    })
    .await;
    run(service_fn(handler)).await
}
