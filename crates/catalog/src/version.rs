//! One version of a function: content, state, revision.
//!
//! ```text
//!  created ──► Pending ──► Active ◄──┐   last update:  InProgress ──► Successful
//!                 │          │       │                     │
//!                 └► Failed ─┴─update┘                     └────────► Failed
//! ```
//!
//! A published version's content never changes. `$LATEST` is replaced whole by each update, under a new
//! `instance`, unless the update left the content as it was. States are told from outside by
//! [`Store::settle`](crate::Store::settle): this crate does not know whether code can be run.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::Arn;
use crate::code::{Code, CodeDigest};
use crate::configuration::Configuration;
use crate::name::{FunctionName, Qualifier};
use crate::timestamps::timestamp_text;

/// A version as it was stored; never changed, only replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Names this content and no other, also across restarts: what was made of it can be kept under this.
    pub instance: u64,
    /// Qualified with the number.
    pub arn: Arn,
    /// Which one.
    pub number: VersionNumber,
    /// Settings.
    pub configuration: Configuration,
    /// In order of `/opt`.
    pub layers: Vec<AttachedLayer>,
    /// Where its code is.
    pub code: Code,
    /// Whether it can be invoked.
    pub state: State,
    /// What came of the last update; none while the function is being created.
    pub last_update: Option<LastUpdate>,
    /// Another one after each write.
    pub revision_id: String,
    /// When content was last written.
    pub last_modified: Timestamp,
    /// Description that `$LATEST` had when this was published under another, to tell whether it has changed.
    pub(crate) published_description: Option<String>,
}

/// Number of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionNumber {
    /// `$LATEST`
    Latest,
    /// From 1 on.
    Published(u64),
}

/// A layer as a version keeps it, also when the layer itself is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedLayer {
    /// With the layer's version.
    pub arn: String,
    /// Its package.
    pub sha256: CodeDigest,
    /// Of the package.
    pub size_bytes: u64,
}

/// `State`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its code is being made ready.
    Pending(Reason),
    /// Can be invoked.
    Active,
    /// Its code cannot be run.
    Failed(Reason),
}

/// `LastUpdateStatus`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastUpdate {
    /// Its code is being made ready.
    InProgress(Reason),
    /// Invocations see it.
    Successful,
    /// Its code cannot be run.
    Failed(Reason),
}

/// Why a state is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One of AWS's codes, for instance `Creating`.
    pub code: String,
    /// For people.
    pub text: String,
}

/// Everything of a version that is in the file's JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) configuration: Configuration,
    pub(crate) layers: Vec<AttachedLayer>,
    pub(crate) code: Code,
    pub(crate) state: State,
    pub(crate) last_update: Option<LastUpdate>,
    pub(crate) revision_id: String,
    pub(crate) last_modified_ms: i64,
    pub(crate) published_description: Option<String>,
}

impl Version {
    /// Whose version it is.
    pub fn name(&self) -> &FunctionName {
        &self.arn.name
    }

    /// The function's own ARN, without a number.
    pub fn function_arn(&self) -> Arn {
        Arn { qualifier: None, ..self.arn.clone() }
    }

    /// `LastModified` as AWS prints it: `2025-01-01T00:00:00.000+0000`.
    pub fn last_modified_text(&self) -> String {
        timestamp_text(self.last_modified)
    }

    /// Every package it needs.
    pub fn packages(&self) -> impl Iterator<Item = CodeDigest> {
        self.code.package().into_iter().chain(self.layers.iter().map(|layer| layer.sha256))
    }

    /// Whether something is still to be said about its code.
    pub fn is_unsettled(&self) -> bool {
        matches!(self.state, State::Pending(_)) || matches!(self.last_update, Some(LastUpdate::InProgress(_)))
    }

    /// Whether running the other would be the same.
    pub(crate) fn has_content_of(&self, other: &Version) -> bool {
        self.code == other.code && self.layers == other.layers && self.configuration == other.configuration
    }
}

impl VersionNumber {
    /// As it is stored: 0 is `$LATEST`.
    pub(crate) fn to_stored(self) -> u64 {
        match self {
            VersionNumber::Latest => 0,
            VersionNumber::Published(number) => number,
        }
    }

    pub(crate) fn from_stored(number: u64) -> Self {
        match number {
            0 => VersionNumber::Latest,
            number => VersionNumber::Published(number),
        }
    }

    /// As it stands in ARNs.
    pub fn qualifier(self) -> Qualifier {
        match self {
            VersionNumber::Latest => Qualifier::Latest,
            VersionNumber::Published(number) => Qualifier::Version(number),
        }
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.qualifier().fmt(formatter)
    }
}

impl State {
    /// As AWS spells it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Pending(_) => "Pending",
            State::Active => "Active",
            State::Failed(_) => "Failed",
        }
    }

    /// Why, unless it is active.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            State::Pending(reason) | State::Failed(reason) => Some(reason),
            State::Active => None,
        }
    }
}

impl LastUpdate {
    /// As AWS spells it.
    pub fn name(&self) -> &'static str {
        match self {
            LastUpdate::InProgress(_) => "InProgress",
            LastUpdate::Successful => "Successful",
            LastUpdate::Failed(_) => "Failed",
        }
    }

    /// Why, unless it was successful.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            LastUpdate::InProgress(reason) | LastUpdate::Failed(reason) => Some(reason),
            LastUpdate::Successful => None,
        }
    }
}

impl Reason {
    /// What AWS says of new functions, and of updates in progress as well.
    pub(crate) fn creating() -> Self {
        Reason { code: "Creating".to_owned(), text: "The function is being created.".to_owned() }
    }
}
