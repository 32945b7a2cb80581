//! The REPORT line: what is billed, and how much memory was used.

use crate::harness::function::{ECHO, Function};
use crate::harness::server::Server;

/// The numbers of a REPORT line.
#[derive(Debug)]
struct Report {
    duration_ms: f64,
    billed_ms: f64,
    memory_size_mb: f64,
    max_memory_mb: f64,
    init_ms: Option<f64>,
}

impl Report {
    #[track_caller]
    fn of(log: &str) -> Self {
        let line = log.lines().find(|line| line.starts_with("REPORT ")).expect("a REPORT");
        let column = |name: &str| -> Option<f64> {
            let value = line.split('\t').find_map(|column| column.strip_prefix(name)?.strip_prefix(": "))?;
            Some(value.split(' ').next().unwrap().parse().unwrap())
        };
        Report {
            duration_ms: column("Duration").unwrap(),
            billed_ms: column("Billed Duration").unwrap(),
            memory_size_mb: column("Memory Size").unwrap(),
            max_memory_mb: column("Max Memory Used").unwrap(),
            init_ms: column("Init Duration"),
        }
    }

    /// One rounding up, of the sum. The line has two decimals of what was rounded.
    #[track_caller]
    fn check_billing(&self) {
        let sum_ms = self.duration_ms + self.init_ms.unwrap_or(0.0);
        let possible = [(sum_ms - 0.01).ceil(), (sum_ms + 0.01).ceil()];
        assert!(possible.contains(&self.billed_ms), "{self:?}");
    }
}

#[test]
fn a_cold_start_is_billed_with_its_init_and_a_warm_one_without() {
    let function = Function::scripted(
        "time.sleep(0.05)\ndef run(event):\n    time.sleep(0.02)\n    return '1'\nserve(run)",
    );
    let server = Server::of(&function, &["--memory", "256"]);
    let cold = Report::of(&server.invoke_with_log("{}").1);
    cold.check_billing();
    assert!(cold.init_ms.unwrap() >= 50.0 && cold.duration_ms >= 20.0, "{cold:?}");
    assert_eq!(cold.memory_size_mb, 256.0);
    for _ in 0..5 {
        let warm = Report::of(&server.invoke_with_log("{}").1);
        warm.check_billing();
        assert_eq!(warm.init_ms, None);
        assert!(warm.duration_ms >= 20.0, "{warm:?}");
    }
}

#[test]
fn failures_are_billed_by_the_same_rule() {
    let crash = Function::scripted("event = next_event()\ntime.sleep(0.02)\nsys.exit(1)");
    Report::of(&Server::of(&crash, &[]).invoke_with_log("{}").1).check_billing();
    let timeout = Report::of(
        &Server::of(&Function::scripted("next_event()\ntime.sleep(60)"), &["--timeout", "1"])
            .invoke_with_log("{}")
            .1,
    );
    timeout.check_billing();
    assert!(timeout.duration_ms >= 1000.0, "{timeout:?}");
}

#[test]
fn an_init_inside_the_invocation_is_part_of_its_duration() {
    let function = Function::scripted(
        "note('init')\nif len(notes()) == 1: sys.exit(1)\ntime.sleep(0.1)\nserve(lambda event: '1')",
    );
    let report = Report::of(&Server::of(&function, &[]).invoke_with_log("{}").1);
    report.check_billing();
    assert_eq!(report.init_ms, None);
    assert!(report.duration_ms >= 100.0, "{report:?}");
}

#[test]
fn what_a_runtime_does_after_its_answer_is_billed() {
    let function = Function::scripted(
        "while True:\n    event = next_event()\n    respond(event.id, '1')\n    time.sleep(0.05)",
    );
    let report = Report::of(&Server::of(&function, &[]).invoke_with_log("{}").1);
    assert!(report.duration_ms >= 50.0, "{report:?}");
}

#[test]
fn the_memory_used_is_that_of_the_process_tree() {
    let small = Report::of(&Server::of(&Function::scripted(ECHO), &[]).invoke_with_log("{}").1);
    assert!((1.0..60.0).contains(&small.max_memory_mb), "{small:?}");

    let large = Function::scripted(
        "def run(event):\n    block = bytearray(200 * 1024 * 1024)\n    return str(len(block))\nserve(run)",
    );
    let large = Report::of(&Server::of(&large, &["--memory", "1024"]).invoke_with_log("{}").1);
    assert!((200.0..300.0).contains(&large.max_memory_mb), "{large:?}");

    let children = Function::scripted(
        r#"
for _ in range(2):
    ready = os.pipe()
    if os.fork() == 0:
        block = bytearray(80 * 1024 * 1024)
        os.write(ready[1], b"x")
        time.sleep(600)
    os.read(ready[0], 1)
serve(lambda event: "1")
"#,
    );
    let children = Report::of(&Server::of(&children, &["--memory", "1024"]).invoke_with_log("{}").1);
    // Without a control group it is what the kernel tells of each process, which it counts in batches.
    assert!((150.0..260.0).contains(&children.max_memory_mb), "{children:?}");
}

#[test]
fn the_memory_used_includes_children_that_came_and_went() {
    let children = Function::scripted(
        r#"
def run(event):
    child = os.fork()
    if child == 0:
        block = bytearray(80 * 1024 * 1024)
        time.sleep(0.2)
        os._exit(0)
    os.waitpid(child, 0)
    return "1"
serve(run)
"#,
    );
    let children = Report::of(&Server::of(&children, &["--memory", "1024"]).invoke_with_log("{}").1);
    assert!((80.0..180.0).contains(&children.max_memory_mb), "{children:?}");
}

#[test]
fn a_later_report_shows_at_least_what_was_used_before() {
    let function = Function::scripted(
        "def run(event):\n    if event.body == b'1': bytearray(100 * 1024 * 1024)\n    return '1'\nserve(run)",
    );
    let server = Server::of(&function, &["--memory", "512"]);
    let first = Report::of(&server.invoke_with_log("1").1);
    let second = Report::of(&server.invoke_with_log("2").1);
    assert!(
        first.max_memory_mb >= 100.0 && second.max_memory_mb >= first.max_memory_mb,
        "{first:?} {second:?}"
    );
}
