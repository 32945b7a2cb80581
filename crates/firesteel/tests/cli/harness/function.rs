//! Functions, made by a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use super::isolation::isolated;
use super::process::eventually;

const GUEST: &str = include_str!("guest.py");

/// A runtime that answers each event with itself.
pub(crate) const ECHO: &str = "serve(lambda event: event.body)";

/// A runtime that answers with the names of its process and its environment.
pub(crate) const WHO: &str = "serve(lambda event: ME + ' ' + ENVIRONMENT)";

/// A folder of code, and one in which it leaves notes for the test. Gone with the last clone.
#[derive(Clone)]
pub(crate) struct Function {
    folder: Arc<TempDir>,
}

impl Function {
    /// A folder without any code.
    pub(crate) fn empty() -> Self {
        let folder = super::folder();
        fs::create_dir(folder.path().join("code")).unwrap();
        let notes = folder.path().join("notes");
        fs::create_dir(&notes).unwrap();
        // Each environment may be another user, and none of them who runs the tests.
        fs::set_permissions(&notes, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(notes.join("notes"), "").unwrap();
        fs::set_permissions(notes.join("notes"), fs::Permissions::from_mode(0o666)).unwrap();
        Function { folder: Arc::new(folder) }
    }

    /// A `bootstrap` that plays `script`, Python with the names of `guest.py`.
    pub(crate) fn scripted(script: &str) -> Self {
        let function = Self::empty();
        let bootstrap = function.bootstrap_playing(script);
        function.with("bootstrap", &bootstrap, 0o755)
    }

    /// A `bootstrap` of these very bytes.
    pub(crate) fn bootstrap(content: &str) -> Self {
        Self::empty().with("bootstrap", content, 0o755)
    }

    /// A function for the managed Python runtime.
    pub(crate) fn python(source: &str) -> Self {
        Self::empty().with("lambda_function.py", source, 0o644)
    }

    /// The text of a `bootstrap` that plays `script`.
    pub(crate) fn bootstrap_playing(&self, script: &str) -> String {
        let notes = self.notes_folder();
        format!("#!{} -SEs\nNOTES = {notes:?}\n{GUEST}\n{script}\n", python().display())
    }

    /// The same with a layer in which this script is an external extension.
    pub(crate) fn with_extension(self, name: &str, script: &str) -> Self {
        let extension = self.bootstrap_playing(script);
        self.write(&format!("../layer/extensions/{name}"), &extension, 0o755);
        self
    }

    /// Of the layer's folder, as an argument.
    pub(crate) fn layer(&self) -> String {
        self.folder.path().join("layer").to_str().unwrap().to_owned()
    }

    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.write(name, content, mode);
        self
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.code().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _guard = super::forking();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn code(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    /// Where the function itself sees its code.
    pub(crate) fn task_root(&self) -> PathBuf {
        if isolated() { "/var/task".into() } else { self.code().canonicalize().unwrap() }
    }

    /// Of the code's folder, as an argument.
    pub(crate) fn target(&self) -> String {
        self.code().to_str().unwrap().to_owned()
    }

    pub(crate) fn notes_folder(&self) -> PathBuf {
        self.folder.path().join("notes")
    }

    /// What the function has noted.
    pub(crate) fn notes(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.notes_folder().join("notes")).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }

    /// Waits for a note that was not there before, whichever it is.
    #[track_caller]
    pub(crate) fn noted(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} notes of the function"), || self.notes().len() >= count);
        self.notes()
    }

    /// Lets those go on that are in `wait_for_gate()`, now and later.
    pub(crate) fn open_gate(&self) {
        fs::write(self.notes_folder().join("gate"), "").unwrap();
    }
}

/// Packs files into a zip archive at `path`.
pub(crate) fn zip(path: &Path, files: &[(&str, &[u8], u32)]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, content, mode) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        archive.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut archive, content).unwrap();
    }
    archive.finish().unwrap();
}

/// A Python for scripts: the file itself, not a stand-in of a version manager.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let mut command = Command::new("python3");
        command.args(["-SEsc", "import sys; print(sys.executable)"]);
        let output = {
            let _guard = super::forking();
            command.output().expect("these tests need python3 on PATH")
        };
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// Whether PATH has a Node.js for which there is a managed runtime.
pub(crate) fn nodejs_is_there() -> bool {
    let version = Command::new("node").arg("--version").output();
    let major: Option<u32> = version.ok().and_then(|output| {
        String::from_utf8(output.stdout).ok()?.trim_start_matches('v').split('.').next()?.parse().ok()
    });
    major.is_some_and(|major| major >= 18)
}
