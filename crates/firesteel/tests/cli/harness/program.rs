//! Runs of the program that end by themselves: `firesteel invoke`, `firesteel deploy`, `firesteel doctor`, ….

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::isolation::Isolation;
use super::leftovers::Runs;
use super::process;
use super::server::Server;

/// A run to be.
pub(crate) struct Program {
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    own_data: TempDir,
    /// What is given as `--data`, unless it is the run's own.
    data: Option<PathBuf>,
    /// Has no data folder, and does not sign as whoever runs the tests.
    is_client: bool,
    stdin: Vec<u8>,
}

/// A run that was.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// `firesteel invoke ARGUMENTS…`, with a data folder of its own.
    pub(crate) fn invoke(arguments: &[&str]) -> Self {
        Self::new("invoke", arguments)
    }

    /// `firesteel serve ARGUMENTS…`, for what it refuses.
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        Self::new("serve", arguments)
    }

    /// `firesteel image ARGUMENTS…`, which have a data folder among them: what it leaves there is to stay.
    pub(crate) fn image(arguments: &[&str]) -> Self {
        Program { is_client: true, ..Self::new("image", arguments) }
    }

    /// `firesteel check ARGUMENTS…`
    pub(crate) fn check(arguments: &[&str]) -> Self {
        Self::new("check", arguments)
    }

    /// `firesteel doctor ARGUMENTS…`
    pub(crate) fn doctor(arguments: &[&str]) -> Self {
        Self::new("doctor", arguments)
    }

    /// `firesteel ARGUMENTS…` as a client of a server, without credentials.
    pub(crate) fn asking(server: &Server, arguments: &[&str]) -> Self {
        Self::asking_at(&server.url(), arguments)
    }

    /// Likewise of whatever is there.
    pub(crate) fn asking_at(url: &str, arguments: &[&str]) -> Self {
        let (subcommand, rest) = arguments.split_first().unwrap();
        Program { is_client: true, ..Self::new(subcommand, &[rest, &["--endpoint", url]].concat()) }
    }

    fn new(subcommand: &str, arguments: &[&str]) -> Self {
        let arguments = [&[subcommand], arguments].concat();
        Program {
            arguments: arguments.into_iter().map(OsString::from).collect(),
            variables: Vec::new(),
            own_data: super::folder(),
            data: None,
            is_client: false,
            stdin: Vec::new(),
        }
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With a data folder that is not its own; nobody looks at what is left in it.
    pub(crate) fn data(mut self, path: &Path) -> Self {
        self.data = Some(path.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    /// Runs it and checks what holds for every run: no panic, no process left, no file left.
    #[track_caller]
    pub(crate) fn run(self) -> Run {
        self.run_reading(true, true, |_| ())
    }

    /// Likewise, with a Ctrl-C once `ready` returns.
    #[track_caller]
    pub(crate) fn run_interrupted(self, ready: impl FnOnce()) -> Run {
        self.run_reading(true, true, |child| {
            ready();
            process::signal(child, Signal::INT);
        })
    }

    /// Likewise, with a stdout that nobody reads any more.
    #[track_caller]
    pub(crate) fn run_with_closed_stdout(self) -> Run {
        self.run_reading(false, true, |_| ())
    }

    /// Likewise, with such a stderr.
    #[track_caller]
    pub(crate) fn run_with_closed_stderr(self) -> Run {
        self.run_reading(true, false, |_| ())
    }

    #[track_caller]
    fn run_reading(self, reads_stdout: bool, reads_stderr: bool, meanwhile: impl FnOnce(&Child)) -> Run {
        let isolation = Isolation::of_this_run();
        let mut command = Command::new(super::FIRESTEEL);
        command.args(&self.arguments).args(self.mounts(isolation));
        if self.is_client {
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION");
        } else {
            command.arg("--data").arg(self.data.as_deref().unwrap_or(self.own_data.path()));
        }
        command
            .env("FIRESTEEL_ISOLATION", isolation.name())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = {
            let _guard = super::forking();
            command.spawn().unwrap()
        };
        let mut stdin = child.stdin.take().unwrap();
        // The program may end without reading it.
        let _ = stdin.write_all(&self.stdin);
        drop(stdin);
        let stdout = child.stdout.take().filter(|_| reads_stdout).map(all);
        let stderr = child.stderr.take().filter(|_| reads_stderr).map(all);
        meanwhile(&child);
        let mut runs = Runs::of(self.own_data.path());
        let status = process::ended_watched(&mut child, || runs.look());
        let run = Run {
            code: status.code(),
            stdout: stdout.map(|stdout| stdout.join().unwrap()).unwrap_or_default(),
            stderr: stderr.map(|stderr| stderr.join().unwrap()).unwrap_or_default(),
        };
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        runs.check_nothing_is_left();
        run
    }

    /// For the functions among the arguments, if any are to be run here.
    fn mounts(&self, isolation: Isolation) -> Vec<String> {
        let has = |argument: &str| self.arguments.iter().any(|given| given == argument);
        if !(has("invoke") || has("serve")) || has("--endpoint") {
            return Vec::new();
        }
        let path = |argument: &OsString| {
            let text = argument.to_str()?;
            Some(PathBuf::from(text.split_once('=').map_or(text, |(_, path)| path)))
        };
        let paths: Vec<_> =
            self.arguments.iter().filter_map(path).filter(|path| path.is_absolute()).collect();
        isolation.mounts(paths.iter().map(PathBuf::as_path))
    }
}

impl Run {
    /// Its stdout, if it ended with success.
    #[track_caller]
    pub(crate) fn success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        &self.stdout
    }

    /// Its stdout, if its function failed.
    #[track_caller]
    pub(crate) fn function_error(&self) -> &str {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        &self.stdout
    }

    /// It refused with this exit code: said what is wrong in these words, and what to try instead.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "", "stdout is for responses");
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        assert!(!self.stderr.contains(" WARN "), "a mistake is no news of the platform's: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in:\n{}", self.stderr);
        }
    }
}

fn all(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
