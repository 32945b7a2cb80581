//! An external extension that subscribes to the Logs API, the Telemetry API's predecessor. The crate's records can
//! only be printed, so the check is told their debug form, one a line.

use lambda_extension::{Extension, LambdaLog, LogBuffering, SharedService, service_fn, tracing};
use programs::{Error, tell};

async fn on_logs(logs: Vec<LambdaLog>) -> Result<(), Error> {
    let lines: Vec<_> = logs.iter().map(|log| format!("{:?}", log.record)).collect();
    tell("logs", &lines.join("\n")).await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    Extension::new()
        .with_log_types(&["platform", "function", "extension"])
        .with_log_buffering(LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 1000 })
        .with_log_port_number(std::env::var("SUBSCRIBER_PORT")?.parse()?)
        .with_logs_processor(SharedService::new(service_fn(on_logs)))
        .run()
        .await
}
