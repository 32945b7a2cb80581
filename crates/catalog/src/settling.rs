//! Settling: a version is unsettled while its code is made ready, until somebody who can tell says what came
//! of it.
//!
//! While `$LATEST` is unsettled it cannot be changed, so all unsettled versions of a function have one
//! content, and what is said of one of them is true of all.

use std::sync::Arc;

use rusqlite::params;

use crate::code::Code;
use crate::functions::revision_id;
use crate::refusal::Refusal;
use crate::rows::{VERSION_COLUMNS, find_function};
use crate::store::{Result, Store};
use crate::version::{LastUpdate, Reason, State, Version};

/// What came of making a version's code ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It can be invoked.
    Ready {
        /// What an image's reference meant.
        image_digest: Option<String>,
    },
    /// It cannot.
    Failed(Reason),
}

impl Store {
    /// Says what came of making a version's code ready, for it and for those that were published with it. None
    /// if that version is gone or has been replaced, or if it was said before.
    pub fn settle(&self, version: &Version, settlement: &Settlement) -> Result<Option<Arc<Version>>> {
        let name = version.name();
        self.write(name, |transaction| {
            let Some(function) = find_function(transaction, name)? else { return Ok(None) };
            let select =
                format!("SELECT {VERSION_COLUMNS}, ?2 FROM version WHERE function = ?1 AND unsettled");
            let mut statement = transaction.prepare_cached(&select)?;
            let unsettled = self.versions(statement.query(params![function, name.as_str()])?)?;
            if !unsettled.iter().any(|present| present.instance == version.instance) {
                return Ok(None);
            }
            let mut settled = None;
            for present in unsettled {
                let present = settlement.apply(&present);
                self.update_version_state(transaction, &present)?;
                if present.instance == version.instance {
                    settled = Some(Arc::new(present));
                }
            }
            Ok(settled)
        })
    }

    /// Versions of which nothing has been said yet: after a crash, what has to be made ready once more.
    pub fn unsettled(&self) -> Result<Vec<Arc<Version>>> {
        self.read(|connection| {
            let select = format!(
                "SELECT {VERSION_COLUMNS}, function.name FROM version
                 JOIN function ON function.id = version.function
                 WHERE unsettled ORDER BY instance"
            );
            self.versions(connection.prepare_cached(&select)?.query([])?)
        })
    }
}

impl Settlement {
    /// The version as it is from now on.
    fn apply(&self, version: &Version) -> Version {
        let mut settled = Version { revision_id: revision_id(), ..version.clone() };
        (settled.state, settled.last_update) = match self {
            Settlement::Ready { image_digest } => {
                if let Code::Image { digest, .. } = &mut settled.code {
                    digest.clone_from(image_digest);
                }
                (State::Active, Some(LastUpdate::Successful))
            }
            Settlement::Failed(reason) => match settled.state {
                State::Pending(_) => (State::Failed(reason.clone()), None),
                state => (state, Some(LastUpdate::Failed(reason.clone()))),
            },
        };
        settled
    }
}

/// Changes wait for what was changed before.
pub(crate) fn check_settled(version: &Version) -> Result<()> {
    match version.is_unsettled() {
        true => Err(Refusal::UpdateInProgress { arn: version.function_arn() }.into()),
        false => Ok(()),
    }
}
