//! The arrows of ARCHITECTURE.md, held: which crate may know which, and what every crate and file owes.
//!
//! Reads `cargo metadata` and the files of the tree. A rule that has to change changes here, with its sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package, TargetKind};

/// Who may depend on whom, by folder. What is not here is not allowed, tests and build scripts included.
const ALLOWED: &[(&str, &[&str])] = &[
    // The composition root builds every part.
    (
        "firesteel",
        &[
            "api",
            "catalog",
            "check",
            "environment",
            "image",
            "invoke",
            "runtime-api",
            "runtimes",
            "sandbox",
            "sandbox-init",
        ],
    ),
    // `catalog` for what functions are and the refusals that the front door renders, `image` for the packages it is sent.
    // The others for its tests, in which functions run that were made through the front door.
    ("api", &["catalog", "environment", "image", "invoke", "runtimes", "sandbox", "sandbox-init"]),
    ("invoke", &["catalog", "environment", "image", "runtimes"]),
    ("catalog", &["image"]),
    ("runtimes", &[]),
    // `sandbox-init` for its tests, each of whose sandboxes begins with the program that the tests are.
    ("environment", &["image", "runtime-api", "sandbox", "sandbox-init"]),
    // Not `runtime-api`: two implementations of one protocol that share nothing check each other.
    ("check", &["sandbox"]),
    ("runtime-api", &[]),
    // For its protocol only: what it does on the other side of the boundary is its own business.
    ("sandbox", &["sandbox-init"]),
    ("sandbox-init", &[]),
    ("image", &[]),
    ("fuzz", &["image"]),
    // To measure how images are laid out and served, without a server in between.
    ("xtask", &["image"]),
];

/// What must not be reached, not even through others, and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("environment", "catalog", "an environment is given a Spec, so that one day it can live on another host"),
    ("environment", "invoke", "whether something may run is decided before an environment is asked"),
    ("environment", "runtimes", "how a runtime starts is in the Spec"),
    ("environment", "api", "an environment does not know by which door an invocation came"),
    ("sandbox", "image", "a sandbox is given folders, wherever they are from"),
    ("sandbox", "runtime-api", "a sandbox knows not one Lambda word"),
    ("runtime-api", "environment", "it parses, forwards and renders; it decides nothing"),
    ("runtime-api", "sandbox", "a call is known by its socket, not by its process"),
    ("check", "runtime-api", "it judges runtimes by the documents, not by our reading of them elsewhere"),
    ("check", "environment", "a runtime that passes must not owe it to our lifecycle"),
    ("catalog", "environment", "the durable truth does not know what happens to run"),
    ("catalog", "invoke", "the durable truth does not know who asks it"),
    ("invoke", "api", "what happens to a request does not depend on its wire format"),
];

/// Reach none of ours at all, and why.
const ON_ITS_OWN: &[(&str, &str)] = &[
    ("image", "code as verified bytes is of use without anything else of ours"),
    ("runtime-api", "it speaks for whatever environment it is given"),
    ("runtimes", "what an identifier means is looked up with nothing running"),
    ("sandbox-init", "it runs where nothing of ours can be reached any more"),
];

/// May contain `unsafe`, each block with its argument.
const UNSAFE_ALLOWED: &[&str] = &["sandbox", "sandbox-init"];

/// Names that say nothing of what is inside, and so attract everything.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "commons", "type", "types", "helper", "helpers", "misc", "shared", "core"];

type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn arrows_go_where_they_may() {
    let allowed = allowed_edges();
    let mut violations = Vec::new();
    for (from, to) in actual_edges() {
        match allowed.get(&from) {
            None => violations.push(format!("{from} has no line in the table of arrows")),
            Some(allowed) => violations.extend(
                to.difference(allowed).map(|to| format!("{from} -> {to} is not in the table of arrows")),
            ),
        }
    }
    none(&violations);
}

