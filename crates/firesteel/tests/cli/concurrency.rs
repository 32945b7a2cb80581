//! Many callers, few environments.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::client::Reply;
use crate::harness::function::{ECHO, Function, WHO};
use crate::harness::isolation::isolated;
use crate::harness::process::{self, eventually};
use crate::harness::program::Program;
use crate::harness::server::{Server, invocations};

/// Answers with its process's name when the test opens the gate.
const WAITS: &str = "def run(event):\n    note('in')\n    wait_for_gate()\n    return ME\nserve(run)";

#[track_caller]
fn throttled(reply: &Reply) {
    let body =
        json!({"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."});
    reply.refused(429, "TooManyRequestsException", &body);
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[test]
fn sixty_four_clients_at_once_are_all_answered_and_each_with_its_own() {
    let function =
        Function::scripted("def run(event):\n    time.sleep(0.1)\n    return event.body\nserve(run)");
    let server = Server::of(&function, &["--timeout", "60"]);
    std::thread::scope(|scope| {
        for client in 0..64 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.client();
                for round in 0..3 {
                    let event = format!("{{\"client\":{client},\"round\":{round}}}");
                    let reply = connection.post(&invocations("f"), &[], event.as_bytes());
                    assert_eq!(reply.success(), event);
                }
            });
        }
    });
    assert!(server.environments() <= 64);
    assert_eq!(server.log_of(3 * 64).matches("\nSTART RequestId").count(), 3 * 64);
}

#[test]
fn beyond_the_bound_callers_are_throttled_with_a_reason() {
    let function = Function::scripted(WAITS);
    let server = Server::of(&function, &["--max-environments", "2", "--timeout", "60"]);
    std::thread::scope(|scope| {
        let busy = [scope.spawn(|| server.invoke("{}")), scope.spawn(|| server.invoke("{}"))];
        function.noted(2);
        throttled(&server.invoke("{}"));
        throttled(&server.invoke("{}"));
        function.open_gate();
        for call in busy {
            call.join().unwrap().success();
        }
    });
    server.invoke("{}").success();
    assert_eq!(server.environments(), 2);
}

#[test]
fn one_caller_after_the_other_never_needs_a_second_environment() {
    let server = Server::of(&Function::scripted(ECHO), &["--max-environments", "1"]);
    let mut client = server.client();
    for n in 0..200 {
        let event = n.to_string();
        assert_eq!(client.post(&invocations("f"), &[], event.as_bytes()).success(), event);
    }
}

/// An environment that is about to be free counts, also if idle ones were looked through while it was busy.
#[test]
fn a_caller_after_a_long_invocation_is_not_throttled() {
    let function = Function::scripted(
        r#"
while True:
    event = next_event()
    time.sleep(0.6)
    respond(event.id, "1")
    time.sleep(0.1)
"#,
    );
    // Idle environments are looked through every quarter of this second.
    let server = Server::of(&function, &["--max-environments", "1", "--idle-timeout", "1"]);
    for _ in 0..3 {
        assert_eq!(server.invoke("{}").success(), "1");
    }
}

#[test]
fn a_caller_may_wait_for_room() {
    let function = Function::scripted(WAITS);
    let server = Server::of(&function, &["--max-environments", "1", "--wait-ms", "60000", "--timeout", "60"]);
    let served: BTreeSet<String> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| server.invoke("{}").success())).collect();
        function.noted(1);
        function.open_gate();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(served.len(), 1, "all by one process");
}

#[test]
fn a_caller_who_has_waited_in_vain_is_throttled() {
    let function = Function::scripted(WAITS);
    let server = Server::of(&function, &["--max-environments", "1", "--wait-ms", "300", "--timeout", "60"]);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| server.invoke("{}"));
        function.noted(1);
        let began = Instant::now();
        throttled(&server.invoke("{}"));
        assert!(began.elapsed() >= Duration::from_millis(300));
        function.open_gate();
        busy.join().unwrap().success();
    });
}

#[test]
fn two_functions_have_their_own_environments() {
    let (one, two) =
        (Function::scripted("serve(lambda event: '1')"), Function::scripted("serve(lambda event: '2')"));
    let server = Server::of_several(&[("one", &one), ("two", &two)], &[]);
    for _ in 0..3 {
        assert_eq!(server.invoke_named("one", &[], "{}").success(), "1");
        assert_eq!(server.invoke_named("two", &[], "{}").success(), "2");
    }
    let log = server.log_of(6);
    assert!(log.contains("one | START RequestId") && log.contains("two | START RequestId"), "{log}");
}

#[test]
fn the_idle_environment_unused_longest_makes_room_for_another_function() {
    let functions: Vec<_> = (0..3).map(|_| Function::scripted(WHO)).collect();
    let named = [("a", &functions[0]), ("b", &functions[1]), ("c", &functions[2])];
    let server = Server::of_several(&named, &["--max-environments", "2"]);
    // Waits for REPORT: then the environment is idle.
    let who = |name: &str| server.invoke_named(name, &[("X-Amz-Log-Type", "Tail")], "{}").success();
    let (a, b) = (who("a"), who("b"));
    let c = who("c");
    eventually("the environment that had to go is gone", || server.environments() == 2);
    assert_eq!(who("b"), b, "used later than a's");
    assert_eq!(who("c"), c);
    assert_ne!(who("a"), a);
}

