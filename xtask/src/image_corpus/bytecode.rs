//! Compiled Python modules, as a package's installation leaves them: without them every start compiles what it imports.
//!
//! They are made by the interpreter of the base itself, through its own loader, so that it needs neither root nor a
//! Python of the same version on this machine. A compiled module names its source's time of modification, which is why
//! it is made from files with the times of the layer.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::CorpusError;
use super::tree::{Kind, Node, Tree};

/// A base on disk, for its interpreter.
pub(crate) struct Compiler {
    root: TempDir,
    /// Such as `3.11`.
    python: String,
}

impl Compiler {
    /// Unpacks the base into a folder below `scratch`, which is gone with the value.
    pub(crate) fn new(base: &Tree, scratch: &Path) -> Result<Self, CorpusError> {
        let read = |source| CorpusError::Write { path: scratch.to_owned(), source };
        let root = TempDir::with_prefix_in("compiler-", scratch).map_err(read)?;
        let missing = || read(io::Error::other("the base has no python3"));
        let python = base.get("usr/bin/python3").ok_or_else(missing)?;
        let Kind::Symlink(target) = &python.kind else { return Err(missing()) };
        let python = target.trim_start_matches("python").to_owned();
        let compiler = Self { root, python };
        compiler.unpack(base)?;
        Ok(compiler)
    }

    pub(crate) fn python(&self) -> &str {
        &self.python
    }

    /// Adds to the tree the compiled form of every module in it that compiles; a few are there to show errors.
    pub(crate) fn compile(&self, tree: &mut Tree) -> Result<(), CorpusError> {
        self.unpack(tree)?;
        let mut sources: Vec<(String, u64)> = Vec::new();
        for (path, node) in tree.iter() {
            if path.ends_with(".py") && path.contains("/python3") && matches!(node.kind, Kind::File(_)) {
                sources.push((path.to_owned(), node.mtime_s));
            }
        }
        self.run(&sources)?;
        let tag = format!("cpython-{}", self.python.replace('.', ""));
        let mut compiled = 0_usize;
        for (source, mtime_s) in sources {
            let (folder, name) = source.rsplit_once('/').unwrap_or(("", &source));
            let path = format!("{folder}/__pycache__/{}.{tag}.pyc", name.trim_end_matches(".py"));
            if let Ok(content) = std::fs::read(self.root.path().join(&path)) {
                tree.insert(&path, Node::file(content, mtime_s));
                compiled += 1;
            }
        }
        if compiled == 0 {
            let source = io::Error::other("the base's Python compiled nothing");
            return Err(CorpusError::Read { path: self.root.path().to_owned(), source });
        }
        Ok(())
    }

    fn run(&self, sources: &[(String, u64)]) -> Result<(), CorpusError> {
        let root = self.root.path();
        let list: String =
            sources.iter().map(|(path, _)| format!("{}\n", root.join(path).display())).collect();
        let names = root.join("sources");
        std::fs::write(&names, list).map_err(|source| CorpusError::Write { path: names.clone(), source })?;
        let mut python = Command::new(self.loader()?);
        python.arg("--library-path").arg(self.libraries());
        python.arg(root.join(format!("usr/bin/python{}", self.python)));
        // What is kept in no order is kept by hash, and hashes shall be those of every other run.
        python.env_clear().env("PYTHONHOME", root.join("usr")).env("PYTHONHASHSEED", "0");
        // Forced: a module of an earlier tree may have had the same place, time and size.
        python.args(["-S", "-s", "-m", "compileall", "-f", "-qq", "--invalidation-mode", "timestamp"]);
        python.arg("-s").arg(root).args(["-p", "/", "-i"]).arg(&names);
        python
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map(drop)
            .map_err(|source| CorpusError::Start { program: "the base's Python".into(), source })
    }

    fn libraries(&self) -> PathBuf {
        self.root.path().join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
    }

    fn loader(&self) -> Result<PathBuf, CorpusError> {
        let folder = self.libraries();
        std::fs::read_dir(&folder)
            .and_then(|files| {
                files
                    .flatten()
                    .find(|file| file.file_name().to_string_lossy().starts_with("ld-linux"))
                    .ok_or_else(|| io::Error::other("no loader in it"))
            })
            .map(|file| file.path())
            .map_err(|source| CorpusError::Read { path: folder, source })
    }

    fn unpack(&self, tree: &Tree) -> Result<(), CorpusError> {
        let start = |source| CorpusError::Start { program: "tar".into(), source };
        let mut tar = Command::new("tar")
            .args(["--extract", "--no-same-owner", "--file", "-", "--directory"])
            .arg(self.root.path())
            .stdin(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let written = tree.write_tar(tar.stdin.take().expect("standard input was asked for"));
        let ended = tar.wait();
        written.and(ended).map(drop).map_err(start)
    }
}
