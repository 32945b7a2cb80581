//! Function URLs: a host name for a function or an alias.
//!
//! Requests that come in by a URL know its id only; what they find is kept in memory as long as nothing is
//! written.
//!
//! A URL whose alias is gone is not there for whoever asks for its settings. Requests still find it, and are refused for
//! want of a policy, until another alias has the name: so it was recorded.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::arn::Arn;
use crate::attachments::{place, qualifier};
use crate::name::{FunctionName, Qualifier};
use crate::paging::{Page, Paging};
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::rows::{FunctionId, find_function};
use crate::store::{Result, Store};
use crate::timestamps::{from_stored, now};

const PAGE: u32 = 50;
const CACHED: usize = 8192;

const DELETE: &str = "DELETE FROM function_url WHERE function = ?1 AND qualifier = ?2";

/// One URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl {
    /// 32 letters and digits; the first label of its host name.
    pub id: String,
    /// What it leads to: the unqualified function, or an alias, which may be gone.
    pub arn: Arn,
    /// Who is let in, and how requests are answered.
    pub settings: UrlSettings,
    /// When it was made.
    pub created: Timestamp,
    /// When its settings were written.
    pub last_modified: Timestamp,
}

/// What one can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlSettings {
    /// Who is let in.
    pub auth_type: AuthType,
    /// How browsers of other origins are answered; absent leaves it to the function.
    pub cors: Option<Cors>,
    /// How answers are sent, if that was chosen; else whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_mode: Option<InvokeMode>,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlUpdate {
    /// See [`UrlSettings`].
    pub auth_type: Option<AuthType>,
    /// Replaces all of it.
    pub cors: Option<Cors>,
    /// See [`UrlSettings`].
    pub invoke_mode: Option<InvokeMode>,
}

/// `AuthType`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// `NONE`: everybody, if the policy says so.
    None,
    /// `AWS_IAM`: signed requests of those who may.
    AwsIam,
}

/// `InvokeMode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvokeMode {
    /// Whole.
    #[default]
    Buffered,
    /// As they come.
    ResponseStream,
}

/// `Cors`. Absent lists are empty; to give nothing at all is how it is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    /// Whether cookies and the like are let through.
    pub allow_credentials: Option<bool>,
    /// Request headers.
    pub allow_headers: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Origins, or `*`.
    pub allow_origins: Vec<String>,
    /// Response headers.
    pub expose_headers: Vec<String>,
    /// 0 to 86 400: how long a browser keeps all this.
    pub max_age_s: Option<u32>,
}

impl Cors {
    fn says_anything(&self) -> bool {
        *self != Cors::default()
    }
}

/// A URL in the file's JSON.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    settings: UrlSettings,
    created_ms: i64,
    last_modified_ms: i64,
}

/// URLs by id, as they were since the last write.
#[derive(Debug, Default)]
pub(crate) struct UrlCache(RwLock<(u64, HashMap<String, Arc<FunctionUrl>>)>);

impl UrlCache {
    /// Something was written: what is being read meanwhile must not stay.
    pub(crate) fn forget(&self) {
        let mut cached = self.0.write().unwrap_or_else(PoisonError::into_inner);
        cached.0 += 1;
        cached.1.clear();
    }
}

impl Store {
    /// Makes a URL; a function, and each alias, has one at most.
    pub fn create_function_url(
        &self,
        reference: &FunctionReference,
        settings: UrlSettings,
    ) -> Result<FunctionUrl> {
        let settings = UrlSettings { cors: settings.cors.filter(Cors::says_anything), ..settings };
        self.write(&reference.name, |transaction| {
            let function = self.place_of_url(transaction, reference)?.ok_or(Refusal::FunctionDoesNotExist)?;
            if self.find_url(transaction, function, reference)?.is_some() {
                return Err(Refusal::UrlExists { arn: self.url_arn(reference) }.into());
            }
            let created = now();
            let url = FunctionUrl {
                // 32 characters of those that AWS uses, and nobody guesses them.
                id: Uuid::new_v4().simple().to_string(),
                arn: self.url_arn(reference),
                settings,
                created,
                last_modified: created,
            };
            put_url(transaction, function, &url)?;
            Ok(url)
        })
    }

    /// The URL of a function or alias.
    pub fn function_url(&self, reference: &FunctionReference) -> Result<FunctionUrl> {
        self.read(|connection| {
            let function = find_function(connection, &reference.name)?;
            let found =
                function.map(|function| self.find_url(connection, function, reference)).transpose()?;
            Ok(found.flatten().ok_or(Refusal::RequestedResourceNotFound)?)
        })
    }

