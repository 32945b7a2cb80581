//! Folders of code, and how they are run: with interpreters that are scripts, and with this host's.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod detecting;
mod launching;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firesteel_runtimes::Interpreters;
use tempfile::TempDir;

/// A code folder, with others beside it.
struct Project(TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Project(TempDir::new().unwrap());
        fs::create_dir(project.code()).unwrap();
        for (name, content) in files {
            project.write(&format!("code/{name}"), content);
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn code(&self) -> PathBuf {
        self.path("code")
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// An executable file. Written by a child: a file this process has open for writing when another
    /// test's thread forks could not be executed until that fork is through.
    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        assert!(Command::new("/bin/sh").args(["-c", write]).arg(&path).arg(body).status().unwrap().success());
        path
    }

    /// A host with Python 3.13.1 and Node.js `node_version` in `prefix/bin`.
    fn interpreters(&self, node_version: &str) -> Interpreters {
        for (name, version) in [("python3.13", "3.13.1"), ("node", node_version)] {
            let path = self.path("prefix/bin").join(name);
            self.script(
                &format!("prefix/bin/{name}"),
                &format!("printf '{version}\\t{}\\n'", path.display()),
            );
        }
        Interpreters::searching(vec![self.path("prefix/bin")], None)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// `path` with `{}` in place of the folder it is in.
fn relative(text: &str, folder: &Path) -> String {
    text.replace(folder.canonicalize().unwrap().to_str().unwrap(), "{}")
}
