//! A running `firesteel serve`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Client, Reply};
use super::function::Function;
use super::isolation::Isolation;
use super::leftovers::Runs;
use super::process::{self, PATIENCE};
use super::program::Program;

/// Dropped, it is asked to end, and everything is checked that holds for the end of every server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
    data: Arc<TempDir>,
    /// What is below `data` that is the server's.
    root: PathBuf,
    runs: Runs,
    /// So that their code stays as long as it may be run.
    _functions: Vec<Function>,
    killed: bool,
}

/// What a server has written to stderr so far.
#[derive(Default)]
struct Log {
    text: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    /// Reading ends with the next line.
    enough: bool,
    ended: bool,
}

impl Server {
    /// Serves one function by the name `f`.
    pub(crate) fn of(function: &Function, arguments: &[&str]) -> Self {
        Self::of_several(&[("f", function)], arguments)
    }

    /// Likewise, with one environment at most, for which callers wait: whatever happens, the next invocation is
    /// served by the same one.
    pub(crate) fn with_one_environment(function: &Function, arguments: &[&str]) -> Self {
        Self::of(function, &[arguments, &["--max-environments", "1", "--wait-ms", "30000"]].concat())
    }

    pub(crate) fn of_several(functions: &[(&str, &Function)], arguments: &[&str]) -> Self {
        Self::start_in(Arc::new(super::folder()), functions, arguments)
    }

    /// With the data folder of another, which may have been killed.
    pub(crate) fn start_in(data: Arc<TempDir>, functions: &[(&str, &Function)], arguments: &[&str]) -> Self {
        Start { functions, ..Start::new(data, arguments) }.server()
    }

    /// Serves none. Those that are deployed to it later may leave notes if they are among `later`.
    pub(crate) fn without_functions(later: &[&Function], arguments: &[&str]) -> Self {
        Self::without_functions_in(Arc::new(super::folder()), later, arguments)
    }

    /// Likewise, with the data folder of another.
    pub(crate) fn without_functions_in(data: Arc<TempDir>, later: &[&Function], arguments: &[&str]) -> Self {
        Start { later, ..Start::new(data, arguments) }.server()
    }

    /// Likewise without `--data`; the user's data folder is one of the test's.
    pub(crate) fn that_keeps_nothing(later: &[&Function]) -> Self {
        Start { later, keeps: false, ..Start::new(Arc::new(super::folder()), &[]) }.server()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A client of the URL of a function, given by `--url` or `--url-stream`.
    pub(crate) fn url_client(&self, name: &str) -> Client {
        let line = self.log.wait_for("a URL", |line| line.ends_with(&format!(" is the URL of {name}")));
        Client::connect(line.split('/').nth(2).unwrap().parse().unwrap())
    }

    /// One synchronous invocation of `f`.
    pub(crate) fn invoke(&self, event: &str) -> Reply {
        self.invoke_with(&[], event)
    }

    pub(crate) fn invoke_with(&self, headers: &[(&str, &str)], event: &str) -> Reply {
        self.invoke_named("f", headers, event)
    }

    pub(crate) fn invoke_named(&self, name: &str, headers: &[(&str, &str)], event: &str) -> Reply {
        self.client().post(&invocations(name), headers, event.as_bytes())
    }

    /// Any operation of the API, with a body of JSON.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.client().request(method, path, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// Makes `function` one of this server's, by `firesteel deploy`, and tells its ARN.
    #[track_caller]
    pub(crate) fn deploy(&self, name: &str, function: &Function, arguments: &[&str]) -> String {
        let target = function.target();
        let deploy = [&["deploy", &target, "--name", name], arguments].concat();
        Program::asking(self, &deploy).run().success().trim_end().to_owned()
    }

    /// With the log of the invocation, for which the answer waits until REPORT is written.
    pub(crate) fn invoke_with_log(&self, event: &str) -> (Reply, String) {
        let reply = self.invoke_with(&[("X-Amz-Log-Type", "Tail")], event);
        let log = reply.log_tail();
        (reply, log)
    }

    /// Everything on stderr once this many invocations have been reported. Lines come a moment after what they
    /// tell of.
    #[track_caller]
    pub(crate) fn log_of(&self, invocations: usize) -> String {
        self.log.wait_until("REPORT", |lines| {
            let reports = lines.iter().filter(|line| line.contains("REPORT RequestId")).count();
            (reports >= invocations).then(|| lines.join("\n"))
        })
    }

    /// Everything on stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().lines.join("\n")
    }

    /// Waits for a line on stderr.
    #[track_caller]
    pub(crate) fn logged(&self, text: &str) -> String {
        self.log.wait_for(text, |line| line.contains(text))
    }

    /// Reads no more of stderr after its next line, which this waits for.
    pub(crate) fn close_log_after<T>(&self, next_line: impl FnOnce() -> T) -> T {
        self.log.lock().enough = true;
        let result = next_line();
        process::eventually("stderr is closed", || self.log.lock().ended);
        result
    }

