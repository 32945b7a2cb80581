//! Functions: made, looked at, changed, listed, deleted.
//!
//! A new or changed `$LATEST` is unsettled (see [`crate::settling`]); until it is settled, further changes are
//! refused, as AWS refuses them.

use std::sync::Arc;

use rusqlite::{Transaction, params};
use uuid::Uuid;

use crate::code::{Code, CodeDigest, PackageType};
use crate::code_signing::use_code_signing_config;
use crate::concurrency::read_reserved;
use crate::configuration::{Architecture, Configuration, ConfigurationUpdate};
use crate::name::{FunctionName, Qualifier};
use crate::packages::{check_code_storage, unreferenced};
use crate::paging::{Page, Paging};
use crate::reference::FunctionReference;
use crate::refusal::{Refusal, RevisionOf};
use crate::rows::{VERSION_COLUMNS, find_function};
use crate::settling::check_settled;
use crate::store::{Result, Store};
use crate::tags::{TaggedResource, Tags};
use crate::timestamps::now;
use crate::version::{LastUpdate, Reason, State, Version, VersionNumber};

/// Most functions, or versions, on a page.
const PAGE: u32 = 50;

/// A function to be made.
#[derive(Clone, Debug)]
pub struct NewFunction {
    /// How callers will name it.
    pub name: FunctionName,
    /// Settings.
    pub configuration: Configuration,
    /// ARNs of layer versions, in order.
    pub layers: Vec<String>,
    /// Its code. With [`Code::Folder`], the function is gone after the next start.
    pub code: Code,
    /// Labels.
    pub tags: Tags,
    /// ARN of a configuration that is there.
    pub code_signing_config: Option<String>,
    /// Makes version 1 at once.
    pub publish: bool,
}

/// New code for `$LATEST`.
#[derive(Clone, Debug)]
pub struct CodeUpdate {
    /// An image for functions of images, a package for others.
    pub code: Code,
    /// Absent stays.
    pub architecture: Option<Architecture>,
    /// Makes a version of the result.
    pub publish: bool,
    /// The revision that the caller has seen.
    pub revision_id: Option<String>,
    /// Checks everything and changes nothing.
    pub dry_run: bool,
}

/// What an update did.
#[derive(Clone, Debug)]
pub struct Updated {
    /// `$LATEST`, or the version made of it.
    pub version: Arc<Version>,
    /// The instance that `$LATEST` had: nothing will be invoked on it any more. None if it is still it.
    pub replaced: Option<u64>,
    /// Packages that nothing needs any more.
    pub unreferenced: Vec<CodeDigest>,
}

/// What a deletion set free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Nothing will be invoked on these any more.
    pub instances: Vec<u64>,
    /// Packages that nothing needs any more.
    pub unreferenced: Vec<CodeDigest>,
}

/// `GetFunction`
#[derive(Clone, Debug)]
pub struct FunctionDescription {
    /// What the qualifier means.
    pub version: Arc<Version>,
    /// Of the function.
    pub tags: Tags,
    /// Of the function.
    pub reserved_concurrency: Option<u32>,
}

/// What `ListFunctions` shows of each function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// `$LATEST`
    Latest,
    /// `$LATEST`, then the published versions.
    AllVersions,
}

impl Store {
    /// Makes a function, `Pending`; with `publish` the answer is version 1.
    pub fn create_function(&self, new: NewFunction) -> Result<Arc<Version>> {
        self.create(new, false)
    }

    /// Likewise, one that is gone after the next start, whatever its code is.
    pub fn create_fleeting_function(&self, new: NewFunction) -> Result<Arc<Version>> {
        self.create(new, true)
    }

    fn create(&self, new: NewFunction, fleeting: bool) -> Result<Arc<Version>> {
        let NewFunction { name, configuration, layers, code, tags, code_signing_config, publish } = new;
        configuration.check(code.package_type())?;
        if code.package_type() == PackageType::Image && !layers.is_empty() {
            return Err(Refusal::RuntimeOrHandlerOfImage.into());
        }
        self.write(&name, |transaction| {
            // AWS tells of layers before it finds that the name is taken.
            let layers = self.attach(transaction, &layers, &[])?;
            if find_function(transaction, &name)?.is_some() {
                return Err(Refusal::FunctionExists { name: name.to_string() }.into());
            }
            let fleeting = fleeting || matches!(code, Code::Folder { .. });
            transaction
                .prepare_cached("INSERT INTO function (name, fleeting) VALUES (?1, ?2)")?
                .execute(params![name.as_str(), fleeting])?;
            let function = transaction.last_insert_rowid();
            self.put_tags(transaction, &TaggedResource::Function(name.clone()), &tags)?;
            if let Some(arn) = &code_signing_config {
                let config = self.code_signing_config_to_use(transaction, arn)?;
                use_code_signing_config(transaction, function, Some(&config.id))?;
            }
            let mut latest = Version {
                instance: 0,
                arn: self.account.function_arn(&name, Some(&Qualifier::Latest)),
                number: VersionNumber::Latest,
                layers,
                configuration,
                code,
                state: State::Pending(Reason::creating()),
                last_update: None,
                revision_id: revision_id(),
                last_modified: now(),
                published_description: None,
            };
            self.insert_version(transaction, function, &mut latest)?;
            let answer = match publish {
                true => self.publish(transaction, function, &latest, None)?,
                false => latest,
            };
            check_code_storage(transaction, &self.account.limits)?;
            Ok(Arc::new(answer))
        })
    }

