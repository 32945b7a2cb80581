//! The base layer: Debian packages as this machine's apt knows them, put together without installing anything.
//!
//! apt works on an empty list of installed packages and in folders of the corpus, so the machine's own state is neither
//! read nor written, and nobody needs to be root. What the packages' scripts would do at installation is left out,
//! except for what the tree is of no use without: users and groups.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::CorpusError;
use super::tree::{Node, Tree};

/// A package that is in a base layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    architecture: String,
}

impl Package {
    /// As apt names what it downloads.
    fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.architecture)
    }
}

/// The tree of these packages, all that are essential and all that these need, downloaded into `folder` where missing.
pub(crate) fn base(wanted: &[&str], folder: &Path) -> Result<(Tree, Vec<Package>), CorpusError> {
    for part in ["lists/partial", "archives/partial"] {
        let path = folder.join(part);
        std::fs::create_dir_all(&path).map_err(|source| CorpusError::Write { path, source })?;
    }
    let status = folder.join("status");
    std::fs::write(&status, "").map_err(|source| CorpusError::Write { path: status, source })?;

    run(apt(folder).arg("update"))?;
    let simulated = run(apt(folder).args(["install", "--simulate", "--yes", "?essential"]).args(wanted))?;
    let mut packages: Vec<_> = String::from_utf8_lossy(&simulated).lines().filter_map(installed).collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    run(apt(folder).args(["install", "--download-only", "--yes", "?essential"]).args(wanted))?;

    let mut tree = Tree::merged(0);
    for package in &packages {
        let path = folder.join("archives").join(package.file_name());
        let mut unpack = Command::new("dpkg-deb");
        let mut unpack = unpack
            .arg("--fsys-tarfile")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| CorpusError::Start { program: "dpkg-deb".into(), source })?;
        let read = tree.unpack(unpack.stdout.take().expect("standard output was asked for"));
        // Waited for in any case: otherwise a failure would leave a process behind.
        let ended = unpack.wait();
        read.and(ended)
            .and_then(|status| match status.success() {
                true => Ok(()),
                false => Err(io::Error::other(format!("dpkg-deb ended with {status}"))),
            })
            .map_err(|source| CorpusError::Read { path, source })?;
    }
    users(&mut tree);
    Ok((tree, packages))
}

/// What the package base-passwd does when it is installed.
fn users(tree: &mut Tree) {
    for name in ["passwd", "group"] {
        if let Some(master) = tree.get(&format!("usr/share/base-passwd/{name}.master")).cloned() {
            tree.insert(&format!("etc/{name}"), Node { mode: 0o644, ..master });
        }
    }
}

/// `apt-get` with its state in `folder`, and its sources from where this machine has them.
fn apt(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "--quiet", "--no-install-recommends"]);
    for (option, part) in [
        ("Dir::State::lists", "lists"),
        ("Dir::State::status", "status"),
        ("Dir::State::extended_states", "extended_states"),
        ("Dir::Cache", ""),
        ("Dir::Cache::archives", "archives"),
        ("Dir::Log", "log"),
    ] {
        command.arg("-o").arg(format!("{option}={}", folder.join(part).display()));
    }
    // The user whom root's apt downloads as has no access to folders of the corpus.
    command.args(["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"]).env("LC_ALL", "C");
    command
}

/// Of a line of `apt-get --simulate`, such as `Inst libc6 (2.36-9 Debian:12/stable [amd64])`.
fn installed(line: &str) -> Option<Package> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
    let (version, rest) = rest.split_once(' ')?;
    let architecture = rest.split_once('[')?.1.split_once(']')?.0;
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
    })
}

/// Standard output of a program that has to succeed.
pub(super) fn run(command: &mut Command) -> Result<Vec<u8>, CorpusError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CorpusError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(CorpusError::Failed { program, status: output.status, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_apt_names_them() {
        let line = "Inst libcap2 (1:2.66-4 Debian:12.15/oldstable [amd64]) [libcap2:amd64 ]";
        let package = installed(line).unwrap();
        assert_eq!(package.file_name(), "libcap2_1%3a2.66-4_amd64.deb");
        assert_eq!(installed("Conf libcap2 (1:2.66-4 Debian:12.15/oldstable [amd64])"), None);
    }
}
