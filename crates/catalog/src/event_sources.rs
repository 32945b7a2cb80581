//! Event source mappings: which queue or stream feeds which function.
//!
//! Kept, checked and shown, so that tools which make them do not break; nothing polls the sources. Their
//! state is [`MAPPING_STATE`] and says so in [`MAPPING_STATE_REASON`].

use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::arn::Arn;
use crate::attachments::qualifier;
use crate::event_source::EventSource;
use crate::name::FunctionName;
use crate::paging::{Page, Paging};
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::store::{Result, Store};
use crate::tags::{TaggedResource, Tags};
use crate::timestamps::{from_stored, now};

/// Most on a page; AWS shows more of these than of functions.
const PAGE: u32 = 100;
const COLUMNS: &str = "uuid, function_name, qualifier, event_source_arn, last_modified_ms, record";

/// `State` of every mapping.
pub const MAPPING_STATE: &str = "Disabled";
/// `StateTransitionReason` of every mapping.
pub const MAPPING_STATE_REASON: &str =
    "Firesteel keeps event source mappings and does not poll their sources";

/// One mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSourceMapping {
    /// Its name.
    pub uuid: String,
    /// Ends with the UUID.
    pub arn: String,
    /// What is fed: qualified if it was asked for so. It may be gone.
    pub function_arn: Arn,
    /// What feeds it; none for sources of one's own.
    pub event_source_arn: Option<String>,
    /// `BatchSize`, `FilterCriteria`, … as AWS spells them, with its defaults.
    pub parameters: Map<String, Value>,
    /// When it was written.
    pub last_modified: Timestamp,
}

/// Which mappings are listed.
#[derive(Clone, Debug, Default)]
pub struct MappingFilter {
    /// Those of one source.
    pub event_source_arn: Option<String>,
    /// Those of one function; without a qualifier, those of its versions and aliases too.
    pub function: Option<FunctionReference>,
}

impl Store {
    /// Makes a mapping. `parameters` are members of `CreateEventSourceMapping`, without those given apart.
    pub fn create_event_source_mapping(
        &self,
        function: &FunctionReference,
        parameters: Map<String, Value>,
        tags: &Tags,
    ) -> Result<EventSourceMapping> {
        self.write_apart(|transaction| {
            let uuid = Uuid::new_v4().to_string();
            let source = EventSource::of(&parameters)?;
            let mapping = EventSourceMapping {
                arn: self.account.arn("event-source-mapping", &uuid),
                function_arn: self.account.function_arn(&function.name, function.qualifier.as_ref()),
                event_source_arn: source.arn().map(str::to_owned),
                parameters: source.with_defaults(parameters, &uuid),
                last_modified: now(),
                uuid,
            };
            source.check(&mapping.parameters)?;
            self.check_fed(transaction, &mapping)?;
            self.check_not_fed_twice(transaction, &source, &mapping)?;
            put(transaction, &mapping)?;
            let resource = TaggedResource::EventSourceMapping(mapping.uuid.clone());
            self.put_tags(transaction, &resource, tags)?;
            Ok(mapping)
        })
    }

    /// One mapping.
    pub fn event_source_mapping(&self, uuid: &str) -> Result<EventSourceMapping> {
        self.read(|connection| self.existing_mapping(connection, uuid))
    }

    /// Changes the members that are given, and the function if one is.
    pub fn update_event_source_mapping(
        &self,
        uuid: &str,
        function: Option<&FunctionReference>,
        parameters: Map<String, Value>,
    ) -> Result<EventSourceMapping> {
        self.write_apart(|transaction| {
            let mut mapping = self.existing_mapping(transaction, uuid)?;
            if let Some(FunctionReference { name, qualifier }) = function {
                mapping.function_arn = self.account.function_arn(name, qualifier.as_ref());
            }
            mapping.parameters.extend(parameters);
            mapping.last_modified = now();
            EventSource::of(&mapping.parameters)?.check(&mapping.parameters)?;
            self.check_fed(transaction, &mapping)?;
            put(transaction, &mapping)?;
            Ok(mapping)
        })
    }

    /// Deletes a mapping; the answer is what it was.
    pub fn delete_event_source_mapping(&self, uuid: &str) -> Result<EventSourceMapping> {
        self.write_apart(|transaction| {
            let mapping = self.existing_mapping(transaction, uuid)?;
            let delete = "DELETE FROM event_source_mapping WHERE uuid = ?1";
            transaction.prepare_cached(delete)?.execute([uuid])?;
            Ok(mapping)
        })
    }