    /// As `--endpoint` takes it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn data(&self) -> Arc<TempDir> {
        Arc::clone(&self.data)
    }

    /// Its folders of this run: `environments`, `packages`, …
    pub(crate) fn run_folder(&self) -> std::path::PathBuf {
        fs::read_dir(self.root.join("runs")).unwrap().next().unwrap().unwrap().path()
    }

    /// How many execution environments have a folder.
    pub(crate) fn environments(&self) -> usize {
        fs::read_dir(self.run_folder().join("environments")).map_or(0, Iterator::count)
    }

    #[allow(dead_code, reason = "for those who look at it from outside; not every program of tests does")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Waits for the end that was asked for, and checks what is left.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = process::ended(&mut self.child);
        self.runs.check_nothing_is_left();
        status
    }

    /// `kill -9`. Its files stay, its processes may not.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.kill_and_wait();
        self.runs.check_devices_are_freed();
    }

    /// Likewise of one that has images mounted: that they are stays, too, until the next server takes them away.
    #[track_caller]
    pub(crate) fn kill_with_images(mut self) {
        self.kill_and_wait();
    }

    #[track_caller]
    fn kill_and_wait(&mut self) {
        self.killed = true;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mark = self.mark();
        process::eventually("every process of the killed server ends", || process::marked(&mark).is_empty());
    }

    /// Text that all of its processes are marked with.
    pub(crate) fn mark(&self) -> String {
        self.runs.mark().to_owned()
    }
}

/// A server to be.
struct Start<'a> {
    data: Arc<TempDir>,
    keeps: bool,
    functions: &'a [(&'a str, &'a Function)],
    later: &'a [&'a Function],
    arguments: &'a [&'a str],
}

impl<'a> Start<'a> {
    fn new(data: Arc<TempDir>, arguments: &'a [&'a str]) -> Self {
        Start { data, keeps: true, functions: &[], later: &[], arguments }
    }

    /// It listens, so it can be asked.
    #[track_caller]
    fn server(self) -> Server {
        let Start { data, keeps, functions, later, arguments } = self;
        let mut command = Command::new(super::FIRESTEEL);
        command.arg("serve").args(arguments);
        let root = if keeps {
            command.arg("--data").arg(data.path());
            data.path().to_owned()
        } else {
            command.env("XDG_DATA_HOME", data.path());
            data.path().join("firesteel")
        };
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(functions.iter().map(|(name, function)| format!("{name}={}", function.target())));
        let isolation = Isolation::of_this_run();
        let layers = arguments.iter().map(Path::new).filter(|path| path.is_absolute());
        let all: Vec<&Function> =
            functions.iter().map(|(_, function)| *function).chain(later.iter().copied()).collect();
        let codes: Vec<_> = all.iter().map(|function| function.code()).collect();
        command.args(isolation.mounts(codes.iter().map(PathBuf::as_path).chain(layers)));
        command.env("FIRESTEEL_ISOLATION", isolation.name()).env("FIRESTEEL_TEST_CANARY", "sings");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = {
            let _guard = super::forking();
            command.spawn().unwrap()
        };
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().unwrap();
        let log_of_thread = Arc::clone(&log);
        thread::spawn(move || log_of_thread.follow(stderr));
        let line = log.wait_for("the server listens", |line| line.contains("/2015-03-31/functions/"));
        let address = line.split('/').nth(2).unwrap().parse().unwrap();
        let functions = all.into_iter().cloned().collect();
        let mut runs = Runs::of(&root);
        runs.look();
        Server { child, address, log, data, root, runs, _functions: functions, killed: false }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the server's stderr:\n{}\n---", self.log());
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        if !self.killed {
            if self.child.try_wait().unwrap().is_none() {
                self.signal(Signal::TERM);
            }
            assert_eq!(self.wait().code(), Some(0), "{}", self.log());
        }
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            self.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
            self.changed.notify_all();
            if self.lock().enough {
                break;
            }
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.text.lock().unwrap()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        self.wait_until(what, |lines| lines.iter().find(|line| matches(line)).cloned())
    }

    #[track_caller]
    fn wait_until<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        let mut written = self.lock();
        loop {
            if let Some(found) = find(&written.lines) {
                return found;
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if written.ended || left == Duration::ZERO {
                let all = written.lines.join("\n");
                drop(written);
                panic!("never on stderr: {what}\n{all}");
            }
            written = self.changed.wait_timeout(written, left).unwrap().0;
        }
    }
}

/// Path of the invocations of a function.
pub(crate) fn invocations(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

/// Path of the streaming invocations of a function.
pub(crate) fn streaming_invocations(name: &str) -> String {
    format!("/2021-11-15/functions/{name}/response-streaming-invocations")
}

/// Whether this host lets a process mount folders read-only for itself, found out without the program.
pub(crate) fn host_protects_folders() -> bool {
    let _guard = super::forking();
    let mut command = Command::new("unshare");
    let root = rustix::process::geteuid().is_root();
    let command = command.args(if root { &["--mount"][..] } else { &["--mount", "--map-current-user"][..] });
    command.args(["mount", "--bind", "/tmp", "/tmp"]).stderr(Stdio::null());
    Path::new("/proc/self/ns/mnt").exists() && command.status().is_ok_and(|status| status.success())
}
