//! Tags: labels of functions, event source mappings and code signing configurations, at most fifty each.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::name::FunctionName;
use crate::refusal::Refusal;
use crate::rows::find_function;
use crate::store::{Result, Store};
use crate::version::VersionNumber;

const MAX_TAGS: usize = 50;
/// Keys that only AWS gives.
const RESERVED_PREFIX: &str = "aws:";

/// Values by key.
pub type Tags = BTreeMap<String, String>;

/// What can have tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaggedResource {
    /// A whole function.
    Function(FunctionName),
    /// By its UUID.
    EventSourceMapping(String),
    /// By its id, `csc-…`.
    CodeSigningConfig(String),
}

impl TaggedResource {
    /// As it is stored: the last part of its ARN.
    fn key(&self) -> String {
        match self {
            TaggedResource::Function(name) => format!("function:{name}"),
            TaggedResource::EventSourceMapping(uuid) => format!("event-source-mapping:{uuid}"),
            TaggedResource::CodeSigningConfig(id) => format!("code-signing-config:{id}"),
        }
    }
}

impl Store {
    /// Adds tags, or gives them other values.
    pub fn tag_resource(&self, arn: &str, tags: &Tags) -> Result<()> {
        if tags.is_empty() {
            return Err(Refusal::NoTags.into());
        }
        self.write_tags(arn, |transaction, resource| self.put_tags(transaction, resource, tags))
    }

    /// Takes tags away; keys that are not there are no mistake.
    pub fn untag_resource(&self, arn: &str, keys: &[String]) -> Result<()> {
        self.write_tags(arn, |transaction, resource| {
            let delete = "DELETE FROM tag WHERE resource = ?1 AND key = ?2";
            let mut statement = transaction.prepare_cached(delete)?;
            for key in keys {
                statement.execute(params![resource.key(), key])?;
            }
            Ok(())
        })
    }

    /// All tags.
    pub fn tags(&self, arn: &str) -> Result<Tags> {
        let resource = self.tagged_resource(arn)?;
        self.read(|connection| {
            self.check_tagged_exists(connection, arn, &resource)?;
            self.read_tags(connection, &resource)
        })
    }

    /// A function's `$LATEST` gets another revision with its tags.
    fn write_tags(
        &self,
        arn: &str,
        work: impl FnOnce(&Transaction<'_>, &TaggedResource) -> Result<()>,
    ) -> Result<()> {
        let resource = self.tagged_resource(arn)?;
        let TaggedResource::Function(name) = &resource else {
            return self.write_apart(|transaction| {
                self.check_tagged_exists(transaction, arn, &resource)?;
                work(transaction, &resource)
            });
        };
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            work(transaction, &resource)?;
            self.renew_version_revision(transaction, function, name, VersionNumber::Latest)
        })
    }

    pub(crate) fn put_tags(
        &self,
        transaction: &Transaction<'_>,
        resource: &TaggedResource,
        tags: &Tags,
    ) -> Result<()> {
        if let Some(key) = tags.keys().find(|key| key.starts_with(RESERVED_PREFIX)) {
            return Err(Refusal::ReservedTag { key: key.clone() }.into());
        }
        let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO tag VALUES (?1, ?2, ?3)")?;
        for (key, value) in tags {
            statement.execute(params![resource.key(), key, value])?;
        }
        let mut count = transaction.prepare_cached("SELECT count(*) FROM tag WHERE resource = ?1")?;
        match count.query_row([resource.key()], |row| row.get::<_, usize>(0))? > MAX_TAGS {
            true => Err(Refusal::TooManyTags.into()),
            false => Ok(()),
        }
    }

    pub(crate) fn read_tags(&self, connection: &Connection, resource: &TaggedResource) -> Result<Tags> {
        let mut statement = connection.prepare_cached("SELECT key, value FROM tag WHERE resource = ?1")?;
        let tags = statement.query_map([resource.key()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(tags.collect::<Result<_, _>>()?)
    }

    /// What an ARN names. Its shape has been checked by the model; here only whether it is ours.
    fn tagged_resource(&self, arn: &str) -> Result<TaggedResource, Refusal> {
        let parts: Vec<&str> = arn.split(':').collect();
        let elsewhere = || Refusal::RequestedResourceNotFound;
        let ["arn", _, "lambda", region, account, kind, name, qualifier @ ..] = parts.as_slice() else {
            return Err(elsewhere());
        };
        if *kind == "function" && !qualifier.is_empty() {
            return Err(Refusal::TagsOfVersion);
        }
        if *region != self.account.region || *account != self.account.id {
            return Err(elsewhere());
        }
        match *kind {
            "function" => Ok(TaggedResource::Function(name.parse().map_err(|_| elsewhere())?)),
            "event-source-mapping" => Ok(TaggedResource::EventSourceMapping((*name).to_owned())),
            "code-signing-config" => Ok(TaggedResource::CodeSigningConfig((*name).to_owned())),
            // There are none.
            "capacity-provider" => Err(Refusal::TaggedCapacityProviderNotFound { arn: arn.to_owned() }),
            _ => Err(elsewhere()),
        }
    }

    fn check_tagged_exists(
        &self,
        connection: &Connection,
        arn: &str,
        resource: &TaggedResource,
    ) -> Result<()> {
        let exists = |select: &str, key: &str| -> Result<bool> {
            let found = connection.prepare_cached(select)?.query_row([key], |_| Ok(())).optional()?;
            Ok(found.is_some())
        };
        match resource {
            TaggedResource::Function(name) => match find_function(connection, name)? {
                Some(_) => Ok(()),
                None => Err(Refusal::FunctionNotFound { arn: self.account.function_arn(name, None) }.into()),
            },
            TaggedResource::EventSourceMapping(uuid) => {
                match exists("SELECT 1 FROM event_source_mapping WHERE uuid = ?1", uuid)? {
                    true => Ok(()),
                    false => Err(Refusal::TaggedMappingNotFound { arn: arn.to_owned() }.into()),
                }
            }
            TaggedResource::CodeSigningConfig(id) => {
                match exists("SELECT 1 FROM code_signing_config WHERE id = ?1", id)? {
                    true => Ok(()),
                    false => Err(Refusal::CodeSigningConfigMissing { arn: arn.to_owned() }.into()),
                }
            }
        }
    }
}
