//! What becomes of asynchronous events of a function, version or alias.
//!
//! Each has settings of its own; none inherits those of another.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

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
const COLUMNS: &str =
    "qualifier, maximum_retry_attempts, maximum_event_age_s, on_success, on_failure, last_modified_ms";

/// Settings of one target; what is absent has AWS's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventInvokeSettings {
    /// 0 to 2; 2 when absent.
    pub maximum_retry_attempts: Option<u32>,
    /// 60 to 21 600; 21 600 when absent.
    pub maximum_event_age_s: Option<u32>,
    /// Who is told.
    pub destinations: Destinations,
}

/// ARNs of who is told of outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// Of successes.
    pub on_success: Option<String>,
    /// Of failures.
    pub on_failure: Option<String>,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventInvokeUpdate {
    /// See [`EventInvokeSettings`].
    pub maximum_retry_attempts: Option<u32>,
    /// See [`EventInvokeSettings`].
    pub maximum_event_age_s: Option<u32>,
    /// Replaces both.
    pub destinations: Option<Destinations>,
}

/// `FunctionEventInvokeConfig`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventInvokeConfig {
    /// Always qualified, with `$LATEST` for the function itself.
    pub arn: Arn,
    /// What was set.
    pub settings: EventInvokeSettings,
    /// When.
    pub last_modified: Timestamp,
}

impl Store {
    /// Sets everything anew: what the update leaves out is as AWS has it.
    pub fn put_event_invoke_config(
        &self,
        reference: &FunctionReference,
        update: EventInvokeUpdate,
    ) -> Result<EventInvokeConfig> {
        self.set_event_invoke(reference, update, |_, _| Ok(EventInvokeSettings::default()))
    }

    /// Changes what the update says.
    pub fn update_event_invoke_config(
        &self,
        reference: &FunctionReference,
        update: EventInvokeUpdate,
    ) -> Result<EventInvokeConfig> {
        self.set_event_invoke(reference, update, |connection, function| {
            let found = self.find_event_invoke(connection, function, reference)?;
            Ok(found.ok_or_else(|| self.event_invoke_missing(reference))?.settings)
        })
    }