#[test]
fn forbidden_arrows_are_not_drawn_by_detours() {
    let mut violations = Vec::new();
    for (which, edges) in [("in the tree", actual_edges()), ("in the table", allowed_edges())] {
        for from in edges.keys() {
            if reachable(&edges, from).contains(from) {
                violations.push(format!("{which}: {from} depends on itself"));
            }
        }
        for (from, to, why) in FORBIDDEN {
            if reachable(&edges, from).contains(*to) {
                violations.push(format!("{which}: {from} reaches {to}, but {why}"));
            }
        }
        for (from, why) in ON_ITS_OWN {
            if let Some(to) = reachable(&edges, from).first() {
                violations.push(format!("{which}: {from} reaches {to}, but {why}"));
            }
        }
    }
    none(&violations);
}

/// Two implementations of one protocol that share nothing check each other.
#[test]
fn published_crates_and_the_workspace_do_not_know_each_other() {
    let is_sdk = |path: &Path| path.starts_with("sdk");
    let mut violations = Vec::new();
    for package in packages() {
        let own = folder(&package);
        for path in package.dependencies.iter().filter_map(|dependency| dependency.path.as_ref()) {
            let other = path.as_std_path().strip_prefix(root()).expect("path dependencies are in the tree");
            if is_sdk(&own) != is_sdk(other) {
                violations.push(format!("{} -> {}", own.display(), other.display()));
            }
        }
    }
    none(&violations);
}

#[test]
fn a_package_is_named_after_its_folder() {
    let mut violations = Vec::new();
    for package in packages() {
        let folder = folder(&package);
        let name = folder_name(&folder);
        let says_it_already = name == "xtask" || name.starts_with("firesteel");
        let expected = if says_it_already { name } else { format!("firesteel-{name}") };
        if *package.name != expected {
            violations.push(format!("{} is called {}, not {expected}", folder.display(), package.name));
        }
    }
    none(&violations);
}

#[test]
fn unsafe_code_is_forbidden_outside_the_sandbox() {
    let mut violations = Vec::new();
    for package in packages() {
        if UNSAFE_ALLOWED.contains(&folder_name(&folder(&package)).as_str()) {
            continue;
        }
        for target in &package.targets {
            if !target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Bin)) {
                continue;
            }
            let text = std::fs::read_to_string(&target.src_path).expect("a crate has a root file");
            if !text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
                violations.push(format!("{} does not forbid unsafe code", target.src_path));
            }
        }
    }
    none(&violations);
}

#[test]
fn every_name_says_something() {
    let mut violations = Vec::new();
    for (from_root, path) in files() {
        if from_root.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for part in &from_root {
            let part = part.to_string_lossy();
            if EMPTY_NAMES.contains(&part.trim_end_matches(".rs")) {
                violations.push(format!("{}: `{part}` says nothing", from_root.display()));
            }
        }
        for line in std::fs::read_to_string(path).expect("source is text").lines() {
            let module = line.split(' ').skip_while(|word| *word != "mod").nth(1).unwrap_or_default();
            if line.ends_with('{') && EMPTY_NAMES.contains(&module) {
                violations.push(format!("{}: `mod {module}` says nothing", from_root.display()));
            }
        }
    }
    none(&violations);
}

#[test]
fn paths_that_the_architecture_names_exist() {
    let root = root();
    let text =
        std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the tree has an ARCHITECTURE.md");
    let files = files();
    let missing = in_backticks(&text).into_iter().filter(|name| is_path(name)).filter(|name| {
        // Files of a crate may be named from the crates' folder on, or by their last part alone.
        let by_last_part = !name.contains('/') && files.iter().any(|(path, _)| path.ends_with(name));
        !by_last_part && !root.join(name).exists() && !root.join("crates").join(name).exists()
    });
    let missing: Vec<_> = missing.map(|name| format!("ARCHITECTURE.md names `{name}`")).collect();
    none(&missing);
}

