//! `arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]`, the full name of a function.

use std::fmt;

use crate::name::{FunctionName, Qualifier};

/// The full name of a function, or of one version of it.
///
/// Built from checked parts and printed; texts that callers send are read by
/// [`FunctionReference::parse`](crate::FunctionReference::parse), which also knows the shorter
/// spellings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    /// For instance `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The function.
    pub name: FunctionName,
    /// Absent in the unqualified ARN, which AWS prints for settings; invokes show what was asked for.
    pub qualifier: Option<Qualifier>,
}

impl fmt::Display for Arn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { region, account, name, qualifier } = self;
        write!(formatter, "arn:aws:lambda:{region}:{account}:function:{name}")?;
        match qualifier {
            Some(qualifier) => write!(formatter, ":{qualifier}"),
            None => Ok(()),
        }
    }
}
