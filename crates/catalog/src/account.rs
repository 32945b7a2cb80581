//! The account and region that functions pretend to live in, and its quotas.

use crate::arn::Arn;
use crate::name::{FunctionName, Qualifier};
use crate::store::{Result, Store};

/// AWS's defaults.
const CONCURRENT_EXECUTIONS: u32 = 1000;
const UNRESERVED_MINIMUM: u32 = 100;
const TOTAL_CODE_SIZE_BYTES: u64 = 75 << 30;

/// Whose functions they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// For instance `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub id: String,
    /// What it may have.
    pub limits: AccountLimits,
}

/// What an account may have in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Invocations at the same time, of all functions.
    pub concurrent_executions: u32,
    /// What reservations must leave to the functions without one.
    pub unreserved_minimum: u32,
    /// Packages of all versions and layers, a package counted as often as it is used.
    pub total_code_size_bytes: u64,
}

/// What an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountUsage {
    /// Functions, not counting versions.
    pub functions: u64,
    /// Packages of all versions and layers.
    pub code_size_bytes: u64,
    /// What reservations and provisioned concurrency leave of the limit.
    pub unreserved_concurrent_executions: u32,
}

impl Default for AccountLimits {
    fn default() -> Self {
        AccountLimits {
            concurrent_executions: CONCURRENT_EXECUTIONS,
            unreserved_minimum: UNRESERVED_MINIMUM,
            total_code_size_bytes: TOTAL_CODE_SIZE_BYTES,
        }
    }
}

impl Account {
    /// An account with AWS's default quotas. `id` is twelve digits.
    pub fn new(region: impl Into<String>, id: impl Into<String>) -> Self {
        Account { region: region.into(), id: id.into(), limits: AccountLimits::default() }
    }

    /// The ARN of something else than a function.
    pub(crate) fn arn(&self, kind: &str, id: &str) -> String {
        format!("arn:aws:lambda:{}:{}:{kind}:{id}", self.region, self.id)
    }

    /// The ARN of a function, or of a version or alias of it.
    pub fn function_arn(&self, name: &FunctionName, qualifier: Option<&Qualifier>) -> Arn {
        Arn {
            region: self.region.clone(),
            account: self.id.clone(),
            name: name.clone(),
            qualifier: qualifier.cloned(),
        }
    }
}

impl Store {
    /// What the account has now.
    pub fn account_usage(&self) -> Result<AccountUsage> {
        self.read(|connection| {
            let usage = "SELECT functions, code_size_bytes FROM usage";
            let (functions, code_size_bytes) =
                connection.prepare_cached(usage)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let unreserved_concurrent_executions = self.unreserved(connection)?;
            Ok(AccountUsage { functions, code_size_bytes, unreserved_concurrent_executions })
        })
    }
}
