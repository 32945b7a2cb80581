//! Packages for tests.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use firesteel_image::Sha256;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::RUNTIME;

/// A function that runs, and tells `name`.
pub(crate) fn function(name: &str) -> Vec<u8> {
    let program = std::env::current_exe().unwrap();
    let bootstrap = format!("#!/bin/sh\nexec '{}' {RUNTIME}\n", program.display());
    archive(&[("bootstrap", bootstrap.as_bytes()), ("name", name.as_bytes())])
}

/// An archive of these files.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// As a request carries it.
pub(crate) fn base64(archive: &[u8]) -> String {
    BASE64_STANDARD.encode(archive)
}

/// As `CodeSha256` tells it.
pub(crate) fn code_sha256(archive: &[u8]) -> String {
    Sha256::of(archive).to_base64()
}
