//! Between invocations nothing runs.

use rustix::process::{Signal, kill_process};

use crate::harness::function::Function;
use crate::harness::process::{eventually, is_stopped, of_environment, runtime_and_first};
use crate::harness::server::Server;

/// Whether each process of an environment is stopped.
fn stopped(environment: &str) -> Vec<bool> {
    of_environment(environment).into_iter().filter_map(is_stopped).collect()
}

#[test]
fn threads_and_children_stop_when_the_invocation_is_over_and_go_on_with_the_next() {
    let function = Function::scripted(
        r#"
import threading
counted = 0
def count():
    global counted
    while True:
        counted += 1
        time.sleep(0.001)
threading.Thread(target=count, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    while True: time.sleep(0.001)
serve(lambda event: ENVIRONMENT + " " + str(counted))
"#,
    );
    let server = Server::with_one_environment(&function, &["--timeout", "60"]);
    let counted = || {
        let answer = server.invoke("{}").success();
        let (environment, count) = answer.split_once(' ').unwrap();
        (environment.to_owned(), count.parse::<u64>().unwrap())
    };
    let (environment, before) = counted();
    eventually("everything is stopped", || {
        let stopped = stopped(&environment);
        stopped.len() >= 2 && stopped.iter().all(|stopped| *stopped)
    });
    let (_, after) = counted();
    assert!(after >= before);
    // It goes on while an invocation runs, as often as one comes.
    eventually("it counts on", || counted().1 > after);
}

#[test]
fn a_process_that_is_killed_while_it_is_frozen_is_replaced() {
    let function = Function::scripted("serve(lambda event: ENVIRONMENT + ' ' + ME)");
    let server = Server::with_one_environment(&function, &[]);
    let first = server.invoke("{}").success();
    let (environment, _) = first.split_once(' ').unwrap();
    eventually("it is stopped", || stopped(environment) == [true]);
    let (runtime, _) = runtime_and_first(environment);
    kill_process(runtime, Signal::KILL).unwrap();
    eventually("it is gone", || of_environment(environment).is_empty());
    // The next caller may be faster than the news of its end, and is told of that then.
    eventually("it is replaced", || {
        let reply = server.invoke("{}");
        reply.header("x-amz-function-error").is_none() && reply.success() != first
    });
}
