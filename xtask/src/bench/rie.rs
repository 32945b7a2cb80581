//! AWS's Runtime Interface Emulator as a contestant, where a path to it is given. It serves one function, in one
//! environment, to one caller at a time; [`pairs`] shows what becomes of two.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

use super::load::{Answer, Client, InvokeError};
use super::server::{Server, StartError, free_address};

/// How often two callers call together, where nothing fails before.
const PAIRS: usize = 50;

/// How long a server that failed a pair may take to show that it has ended.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Starts the emulator with the function's bootstrap as its runtime.
pub(super) async fn start(emulator: &Path, function: &Path, log: PathBuf) -> Result<Server, StartError> {
    let prepare = |source| StartError::Prepare { program: emulator.display().to_string(), source };
    let address = free_address().map_err(prepare)?;
    let runtime_api = free_address().map_err(prepare)?;
    let mut command = Command::new(emulator);
    command.args(["--runtime-api-address", &runtime_api.to_string()]);
    command.args(["--runtime-interface-emulator-address", &address.to_string()]).arg(function);
    Server::start(command, address, "function", log).await
}

/// What two callers at once were answered.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Pairs {
    pub(crate) invokes: usize,
    pub(crate) answered: usize,
    pub(crate) throttled: usize,
    /// Anything else, as text, with how often it was seen.
    pub(crate) failed: BTreeMap<String, usize>,
    /// How the emulator's process ended, if it did not survive the last pair.
    pub(crate) ended: Option<String>,
}

/// Two callers call together, up to [`PAIRS`] times; the first pair with a failure is the last. What fails is
/// counted, not returned: that it fails is what is looked for.
pub(super) async fn pairs(server: &mut Server) -> Pairs {
    let mut seen = Pairs::default();
    while seen.failed.is_empty() && seen.invokes < 2 * PAIRS {
        for outcome in pair(server.address, &server.function) {
            seen.invokes += 1;
            match outcome {
                Ok(Answer::Greeting) => seen.answered += 1,
                Ok(Answer::Throttled) => seen.throttled += 1,
                Err(error) => *seen.failed.entry(error.to_string()).or_default() += 1,
            }
        }
    }
    if !seen.failed.is_empty() {
        seen.ended = server.ended_within(END_LIMIT).await.map(|status| status.to_string());
    }
    seen
}

/// One invoke by each of two connected callers, as near to each other as two threads come.
fn pair(address: SocketAddr, function: &str) -> [Result<Answer, InvokeError>; 2] {
    let gate = Barrier::new(2);
    let call = || {
        let client = Client::connect(address, function);
        gate.wait();
        client?.invoke()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(call);
        [call(), other.join().expect("a caller's thread has nothing that panics")]
    })
}