    /// By UUID.
    pub fn list_event_source_mappings(
        &self,
        filter: &MappingFilter,
        paging: &Paging,
    ) -> Result<Page<EventSourceMapping>> {
        let after: String = paging.after()?.unwrap_or_default();
        let (name, qualifier) = match &filter.function {
            Some(FunctionReference { name, qualifier }) => (Some(name.as_str()), qualifier.as_ref()),
            None => (None, None),
        };
        self.read(|connection| {
            let select = format!(
                "SELECT {COLUMNS} FROM event_source_mapping
                 WHERE uuid > ?1 AND (?2 IS NULL OR event_source_arn = ?2)
                     AND (?3 IS NULL OR function_name = ?3) AND (?4 IS NULL OR qualifier = ?4)
                 ORDER BY uuid LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let found = self.mappings(statement.query(params![
                after,
                filter.event_source_arn,
                name,
                qualifier.map(ToString::to_string),
                paging.limit(PAGE)
            ])?)?;
            Ok(paging.page(PAGE, found, |mapping| mapping.uuid.clone()))
        })
    }

    fn check_fed(&self, connection: &Connection, mapping: &EventSourceMapping) -> Result<()> {
        let Arn { name, qualifier, .. } = &mapping.function_arn;
        let reference = FunctionReference { name: name.clone(), qualifier: qualifier.clone() };
        match self.find_place(connection, &reference)? {
            Some(_) => Ok(()),
            None => Err(Refusal::FedFunctionMissing.into()),
        }
    }

    /// A function gets the events of one source once.
    fn check_not_fed_twice(
        &self,
        connection: &Connection,
        source: &EventSource,
        mapping: &EventSourceMapping,
    ) -> Result<()> {
        let select = format!("SELECT {COLUMNS} FROM event_source_mapping WHERE function_name = ?1");
        let mut statement = connection.prepare_cached(&select)?;
        let others = self.mappings(statement.query([mapping.function_arn.name.as_str()])?)?;
        let same_function = others.iter().filter(|other| other.function_arn == mapping.function_arn);
        for other in same_function {
            if let Some(conflict) = source.conflict(mapping, other) {
                return Err(conflict.into());
            }
        }
        Ok(())
    }

    fn existing_mapping(&self, connection: &Connection, uuid: &str) -> Result<EventSourceMapping> {
        let select = format!("SELECT {COLUMNS} FROM event_source_mapping WHERE uuid = ?1");
        let mut statement = connection.prepare_cached(&select)?;
        let found = self.mappings(statement.query([uuid])?)?.pop();
        Ok(found.ok_or(Refusal::RequestedResourceNotFound)?)
    }

    fn mappings(&self, mut rows: rusqlite::Rows<'_>) -> Result<Vec<EventSourceMapping>> {
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(self.mapping_from_row(row)?);
        }
        Ok(found)
    }

    fn mapping_from_row(&self, row: &Row<'_>) -> Result<EventSourceMapping> {
        let uuid: String = row.get(0)?;
        let name = FunctionName::stored(row.get(1)?);
        let place: Option<String> = row.get(2)?;
        let asked = place.map(|place| qualifier(&place)).transpose()?;
        Ok(EventSourceMapping {
            arn: self.account.arn("event-source-mapping", &uuid),
            uuid,
            function_arn: self.account.function_arn(&name, asked.as_ref()),
            event_source_arn: row.get(3)?,
            last_modified: from_stored(row.get(4)?),
            parameters: serde_json::from_str(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?,
        })
    }
}

fn put(transaction: &Transaction<'_>, mapping: &EventSourceMapping) -> Result<()> {
    transaction
        .prepare_cached(&format!(
            "INSERT INTO event_source_mapping ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (uuid) DO UPDATE SET
                 function_name = excluded.function_name,
                 qualifier = excluded.qualifier,
                 last_modified_ms = excluded.last_modified_ms,
                 record = excluded.record"
        ))?
        .execute(params![
            mapping.uuid,
            mapping.function_arn.name.as_str(),
            mapping.function_arn.qualifier.as_ref().map(ToString::to_string),
            mapping.event_source_arn,
            mapping.last_modified.as_millisecond(),
            json!(mapping.parameters).to_string(),
        ])?;
    Ok(())
}
