//! An external extension that subscribes to the Telemetry API. The check is told each event as the crate
//! understood it, so an event that it cannot read is missed.

use lambda_extension::{
    Extension, LambdaEvent, LambdaTelemetry, LogBuffering, NextEvent, SharedService, service_fn, tracing,
};
use programs::{Error, tell};
use serde_json::json;

async fn on_event(event: LambdaEvent) -> Result<(), Error> {
    let seen = match event.next {
        NextEvent::Invoke(invoke) => json!({
            "eventType": "INVOKE", "requestId": invoke.request_id, "deadlineMs": invoke.deadline_ms,
            "invokedFunctionArn": invoke.invoked_function_arn, "trace": invoke.tracing.value,
        }),
        NextEvent::Shutdown(shutdown) => json!({
            "eventType": "SHUTDOWN", "shutdownReason": shutdown.shutdown_reason, "deadlineMs": shutdown.deadline_ms,
        }),
    };
    tell("event", &seen.to_string()).await
}

async fn on_telemetry(events: Vec<LambdaTelemetry>) -> Result<(), Error> {
    tell("telemetry", &serde_json::to_string(&events)?).await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let extension = Extension::new()
        .with_events_processor(service_fn(on_event))
        .with_telemetry_types(&["platform", "function", "extension"])
        .with_telemetry_buffering(LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 1000 })
        .with_telemetry_port_number(std::env::var("SUBSCRIBER_PORT")?.parse()?)
        .with_telemetry_processor(SharedService::new(service_fn(on_telemetry)))
        .register()
        .await?;
    println!("subscribed");
    extension.run().await
}
