//! Between invocations nothing runs.

use crate::harness::function::Function;
use crate::harness::process::{eventually, marked};
use crate::harness::server::Server;

/// By the name of its log stream, which only the processes of one environment have.
fn mark_of(environment: &str) -> String {
    format!("[$LATEST]{environment}")
}

/// The states of all processes with this mark, by their letters in `/proc`.
fn states(mark: &str) -> Vec<char> {
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    marked(mark).into_iter().filter_map(state).collect()
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
        (mark_of(environment), count.parse::<u64>().unwrap())
    };
    let (mark, before) = counted();
    eventually("everything is stopped", || {
        let states = states(&mark);
        states.len() >= 2 && states.iter().all(|state| *state == 'T')
    });
    let (_, after) = counted();
    assert!(after >= before);
    // It goes on while an invocation runs, as often as one comes.
    eventually("it counts on", || counted().1 > after);
}

#[test]
fn a_process_that_is_killed_while_it_is_frozen_is_replaced() {
    let function = Function::scripted("serve(lambda event: ENVIRONMENT + ' ' + str(os.getpid()))");
    let server = Server::with_one_environment(&function, &[]);
    let first = server.invoke("{}").success();
    let (environment, pid) = first.split_once(' ').unwrap();
    let mark = mark_of(environment);
    eventually("it is stopped", || states(&mark) == ['T']);
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("it is gone", || marked(&mark).is_empty());
    // The next caller may be faster than the news of its end, and is told of that then.
    eventually("it is replaced", || {
        let reply = server.invoke("{}");
        reply.header("x-amz-function-error").is_none() && reply.success() != first
    });
}
