//! Embeds the managed runtimes: every file of the repository's `bootstraps/python` and
//! `bootstraps/nodejs` that runs in a function, so neither tests nor compiled leftovers.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LANGUAGES: [&str; 2] = ["python", "nodejs"];
const EXTENSIONS: [&str; 4] = ["py", "mjs", "cjs", "js"];
const NOT_EMBEDDED: [&str; 4] = ["test", "tests", "__pycache__", "node_modules"];

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let bootstraps = variable("CARGO_MANIFEST_DIR")?.join("../../bootstraps");
    println!("cargo::rerun-if-changed={}", bootstraps.display());

    let mut files = Vec::new();
    for language in LANGUAGES {
        collect(&bootstraps, Path::new(language), &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let absolute = bootstraps.join(file).canonicalize()?;
        writeln!(table, "    ({file:?}, include_bytes!({absolute:?})),").map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(variable("OUT_DIR")?.join("bootstraps.rs"), table)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let absolute = root.join(folder);
    let entries = fs::read_dir(&absolute).map_err(|source| {
        io::Error::new(source.kind(), format!("reading {}: {source}", absolute.display()))
    })?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let path = folder.join(&name);
        if entry.file_type()?.is_dir() {
            if !NOT_EMBEDDED.iter().any(|other| name == *other) {
                collect(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|other| extension == *other))
        {
            files.push(path);
        }
    }
    Ok(())
}
