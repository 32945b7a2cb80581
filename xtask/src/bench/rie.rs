//! AWS's Runtime Interface Emulator as a contestant, where a path to it is given. It serves one function, in one
//! environment, to one caller at a time; [`pairs`] shows what becomes of a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use tokio::process::Command;

use super::load::{Answer, Client, InvokeError};
use super::server::{Server, StartError, free_address};

/// How many invokes each of two callers makes: few, since each may last until the client gives up.
const PAIRS: usize = 10;

/// Starts the emulator with the function's bootstrap as its runtime.
pub(super) async fn start(emulator: &Path, function: &Path, log: PathBuf) -> Result<Server, StartError> {
    let prepare = |source| StartError::Prepare {
        program: emulator.display().to_string(),
        source,
    };
    let address = free_address().map_err(prepare)?;
    let runtime_api = free_address().map_err(prepare)?;
    let mut command = Command::new(emulator);
    command.args(["--runtime-api-address", &runtime_api.to_string()]);
    command
        .args(["--runtime-interface-emulator-address", &address.to_string()])
        .arg(function);
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
    pub(crate) slowest_ms: f64,
}

/// Two callers, [`PAIRS`] invokes each; every pair starts together. What fails is counted, not returned.
pub(super) fn pairs(address: SocketAddr, function: &str) -> Pairs {
    let gate = std::sync::Barrier::new(2);
    let call = || {
        let mut seen = Pairs::default();
        let mut client = None;
        for _ in 0..PAIRS {
            gate.wait();
            let start = Instant::now();
            let outcome = invoke(&mut client, address, function);
            seen.slowest_ms = seen.slowest_ms.max(start.elapsed().as_secs_f64() * 1e3);
            seen.invokes += 1;
            match outcome {
                Ok(Answer::Greeting) => seen.answered += 1,
                Ok(Answer::Throttled) => seen.throttled += 1,
                Err(error) => {
                    *seen.failed.entry(error.to_string()).or_default() += 1;
                    // Its connection may be lost, or hold half an answer.
                    client = None;
                }
            }
        }
        seen
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(call);
        let mut sum = call();
        let other = other.join().expect("a caller's thread has nothing that panics");
        sum.invokes += other.invokes;
        sum.answered += other.answered;
        sum.throttled += other.throttled;
        sum.slowest_ms = sum.slowest_ms.max(other.slowest_ms);
        for (what, count) in other.failed {
            *sum.failed.entry(what).or_default() += count;
        }
        sum
    })
}

/// One invoke on `client`, which is connected first where there is none.
fn invoke(client: &mut Option<Client>, address: SocketAddr, function: &str) -> Result<Answer, InvokeError> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address, function)?),
    };
    client.invoke()
}
