//! The store of code on a real disk, by many threads, and by a process that is killed.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod crashing;
mod keeping;
mod measuring;
mod refusing;
mod removing;
mod sharing;
#[path = "../victim/mod.rs"]
mod victim;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use firesteel_image::{CodeStore, Limits, StoreLimits, Tree};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use self::victim::Test;

fn main() -> ExitCode {
    let all =
        [keeping::TESTS, refusing::TESTS, removing::TESTS, sharing::TESTS, crashing::TESTS, measuring::TESTS]
            .concat();
    let printed = measuring::PRINTED.iter().map(|test| victim::trial(*test).with_ignored_flag(true));
    victim::run(crashing::work, all.into_iter().map(victim::trial).chain(printed).collect())
}

/// A folder of its own for a test, and a store in it.
struct Shop {
    folder: TempDir,
    store: CodeStore,
}

impl Shop {
    fn new() -> Self {
        Shop::with(StoreLimits::default())
    }

    fn with(limits: StoreLimits) -> Self {
        let folder = TempDir::new().unwrap();
        let store = CodeStore::open(&folder.path().join("code"), limits).unwrap();
        Shop { folder, store }
    }

    /// As a server does that was ended and is started again.
    fn reopened(self) -> Self {
        let Shop { folder, store } = self;
        drop(store);
        let store = CodeStore::open(&folder.path().join("code"), StoreLimits::default()).unwrap();
        Shop { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("code").join(name)
    }

    /// Waits for the thread that takes away what nobody uses any more.
    fn await_removals(&self) {
        let patience = Instant::now() + Duration::from_secs(30);
        while !self.names("incoming").is_empty() {
            assert!(Instant::now() < patience, "{:?}", self.names("incoming"));
            thread::yield_now();
        }
    }

    /// Names in one of the store's folders.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Limits on what is unpacked, and else AWS's.
fn unpacked_bytes(unpacked_bytes: u64) -> StoreLimits {
    StoreLimits { package: Limits { unpacked_bytes, ..Limits::default() }, ..StoreLimits::default() }
}

/// An archive of files with these contents and modes.
fn zip(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive of one file.
fn package(content: &str) -> Vec<u8> {
    zip(&[("index.py", content.as_bytes(), 0o644)])
}

/// Every file in a tree with its content and mode.
fn files(tree: &Tree) -> BTreeMap<String, (String, u32)> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![tree.path().to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
                continue;
            }
            let name = path.strip_prefix(tree.path()).unwrap().to_str().unwrap().to_owned();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            found.insert(name, (fs::read_to_string(&path).unwrap(), mode));
        }
    }
    found
}

#[track_caller]
fn assert_files(tree: &Tree, expected: &[(&str, &str)]) {
    let found = files(tree);
    let found: Vec<_> = found.iter().map(|(name, (content, _))| (name.as_str(), content.as_str())).collect();
    assert_eq!(found, expected);
}
