//! When a function gets patches of its managed runtime: kept and shown, for there is one runtime of each
//! name here.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::attachments::place;
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::store::{Result, Store};

/// Settings of `$LATEST` or of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeManagement {
    /// When.
    pub update_runtime_on: UpdateRuntimeOn,
    /// Which one, when it is pinned.
    pub runtime_version_arn: Option<String>,
}

/// `UpdateRuntimeOn`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateRuntimeOn {
    /// When there is one.
    #[default]
    Auto,
    /// When the function is changed.
    FunctionUpdate,
    /// Never.
    Manual,
}

impl Store {
    /// What was chosen, or the default.
    pub fn runtime_management(&self, reference: &FunctionReference) -> Result<RuntimeManagement> {
        self.read(|connection| {
            let function = self.existing_place(connection, reference)?;
            let select = "SELECT record FROM runtime_management WHERE function = ?1 AND qualifier = ?2";
            let mut statement = connection.prepare_cached(select)?;
            let place = place(reference.qualifier.as_ref());
            let record: Option<String> =
                statement.query_row(params![function, place], |row| row.get(0)).optional()?;
            match record {
                Some(record) => Ok(serde_json::from_str(&record)?),
                None => Ok(RuntimeManagement::default()),
            }
        })
    }

    /// Chooses. A pinned runtime has to be named, and only a pinned one can be.
    pub fn put_runtime_management(
        &self,
        reference: &FunctionReference,
        chosen: &RuntimeManagement,
    ) -> Result<()> {
        match (chosen.update_runtime_on, &chosen.runtime_version_arn) {
            (UpdateRuntimeOn::Manual, None) => return Err(Refusal::RuntimeVersionMissing.into()),
            (UpdateRuntimeOn::Auto | UpdateRuntimeOn::FunctionUpdate, Some(_)) => {
                return Err(Refusal::RuntimeVersionUnexpected.into());
            }
            _ => {}
        }
        self.write(&reference.name, |transaction| {
            let function = self.existing_place(transaction, reference)?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO runtime_management VALUES (?1, ?2, ?3)")?
                .execute(params![
                    function,
                    place(reference.qualifier.as_ref()),
                    serde_json::to_string(chosen)?
                ])?;
            Ok(())
        })
    }
}
