//! The end of an environment.

use std::time::Duration;

use serde_json::json;

use crate::bench::Bench;
use crate::event::echo;
use crate::verdict::Outcome;

/// What AWS gives runtime and extensions together before it sends SIGKILL (AWS: "runtimes-extensions-api").
const TO_END: Duration = Duration::from_secs(2);

pub(super) async fn sigterm(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    let event = session.action(&echo(&json!("before the end")));
    session.invoke(&event).await?.accept();
    let _waiting = session.next().await?;
    session.terminate()?;
    session.end(TO_END, "the end of the process within 2 s of SIGTERM").await.map(drop)
}
