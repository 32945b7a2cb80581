//! Logs are kept below the data folder, within bounds, and `firesteel logs` prints them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, mpsc};

use rustix::process::Signal;

use crate::harness;
use crate::harness::function::{ECHO, Function};
use crate::harness::process::{self, PATIENCE, eventually};
use crate::harness::program::Program;
use crate::harness::server::Server;

/// Says each event, and in what environment.
const SAYS: &str = r#"
def says(event):
    print(ENVIRONMENT, event.body.decode(), flush=True)
    return event.body
serve(says)
"#;

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(harness::FIRESTEEL);
    command.arg("logs").args(arguments).arg("--data").arg(data).stdin(Stdio::null());
    command
}

fn logs(data: &Path, arguments: &[&str]) -> Output {
    let mut command = command(data, arguments);
    let child = {
        let _guard = harness::forking();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    child.wait_with_output().unwrap()
}

#[track_caller]
fn lines(data: &Path, arguments: &[&str]) -> Vec<String> {
    let output = logs(data, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[track_caller]
fn refused(data: &Path, arguments: &[&str], words: &[&str]) {
    let output = logs(data, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{stderr}");
    for word in [words, &["error: ", "\n  try:   "]].concat() {
        assert!(stderr.contains(word), "{word:?} is not in:\n{stderr}");
    }
}

fn group(data: &Path, function: &str) -> PathBuf {
    data.join("logs/aws/lambda").join(function)
}

/// Files of all streams of a function.
fn files(data: &Path, function: &str) -> Vec<PathBuf> {
    let mut folders = vec![group(data, function)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// A server whose data folder outlives it.
fn server(functions: &[(&str, &Function)], arguments: &[&str]) -> (Server, Arc<tempfile::TempDir>) {
    let server = Server::of_several(functions, arguments);
    let data = server.data();
    (server, data)
}

/// `firesteel logs --follow` with a reader of its stdout.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Follower {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut command = command(data, &[arguments, &["--follow"]].concat());
        let mut child = {
            let _guard = harness::forking();
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Follower { child, lines }
    }

    /// Lines up to one with this text.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            seen.push(line.unwrap_or_else(|_| panic!("{text:?} never came after {seen:?}")));
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }

    /// Waits for a line of its stderr, so that it is known to look.
    fn waiting(mut self) -> Self {
        let mut stderr = BufReader::new(self.child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("no logs of f in") && line.contains("waiting"), "{line}");
        self
    }

    #[track_caller]
    fn interrupted(mut self) {
        process::signal(&self.child, Signal::INT);
        assert_eq!(process::ended(&mut self.child).code(), Some(130));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_line_of_every_environment_is_kept_and_printed_in_the_order_of_time() {
    let function = Function::scripted(
        "def run(event):\n    print('in', event.body.decode(), flush=True)\n    note('in')\n    wait_for_gate()\n    return '1'\nserve(run)",
    );
    let (server, data) = server(&[("f", &function), ("other", &Function::scripted(ECHO))], &[]);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let server = &server;
            scope.spawn(move || server.invoke(&caller.to_string()).success());
        }
        function.noted(4);
        function.open_gate();
    });
    server.invoke_named("other", &[], "{}").success();
    drop(server);

    assert_eq!(files(data.path(), "f").len(), 4, "one stream per environment");
    let with_times = lines(data.path(), &["f", "--timestamps"]);
    let count = |word: &str| with_times.iter().filter(|line| line.contains(word)).count();
    for word in ["INIT_START ", "\tSTART RequestId", "\tin ", "\tEND RequestId", "\tREPORT RequestId"] {
        assert_eq!(count(word), 4, "{word}: {with_times:#?}");
    }
    assert_eq!(with_times.len(), 20);
    assert!(with_times.is_sorted_by_key(|line| line[..24].to_owned()), "{with_times:#?}");
    let plain = lines(data.path(), &["f"]);
    assert!(plain.iter().zip(&with_times).all(|(plain, line)| line[25..] == *plain));
    assert_eq!(lines(data.path(), &["other"]).len(), 4, "each function has its own");
}

#[test]
fn runs_of_invoke_are_kept_too_and_parts_of_the_log_can_be_asked_for() {
    let function = Function::scripted(SAYS);
    let data = harness::folder();
    let run = |event: &str, arguments: &[&str]| {
        let target = function.target();
        let arguments = [&[target.as_str(), event, "--function-name", "f"], arguments].concat();
        Program::invoke(&arguments).data(data.path()).run().success().to_owned()
    };
    run("\"one\"", &[]);
    run("\"two\"", &[]);
    run("\"three\"", &["--no-log-files"]);
    let all = lines(data.path(), &["f"]);
    assert_eq!(all.len(), 10, "{all:#?}");
    assert!(all[2].contains("\"one\"") && all[7].contains("\"two\""), "{all:#?}");
    assert_eq!(lines(data.path(), &["f", "--tail", "3"]), all[7..]);
    assert_eq!(lines(data.path(), &["f", "--tail", "0"]), [""; 0]);
    assert_eq!(lines(data.path(), &["f", "--since", "1h"]), all);
    assert_eq!(lines(data.path(), &["f", "--since", "2100-01-01T00:00:00Z"]), [""; 0]);
    let environment = all[7].split(' ').next().unwrap();
    assert_eq!(lines(data.path(), &["f", "--stream", environment]), all[5..]);
    refused(data.path(), &["f", "--stream", "nowhere"], &["no log stream of function f has `nowhere`"]);
}

#[test]
fn a_line_survives_byte_for_byte_and_a_very_long_one_in_pieces() {
    let function = Function::scripted(
        r"
def run(event):
    os.write(1, b'\xff\x00\x1b[0m one\rtwo\t\xfe\n' + b'x' * 600000 + b'\nafter\r\n')
    return '1'
serve(run)
",
    );
    let (server, data) = server(&[("f", &function)], &[]);
    server.invoke("{}").success();
    drop(server);
    let printed = logs(data.path(), &["f"]).stdout;
    let lines: Vec<&[u8]> = printed.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines[2], b"\xff\x00\x1b[0m one\rtwo\t\xfe");
    let pieces = &lines[3..6];
    assert!(pieces.iter().all(|piece| piece.len() <= 256 * 1024));
    assert_eq!(pieces.concat(), vec![b'x'; 600_000]);
    assert_eq!(lines[6], b"after\r");
}

#[test]
fn following_goes_on_with_new_environments_and_ends_with_ctrl_c() {
    let function = Function::scripted(SAYS);
    let (server, data) = server(&[("f", &function)], &["--max-environments", "1"]);
    // Before there is anything.
    let follower = Follower::start(data.path(), &["f"]).waiting();
    server.invoke("\"one\"").success();
    let seen = follower.until("REPORT ");
    assert_eq!(seen.len(), 5, "{seen:#?}");
    server.invoke("\"two\"").success();
    assert!(follower.until("REPORT ")[1].ends_with(" \"two\""));

    // Another run, and so another environment.
    let target = function.target();
    let run = Program::invoke(&[&target, "\"three\"", "--function-name", "f"]);
    run.data(data.path()).run().success();
    let seen = follower.until("REPORT ");
    assert!(seen[0].starts_with("INIT_START") && seen[2].ends_with(" \"three\""), "{seen:#?}");
    follower.interrupted();

    let follower = Follower::start(data.path(), &["f", "--tail", "1"]);
    assert_eq!(follower.until("REPORT ").len(), 1);
    server.invoke("\"four\"").success();
    assert!(follower.until("REPORT ")[1].ends_with(" \"four\""));
    // Before the server, which must leave no process that knows its folder.
    drop(follower);
}

#[test]
fn a_full_disk_behind_stdout_is_not_blamed_on_the_logs() {
    let data = harness::folder();
    let function = Function::scripted(ECHO);
    Program::invoke(&[&function.target(), "--function-name", "f"]).data(data.path()).run().success();
    let mut command = command(data.path(), &["f"]);
    let child = {
        let _guard = harness::forking();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        command.stdout(full).stderr(Stdio::piped()).spawn().unwrap()
    };
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("could not be written to stdout"), "{stderr}");
}

#[test]
fn following_ends_when_nobody_reads_even_if_nothing_is_written() {
    let data = harness::folder();
    let target = Function::scripted(ECHO);
    Program::invoke(&[&target.target(), "{}", "--function-name", "f"]).data(data.path()).run().success();
    let mut child = {
        let _guard = harness::forking();
        command(data.path(), &["f", "--follow"]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    assert_eq!(process::ended(&mut child).code(), Some(0));
}

/// The reader pauses, as a pager does.
#[test]
fn ctrl_c_is_heard_while_stdout_is_full() {
    let function = Function::scripted(
        "def run(event):\n    os.write(1, b'a line\\n' * 100000)\n    return '1'\nserve(run)",
    );
    let data = harness::folder();
    let target = function.target();
    let run = Program::invoke(&[&target, "{}", "--function-name", "f"]);
    run.data(data.path()).run().success();
    let mut child = {
        let _guard = harness::forking();
        command(data.path(), &["f"]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut stdout: ChildStdout = child.stdout.take().unwrap();
    // It prints, so it listens for signals; more than a pipe holds is to come.
    stdout.read_exact(&mut [0; 10]).unwrap();
    process::signal(&child, Signal::INT);
    assert_eq!(process::ended(&mut child).code(), Some(130));
}

#[test]
fn a_stream_keeps_its_newest_lines_within_its_bound_and_following_goes_on() {
    const LINES: usize = 13;
    let function = Function::scripted(
        r"
def run(event):
    for number in range(1000):
        os.write(1, b'%s.%03d ' % (event.body, number) + b'x' * 1000 + b'\n')
    return '1'
serve(run)
",
    );
    let (server, data) = server(&[("f", &function)], &["--max-environments", "1", "--timeout", "60"]);
    let follower = Follower::start(data.path(), &["f"]).waiting();
    for event in 100..100 + LINES {
        server.invoke(&event.to_string()).success();
        // A reader that is far behind would lose what was rotated away.
        let seen = follower.until("REPORT ");
        let own = seen.iter().filter(|line| line.starts_with(&format!("{event}."))).count();
        assert_eq!(own, 1000);
    }
    let files = files(data.path(), "f");
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 4 * 1024 * 1024);
    }
    follower.interrupted();
    drop(server);
    let kept = lines(data.path(), &["f"]);
    assert!(kept.len() > 4000 && kept.len() < 8400, "{}", kept.len());
    assert!(kept[kept.len() - 3].starts_with("112.999 "), "the newest are kept");
}

#[test]
fn logs_that_cannot_be_kept_are_said_once_and_serving_goes_on() {
    let function = Function::scripted(SAYS);
    let data = Arc::new(harness::folder());
    fs::write(data.path().join("logs"), "in the way").unwrap();
    let server = Server::start_in(Arc::clone(&data), &[("f", &function), ("g", &function)], &[]);
    for name in ["f", "g", "f"] {
        server.invoke_named(name, &[], "{}").success();
        server.logged("logs cannot be kept in");
    }
    server.log_of(3);
    fs::remove_file(data.path().join("logs")).unwrap();
    server.invoke("\"again\"").success();
    eventually("lines are kept again", || {
        // Those of the invocation before may be among them: files are written behind stderr.
        files(data.path(), "f").iter().any(|file| fs::read_to_string(file).unwrap().contains(" \"again\""))
    });
    let kept = lines(data.path(), &["f"]);
    let dropped =
        kept.iter().position(|line| line.ends_with("log lines were dropped, the disk is slow or full"));
    let again = kept.iter().position(|line| line.ends_with(" \"again\""));
    assert!(dropped.is_some() && dropped < again, "{kept:#?}");
    assert_eq!(server.log().matches("logs cannot be kept in").count(), 1);
}

#[test]
fn a_function_without_logs_is_told_of_with_what_to_type() {
    let data = harness::folder();
    refused(data.path(), &["f"], &["there are no logs of function f", "--data DIR", "firesteel invoke"]);
    refused(data.path(), &["a/b"], &["`a/b` cannot be the name of a function"]);
    refused(data.path(), &["f", "--since", "soon"], &["`soon` is neither a time nor a duration"]);
    let target = Function::scripted(ECHO);
    Program::invoke(&[&target.target(), "{}", "--function-name", "g"]).data(data.path()).run().success();
    refused(data.path(), &["f"], &["firesteel logs g; there are logs of: g"]);
}

#[test]
fn the_level_of_a_functions_lines_is_its_runtimes_business() {
    let function = Function::python(
        "import logging, os\ndef lambda_handler(event, context):\n    logging.getLogger().info('quiet')\n    logging.getLogger().error('loud')\n    return os.environ['AWS_LAMBDA_LOG_LEVEL']\n",
    );
    let target = function.target();
    let run = |level: &str| {
        let arguments = [&target, "{}", "--log-format", "json", "--log-level", level];
        Program::invoke(&arguments).run()
    };
    let errors = run("error");
    assert_eq!(errors.success(), "\"ERROR\"\n");
    assert!(errors.stderr.contains("loud") && !errors.stderr.contains("quiet"), "{}", errors.stderr);
    let all = run("DEBUG");
    assert_eq!(all.success(), "\"DEBUG\"\n");
    assert!(all.stderr.contains("loud") && all.stderr.contains("quiet"), "{}", all.stderr);
}

#[test]
fn log_levels_are_for_json_and_the_platform_has_three() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    for flag in ["--log-level", "--system-log-level"] {
        let run = Program::invoke(&[&target, "{}", flag, "WARN"]).run();
        run.refused(2, &["log levels cannot be chosen for logs in text format", "try:   --log-format json"]);
    }
    let arguments = [&target, "--log-format", "json", "--system-log-level", "FATAL"];
    let run = Program::serve(&arguments).run();
    run.refused(2, &["system log level `FATAL` is not one of DEBUG, INFO, WARN", "--system-log-level with"]);
}
