//! Where interpreters may lie: on `PATH`, and where version managers keep what they installed.
//!
//! This only lists paths and guesses versions from names; whether a path is an interpreter, and of
//! which version, is found out by asking it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::runtime::PYTHON_MINORS;

/// A language with managed runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Python,
    Nodejs,
}

/// Something that may be an interpreter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// What its name promises: the minor version of Python 3, the major of Node.js.
    pub(crate) hint: Option<u16>,
}

/// A folder of folders, one per installed version.
struct Manager {
    versions: &'static str,
    program: &'static str,
}

/// pyenv, uv, asdf, mise; below the home folder.
const PYTHON_MANAGERS: [Manager; 4] = [
    Manager { versions: ".pyenv/versions", program: "bin/python3" },
    Manager { versions: ".local/share/uv/python", program: "bin/python3" },
    Manager { versions: ".asdf/installs/python", program: "bin/python3" },
    Manager { versions: ".local/share/mise/installs/python", program: "bin/python3" },
];

/// nvm, fnm, volta, asdf, mise; below the home folder.
const NODEJS_MANAGERS: [Manager; 5] = [
    Manager { versions: ".nvm/versions/node", program: "bin/node" },
    Manager { versions: ".local/share/fnm/node-versions", program: "installation/bin/node" },
    Manager { versions: ".volta/tools/image/node", program: "bin/node" },
    Manager { versions: ".asdf/installs/nodejs", program: "bin/node" },
    Manager { versions: ".local/share/mise/installs/node", program: "bin/node" },
];

/// pyenv, then asdf and mise, beside their folder of stand-ins, wherever they were installed.
const PYTHON_BESIDE_SHIMS: [Manager; 2] = [
    Manager { versions: "../versions", program: "bin/python3" },
    Manager { versions: "../installs/python", program: "bin/python3" },
];
const NODEJS_BESIDE_SHIMS: [Manager; 2] = [
    Manager { versions: "../installs/nodejs", program: "bin/node" },
    Manager { versions: "../installs/node", program: "bin/node" },
];

/// All that exists of `language`, in the order it should be tried: what its name promises most first.
///
/// Folders of stand-ins on `PATH` are not searched but the versions beside them: each stand-in would
/// cost a tenth of a second and more, only to name one of those.
pub(crate) fn candidates(language: Language, path: &[PathBuf], home: Option<&Path>) -> Vec<Candidate> {
    let (shims, folders): (Vec<&PathBuf>, Vec<&PathBuf>) =
        path.iter().partition(|folder| folder.file_name() == Some(OsStr::new("shims")));
    let on_path = |name: &str, hint: Option<u16>| -> Vec<Candidate> {
        let paths = folders.iter().map(|folder| folder.join(name)).filter(|path| path.is_file());
        paths.map(|path| Candidate { path, hint }).collect()
    };
    let managed = |of_home: &[Manager], beside_shims: &[Manager], hint_of| {
        let shims = shims.iter().flat_map(|shims| installed(shims, beside_shims, hint_of));
        let home = home.into_iter().flat_map(|home| installed(home, of_home, hint_of));
        let mut found: Vec<_> = shims.chain(home).collect();
        found.sort_by(|(left, _), (right, _)| right.cmp(left));
        found.into_iter().map(|(_, candidate)| candidate)
    };
    match language {
        Language::Python => {
            let named =
                PYTHON_MINORS.rev().flat_map(|minor| on_path(&format!("python3.{minor}"), Some(minor)));
            let hint_of = |version: &[u16]| version.get(1).copied().filter(|_| version[0] == 3);
            let managed = managed(&PYTHON_MANAGERS, &PYTHON_BESIDE_SHIMS, hint_of);
            let unnamed = ["python3", "python"].into_iter().flat_map(|name| on_path(name, None));
            named.chain(managed).chain(unnamed).collect()
        }
        Language::Nodejs => {
            let unnamed = ["node", "nodejs"].into_iter().flat_map(|name| on_path(name, None));
            let hint_of = |version: &[u16]| Some(version[0]);
            unnamed.chain(managed(&NODEJS_MANAGERS, &NODEJS_BESIDE_SHIMS, hint_of)).collect()
        }
    }
}

/// What the managers at `root` installed, with its version; without one in the name it is left out.
fn installed(
    root: &Path,
    managers: &[Manager],
    hint_of: fn(&[u16]) -> Option<u16>,
) -> Vec<(Vec<u16>, Candidate)> {
    let mut found = Vec::new();
    for Manager { versions, program } in managers {
        for entry in fs::read_dir(root.join(versions)).into_iter().flatten().flatten() {
            let Some(version) = version_numbers(&entry.file_name()) else {
                continue;
            };
            let path = entry.path().join(program);
            if let Some(hint) = hint_of(&version).filter(|_| path.is_file()) {
                found.push((version, Candidate { path, hint: Some(hint) }));
            }
        }
    }
    found
}

/// The first run of numbers with dots between them: `cpython-3.13.1-linux-x86_64` is 3, 13, 1.
fn version_numbers(name: &OsStr) -> Option<Vec<u16>> {
    let name = name.to_str()?;
    let start = name.find(|character: char| character.is_ascii_digit())?;
    let run = &name[start..];
    let end =
        run.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(run.len());
    let numbers: Vec<u16> = run[..end].split('.').map_while(|part| part.parse().ok()).collect();
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_guessed_from_folder_names() {
        for (name, expected) in [
            ("3.13.0", Some(vec![3, 13, 0])),
            ("v20.11.1", Some(vec![20, 11, 1])),
            ("cpython-3.12.4-macos-aarch64-none", Some(vec![3, 12, 4])),
            ("pypy3.10-7.3.17", Some(vec![3, 10])),
            ("3.14-dev", Some(vec![3, 14])),
            ("22", Some(vec![22])),
            ("3.", Some(vec![3])),
            ("system", None),
            ("99999999", None),
        ] {
            assert_eq!(version_numbers(OsStr::new(name)), expected, "{name}");
        }
    }
}
