//! Code signing configurations: whose signatures are trusted, and which functions ask for one.
//!
//! Kept and shown; no signature is checked here.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::arn::Arn;
use crate::name::FunctionName;
use crate::paging::{Page, Paging};
use crate::refusal::Refusal;
use crate::rows::FunctionId;
use crate::store::{Result, Store};
use crate::tags::{TaggedResource, Tags};
use crate::timestamps::{from_stored, now};

const PAGE: u32 = 50;
/// Hexadecimal digits behind `csc-`.
const ID_DIGITS: usize = 17;

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSigningConfig {
    /// `csc-…`
    pub id: String,
    /// Ends with the id.
    pub arn: String,
    /// What one can choose.
    pub settings: CodeSigningSettings,
    /// When it was written.
    pub last_modified: Timestamp,
}

/// What one can choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSigningSettings {
    /// For people.
    pub description: String,
    /// ARNs of versions of signing profiles.
    pub allowed_publishers: Vec<String>,
    /// What becomes of code that nobody trusted has signed.
    pub untrusted_artifact: UntrustedArtifact,
}

/// `UntrustedArtifactOnDeployment`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UntrustedArtifact {
    /// Taken, and noted.
    #[default]
    Warn,
    /// Refused.
    Enforce,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in CodeSigningSettings")]
pub struct CodeSigningUpdate {
    pub description: Option<String>,
    pub allowed_publishers: Option<Vec<String>>,
    pub untrusted_artifact: Option<UntrustedArtifact>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    settings: CodeSigningSettings,
    last_modified_ms: i64,
}

impl Store {
    /// Makes a configuration.
    pub fn create_code_signing_config(
        &self,
        settings: CodeSigningSettings,
        tags: &Tags,
    ) -> Result<CodeSigningConfig> {
        self.write_apart(|transaction| {
            let id = format!("csc-{}", &Uuid::new_v4().simple().to_string()[..ID_DIGITS]);
            let config =
                CodeSigningConfig { arn: self.code_signing_arn(&id), id, settings, last_modified: now() };
            put(transaction, &config)?;
            self.put_tags(transaction, &TaggedResource::CodeSigningConfig(config.id.clone()), tags)?;
            Ok(config)
        })
    }

    /// One configuration, by its ARN.
    pub fn code_signing_config(&self, arn: &str) -> Result<CodeSigningConfig> {
        self.read(|connection| self.existing_code_signing_config(connection, arn))
    }

    /// Changes what the update says.
    pub fn update_code_signing_config(
        &self,
        arn: &str,
        update: CodeSigningUpdate,
    ) -> Result<CodeSigningConfig> {
        self.write_apart(|transaction| {
            let mut config = self.existing_code_signing_config(transaction, arn)?;
            let before = config.settings;
            config.settings = CodeSigningSettings {
                description: update.description.unwrap_or(before.description),
                allowed_publishers: update.allowed_publishers.unwrap_or(before.allowed_publishers),
                untrusted_artifact: update.untrusted_artifact.unwrap_or(before.untrusted_artifact),
            };
            config.last_modified = now();
            put(transaction, &config)?;
            Ok(config)
        })
    }

    /// Deletes a configuration that no function uses.
    pub fn delete_code_signing_config(&self, arn: &str) -> Result<()> {
        self.write_apart(|transaction| {
            let config = self.existing_code_signing_config(transaction, arn)?;
            let used = "SELECT EXISTS (SELECT 1 FROM function WHERE code_signing_config = ?1)";
            if transaction.prepare_cached(used)?.query_row([&config.id], |row| row.get(0))? {
                return Err(Refusal::CodeSigningConfigInUse { arn: arn.to_owned() }.into());
            }
            let delete = "DELETE FROM code_signing_config WHERE id = ?1";
            transaction.prepare_cached(delete)?.execute([&config.id])?;
            Ok(())
        })
    }

