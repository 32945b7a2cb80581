//! The interpreters of this host, known by asking them.
//!
//! A name on `PATH` proves nothing: version managers put stand-ins there that answer only in the right
//! environment, or start another version than they are called. And a function is started with an
//! environment built from nothing. So an interpreter counts only if it tells its version when run
//! with no variables at all, and what is returned is the path it tells of itself.

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::probe::{Environment, NoAnswer, first_line};
use crate::runtime::PYTHON_MINORS;
use crate::search::{Candidate, Language, candidates};

/// Far more than an interpreter needs on a loaded machine, little enough to bear.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints version and real path. `-I -S` leave out the user's environment and site packages.
const ASK_PYTHON: [&str; 4] = [
    "-I",
    "-S",
    "-c",
    "import os, sys; print(sys.version.split()[0], os.path.realpath(sys.executable), sep='\\t')",
];
const ASK_NODEJS: [&str; 2] =
    ["-e", "console.log(process.versions.node + '\\t' + require('fs').realpathSync(process.execPath))"];

/// An interpreter that has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The file that is executed, links and stand-ins resolved.
    pub program: PathBuf,
    /// As it tells itself.
    pub version: Version,
}

/// A version, for instance `3.13.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second.
    pub minor: u16,
    text: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Version { major, minor, text: text.to_owned() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// No interpreter of the wanted kind answered. A matter of what is installed on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} is not installed ({})", found_text(.found))]
pub struct InterpreterNotFound {
    /// For instance `Python 3.13`.
    pub wanted: String,
    /// Versions of the same language that did answer.
    pub found: Vec<String>,
    /// What to type.
    pub advice: String,
}

fn found_text(found: &[String]) -> String {
    match found {
        [] => "none of that language was found on PATH or with a version manager".to_owned(),
        found => format!("found: {}", found.join(", ")),
    }
}

/// What is installed on this host. Made once and passed down; every file is asked at most once, and
/// only when it may be the one that is wanted.
#[derive(Debug)]
pub struct Interpreters {
    /// Folders of `PATH`, in order.
    folders: Vec<PathBuf>,
    /// Where version managers keep theirs; none if there is no home.
    home: Option<PathBuf>,
    patience: Duration,
    /// By the path asked, and by the path answered; `None` where nothing of use was answered.
    answers: Mutex<HashMap<(Language, PathBuf), Option<Interpreter>>>,
}

impl Interpreters {
    /// Those on this process's `PATH` and of the version managers in its home.
    pub fn of_host() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Interpreters::searching(env::split_paths(&path).collect(), env::home_dir())
    }

    /// Those in `folders`, in this order, and of the version managers in `home`.
    pub fn searching(folders: Vec<PathBuf>, home: Option<PathBuf>) -> Self {
        // An entry such as `.` would mean another folder in the function's process.
        let folders = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        Interpreters { folders, home, patience: PATIENCE, answers: Mutex::default() }
    }

    #[cfg(test)]
    fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Python 3.`minor`.
    pub fn python(&self, minor: u16) -> Result<Interpreter, InterpreterNotFound> {
        self.exact(Language::Python, minor).ok_or_else(|| InterpreterNotFound {
            wanted: format!("Python 3.{minor}"),
            found: self.found(Language::Python),
            advice: format!(
                "install it, for instance with `uv python install 3.{minor}`, or use another `--runtime`"
            ),
        })
    }

    /// The newest Python of those AWS has a runtime for.
    pub fn newest_python(&self) -> Result<Interpreter, InterpreterNotFound> {
        self.newest(Language::Python).ok_or_else(|| InterpreterNotFound {
            wanted: "Python 3.8 to 3.15".to_owned(),
            found: self.found(Language::Python),
            advice: "install one, for instance with `uv python install 3.13`".to_owned(),
        })
    }

    /// Node.js `major`.
    pub fn nodejs(&self, major: u16) -> Result<Interpreter, InterpreterNotFound> {
        self.exact(Language::Nodejs, major).ok_or_else(|| InterpreterNotFound {
            wanted: format!("Node.js {major}"),
            found: self.found(Language::Nodejs),
            advice: format!(
                "install it, for instance with `nvm install {major}`, or use another `--runtime`"
            ),
        })
    }

    /// The newest Node.js.
    pub fn newest_nodejs(&self) -> Result<Interpreter, InterpreterNotFound> {
        self.newest(Language::Nodejs).ok_or_else(|| InterpreterNotFound {
            wanted: "Node.js 18 or later".to_owned(),
            found: self.found(Language::Nodejs),
            advice: "install one, for instance with `nvm install 24`".to_owned(),
        })
    }

    /// Every interpreter that answers and that there is a managed runtime for, oldest first of each language: `Python` and
    /// `Node.js`. Asks all of them, which may take a while.
    pub fn all(&self) -> [(&'static str, Vec<Interpreter>); 2] {
        [("Python", Language::Python), ("Node.js", Language::Nodejs)].map(|(name, language)| {
            let mut all = self.answering(language);
            all.retain(|found| language.generation(&found.version).is_some());
            (name, all)
        })
    }

    fn exact(&self, language: Language, wanted: u16) -> Option<Interpreter> {
        let candidates = candidates(language, &self.folders, self.home.as_deref());
        let possible = candidates.iter().filter(|candidate| candidate.hint.is_none_or(|hint| hint == wanted));
        let mut answers = possible.filter_map(|candidate| self.ask(language, &candidate.path));
        answers.find(|interpreter| language.generation(&interpreter.version) == Some(wanted))
    }

    fn newest(&self, language: Language) -> Option<Interpreter> {
        let generation = |interpreter: &Interpreter| language.generation(&interpreter.version);
        let (mut hinted, unhinted): (Vec<Candidate>, Vec<Candidate>) =
            candidates(language, &self.folders, self.home.as_deref())
                .into_iter()
                .partition(|candidate| candidate.hint.is_some());
        let mut newest: Option<Interpreter> = None;
        // Those whose name tells nothing must all be asked; after that, only promises to be newer.
        hinted.sort_by_key(|candidate| std::cmp::Reverse(candidate.hint));
        for Candidate { path, hint } in unhinted.into_iter().chain(hinted) {
            let best = newest.as_ref().and_then(generation);
            if hint.is_some() && hint <= best {
                break;
            }
            // `None` is below every number: the first found wins among equals.
            newest = self.ask(language, &path).filter(|found| generation(found) > best).or(newest);
        }
        newest
    }

    /// Every version on this host, oldest first. Asks all that were not asked yet: whoever misses one wants to
    /// know what there is instead.
    fn found(&self, language: Language) -> Vec<String> {
        let mut found: Vec<_> =
            self.answering(language).iter().map(|found| found.version.to_string()).collect();
        found.dedup();
        found
    }

    fn answering(&self, language: Language) -> Vec<Interpreter> {
        let candidates = candidates(language, &self.folders, self.home.as_deref());
        let mut found: Vec<_> =
            candidates.iter().filter_map(|candidate| self.ask(language, &candidate.path)).collect();
        let key = |found: &Interpreter| {
            let Version { major, minor, text } = &found.version;
            (*major, *minor, text.clone(), found.program.clone())
        };
        found.sort_by_key(key);
        found.dedup();
        found
    }

    /// What the interpreter behind `path` tells of itself in an empty environment.
    fn ask(&self, language: Language, path: &Path) -> Option<Interpreter> {
        let real = path.canonicalize().ok()?;
        // By the path as found first: links of many names to one stand-in each mean another version.
        if let Some(known) = self.known(language, path).or_else(|| self.known(language, &real)) {
            return known;
        }
        let told = match self.probe(language, path, Environment::Empty) {
            // Once is enough to wait for one that hangs.
            Err(NoAnswer::Silent) => self.probe(language, path, Environment::Inherited).ok(),
            told => told.ok(),
        };
        let answer = match told {
            Some(told) if told.program != real => self.confirm(language, &told.program),
            told => told,
        };
        if let Some(interpreter) = &answer {
            self.remember(language, interpreter.program.clone(), answer.clone());
        }
        self.remember(language, path.to_owned(), answer.clone());
        answer
    }

    /// What a stand-in stands for counts only if it also answers by itself.
    fn confirm(&self, language: Language, program: &Path) -> Option<Interpreter> {
        self.known(language, program).unwrap_or_else(|| {
            let again = self.probe(language, program, Environment::Empty);
            again.ok().filter(|again| again.program == program)
        })
    }

    fn probe(
        &self,
        language: Language,
        path: &Path,
        environment: Environment,
    ) -> Result<Interpreter, NoAnswer> {
        let question: &[&str] = match language {
            Language::Python => &ASK_PYTHON,
            Language::Nodejs => &ASK_NODEJS,
        };
        let line = first_line(path, question, environment, self.patience)?;
        let (version, program) = line.split_once('\t').ok_or(NoAnswer::Silent)?;
        let program = PathBuf::from(program);
        let version = Version::parse(version).ok_or(NoAnswer::Silent)?;
        program.is_file().then_some(Interpreter { program, version }).ok_or(NoAnswer::Silent)
    }

    // The lock is not held while a program runs: two threads may ask the same one, and both hear the
    // same.

    fn known(&self, language: Language, path: &Path) -> Option<Option<Interpreter>> {
        let answers = self.answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        answers.get(&(language, path.to_owned())).cloned()
    }

    fn remember(&self, language: Language, path: PathBuf, answer: Option<Interpreter>) {
        let mut answers = self.answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        answers.insert((language, path), answer);
    }
}

impl Language {
    /// The number AWS tells runtimes of one language apart by; `None` for versions it never had.
    fn generation(self, version: &Version) -> Option<u16> {
        match self {
            Language::Python => {
                Some(version.minor).filter(|minor| version.major == 3 && PYTHON_MINORS.contains(minor))
            }
            Language::Nodejs => Some(version.major).filter(|major| *major >= 18),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    /// A host of scripts that answer as interpreters do, and count how often they are asked.
    struct FakeHost(TempDir);

    impl FakeHost {
        fn new() -> Self {
            FakeHost(TempDir::new().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(name)
        }

        /// An interpreter at `name` that tells `version` and itself.
        fn interpreter(&self, name: &str, version: &str) -> PathBuf {
            let path = self.path(name);
            self.script(name, &format!("printf '%s\\t%s\\n' {version} {}", path.display()))
        }

        /// Written by a child: a file this process has open for writing when another test's thread
        /// forks could not be executed until that fork is through.
        fn script(&self, name: &str, body: &str) -> PathBuf {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let asked = self.path("asked");
            let script = format!("#!/bin/sh\necho {name} >> {}\n{body}\n", asked.display());
            let write = "printf %s \"$1\" > \"$0\" && chmod +x \"$0\"";
            let status = Command::new("/bin/sh").args(["-c", write]).arg(&path).arg(script).status().unwrap();
            assert!(status.success());
            path
        }

        fn interpreters(&self) -> Interpreters {
            Interpreters::searching(vec![self.path("bin"), self.path("bin2")], Some(self.path("home")))
        }

        fn asked(&self) -> Vec<String> {
            let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
            asked.lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn an_exact_version_is_found_by_name_and_asked_once() {
        let host = FakeHost::new();
        let wanted = host.interpreter("bin/python3.12", "3.12.4");
        host.interpreter("bin/python3.13", "3.13.0");
        host.interpreter("bin/python3", "3.13.0");
        host.interpreter("bin/node", "22.1.0");
        let interpreters = host.interpreters();
        for _ in 0..2 {
            let found = interpreters.python(12).unwrap();
            assert_eq!(found.program, wanted);
            assert_eq!((found.version.minor, found.version.to_string().as_str()), (12, "3.12.4"));
        }
        assert_eq!(host.asked(), ["bin/python3.12"]);
    }

    #[test]
    fn a_name_that_lies_is_found_out() {
        let host = FakeHost::new();
        host.interpreter("bin/python3.12", "3.9.1");
        let wanted = host.interpreter("bin2/python", "3.12.0rc1");
        assert_eq!(host.interpreters().python(12).unwrap().program, wanted);
    }

    #[test]
    fn version_managers_are_looked_into() {
        let host = FakeHost::new();
        host.script("bin/python3.13", "exit 127");
        host.interpreter("home/.pyenv/versions/3.13.0/bin/python3", "3.13.0");
        let newer =
            host.interpreter("home/.local/share/uv/python/cpython-3.13.2-linux/bin/python3", "3.13.2");
        host.interpreter("home/.pyenv/versions/3.12.0/bin/python3", "3.12.0");
        assert_eq!(host.interpreters().python(13).unwrap().program, newer);
        assert!(!host.asked().iter().any(|name| name.contains("3.12")));

        let node = host.interpreter("home/.nvm/versions/node/v20.9.0/bin/node", "20.9.0");
        assert_eq!(host.interpreters().nodejs(20).unwrap().program, node);
    }

    #[test]
    fn folders_of_stand_ins_are_not_asked_but_the_versions_beside_them() {
        let host = FakeHost::new();
        host.script("pyenv/shims/python3", "exit 127");
        host.script("pyenv/shims/python3.12", "exit 127");
        let python = host.interpreter("pyenv/versions/3.12.1/bin/python3", "3.12.1");
        host.script("mise/shims/node", "exit 127");
        let node = host.interpreter("mise/installs/node/22.1.0/bin/node", "22.1.0");
        let path = vec![host.path("pyenv/shims"), host.path("mise/shims")];
        let interpreters = Interpreters::searching(path, None);
        assert_eq!(interpreters.newest_python().unwrap().program, python);
        assert_eq!(interpreters.python(12).unwrap().program, python);
        assert_eq!(interpreters.nodejs(22).unwrap().program, node);
        assert!(!host.asked().iter().any(|name| name.contains("shims")));
    }

    #[test]
    fn a_stand_in_is_replaced_by_what_it_stands_for() {
        let host = FakeHost::new();
        let real = host.interpreter("versions/python", "3.11.7");
        // Works only with variables, as those of version managers do.
        host.script("bin/python3", &format!("[ -n \"$CARGO_MANIFEST_DIR\" ] && exec {}", real.display()));
        assert_eq!(host.interpreters().newest_python().unwrap().program, real);
    }

    #[test]
    fn a_stand_in_for_something_that_fails_without_variables_does_not_count() {
        let host = FakeHost::new();
        let real = host.path("versions/python");
        let answer = format!("[ -n \"$CARGO_MANIFEST_DIR\" ] && printf '3.11.7\\t{}\\n'", real.display());
        host.script("versions/python", &answer);
        host.script("bin/python3", &format!("exec {}", real.display()));
        assert!(host.interpreters().newest_python().is_err());
    }

    #[test]
    fn one_that_tells_a_path_that_is_not_there_does_not_count() {
        let host = FakeHost::new();
        host.script("bin/python3", "printf '3.11.7\\t/inside/a/container/python3\\n'");
        assert!(host.interpreters().newest_python().is_err());
    }

    #[test]
    fn one_that_hangs_is_given_up() {
        let host = FakeHost::new();
        host.script("bin/python3.13", "sleep 600");
        let wanted = host.interpreter("bin2/python3.13", "3.13.0");
        let interpreters = host.interpreters().with_patience(Duration::from_secs(2));
        assert_eq!(interpreters.python(13).unwrap().program, wanted);
    }

    #[test]
    fn the_newest_is_found_without_asking_the_older() {
        let host = FakeHost::new();
        host.interpreter("bin/python3", "3.11.0");
        host.interpreter("bin/python3.9", "3.9.0");
        host.interpreter("bin/python3.10", "3.10.0");
        host.script("bin/python3.15", "exit 127");
        let newest = host.interpreter("bin2/python3.13", "3.13.0");
        host.interpreter("bin2/python3.12", "3.12.0");
        assert_eq!(host.interpreters().newest_python().unwrap().program, newest);
        let asked = host.asked();
        assert!(
            !asked.iter().any(|name| name.contains("3.9") || name.contains("3.10") || name.contains("3.12"))
        );
    }

    #[test]
    fn versions_aws_never_had_are_not_the_newest() {
        let host = FakeHost::new();
        host.interpreter("bin/python3", "3.16.0");
        host.interpreter("bin/python", "2.7.18");
        host.interpreter("bin/node", "16.0.0");
        let error = host.interpreters().newest_python().unwrap_err();
        assert_eq!(error.found, ["2.7.18", "3.16.0"]);
        assert!(host.interpreters().newest_nodejs().is_err());
    }

    #[test]
    fn links_to_one_file_are_asked_once() {
        let host = FakeHost::new();
        host.interpreter("bin/node", "21.0.0");
        symlink(host.path("bin/node"), host.path("bin/nodejs")).unwrap();
        let interpreters = host.interpreters();
        assert_eq!(interpreters.newest_nodejs().unwrap().version.major, 21);
        assert_eq!(interpreters.nodejs(20).unwrap_err().found, ["21.0.0"]);
        assert_eq!(host.asked(), ["bin/node"]);
    }

    #[test]
    fn what_is_missing_says_what_was_found_and_what_to_do() {
        let host = FakeHost::new();
        host.interpreter("bin/python3", "3.11.2");
        let error = host.interpreters().python(13).unwrap_err();
        assert_eq!(error.to_string(), "Python 3.13 is not installed (found: 3.11.2)");
        assert_eq!(
            error.advice,
            "install it, for instance with `uv python install 3.13`, or use another `--runtime`"
        );
    }

    #[test]
    fn relative_folders_of_path_are_not_searched() {
        let interpreters = Interpreters::searching(vec![PathBuf::from("."), PathBuf::new()], None);
        assert!(interpreters.newest_python().is_err());
    }

    #[test]
    fn the_interpreters_of_this_host_run_without_variables() {
        let interpreters = Interpreters::of_host();
        for found in [interpreters.newest_python(), interpreters.newest_nodejs()] {
            match found {
                Ok(interpreter) => {
                    let status = Command::new(&interpreter.program)
                        .arg("--version")
                        .env_clear()
                        .stdout(std::process::Stdio::null())
                        .status();
                    assert!(status.unwrap().success(), "{interpreter:?}");
                    assert_eq!(interpreter.program, interpreter.program.canonicalize().unwrap());
                }
                Err(error) => eprintln!("SKIPPED: {error}"),
            }
        }
    }
}
