//! Which version an invocation means, with all that admission and the asynchronous queue want to know of it.
//!
//! Asked with every invocation: when warm, the answer comes from memory.

use std::sync::Arc;

use rusqlite::Connection;

use crate::arn::Arn;
use crate::concurrency::{read_provisioned, read_reserved};
use crate::event_invoke::EventInvokeSettings;
use crate::name::Qualifier;
use crate::permissions::read_policy;
use crate::recursion::{RecursiveLoop, read_recursive_loop};
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::store::{Result, Store};
use crate::version::{Version, VersionNumber};

/// The name under which AWS's Runtime Interface Emulator serves its one function, whatever it is called;
/// scripts and tests written against the emulator use it.
const EMULATORS_FUNCTION: &str = "function";

/// What a name and qualifier mean to an invocation.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// As asked for: qualified only if the request was.
    pub arn: Arn,
    /// What runs.
    pub target: Target,
    /// What runs instead of it, in a part of the cases: the second version of an alias. Choosing is the
    /// invoker's.
    pub alternative: Option<Alternative>,
    /// Environments that are kept ready for the alias itself.
    pub provisioned_for_alias: Option<u32>,
    /// Of the function; 0 is off.
    pub reserved_concurrency: Option<u32>,
    /// What becomes of asynchronous events sent to what was asked for. All absent when nothing was set.
    pub event_invoke: EventInvokeSettings,
    /// Of the function.
    pub recursive_loop: RecursiveLoop,
    /// Resource policy of what was asked for, JSON.
    pub policy: Option<Arc<str>>,
}

/// One version that can be chosen. Where its failed events go is in its configuration.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which may be in any state.
    pub version: Arc<Version>,
    /// Environments that are kept ready for this version.
    pub provisioned: Option<u32>,
}

/// The second version of an alias.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// What runs.
    pub target: Target,
    /// Part of the invocations, 0 to 1.
    pub weight: f64,
}

impl Store {
    /// What an invocation means. Reads the file only for what was not asked for since it was last written.
    pub fn resolve(&self, reference: &FunctionReference) -> Result<Arc<Resolved>> {
        let begun = match self.cache.get(reference) {
            Ok(resolved) => return Ok(resolved),
            Err(begun) => begun,
        };
        if let Some(meant) = self.emulators_function(reference) {
            return self.resolve(&meant);
        }
        let resolved = Arc::new(self.read(|connection| self.read_resolved(connection, reference))?);
        self.cache.keep(begun, reference, &resolved);
        Ok(resolved)
    }

    /// What the emulator's name for its one function means, when there is one function and that is called
    /// otherwise.
    fn emulators_function(&self, reference: &FunctionReference) -> Option<FunctionReference> {
        if reference.name.as_str() != EMULATORS_FUNCTION {
            return None;
        }
        let name = self.only_function().filter(|only| *only != reference.name)?;
        Some(FunctionReference { name, qualifier: reference.qualifier.clone() })
    }

    fn read_resolved(&self, connection: &Connection, reference: &FunctionReference) -> Result<Resolved> {
        let FunctionReference { name, qualifier } = reference;
        let arn = self.account.function_arn(name, qualifier.as_ref());
        // Here AWS tells what was looked for, not what was asked for.
        let looked_for = qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        let missing = || Refusal::FunctionNotFound { arn: self.account.function_arn(name, Some(looked_for)) };
        let function = self.function_id(connection, name, Some(looked_for))?;
        let target = |number| -> Result<Target> {
            let version = self.find_version(connection, function, name, number)?.ok_or_else(missing)?;
            let provisioned = read_provisioned(connection, function, &number.qualifier())?;
            Ok(Target { version: Arc::new(version), provisioned })
        };
        let (target, alternative, provisioned_for_alias) = match qualifier {
            None | Some(Qualifier::Latest) => (target(VersionNumber::Latest)?, None, None),
            Some(Qualifier::Version(number)) => (target(VersionNumber::Published(*number))?, None, None),
            Some(Qualifier::LatestPublished) => return Err(missing().into()),
            Some(asked @ Qualifier::Alias(alias)) => {
                let alias = self.find_alias(connection, function, name, alias)?.ok_or_else(missing)?;
                let alternative = match alias.additional {
                    Some(weighted) => Some(Alternative {
                        target: target(VersionNumber::Published(weighted.number))?,
                        weight: weighted.weight,
                    }),
                    None => None,
                };
                (target(alias.version)?, alternative, read_provisioned(connection, function, asked)?)
            }
        };
        let event_invoke = self.find_event_invoke(connection, function, reference)?;
        Ok(Resolved {
            arn,
            target,
            alternative,
            provisioned_for_alias,
            reserved_concurrency: read_reserved(connection, function)?,
            event_invoke: event_invoke.map(|config| config.settings).unwrap_or_default(),
            recursive_loop: read_recursive_loop(connection, function)?,
            policy: read_policy(connection, function, qualifier.as_ref())?,
        })
    }
}