    /// By id.
    pub fn list_code_signing_configs(&self, paging: &Paging) -> Result<Page<CodeSigningConfig>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, record FROM code_signing_config WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![after, paging.limit(PAGE)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(self.code_signing_from(
                    row.get(0)?,
                    row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
                )?);
            }
            Ok(paging.page(PAGE, found, |config| config.id.clone()))
        })
    }

    /// Unqualified ARNs of the functions that use a configuration, by name.
    pub fn list_functions_by_code_signing_config(&self, arn: &str, paging: &Paging) -> Result<Page<Arn>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let config = self.existing_code_signing_config(connection, arn)?;
            let mut statement = connection.prepare_cached(
                "SELECT name FROM function
                 WHERE code_signing_config = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            )?;
            let found = statement
                .query_map(params![config.id, after, paging.limit(PAGE)], |row| {
                    Ok(self.account.function_arn(&FunctionName::stored(row.get(0)?), None))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(paging.page(PAGE, found, |arn| arn.name.to_string()))
        })
    }

    /// Has a function use a configuration.
    pub fn put_function_code_signing_config(&self, name: &FunctionName, arn: &str) -> Result<()> {
        self.write(name, |transaction| {
            let config = self.code_signing_config_to_use(transaction, arn)?;
            let function = self.function_id(transaction, name, None)?;
            use_code_signing_config(transaction, function, Some(&config.id))
        })
    }

    /// ARN of the configuration that a function uses.
    pub fn function_code_signing_config(&self, name: &FunctionName) -> Result<Option<String>> {
        self.read(|connection| {
            let function = self.function_id(connection, name, None)?;
            let select = "SELECT code_signing_config FROM function WHERE id = ?1";
            let id: Option<String> =
                connection.prepare_cached(select)?.query_row([function], |row| row.get(0))?;
            Ok(id.map(|id| self.code_signing_arn(&id)))
        })
    }

    /// Has a function use none.
    pub fn delete_function_code_signing_config(&self, name: &FunctionName) -> Result<()> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            use_code_signing_config(transaction, function, None)
        })
    }

    /// Calls that refer to a configuration in passing have an exception of their own for a missing one.
    pub(crate) fn code_signing_config_to_use(
        &self,
        connection: &Connection,
        arn: &str,
    ) -> Result<CodeSigningConfig> {
        let found = self.find_code_signing_config(connection, arn)?;
        Ok(found.ok_or_else(|| Refusal::CodeSigningConfigNotFound { arn: arn.to_owned() })?)
    }

    fn existing_code_signing_config(&self, connection: &Connection, arn: &str) -> Result<CodeSigningConfig> {
        let found = self.find_code_signing_config(connection, arn)?;
        Ok(found.ok_or_else(|| Refusal::CodeSigningConfigMissing { arn: arn.to_owned() })?)
    }

    fn find_code_signing_config(
        &self,
        connection: &Connection,
        arn: &str,
    ) -> Result<Option<CodeSigningConfig>> {
        let Some(id) = arn.rsplit(':').next().filter(|id| self.code_signing_arn(id) == arn) else {
            return Ok(None);
        };
        let mut statement =
            connection.prepare_cached("SELECT record FROM code_signing_config WHERE id = ?1")?;
        let record: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        record.map(|record| self.code_signing_from(id.to_owned(), &record)).transpose()
    }

    fn code_signing_from(&self, id: String, record: &str) -> Result<CodeSigningConfig> {
        let record: Record = serde_json::from_str(record)?;
        Ok(CodeSigningConfig {
            arn: self.code_signing_arn(&id),
            id,
            settings: record.settings,
            last_modified: from_stored(record.last_modified_ms),
        })
    }

    fn code_signing_arn(&self, id: &str) -> String {
        self.account.arn("code-signing-config", id)
    }
}

/// Has a function use a configuration, or none.
pub(crate) fn use_code_signing_config(
    transaction: &Transaction<'_>,
    function: FunctionId,
    id: Option<&str>,
) -> Result<()> {
    let update = "UPDATE function SET code_signing_config = ?2 WHERE id = ?1";
    transaction.prepare_cached(update)?.execute(params![function, id])?;
    Ok(())
}

/// An update leaves the row in place, for functions refer to it.
fn put(transaction: &Transaction<'_>, config: &CodeSigningConfig) -> Result<()> {
    let record =
        Record { settings: config.settings.clone(), last_modified_ms: config.last_modified.as_millisecond() };
    transaction
        .prepare_cached(
            "INSERT INTO code_signing_config VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
        )?
        .execute(params![config.id, serde_json::to_string(&record)?])?;
    Ok(())
}
