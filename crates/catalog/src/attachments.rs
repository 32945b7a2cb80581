//! Versions and aliases as what other things are attached to: policies, provisioned concurrency, settings of
//! asynchronous invocations, URLs, runtime management.
//!
//! The function itself counts as its `$LATEST`. What was attached goes with the version or alias; the
//! schema's triggers see to that.

use rusqlite::{Connection, Transaction, params};

use crate::functions::revision_id;
use crate::name::{FunctionName, Qualifier};
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::rows::{FunctionId, find_function};
use crate::store::{Result, Store};
use crate::version::VersionNumber;

/// The place of an attachment, as it is stored.
pub(crate) fn place(qualifier: Option<&Qualifier>) -> String {
    qualifier.unwrap_or(&Qualifier::Latest).to_string()
}

/// A place as it was stored.
pub(crate) fn qualifier(place: &str) -> Result<Qualifier, rusqlite::Error> {
    place.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

impl Store {
    /// The function's row, if the version or alias is there.
    pub(crate) fn find_place(
        &self,
        connection: &Connection,
        reference: &FunctionReference,
    ) -> Result<Option<FunctionId>> {
        let Some(function) = find_function(connection, &reference.name)? else { return Ok(None) };
        let exists = match &reference.qualifier {
            None | Some(Qualifier::Latest) => true,
            Some(Qualifier::LatestPublished) => false,
            Some(Qualifier::Version(number)) => {
                let exists = "SELECT EXISTS (SELECT 1 FROM version WHERE function = ?1 AND number = ?2)";
                let mut statement = connection.prepare_cached(exists)?;
                statement.query_row(params![function, number], |row| row.get(0))?
            }
            Some(Qualifier::Alias(alias)) => {
                self.find_alias(connection, function, &reference.name, alias)?.is_some()
            }
        };
        Ok(exists.then_some(function))
    }

    /// The function's row; refused as AWS does in most calls when the version or alias is not there.
    pub(crate) fn existing_place(
        &self,
        connection: &Connection,
        reference: &FunctionReference,
    ) -> Result<FunctionId> {
        Ok(self.find_place(connection, reference)?.ok_or_else(|| self.place_missing(reference))?)
    }

    pub(crate) fn place_missing(&self, reference: &FunctionReference) -> Refusal {
        let arn = self.account.function_arn(&reference.name, reference.qualifier.as_ref());
        match reference.qualifier {
            Some(Qualifier::Alias(_)) => Refusal::AliasNotFound { arn },
            _ => Refusal::FunctionNotFound { arn },
        }
    }

    /// Revision of the version or alias, which must be there.
    pub(crate) fn revision_of(
        &self,
        connection: &Connection,
        function: FunctionId,
        reference: &FunctionReference,
    ) -> Result<String> {
        let FunctionReference { name, qualifier } = reference;
        match qualifier {
            Some(Qualifier::Alias(alias)) => {
                Ok(self.existing_alias(connection, function, name, alias)?.revision_id)
            }
            other => {
                let version = self.find_version(connection, function, name, number(other.as_ref()))?;
                Ok(version.ok_or_else(|| self.place_missing(reference))?.revision_id)
            }
        }
    }

    /// Gives the version or alias another revision: something attached to it was written.
    pub(crate) fn renew_revision(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        reference: &FunctionReference,
    ) -> Result<()> {
        let FunctionReference { name, qualifier } = reference;
        match qualifier {
            Some(Qualifier::Alias(alias)) => {
                let update = "UPDATE alias SET revision_id = ?3 WHERE function = ?1 AND name = ?2";
                transaction.prepare_cached(update)?.execute(params![function, alias, revision_id()])?;
                Ok(())
            }
            other => self.renew_version_revision(transaction, function, name, number(other.as_ref())),
        }
    }

    pub(crate) fn renew_version_revision(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        name: &FunctionName,
        number: VersionNumber,
    ) -> Result<()> {
        if let Some(mut version) = self.find_version(transaction, function, name, number)? {
            version.revision_id = revision_id();
            self.update_version_state(transaction, &version)?;
        }
        Ok(())
    }
}

fn number(qualifier: Option<&Qualifier>) -> VersionNumber {
    match qualifier {
        Some(Qualifier::Version(number)) => VersionNumber::Published(*number),
        _ => VersionNumber::Latest,
    }
}
