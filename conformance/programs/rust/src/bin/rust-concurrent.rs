//! A function that serves several invocations at a time. Each waits until the check has seen all of them, so none
//! ends unless they run together.

use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use programs::{Error, tell, wait_for};
use serde_json::{Value, json};

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let name = event.payload["name"].as_str().ok_or("an event without a name")?;
    tell("arrived", name).await?;
    wait_for("together").await?;
    Ok(json!({ "name": name, "requestId": event.context.request_id, "process": std::process::id() }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run_concurrent(service_fn(handler)).await
}
