//! Layers: numbered packages that functions lay into their `/opt`.
//!
//! A version of a layer never changes. Deleted, it can be attached to no further function; those that have it
//! keep its package.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::code::CodeDigest;
use crate::functions::Deleted;
use crate::packages::{check_code_storage, stored_digest, unreferenced};
use crate::paging::{Page, Paging};
use crate::refusal::Refusal;
use crate::store::{Result, Store};
use crate::timestamps::{from_stored, now};
use crate::version::AttachedLayer;

/// Of one function.
const MAX_ATTACHED: usize = 5;
const PAGE: u32 = 50;
const COLUMNS: &str =
    "layer.name, version.number, version.code_sha256, version.code_size_bytes, version.record";
/// Whether a version is said to fit a runtime and an architecture, each of which may be left open.
const FITS: &str = "(?1 IS NULL OR EXISTS (
                         SELECT 1 FROM json_each(version.record, '$.compatible_runtimes') WHERE value = ?1))
                AND (?2 IS NULL OR EXISTS (
                         SELECT 1 FROM json_each(version.record, '$.compatible_architectures') WHERE value = ?2))";

/// A version of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerVersion {
    /// The layer's.
    pub name: String,
    /// From 1 on.
    pub number: u64,
    /// Of the layer.
    pub layer_arn: String,
    /// With the number.
    pub arn: String,
    /// Its package.
    pub sha256: CodeDigest,
    /// Of the package.
    pub size_bytes: u64,
    /// What its publisher says.
    pub about: AboutLayer,
    /// When.
    pub created: Timestamp,
}

/// What the publisher of a layer says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutLayer {
    /// For people.
    pub description: String,
    /// Licence, or where to find it.
    pub license_info: Option<String>,
    /// Identifiers. Nothing and an empty list both say nothing, and are shown as they were given.
    pub compatible_runtimes: Option<Vec<String>>,
    /// As AWS spells them; likewise.
    pub compatible_architectures: Option<Vec<String>>,
}

/// A version of a layer to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLayerVersion {
    /// The layer's; made with its first version.
    pub name: String,
    /// Its package.
    pub sha256: CodeDigest,
    /// Of the package.
    pub size_bytes: u64,
    /// What its publisher says.
    pub about: AboutLayer,
}

/// Which versions are listed: those that are said to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFilter {
    /// Identifier.
    pub runtime: Option<String>,
    /// As AWS spells it.
    pub architecture: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    about: AboutLayer,
    created_ms: i64,
}

