//! Packages: which digests the catalog needs, and how much it may have.
//!
//! The packages themselves are in the store of code, which is told what nothing needs any more.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::account::AccountLimits;
use crate::code::CodeDigest;
use crate::refusal::Refusal;
use crate::store::{Result, Store, StoreFailure};

impl Store {
    /// Every package that a version or a layer needs: what else the store of code has may go.
    pub fn referenced_code(&self) -> Result<HashSet<CodeDigest>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT code_sha256 FROM version WHERE code_sha256 IS NOT NULL
                 UNION SELECT code_sha256 FROM version_layer UNION SELECT code_sha256 FROM layer_version",
            )?;
            let mut rows = statement.query([])?;
            let mut packages = HashSet::new();
            while let Some(row) = rows.next()? {
                packages.insert(stored_digest(&row.get::<_, String>(0)?)?);
            }
            Ok(packages)
        })
    }

    /// Whether a version or a layer needs the package: asked again before it is removed, for somebody may
    /// have begun to need it since.
    pub fn is_code_referenced(&self, package: CodeDigest) -> Result<bool> {
        self.read(|connection| is_referenced(connection, package))
    }
}

/// Of these packages, those that nothing in the catalog needs any more.
pub(crate) fn unreferenced(
    connection: &Connection,
    packages: impl IntoIterator<Item = CodeDigest>,
) -> Result<Vec<CodeDigest>> {
    let mut packages: Vec<CodeDigest> = packages.into_iter().collect();
    packages.sort_unstable();
    packages.dedup();
    let mut free = Vec::new();
    for package in packages {
        if !is_referenced(connection, package)? {
            free.push(package);
        }
    }
    Ok(free)
}

/// Whether a version or a layer needs the package.
pub(crate) fn is_referenced(connection: &Connection, package: CodeDigest) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM version WHERE code_sha256 = ?1)
             OR EXISTS (SELECT 1 FROM version_layer WHERE code_sha256 = ?1)
             OR EXISTS (SELECT 1 FROM layer_version WHERE code_sha256 = ?1)",
    )?;
    Ok(statement.query_row([package.to_string()], |row| row.get(0))?)
}

/// Refuses what has just been written if it is too much.
pub(crate) fn check_code_storage(connection: &Connection, limits: &AccountLimits) -> Result<()> {
    let mut usage = connection.prepare_cached("SELECT code_size_bytes FROM usage")?;
    let used: u64 = usage.query_row([], |row| row.get(0))?;
    match used > limits.total_code_size_bytes {
        true => Err(Refusal::CodeStorageExceeded.into()),
        false => Ok(()),
    }
}

/// A digest as it was written.
pub(crate) fn stored_digest(text: &str) -> Result<CodeDigest> {
    text.parse().map_err(|_| StoreFailure::Digest { text: text.to_owned() }.into())
}
