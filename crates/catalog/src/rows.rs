//! Rows of functions and versions: how they are read and written, for the nouns that build on them.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::name::{FunctionName, Qualifier};
use crate::refusal::Refusal;
use crate::store::{Result, Store};
use crate::timestamps;
use crate::variables::Variables;
use crate::version::{Record, Version, VersionNumber};

/// Row id of a function.
pub(crate) type FunctionId = i64;

/// Columns of [`Store::version_from_row`], of a table called `version`.
pub(crate) const VERSION_COLUMNS: &str =
    "version.instance, version.number, version.record, version.variables";

impl Store {
    /// The row of a function, or what AWS says when there is none.
    pub(crate) fn function_id(
        &self,
        connection: &Connection,
        name: &FunctionName,
        asked: Option<&Qualifier>,
    ) -> Result<FunctionId> {
        let id = find_function(connection, name)?;
        Ok(id.ok_or_else(|| Refusal::FunctionNotFound { arn: self.account.function_arn(name, asked) })?)
    }

    /// One version, if it is there.
    pub(crate) fn find_version(
        &self,
        connection: &Connection,
        function: FunctionId,
        name: &FunctionName,
        number: VersionNumber,
    ) -> Result<Option<Version>> {
        let select = format!("SELECT {VERSION_COLUMNS} FROM version WHERE function = ?1 AND number = ?2");
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query(params![function, number.to_stored()])?;
        rows.next()?.map(|row| self.version_from_row(name, row)).transpose()
    }

    /// `$LATEST`, which every function has.
    pub(crate) fn latest(
        &self,
        connection: &Connection,
        function: FunctionId,
        name: &FunctionName,
    ) -> Result<Version> {
        let latest = self.find_version(connection, function, name, VersionNumber::Latest)?;
        latest.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// Begins with [`VERSION_COLUMNS`].
    pub(crate) fn version_from_row(&self, name: &FunctionName, row: &Row<'_>) -> Result<Version> {
        let number = VersionNumber::from_stored(row.get(1)?);
        let record: Record = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
        let sealed = row.get_ref(3)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        let variables = match sealed {
            Some(sealed) => Some(Variables::from_json(&self.unseal(name, sealed)?)?),
            None => None,
        };
        let mut configuration = record.configuration;
        configuration.variables = variables;
        Ok(Version {
            instance: row.get(0)?,
            arn: self.account.function_arn(name, Some(&number.qualifier())),
            number,
            configuration,
            layers: record.layers,
            code: record.code,
            state: record.state,
            last_update: record.last_update,
            revision_id: record.revision_id,
            last_modified: timestamps::from_stored(record.last_modified_ms),
            published_description: record.published_description,
        })
    }

    /// Writes a version that is not there yet, and gives it its instance.
    pub(crate) fn insert_version(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        version: &mut Version,
    ) -> Result<()> {
        let variables = version.configuration.variables.as_ref();
        let sealed = variables.map(|variables| self.seal(version.name(), &variables.to_json()));
        transaction
            .prepare_cached(
                "INSERT INTO version (function, number, code_sha256, code_size_bytes, unsettled, record, variables)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                function,
                version.number.to_stored(),
                version.code.package().map(|digest| digest.to_string()),
                version.code.size_bytes(),
                version.is_unsettled(),
                record(version)?,
                sealed,
            ])?;
        version.instance = transaction.last_insert_rowid().unsigned_abs();
        let mut layers = transaction.prepare_cached("INSERT OR IGNORE INTO version_layer VALUES (?1, ?2)")?;
        for layer in &version.layers {
            layers.execute(params![version.instance, layer.sha256.to_string()])?;
        }
        Ok(())
    }

    /// Writes state and revision of a version whose content is that of its row.
    pub(crate) fn update_version_state(
        &self,
        transaction: &Transaction<'_>,
        version: &Version,
    ) -> Result<()> {
        transaction
            .prepare_cached("UPDATE version SET unsettled = ?2, record = ?3 WHERE instance = ?1")?
            .execute(params![version.instance, version.is_unsettled(), record(version)?])?;
        Ok(())
    }
}

/// The row of a function.
pub(crate) fn find_function(connection: &Connection, name: &FunctionName) -> Result<Option<FunctionId>> {
    let mut statement = connection.prepare_cached("SELECT id FROM function WHERE name = ?1")?;
    Ok(statement.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

fn record(version: &Version) -> Result<String> {
    let version = version.clone();
    let record = Record {
        configuration: version.configuration,
        layers: version.layers,
        code: version.code,
        state: version.state,
        last_update: version.last_update,
        revision_id: version.revision_id,
        last_modified_ms: version.last_modified.as_millisecond(),
        published_description: version.published_description,
    };
    Ok(serde_json::to_string(&record)?)
}