#[test]
fn a_busy_environment_makes_no_room() {
    let (busy, other) = (Function::scripted(WAITS), Function::scripted(ECHO));
    let server = Server::of_several(
        &[("busy", &busy), ("other", &other)],
        &["--max-environments", "1", "--timeout", "60"],
    );
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke_named("busy", &[], "{}"));
        busy.noted(1);
        throttled(&server.invoke_named("other", &[], "{}"));
        busy.open_gate();
        call.join().unwrap().success();
    });
}

#[test]
fn memory_is_a_bound_of_its_own_and_the_log_says_so() {
    let function = Function::scripted(WAITS);
    let memory = ["--memory", "256", "--max-memory", "256", "--overcommit-memory", "2"];
    let server = Server::of(&function, &[&memory[..], &["--timeout", "60"]].concat());
    std::thread::scope(|scope| {
        let busy = [scope.spawn(|| server.invoke("{}")), scope.spawn(|| server.invoke("{}"))];
        function.noted(2);
        throttled(&server.invoke("{}"));
        throttled(&server.invoke("{}"));
        function.open_gate();
        for call in busy {
            call.join().unwrap().success();
        }
    });
    server.invoke("{}").success();
    assert_eq!(server.environments(), 2);
    let said = server.logged("callers are throttled");
    assert!(said.contains("512 of 512 MiB of memory, and another takes 256"), "{said}");
    assert_eq!(server.log().matches("callers are throttled").count(), 1, "not for every caller");
}

/// One processor is given out, and that is what 1769 MB are worth.
#[test]
fn processor_time_is_a_bound_when_asked_for() {
    let cores: f64 = std::thread::available_parallelism().unwrap().get().to_string().parse().unwrap();
    let factor = (1.01 / cores).to_string();
    let function = Function::scripted(WAITS);
    let arguments =
        ["--memory", "1769", "--max-memory", "100000", "--overcommit-cpu", &factor, "--timeout", "60"];
    let server = Server::of(&function, &arguments);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| server.invoke("{}"));
        function.noted(1);
        throttled(&server.invoke("{}"));
        function.open_gate();
        busy.join().unwrap().success();
    });
    assert!(server.logged("callers are throttled").contains("another takes 1.000"));
}

#[test]
fn idle_environments_give_their_memory_to_other_functions_unused_longest_first() {
    let functions: Vec<_> = (0..3).map(|_| Function::scripted(WHO)).collect();
    let named = [("a", &functions[0]), ("b", &functions[1]), ("c", &functions[2])];
    let server = Server::of_several(&named, &["--memory", "200", "--max-memory", "500"]);
    let who = |name: &str| server.invoke_named(name, &[("X-Amz-Log-Type", "Tail")], "{}").success();
    let (a, b) = (who("a"), who("b"));
    let c = who("c");
    eventually("the environment that had to go is gone", || server.environments() == 2);
    assert_eq!(who("b"), b, "used later than a's");
    assert_eq!(who("c"), c);
    assert_ne!(who("a"), a);
}

#[test]
fn a_caller_may_wait_for_memory_of_another_function() {
    let (busy, other) = (Function::scripted(WAITS), Function::scripted(WAITS));
    let memory = ["--memory", "128", "--max-memory", "128", "--wait-ms", "60000", "--timeout", "60"];
    let server = Server::of_several(&[("busy", &busy), ("other", &other)], &memory);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.invoke_named("busy", &[], "{}"));
        busy.noted(1);
        let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| server.invoke_named("other", &[], "{}"))).collect();
        other.open_gate();
        busy.open_gate();
        first.join().unwrap().success();
        for call in waits {
            call.join().unwrap().success();
        }
    });
    assert_eq!(busy.notes().len() + other.notes().len(), 3);
}

#[test]
fn a_function_that_nothing_makes_room_for_is_refused_at_the_start() {
    let function = Function::scripted(ECHO);
    let served = format!("f={}", function.target());
    let refused = |arguments: &[&str], words: &[&str]| {
        Program::serve(&[&[served.as_str()], arguments].concat()).run().refused(2, words);
    };
    let memory = ["--memory", "1024", "--max-memory", "512"];
    refused(&memory, &["one environment of `f` takes 1024 MB of memory", "512 for all", "--max-memory 1024"]);
    let cpu = ["--memory", "1769", "--max-memory", "100000", "--overcommit-cpu", "0.001"];
    refused(&cpu, &["one environment of `f` takes more processor time", "--overcommit-cpu"]);
    let provisioned = ["--memory", "512", "--max-memory", "1024", "--provisioned", "f=3"];
    refused(&provisioned, &["3 provisioned environments do not fit into the 1024 MB", "--overcommit-memory"]);
    refused(&["--overcommit-memory", "0"], &["a factor looks like 1.5"]);
    refused(&["--max-memory", "0"], &["--max-memory"]);
}

#[test]
fn an_environment_that_stays_idle_is_ended() {
    let server = Server::of(&Function::scripted(WHO), &["--idle-timeout", "1"]);
    let before = server.invoke("{}").success();
    assert_eq!(server.environments(), 1);
    eventually("the idle environment is gone", || server.environments() == 0);
    let (_, environment) = before.split_once(' ').unwrap();
    assert_eq!(process::of_environment(environment), [0; 0]);
    if !isolated() {
        // Where none are made ahead.
        assert_eq!(process::marked(&server.mark()).len(), 1, "only the server is left");
    }
    assert_ne!(server.invoke("{}").success(), before);
}