/// Names of tests are sentences: nothing else in COMPATIBILITY.md is in backticks and has two underscores inside.
#[test]
fn tests_that_the_compatibility_names_exist() {
    let sources: String = files()
        .into_iter()
        .filter(|(from_root, _)| from_root.extension().is_some_and(|extension| extension == "rs"))
        .map(|(_, path)| std::fs::read_to_string(path).expect("sources are text"))
        .collect();
    let text = std::fs::read_to_string(root().join("COMPATIBILITY.md")).expect("the text exists");
    let quoted = text.split('`').skip(1).step_by(2);
    let names: BTreeSet<&str> = quoted
        .filter(|name| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .filter(|name| name.trim_matches('_').matches('_').count() >= 2)
        .collect();
    assert!(names.len() > 20, "tests are no longer found in the text: {names:?}");
    let exists = |name: &str| {
        // A function, or a name in a table of trials.
        sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""))
    };
    let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).map(str::to_owned).collect();
    none(&missing);
}

#[test]
fn nothing_names_a_registry_or_a_machine() {
    // In pieces, so that this file does not name them either.
    const HOSTS: &[&str] = &[
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("python", "hosted"),
        concat!("npmjs", "."),
        concat!("proxy.", "golang"),
    ];
    const FOLDERS: &[&str] =
        &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut violations = Vec::new();
    for (from_root, path) in files() {
        // Written by their tools, with the registry's name in every entry.
        let name = from_root.file_name().unwrap_or_default();
        if name == "Cargo.lock" || name == "package-lock.json" {
            continue;
        }
        let Ok(text) = String::from_utf8(std::fs::read(path).expect("the tree can be read")) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let host = HOSTS.iter().find(|host| line.contains(**host));
            let folder = FOLDERS.iter().find(|folder| starts_a_path(line, folder));
            if let Some(found) = host.or(folder) {
                violations.push(format!("{}:{}: {found}", from_root.display(), number + 1));
            }
        }
    }
    none(&violations);
}

fn none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the tests run where they were built")
}

fn packages() -> Vec<Package> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.exec().expect("cargo describes its workspace").packages
}

/// Folder of a package from the root on: `crates/api`.
fn folder(package: &Package) -> PathBuf {
    let folder = package.manifest_path.parent().expect("a manifest is in a folder");
    folder.as_std_path().strip_prefix(root()).expect("the workspace is below its root").to_owned()
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().expect("no package is at the root").to_string_lossy().into_owned()
}

/// Dependencies between packages of the tree, whatever their kind, by the last part of their folders.
fn actual_edges() -> Edges {
    let edges = packages().into_iter().map(|package| {
        let ours = package.dependencies.iter().filter_map(|dependency| dependency.path.as_ref());
        let ours = ours.map(|path| folder_name(path.as_std_path())).collect();
        (folder_name(&folder(&package)), ours)
    });
    edges.collect()
}

fn allowed_edges() -> Edges {
    let edges = ALLOWED.iter().map(|(from, to)| {
        let to = to.iter().map(|to| (*to).to_owned()).collect();
        ((*from).to_owned(), to)
    });
    edges.collect()
}

/// Everything that can be reached from `from`, without `from` itself unless there is a circle.
fn reachable(edges: &Edges, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for to in edges.get(at).into_iter().flatten() {
            if reached.insert(to.clone()) {
                next.push(to);
            }
        }
    }
    reached
}

/// Files of the tree, from the root on and absolute; what is made and what is fetched is left out.
fn files() -> Vec<(PathBuf, PathBuf)> {
    const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "__pycache__", ".venv"];
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the tree can be read") {
            let entry = entry.expect("the tree can be read");
            let kind = entry.file_type().expect("the tree can be read");
            if NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let from_root = path.strip_prefix(&root).expect("it was found below the root");
                found.push((from_root.to_owned(), path));
            }
        }
    }
    found.sort();
    found
}

/// What stands between single backticks, outside fenced blocks.
fn in_backticks(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// A path of this tree, rather than of the Runtime API, of a sandbox, or a media type.
fn is_path(name: &str) -> bool {
    const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".py", ".mjs", ".js", ".sh"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let first = name.split('/').next().unwrap_or_default();
    let is_named_file = ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending));
    let is_below_ours = name.contains('/') && (name.ends_with('/') || root().join(first).exists());
    !first.is_empty() && name.chars().all(plain) && (is_named_file || is_below_ours)
}

/// Whether an absolute path below `folder` is in `line`, and not a longer path that only contains it.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_.-}".contains(c))
            && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
    })
}