impl Store {
    /// Makes the next version of a layer.
    pub fn publish_layer_version(&self, new: NewLayerVersion) -> Result<LayerVersion> {
        self.write_apart(|transaction| {
            let (layer, number): (i64, u64) = transaction
                .prepare_cached(
                    "INSERT INTO layer (name, last) VALUES (?1, 1)
                     ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING id, last",
                )?
                .query_row([&new.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let created = now();
            let record = Record { about: new.about, created_ms: created.as_millisecond() };
            transaction
                .prepare_cached(
                    "INSERT INTO layer_version (layer, number, code_sha256, code_size_bytes, record)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    layer,
                    number,
                    new.sha256.to_string(),
                    new.size_bytes,
                    serde_json::to_string(&record)?
                ])?;
            check_code_storage(transaction, &self.account.limits)?;
            Ok(LayerVersion {
                number,
                layer_arn: self.account.arn("layer", &new.name),
                arn: self.layer_version_arn(&new.name, number),
                name: new.name,
                sha256: new.sha256,
                size_bytes: new.size_bytes,
                about: record.about,
                created,
            })
        })
    }

    /// One version.
    pub fn layer_version(&self, name: &str, number: i64) -> Result<LayerVersion> {
        let number = checked_number(number)?;
        self.read(|connection| {
            let found = self.find_layer_version(connection, name, number)?;
            Ok(found.ok_or(Refusal::RequestedResourceNotFound)?)
        })
    }

    /// One version, by its ARN.
    pub fn layer_version_by_arn(&self, arn: &str) -> Result<LayerVersion> {
        self.read(|connection| {
            let found = match self.layer_of_arn(arn) {
                Some((name, number)) => self.find_layer_version(connection, name, number)?,
                None => None,
            };
            Ok(found.ok_or(Refusal::RequestedResourceNotFound)?)
        })
    }

    /// Each layer by the latest of its versions that fit, by name.
    pub fn list_layers(&self, filter: &LayerFilter, paging: &Paging) -> Result<Page<LayerVersion>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let select = format!(
                "SELECT {COLUMNS} FROM layer
                 JOIN layer_version AS version ON version.layer = layer.id AND version.number = (
                     SELECT max(number) FROM layer_version AS version
                     WHERE version.layer = layer.id AND {FITS})
                 WHERE layer.name > ?3 ORDER BY layer.name LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let found = self.layer_versions(statement.query(params![
                filter.runtime,
                filter.architecture,
                after,
                paging.limit(PAGE)
            ])?)?;
            Ok(paging.page(PAGE, found, |version| version.name.clone()))
        })
    }

    /// Versions of one layer that fit, the latest first. An unknown layer has none.
    pub fn list_layer_versions(
        &self,
        name: &str,
        filter: &LayerFilter,
        paging: &Paging,
    ) -> Result<Page<LayerVersion>> {
        let before: Option<u64> = paging.after()?;
        self.read(|connection| {
            let select = format!(
                "SELECT {COLUMNS} FROM layer JOIN layer_version AS version ON version.layer = layer.id
                 WHERE layer.name = ?3 AND (?4 IS NULL OR version.number < ?4) AND {FITS}
                 ORDER BY version.number DESC LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let found = self.layer_versions(statement.query(params![
                filter.runtime,
                filter.architecture,
                name,
                before,
                paging.limit(PAGE)
            ])?)?;
            Ok(paging.page(PAGE, found, |version| version.number))
        })
    }

    /// Deletes one version. One that is not there is no mistake.
    pub fn delete_layer_version(&self, name: &str, number: i64) -> Result<Deleted> {
        let number = checked_number(number)?;
        self.write_apart(|transaction| {
            let Some(version) = self.find_layer_version(transaction, name, number)? else {
                return Ok(Deleted::default());
            };
            transaction
                .prepare_cached(
                    "DELETE FROM layer_version
                     WHERE layer = (SELECT id FROM layer WHERE name = ?1) AND number = ?2",
                )?
                .execute(params![name, number])?;
            let unreferenced = unreferenced(transaction, [version.sha256])?;
            Ok(Deleted { instances: Vec::new(), unreferenced })
        })
    }

    /// What these ARNs mean to a function, in order. A layer that it has already may have been deleted since.
    pub(crate) fn attach(
        &self,
        connection: &Connection,
        arns: &[String],
        present: &[AttachedLayer],
    ) -> Result<Vec<AttachedLayer>> {
        if arns.len() > MAX_ATTACHED {
            return Err(Refusal::TooManyLayers.into());
        }
        let mut attached: Vec<AttachedLayer> = Vec::with_capacity(arns.len());
        for arn in arns {
            if arn.split(':').nth(3).is_some_and(|region| region != self.account.region) {
                return Err(Refusal::LayerElsewhere { region: self.account.region.clone() }.into());
            }
            let layer = match present.iter().find(|layer| layer.arn == *arn) {
                Some(layer) => layer.clone(),
                None => self.attachable(connection, arn)?,
            };
            if let Some(same) = attached.iter().find(|same| without_number(&same.arn) == without_number(arn))
            {
                return Err(Refusal::LayerTwice { first: same.arn.clone(), second: arn.clone() }.into());
            }
            attached.push(layer);
        }
        Ok(attached)
    }

    fn attachable(&self, connection: &Connection, arn: &str) -> Result<AttachedLayer> {
        let found = match self.layer_of_arn(arn) {
            Some((name, number)) => self.find_layer_version(connection, name, number)?,
            None => None,
        };
        let version = found.ok_or_else(|| Refusal::LayerMissing { arn: arn.to_owned() })?;
        Ok(AttachedLayer { arn: version.arn, sha256: version.sha256, size_bytes: version.size_bytes })
    }

    pub(crate) fn find_layer_version(
        &self,
        connection: &Connection,
        name: &str,
        number: u64,
    ) -> Result<Option<LayerVersion>> {
        let select = format!(
            "SELECT {COLUMNS} FROM layer JOIN layer_version AS version ON version.layer = layer.id
             WHERE layer.name = ?1 AND version.number = ?2"
        );
        let mut statement = connection.prepare_cached(&select)?;
        let row = |row: &Row<'_>| Ok(self.layer_version_from_row(row));
        statement.query_row(params![name, number], row).optional()?.transpose()
    }

    fn layer_versions(&self, mut rows: rusqlite::Rows<'_>) -> Result<Vec<LayerVersion>> {
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.layer_version_from_row(row)?);
        }
        Ok(found)
    }

    fn layer_version_from_row(&self, row: &Row<'_>) -> Result<LayerVersion> {
        let name: String = row.get(0)?;
        let number = row.get(1)?;
        let record: Record = serde_json::from_str(&row.get::<_, String>(4)?)?;
        Ok(LayerVersion {
            layer_arn: self.account.arn("layer", &name),
            arn: self.layer_version_arn(&name, number),
            name,
            number,
            sha256: stored_digest(&row.get::<_, String>(2)?)?,
            size_bytes: row.get(3)?,
            about: record.about,
            created: from_stored(record.created_ms),
        })
    }

    pub(crate) fn layer_version_arn(&self, name: &str, number: u64) -> String {
        format!("{}:{number}", self.account.arn("layer", name))
    }

    /// Name and number in an ARN of this account and region.
    fn layer_of_arn<'a>(&self, arn: &'a str) -> Option<(&'a str, u64)> {
        let (layer, number) = arn.rsplit_once(':')?;
        let (_, name) = layer.rsplit_once(':')?;
        let number = number.parse().ok()?;
        (self.layer_version_arn(name, number) == arn).then_some((name, number))
    }
}

/// Numbers come from callers, who may send any.
pub(crate) fn checked_number(number: i64) -> Result<u64, Refusal> {
    u64::try_from(number).ok().filter(|number| *number > 0).ok_or(Refusal::LayerNumberTooSmall)
}

fn without_number(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(layer, _)| layer)
}
