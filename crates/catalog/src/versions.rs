//! Published versions: snapshots of `$LATEST`, numbered from 1, which never change.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::functions::{Deleted, delete_version, revision_id};
use crate::name::{FunctionName, Qualifier};
use crate::packages::unreferenced;
use crate::paging::{Page, Paging};
use crate::reference::FunctionReference;
use crate::refusal::{Refusal, RevisionOf};
use crate::rows::{FunctionId, VERSION_COLUMNS};
use crate::settling::check_settled;
use crate::store::{Result, Store};
use crate::version::{Reason, State, Version, VersionNumber};

const PAGE: u32 = 50;

/// What `PublishVersion` is given.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// In place of `$LATEST`'s.
    pub description: Option<String>,
    /// `CodeSha256` that `$LATEST` must have.
    pub code_sha256: Option<String>,
    /// Revision that `$LATEST` must have.
    pub revision_id: Option<String>,
}

impl Store {
    /// Makes a version of `$LATEST`, or answers with the last one if nothing has changed since.
    pub fn publish_version(&self, name: &FunctionName, publication: &Publication) -> Result<Arc<Version>> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let latest = self.latest(transaction, function, name)?;
            RevisionOf::Function.expect(publication.revision_id.as_deref(), &latest.revision_id)?;
            // Folders have no digest to compare.
            if let (Some(given), Some(current)) = (&publication.code_sha256, latest.code.sha256())
                && *given != current
            {
                return Err(Refusal::CodeDiffers { given: given.clone(), current }.into());
            }
            check_settled(&latest)?;
            self.publish(transaction, function, &latest, publication.description.as_deref()).map(Arc::new)
        })
    }

    pub(crate) fn publish(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        latest: &Version,
        description: Option<&str>,
    ) -> Result<Version> {
        let name = latest.name();
        let mut last = transaction.prepare_cached("SELECT last FROM version_sequence WHERE name = ?1")?;
        let last: u64 = last.query_row([name.as_str()], |row| row.get(0)).optional()?.unwrap_or(0);
        if last > 0
            && let Some(published) =
                self.find_version(transaction, function, name, VersionNumber::Published(last))?
            && is_unchanged(latest, &published)
        {
            return Ok(published);
        }
        let number = last + 1;
        // A version that is made of an update is not itself updated, it is created.
        let (state, last_update) = match latest.is_unsettled() {
            true => (State::Pending(Reason::creating()), None),
            false => (latest.state.clone(), latest.last_update.clone()),
        };
        transaction
            .prepare_cached("INSERT OR REPLACE INTO version_sequence (name, last) VALUES (?1, ?2)")?
            .execute(params![name.as_str(), number])?;
        let mut version = Version {
            arn: self.account.function_arn(name, Some(&Qualifier::Version(number))),
            number: VersionNumber::Published(number),
            state,
            last_update,
            revision_id: revision_id(),
            ..latest.clone()
        };
        if let Some(description) = description {
            let replaced = std::mem::replace(&mut version.configuration.description, description.to_owned());
            version.published_description = Some(replaced);
        }
        self.insert_version(transaction, function, &mut version)?;
        // As AWS does, though nothing about `$LATEST` has changed.
        self.renew_version_revision(transaction, function, name, VersionNumber::Latest)?;
        Ok(version)
    }

    /// `$LATEST` first, then by number.
    pub fn list_versions(&self, name: &FunctionName, paging: &Paging) -> Result<Page<Arc<Version>>> {
        let after: Option<u64> = paging.after()?;
        self.read(|connection| {
            let function = self.function_id(connection, name, None)?;
            let select = format!(
                "SELECT {VERSION_COLUMNS} FROM version
                 WHERE function = ?1 AND number >= ?2 ORDER BY number LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let first = after.map_or(0, |after| after.saturating_add(1));
            let mut rows = statement.query(params![function, first, paging.limit(PAGE)])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                versions.push(Arc::new(self.version_from_row(name, row)?));
            }
            Ok(paging.page(PAGE, versions, |version| version.number.to_stored()))
        })
    }

    /// Deletes one version. `$LATEST` goes with the function only, and what an alias points to stays.
    ///
    /// A number that does not exist is no mistake, as on AWS.
    pub fn delete_version(&self, name: &FunctionName, number: VersionNumber) -> Result<Deleted> {
        let VersionNumber::Published(published) = number else {
            return Err(Refusal::LatestCannotBeDeleted.into());
        };
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let aliases = aliases_of(transaction, function, published)?;
            if !aliases.is_empty() {
                return Err(Refusal::VersionHasAliases { number: published, aliases }.into());
            }
            let Some(version) = self.find_version(transaction, function, name, number)? else {
                return Ok(Deleted::default());
            };
            delete_version(transaction, version.instance)?;
            let unreferenced = unreferenced(transaction, version.packages())?;
            Ok(Deleted { instances: vec![version.instance], unreferenced })
        })
    }

    /// The version that a name and qualifier mean now: that of an alias is its first.
    pub(crate) fn referenced_version(
        &self,
        connection: &Connection,
        reference: &FunctionReference,
    ) -> Result<(FunctionId, Version)> {
        let FunctionReference { name, qualifier } = reference;
        let function = self.function_id(connection, name, qualifier.as_ref())?;
        let number = match qualifier {
            None | Some(Qualifier::Latest) => Some(VersionNumber::Latest),
            Some(Qualifier::Version(number)) => Some(VersionNumber::Published(*number)),
            Some(Qualifier::Alias(alias)) => {
                self.find_alias(connection, function, name, alias)?.map(|alias| alias.version)
            }
            Some(Qualifier::LatestPublished) => None,
        };
        let version = match number {
            Some(number) => self.find_version(connection, function, name, number)?,
            None => None,
        };
        let arn = || self.account.function_arn(name, qualifier.as_ref());
        Ok((function, version.ok_or_else(|| Refusal::FunctionNotFound { arn: arn() })?))
    }
}

/// Whether publishing `latest` would give the same as was published last. Descriptions given to
/// `PublishVersion` do not count; that of `$LATEST` does.
fn is_unchanged(latest: &Version, published: &Version) -> bool {
    let mut published = published.clone();
    if let Some(description) = published.published_description.take() {
        published.configuration.description = description;
    }
    latest.has_content_of(&published)
}

fn aliases_of(connection: &Connection, function: FunctionId, number: u64) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM alias WHERE function = ?1 AND (number = ?2 OR additional_number = ?2) ORDER BY name",
    )?;
    let names = statement.query_map(params![function, number], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
