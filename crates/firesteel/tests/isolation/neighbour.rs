//! A function that is to notice nothing of what another does.
//!
//! It keeps a secret in its memory, its events and its `/tmp`, and answers each event with what it still has of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::guests;
use crate::harness::client::Client;
use crate::harness::function::Function;
use crate::harness::server::{Server, invocations};

/// By which it is served.
pub(crate) const NAME: &str = "neighbour";

/// What nobody else may read.
pub(crate) const SECRET: &str = "the-neighbours-own-3f71";

const SCRIPT: &str = r#"
import _socket
SECRET = "the-neighbours-" + "own-3f71"
open("/tmp/secret", "w").write(SECRET)
# For others to find, if they can.
everywhere = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
everywhere.bind(("0.0.0.0", 7077))
everywhere.listen(8)
abstract = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
abstract.bind(b"\0firesteel-neighbour")
abstract.listen(8)
served = 0
def answer(event):
    global served
    served += 1
    # Folders may lead to what is mounted for the tests, if that lies below a /tmp.
    files = [name for name in os.listdir("/tmp") if os.path.isfile("/tmp/" + name)]
    kept = open("/tmp/secret").read() == SECRET and files == ["secret"]
    return "%s %s %d %s" % (event.body.decode(), ENVIRONMENT, served, "kept" if kept else files)
serve(answer)
"#;

/// Its port, on all addresses of its own network.
pub(crate) const PORT: u16 = 7077;

/// The name of its abstract socket.
pub(crate) const ABSTRACT: &str = "firesteel-neighbour";

pub(crate) fn function() -> Function {
    guests::scripted(SCRIPT).with("secret.txt", SECRET, 0o644)
}

/// A caller of it, who counts what each environment has answered.
pub(crate) struct Neighbour {
    client: Client,
    served: BTreeMap<String, u64>,
    asked: u64,
}

/// How long answers took, in the order in which they came.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Neighbour {
    #[track_caller]
    pub(crate) fn meet(server: &Server) -> Self {
        let mut neighbour = Neighbour { client: server.client(), served: BTreeMap::new(), asked: 0 };
        neighbour.ask();
        neighbour
    }

    /// One event: the answer is its own, and whoever gives it has what it had.
    #[track_caller]
    pub(crate) fn ask(&mut self) -> Duration {
        self.asked += 1;
        let event = format!("\"{} {SECRET}\"", self.asked);
        let started = Instant::now();
        // With the log, for which the answer waits until the environment is free again, or the next event might find it
        // busy and go to another.
        let reply = self.client.post(&invocations(NAME), &[("X-Amz-Log-Type", "Tail")], event.as_bytes());
        let took = started.elapsed();
        let answer = reply.success();
        let rest = answer.strip_prefix(&event).unwrap_or_else(|| panic!("{answer} is no answer to {event}"));
        let [_, environment, served, "kept"] = rest.split(' ').collect::<Vec<_>>()[..] else {
            panic!("the neighbour has noticed something: {answer}")
        };
        let before = self.served.entry(environment.to_owned()).or_default();
        *before += 1;
        assert_eq!(before.to_string(), served, "the neighbour was called by others");
        assert!(self.served.len() <= 2, "environments of the neighbour were lost: {:?}", self.served);
        took
    }

    /// Asks again and again until told to stop, and once at least.
    #[track_caller]
    pub(crate) fn ask_until(&mut self, stop: &AtomicBool) -> Latencies {
        let mut latencies = Latencies::default();
        loop {
            latencies.0.push(self.ask());
            if stop.load(Ordering::Relaxed) {
                return latencies;
            }
        }
    }

    #[track_caller]
    pub(crate) fn ask_times(&mut self, count: usize) -> Latencies {
        Latencies((0..count).map(|_| self.ask()).collect())
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms ({})", at(50), at(99), sorted.len())
    }
}
