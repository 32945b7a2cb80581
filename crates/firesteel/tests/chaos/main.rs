//! Ten thousand invocations, of which many go wrong, in environments that are shared by all: every caller gets the
//! right kind of answer and nobody else's, and afterwards nothing is left.
//!
//! What happens is drawn from a seed. `FIRESTEEL_CHAOS_SEED` and `FIRESTEEL_CHAOS_INVOCATIONS` choose another life.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what the program said"
)]

#[expect(dead_code, reason = "made for more tests than this one")]
#[path = "../cli/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Mutex;

use harness::client::{Client, Reply};
use harness::function::Function;
use harness::server::{Server, invocations};

/// Callers at a time, each with a connection of its own.
const CALLERS: u64 = 16;

/// Does what its event says; `N` is told back so that answers can be told apart.
const OBEDIENT: &str = r#"
while True:
    event = next_event()
    act, n = event.body.decode().strip('"').split()
    if act == "error": report(event.id, '"error %s"' % n); continue
    if act == "exit": os._exit(3)
    if act == "kill": os.kill(os.getpid(), 9)
    if act == "sleep": time.sleep(60)
    if act == "kill-extension":
        os.kill(int(open("/tmp/extension").read()), 9)
        time.sleep(60)
    if act == "large": respond(event.id, b"x" * 6291557); continue
    respond(event.id, '"done %s"' % n)
    if act == "late-exit": os._exit(3)
"#;

const EXTENSION: &str = r#"
open("/tmp/extension", "w").write(str(os.getpid()))
id, _ = register("follower", ["INVOKE", "SHUTDOWN"])
while extension_event(id)[0] == "INVOKE": pass
"#;

/// What an invocation is to do, and how often, in a thousand.
const ACTS: [(&str, u64); 9] = [
    ("echo", 785),
    ("error", 60),
    ("exit", 30),
    ("kill", 20),
    ("late-exit", 20),
    ("kill-extension", 20),
    ("sleep", 10),
    ("large", 15),
    ("leave", 40),
];

#[test]
fn everybody_gets_the_right_kind_of_answer_and_nothing_is_left() {
    let seed: u64 = variable("FIRESTEEL_CHAOS_SEED", 20_261_121);
    let count: u64 = variable("FIRESTEEL_CHAOS_INVOCATIONS", 10_000);
    let function = Function::scripted(OBEDIENT).with_extension("follower", EXTENSION);
    let layer = function.layer();
    let server = Server::of(
        &function,
        &["--layer", &layer, "--timeout", "3", "--max-environments", "16", "--wait-ms", "25000"],
    );
    let tally = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (server, tally) = (&server, &tally);
            scope.spawn(move || {
                let mut client = server.client();
                for n in (caller..count).step_by(usize::try_from(CALLERS).unwrap()) {
                    let act = act(seed, n);
                    let kind = call(server, &mut client, act, n)
                        .unwrap_or_else(|wrong| panic!("seed {seed}, invocation {n}, {act}: {wrong}"));
                    *tally.lock().unwrap().entry(kind).or_insert(0) += 1;
                }
            });
        }
    });
    // Dropped here, the server is asked to end, and the harness looks for what it leaves.
    drop(server);
    let tally = tally.into_inner().unwrap();
    assert_eq!(tally.values().sum::<u64>(), count);
    eprintln!("{tally:?}");
}

fn variable<T: FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// The same for the same seed, whichever thread comes first.
fn act(seed: u64, n: u64) -> &'static str {
    let mut mixed = (seed ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mut drawn = (mixed ^ (mixed >> 31)) % 1000;
    for (act, weight) in ACTS {
        if drawn < weight {
            return act;
        }
        drawn -= weight;
    }
    unreachable!("the weights are a thousand")
}

/// One invocation, and what kind of answer it got; or what is wrong with that.
fn call(server: &Server, client: &mut Client, act: &'static str, n: u64) -> Result<&'static str, String> {
    let event = format!("\"{act} {n}\"");
    if act == "leave" {
        let mut leaving = server.client();
        leaving.send(
            format!(
                "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{event}",
                invocations("f"),
                event.len()
            )
            .as_bytes(),
        );
        return Ok("left");
    }
    let reply = client.post(&invocations("f"), &[], event.as_bytes());
    let (expected, kind) = match act {
        "echo" | "late-exit" => (format!("\"done {n}\""), "success"),
        "error" => (format!("\"error {n}\""), "reported"),
        "exit" => (platform("Runtime.ExitError", "Runtime exited with error: exit status 3", &reply), "exit"),
        "kill" => (platform("Runtime.ExitError", "Runtime exited with error: signal: killed", &reply), "kill"),
        "kill-extension" => (platform("Extension.Crash", "signal: killed", &reply), "extension"),
        "sleep" => (platform("Sandbox.Timedout", "Task timed out after 3.00 seconds", &reply), "timeout"),
        "large" => (
            r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#.to_owned(),
            "too large",
        ),
        other => return Err(format!("{other} is no act")),
    };
    let failed = kind != "success";
    if reply.status == 200
        && reply.text() == expected
        && reply.header("x-amz-function-error").is_some() == failed
    {
        Ok(kind)
    } else {
        Err(format!("{} {}, not {expected}", reply.status, reply.text()))
    }
}

fn platform(error_type: &str, message: &str, reply: &Reply) -> String {
    format!(
        r#"{{"errorType":"{error_type}","errorMessage":"RequestId: {} Error: {message}"}}"#,
        reply.request_id()
    )
}