    /// The URL with this id, if there is one. Reads the file only for what was not asked for since the last
    /// write.
    pub fn function_url_by_id(&self, id: &str) -> Result<Option<Arc<FunctionUrl>>> {
        let begun = {
            let cached = self.urls.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(url) = cached.1.get(id) {
                return Ok(Some(Arc::clone(url)));
            }
            cached.0
        };
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT function_url.id, qualifier, record, name FROM function_url
                 JOIN function ON function.id = function WHERE function_url.id = ?1",
            )?;
            let mut rows = statement.query([id])?;
            rows.next()?.map(|row| self.url_from_row(&FunctionName::stored(row.get(3)?), row)).transpose()
        })?;
        let Some(url) = found.map(Arc::new) else { return Ok(None) };
        let mut cached = self.urls.0.write().unwrap_or_else(PoisonError::into_inner);
        if cached.0 == begun {
            if cached.1.len() >= CACHED {
                cached.1.clear();
            }
            cached.1.insert(id.to_owned(), Arc::clone(&url));
        }
        Ok(Some(url))
    }

    /// Changes settings; the host name stays.
    pub fn update_function_url(
        &self,
        reference: &FunctionReference,
        update: UrlUpdate,
    ) -> Result<FunctionUrl> {
        self.write(&reference.name, |transaction| {
            let function = self.place_of_url(transaction, reference)?.ok_or(Refusal::FunctionDoesNotExist)?;
            let mut url =
                self.find_url(transaction, function, reference)?.ok_or(Refusal::RequestedResourceNotFound)?;
            url.settings.auth_type = update.auth_type.unwrap_or(url.settings.auth_type);
            url.settings.cors = update.cors.or(url.settings.cors).filter(Cors::says_anything);
            url.settings.invoke_mode = update.invoke_mode.or(url.settings.invoke_mode);
            url.last_modified = now();
            put_url(transaction, function, &url)?;
            Ok(url)
        })
    }

    /// Deletes a URL; another one made later has another host name.
    pub fn delete_function_url(&self, reference: &FunctionReference) -> Result<()> {
        self.write(&reference.name, |transaction| {
            let deleted = match find_function(transaction, &reference.name)? {
                Some(function) if self.find_place(transaction, reference)?.is_some() => transaction
                    .prepare_cached(DELETE)?
                    .execute(params![function, place(reference.qualifier.as_ref())])?,
                _ => 0,
            };
            match deleted {
                0 => Err(Refusal::RequestedResourceNotFound.into()),
                _ => Ok(()),
            }
        })
    }

    /// Of one function, by qualifier.
    pub fn list_function_urls(&self, name: &FunctionName, paging: &Paging) -> Result<Page<FunctionUrl>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let function = find_function(connection, name)?.ok_or(Refusal::FunctionDoesNotExist)?;
            let mut statement = connection.prepare_cached(
                "SELECT id, qualifier, record FROM function_url
                 WHERE function = ?1 AND qualifier > ?2 AND (qualifier = ?4 OR qualifier IN (
                     SELECT name FROM alias WHERE alias.function = ?1))
                 ORDER BY qualifier LIMIT ?3",
            )?;
            let mut rows = statement.query(params![function, after, paging.limit(PAGE), place(None)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(self.url_from_row(name, row)?);
            }
            Ok(paging.page(PAGE, found, |url| place(url.arn.qualifier.as_ref())))
        })
    }

    /// A URL leads to a function or an alias, never to a version.
    fn place_of_url(
        &self,
        connection: &Connection,
        reference: &FunctionReference,
    ) -> Result<Option<FunctionId>> {
        match reference.qualifier {
            None | Some(Qualifier::Alias(_)) => self.find_place(connection, reference),
            Some(_) => {
                let value = place(reference.qualifier.as_ref());
                let constraint =
                    r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)".to_owned();
                Err(Refusal::Constraint { member: "qualifier", value, constraint }.into())
            }
        }
    }

    /// Before there is an alias of a name, that of one that was.
    pub(crate) fn forget_url_of_alias(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        alias: &str,
    ) -> Result<()> {
        transaction.prepare_cached(DELETE)?.execute(params![function, alias])?;
        Ok(())
    }

    fn find_url(
        &self,
        connection: &Connection,
        function: FunctionId,
        reference: &FunctionReference,
    ) -> Result<Option<FunctionUrl>> {
        if self.find_place(connection, reference)?.is_none() {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT id, qualifier, record FROM function_url WHERE function = ?1 AND qualifier = ?2",
        )?;
        let mut rows = statement.query(params![function, place(reference.qualifier.as_ref())])?;
        rows.next()?.map(|row| self.url_from_row(&reference.name, row)).transpose()
    }

    fn url_from_row(&self, name: &FunctionName, row: &Row<'_>) -> Result<FunctionUrl> {
        let qualifier = qualifier(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        let record: Record = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
        Ok(FunctionUrl {
            id: row.get(0)?,
            arn: self.url_arn(&FunctionReference { name: name.clone(), qualifier: Some(qualifier) }),
            settings: record.settings,
            created: from_stored(record.created_ms),
            last_modified: from_stored(record.last_modified_ms),
        })
    }

    /// Without a qualifier for the function itself.
    fn url_arn(&self, reference: &FunctionReference) -> Arn {
        let alias = reference.qualifier.as_ref().filter(|qualifier| **qualifier != Qualifier::Latest);
        self.account.function_arn(&reference.name, alias)
    }
}

fn put_url(connection: &Connection, function: FunctionId, url: &FunctionUrl) -> Result<()> {
    let record = Record {
        settings: url.settings.clone(),
        created_ms: url.created.as_millisecond(),
        last_modified_ms: url.last_modified.as_millisecond(),
    };
    connection.prepare_cached("INSERT OR REPLACE INTO function_url VALUES (?1, ?2, ?3, ?4)")?.execute(
        params![url.id, function, place(url.arn.qualifier.as_ref()), serde_json::to_string(&record)?],
    )?;
    Ok(())
}
