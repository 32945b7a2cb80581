//! Dependencies: wheels as this machine's pip finds them, laid out as pip would install them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;

use zip::ZipArchive;

use super::CorpusError;
use super::debian::run;
use super::tree::{Node, Tree};

/// Platforms of wheels for Debian, from those that need a newer C library to those that run everywhere.
const MANYLINUX: [&str; 5] = ["_2_28", "_2_27", "_2_24", "_2_17", "2014"];

/// Adds these requirements, each with its exact version, and nothing that they need: the list is the recipe.
///
/// `python` is the version that the base has, such as `3.11`; `packages` the folder in the tree that it imports from.
pub(crate) fn install(
    tree: &mut Tree,
    requirements: &[&str],
    python: &str,
    packages: &str,
    folder: &Path,
) -> Result<(), CorpusError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| CorpusError::Write { path: folder.to_owned(), source })?;
    for requirement in requirements {
        let path = folder.join(format!("{}-{python}", requirement.replace("==", "-")));
        if !path.exists() {
            download(requirement, python, &path)?;
        }
        let wheel = only_file(&path)?;
        unpack(tree, &wheel, packages).map_err(|source| CorpusError::Read { path: wheel, source })?;
    }
    Ok(())
}

/// Into `path`, which is there only if the wheel is, whole.
fn download(requirement: &str, python: &str, path: &Path) -> Result<(), CorpusError> {
    let partial = path.with_extension("partial");
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
    ]);
    pip.args(["--python-version", python]);
    for manylinux in MANYLINUX {
        pip.args(["--platform", &format!("manylinux{manylinux}_{}", std::env::consts::ARCH)]);
    }
    run(pip.arg("--dest").arg(&partial).arg(requirement))?;
    std::fs::rename(&partial, path).map_err(|source| CorpusError::Write { path: path.to_owned(), source })
}

fn only_file(folder: &Path) -> Result<std::path::PathBuf, CorpusError> {
    std::fs::read_dir(folder)
        .and_then(|mut files| files.next().unwrap_or_else(|| Err(io::Error::other("no wheel in it"))))
        .map(|file| file.path())
        .map_err(|source| CorpusError::Read { path: folder.to_owned(), source })
}

fn unpack(tree: &mut Tree, wheel: &Path, packages: &str) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        if file.is_dir() {
            continue;
        }
        let mtime_s = file.last_modified().and_then(unix_s).unwrap_or(0);
        let executable = file.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let path = placed(&file.name()?, packages);
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let mode = if executable { 0o755 } else { 0o644 };
        tree.insert(&path, Node { mode, ..Node::file(content, mtime_s) });
    }
    Ok(())
}

/// Where pip puts a file of a wheel: some lie in `NAME.data/KIND/`.
fn placed(name: &str, packages: &str) -> String {
    let prefix = "usr/local";
    let kind = name.split_once(".data/").and_then(|(_, rest)| rest.split_once('/'));
    match kind {
        Some(("scripts", rest)) => format!("{prefix}/bin/{rest}"),
        Some(("data", rest)) => format!("{prefix}/{rest}"),
        Some(("purelib" | "platlib", rest)) => format!("{packages}/{rest}"),
        _ => format!("{packages}/{name}"),
    }
}

/// Zip archives have no time zone; wheels are built with UTC.
fn unix_s(time: zip::DateTime) -> Option<u64> {
    let time = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        i8::try_from(time.month()).ok()?,
        i8::try_from(time.day()).ok()?,
        i8::try_from(time.hour()).ok()?,
        i8::try_from(time.minute()).ok()?,
        i8::try_from(time.second()).ok()?.min(59),
        0,
    );
    let zoned = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_wheels_lie_where_pip_puts_them() {
        assert_eq!(placed("numpy/__init__.py", "p"), "p/numpy/__init__.py");
        assert_eq!(placed("x-1.data/scripts/x", "p"), "usr/local/bin/x");
        assert_eq!(placed("x-1.data/purelib/x/y.py", "p"), "p/x/y.py");
    }

    #[test]
    fn times_of_archives_are_utc() {
        let time = zip::DateTime::from_date_and_time(2026, 3, 1, 12, 0, 2).unwrap();
        assert_eq!(unix_s(time), Some(1_772_366_402));
    }
}