    /// The function, or the version of it that is asked for, with what belongs to the function.
    pub fn function(&self, reference: &FunctionReference) -> Result<FunctionDescription> {
        self.read(|connection| {
            let (function, version) = self.referenced_version(connection, reference)?;
            Ok(FunctionDescription {
                version: Arc::new(version),
                tags: self.read_tags(connection, &TaggedResource::Function(reference.name.clone()))?,
                reserved_concurrency: read_reserved(connection, function)?,
            })
        })
    }

    /// Puts other code in place of `$LATEST`'s.
    pub fn update_code(&self, name: &FunctionName, update: CodeUpdate) -> Result<Updated> {
        let CodeUpdate { code, architecture, publish, revision_id, dry_run } = update;
        self.update(name, revision_id.as_deref(), publish, dry_run, |_, latest| {
            match (latest.code.package_type(), code.package_type()) {
                (PackageType::Image, PackageType::Zip) => return Err(Refusal::ImageUriMissing.into()),
                (PackageType::Zip, PackageType::Image) => return Err(Refusal::ImageUriUnexpected.into()),
                _ => latest.code = code,
            }
            if let Some(architecture) = architecture {
                latest.configuration.architecture = architecture;
            }
            Ok(())
        })
    }

    /// Changes settings of `$LATEST`; `layers`, when given, replaces all of them.
    pub fn update_configuration(
        &self,
        name: &FunctionName,
        update: ConfigurationUpdate,
        layers: Option<&[String]>,
        revision_id: Option<&str>,
    ) -> Result<Updated> {
        self.update(name, revision_id, false, false, |transaction, latest| {
            if let Some(layers) = layers {
                if latest.code.package_type() == PackageType::Image && !layers.is_empty() {
                    return Err(Refusal::RuntimeOrHandlerOfImage.into());
                }
                latest.layers = self.attach(transaction, layers, &latest.layers)?;
            }
            latest.configuration = latest.configuration.updated(update)?;
            Ok(latest.configuration.check(latest.code.package_type())?)
        })
    }

    fn update(
        &self,
        name: &FunctionName,
        expected_revision: Option<&str>,
        publish: bool,
        dry_run: bool,
        change: impl FnOnce(&Transaction<'_>, &mut Version) -> Result<()>,
    ) -> Result<Updated> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let before = self.latest(transaction, function, name)?;
            RevisionOf::Function.expect(expected_revision, &before.revision_id)?;
            check_settled(&before)?;
            let mut latest = before.clone();
            change(transaction, &mut latest)?;
            latest.revision_id = revision_id();
            latest.last_modified = now();
            latest.last_update = Some(LastUpdate::InProgress(Reason::creating()));
            if dry_run {
                return Ok(Updated { version: Arc::new(latest), replaced: None, unreferenced: Vec::new() });
            }
            let replaced = if latest.has_content_of(&before) {
                self.update_version_state(transaction, &latest)?;
                None
            } else {
                delete_version(transaction, before.instance)?;
                self.insert_version(transaction, function, &mut latest)?;
                Some(before.instance)
            };
            let answer = match publish {
                true => self.publish(transaction, function, &latest, None)?,
                false => latest,
            };
            check_code_storage(transaction, &self.account.limits)?;
            let unreferenced = unreferenced(transaction, before.packages())?;
            Ok(Updated { version: Arc::new(answer), replaced, unreferenced })
        })
    }

    /// Functions by name.
    pub fn list_functions(&self, listed: Listed, paging: &Paging) -> Result<Page<Arc<Version>>> {
        let (after_name, after_number) = paging.after::<(String, u64)>()?.unwrap_or_default();
        let shown = match listed {
            Listed::Latest => "version.number = 0",
            Listed::AllVersions => "TRUE",
        };
        self.read(|connection| {
            let select = format!(
                "SELECT {VERSION_COLUMNS}, function.name FROM function
                 JOIN version ON version.function = function.id
                 WHERE {shown} AND function.name >= ?1 AND (function.name > ?1 OR version.number > ?2)
                 ORDER BY function.name, version.number LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let rows = statement.query(params![after_name, after_number, paging.limit(PAGE)])?;
            let versions = self.versions(rows)?;
            Ok(paging
                .page(PAGE, versions, |version| (version.name().to_string(), version.number.to_stored())))
        })
    }

    /// Deletes a function with everything that belongs to it.
    pub fn delete_function(&self, name: &FunctionName) -> Result<Deleted> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let mut instances = Vec::new();
            let mut packages = Vec::new();
            let select =
                format!("SELECT {VERSION_COLUMNS} FROM version WHERE function = ?1 ORDER BY instance");
            let mut statement = transaction.prepare_cached(&select)?;
            let mut rows = statement.query([function])?;
            while let Some(row) = rows.next()? {
                let version = self.version_from_row(name, row)?;
                instances.push(version.instance);
                packages.extend(version.packages());
            }
            transaction.prepare_cached("DELETE FROM function WHERE id = ?1")?.execute([function])?;
            Ok(Deleted { instances, unreferenced: unreferenced(transaction, packages)? })
        })
    }

    /// Rows of [`VERSION_COLUMNS`] and the function's name.
    pub(crate) fn versions(&self, mut rows: rusqlite::Rows<'_>) -> Result<Vec<Arc<Version>>> {
        let mut versions = Vec::new();
        while let Some(row) = rows.next()? {
            let name = FunctionName::stored(row.get(4)?);
            versions.push(Arc::new(self.version_from_row(&name, row)?));
        }
        Ok(versions)
    }
}

pub(crate) fn delete_version(transaction: &Transaction<'_>, instance: u64) -> Result<()> {
    transaction.prepare_cached("DELETE FROM version WHERE instance = ?1")?.execute([instance])?;
    Ok(())
}

pub(crate) fn revision_id() -> String {
    Uuid::new_v4().to_string()
}