    fn set_event_invoke(
        &self,
        reference: &FunctionReference,
        update: EventInvokeUpdate,
        before: impl FnOnce(&Connection, FunctionId) -> Result<EventInvokeSettings>,
    ) -> Result<EventInvokeConfig> {
        if update == EventInvokeUpdate::default() {
            return Err(Refusal::EventInvokeEmpty.into());
        }
        self.write(&reference.name, |transaction| {
            let function = self.find_place(transaction, reference)?.ok_or(Refusal::NoSuchFunction)?;
            if let Some(destinations) = &update.destinations {
                self.check_destinations(transaction, &reference.name, destinations)?;
            }
            let before = before(transaction, function)?;
            let settings = EventInvokeSettings {
                maximum_retry_attempts: update.maximum_retry_attempts.or(before.maximum_retry_attempts),
                maximum_event_age_s: update.maximum_event_age_s.or(before.maximum_event_age_s),
                destinations: update.destinations.unwrap_or(before.destinations),
            };
            let config = EventInvokeConfig { arn: self.place_arn(reference), settings, last_modified: now() };
            transaction
                .prepare_cached(&format!(
                    "INSERT OR REPLACE INTO event_invoke (function, {COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                ))?
                .execute(params![
                    function,
                    place(reference.qualifier.as_ref()),
                    config.settings.maximum_retry_attempts,
                    config.settings.maximum_event_age_s,
                    config.settings.destinations.on_success,
                    config.settings.destinations.on_failure,
                    config.last_modified.as_millisecond(),
                ])?;
            Ok(config)
        })
    }

    /// What was set.
    pub fn event_invoke_config(&self, reference: &FunctionReference) -> Result<EventInvokeConfig> {
        self.read(|connection| {
            let found = match find_function(connection, &reference.name)? {
                Some(function) => self.find_event_invoke(connection, function, reference)?,
                None => None,
            };
            Ok(found.ok_or_else(|| self.event_invoke_missing(reference))?)
        })
    }

    /// Forgets what was set.
    pub fn delete_event_invoke_config(&self, reference: &FunctionReference) -> Result<()> {
        self.write(&reference.name, |transaction| {
            let deleted = match find_function(transaction, &reference.name)? {
                Some(function) => transaction
                    .prepare_cached("DELETE FROM event_invoke WHERE function = ?1 AND qualifier = ?2")?
                    .execute(params![function, place(reference.qualifier.as_ref())])?,
                None => 0,
            };
            match deleted {
                0 => Err(self.event_invoke_missing(reference).into()),
                _ => Ok(()),
            }
        })
    }

    /// Of one function, by qualifier.
    pub fn list_event_invoke_configs(
        &self,
        name: &FunctionName,
        paging: &Paging,
    ) -> Result<Page<EventInvokeConfig>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let function = find_function(connection, name)?.ok_or(Refusal::NoSuchFunction)?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM event_invoke
                 WHERE function = ?1 AND qualifier > ?2 ORDER BY qualifier LIMIT ?3"
            ))?;
            let found = statement
                .query_map(params![function, after, paging.limit(PAGE)], |row| {
                    self.event_invoke_from_row(name, row)
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(paging.page(PAGE, found, |config| place(config.arn.qualifier.as_ref())))
        })
    }

    pub(crate) fn find_event_invoke(
        &self,
        connection: &Connection,
        function: FunctionId,
        reference: &FunctionReference,
    ) -> Result<Option<EventInvokeConfig>> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM event_invoke WHERE function = ?1 AND qualifier = ?2"
        ))?;
        let place = place(reference.qualifier.as_ref());
        let row = |row: &Row<'_>| self.event_invoke_from_row(&reference.name, row);
        Ok(statement.query_row(params![function, place], row).optional()?)
    }

    fn event_invoke_from_row(
        &self,
        name: &FunctionName,
        row: &Row<'_>,
    ) -> rusqlite::Result<EventInvokeConfig> {
        let qualifier = qualifier(row.get_ref(0)?.as_str()?)?;
        Ok(EventInvokeConfig {
            arn: self.account.function_arn(name, Some(&qualifier)),
            settings: EventInvokeSettings {
                maximum_retry_attempts: row.get(1)?,
                maximum_event_age_s: row.get(2)?,
                destinations: Destinations { on_success: row.get(3)?, on_failure: row.get(4)? },
            },
            last_modified: from_stored(row.get(5)?),
        })
    }

    fn event_invoke_missing(&self, reference: &FunctionReference) -> Refusal {
        Refusal::EventInvokeConfigNotFound { arn: self.place_arn(reference) }
    }

    /// With `$LATEST` for the function itself.
    fn place_arn(&self, reference: &FunctionReference) -> Arn {
        let qualifier = reference.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        self.account.function_arn(&reference.name, Some(qualifier))
    }

    /// Queues, topics, buses, functions other than the one concerned; buckets for failures only.
    fn check_destinations(
        &self,
        connection: &Connection,
        name: &FunctionName,
        destinations: &Destinations,
    ) -> Result<()> {
        let Destinations { on_success, on_failure } = destinations;
        for (destination, takes_buckets) in [(on_success, false), (on_failure, true)] {
            let Some(destination) = destination else { continue };
            let parts: Vec<&str> = destination.split(':').collect();
            match parts.get(2) {
                Some(&"lambda") => {
                    let function = parts.get(6).map(|part| FunctionName::stored((*part).to_owned()));
                    if function.as_ref() == Some(name) {
                        return Err(Refusal::DestinationIsItself.into());
                    }
                    let found = function.map(|function| find_function(connection, &function)).transpose()?;
                    if found.flatten().is_none() {
                        return Err(Refusal::DestinationMissing { arn: destination.clone() }.into());
                    }
                }
                Some(&("sns" | "sqs" | "events")) => {}
                Some(&"s3") if takes_buckets => {}
                _ => {
                    let written = |name: &str, destination: &Option<String>| match destination {
                        Some(arn) => format!("{name}(destination={arn})"),
                        None => "null".to_owned(),
                    };
                    return Err(Refusal::DestinationsInvalid {
                        on_success: written("OnSuccess", on_success),
                        on_failure: written("OnFailure", on_failure),
                    }
                    .into());
                }
            }
        }
        Ok(())
    }
}
