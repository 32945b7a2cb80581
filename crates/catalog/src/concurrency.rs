//! Reserved and provisioned concurrency, and what they leave to everybody else.
//!
//! ```text
//!  account limit ─┬─ reserved by functions, each of which may provision a part of its own
//!                 ├─ provisioned by functions without a reservation
//!                 └─ unreserved: at least the account's minimum
//! ```

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::arn::Arn;
use crate::attachments::{place, qualifier};
use crate::name::{FunctionName, Qualifier};
use crate::paging::{Page, Paging};
use crate::reference::FunctionReference;
use crate::refusal::Refusal;
use crate::rows::FunctionId;
use crate::store::{Result, Store};
use crate::timestamps::{from_stored, now};

const PAGE: u32 = 50;

/// Environments that somebody wants to be kept ready. How many are, is told from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedConcurrency {
    /// The version or alias.
    pub arn: Arn,
    /// At least 1.
    pub requested: u32,
    /// When it was asked for.
    pub last_modified: Timestamp,
}

impl Store {
    /// Sets a function's share apart; 0 turns it off.
    pub fn put_reserved_concurrency(&self, name: &FunctionName, reserved: u32) -> Result<()> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, Some(&Qualifier::Latest))?;
            let provisioned = provisioned_sum(transaction, function, None)?;
            if provisioned > reserved {
                return Err(Refusal::ReservedBelowProvisioned { reserved, provisioned }.into());
            }
            let limits = self.account.limits;
            let others = claimed_by_others(transaction, function)?;
            let left = limits.concurrent_executions.saturating_sub(others).checked_sub(reserved);
            if left.is_none_or(|left| left < limits.unreserved_minimum) {
                return Err(Refusal::ReservedTooMuch { minimum: limits.unreserved_minimum }.into());
            }
            let update = "UPDATE function SET reserved_concurrency = ?2 WHERE id = ?1";
            transaction.prepare_cached(update)?.execute(params![function, reserved])?;
            Ok(())
        })
    }

    /// A function's share, if it has one.
    pub fn reserved_concurrency(&self, name: &FunctionName) -> Result<Option<u32>> {
        self.read(|connection| {
            let function = self.function_id(connection, name, None)?;
            read_reserved(connection, function)
        })
    }

    /// Gives a function's share back.
    pub fn delete_reserved_concurrency(&self, name: &FunctionName) -> Result<()> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let update = "UPDATE function SET reserved_concurrency = NULL WHERE id = ?1";
            transaction.prepare_cached(update)?.execute([function])?;
            Ok(())
        })
    }

    /// Asks for environments of a version or alias to be kept ready.
    pub fn put_provisioned_concurrency(
        &self,
        reference: &FunctionReference,
        requested: u32,
    ) -> Result<ProvisionedConcurrency> {
        let Some(asked) = published(reference) else { return Err(Refusal::ProvisionedLatest.into()) };
        if requested == 0 {
            return Err(Refusal::Constraint {
                member: "provisionedConcurrentExecutions",
                value: requested.to_string(),
                constraint: "Member must have value greater than or equal to 1".to_owned(),
            }
            .into());
        }
        self.write(&reference.name, |transaction| {
            let function = self.existing_place(transaction, reference)?;
            self.check_provisioned_once(transaction, function, &reference.name, asked)?;
            self.check_provisioned_fits(transaction, function, asked, requested)?;
            let last_modified = now();
            transaction
                .prepare_cached("INSERT OR REPLACE INTO provisioned_concurrency VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![function, asked.to_string(), requested, last_modified.as_millisecond()])?;
            let arn = self.account.function_arn(&reference.name, Some(asked));
            Ok(ProvisionedConcurrency { arn, requested, last_modified })
        })
    }

    /// What was asked for.
    pub fn provisioned_concurrency(&self, reference: &FunctionReference) -> Result<ProvisionedConcurrency> {
        let Some(asked) = published(reference) else { return Err(Refusal::NotPublished.into()) };
        self.read(|connection| {
            let function = self.existing_place(connection, reference)?;
            let select = "SELECT qualifier, requested, last_modified_ms FROM provisioned_concurrency
                          WHERE function = ?1 AND qualifier = ?2";
            let mut statement = connection.prepare_cached(select)?;
            let row = |row: &Row<'_>| self.provisioned_from_row(&reference.name, row);
            let found = statement.query_row(params![function, asked.to_string()], row).optional()?;
            Ok(found.ok_or(Refusal::ProvisionedConcurrencyConfigNotFound)?)
        })
    }

    /// Takes the wish back. There may have been none.
    pub fn delete_provisioned_concurrency(&self, reference: &FunctionReference) -> Result<()> {
        let Some(asked) = published(reference) else { return Err(Refusal::NotPublished.into()) };
        self.write(&reference.name, |transaction| {
            let function = self.existing_place(transaction, reference)?;
            let delete = "DELETE FROM provisioned_concurrency WHERE function = ?1 AND qualifier = ?2";
            transaction.prepare_cached(delete)?.execute(params![function, asked.to_string()])?;
            Ok(())
        })
    }

    /// All wishes for one function, by qualifier.
    pub fn list_provisioned_concurrency(
        &self,
        name: &FunctionName,
        paging: &Paging,
    ) -> Result<Page<ProvisionedConcurrency>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let function = self.function_id(connection, name, None)?;
            let mut statement = connection.prepare_cached(
                "SELECT qualifier, requested, last_modified_ms FROM provisioned_concurrency
                 WHERE function = ?1 AND qualifier > ?2 ORDER BY qualifier LIMIT ?3",
            )?;
            let rows = statement.query_map(params![function, after, paging.limit(PAGE)], |row| {
                self.provisioned_from_row(name, row)
            })?;
            let found = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(paging.page(PAGE, found, |config| place(config.arn.qualifier.as_ref())))
        })
    }

    /// All wishes of all functions: what a server has to make true when it starts.
    pub fn all_provisioned_concurrency(&self) -> Result<Vec<ProvisionedConcurrency>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT qualifier, requested, last_modified_ms, name FROM provisioned_concurrency
                 JOIN function ON function.id = function ORDER BY name, qualifier",
            )?;
            let rows = statement
                .query_map([], |row| self.provisioned_from_row(&FunctionName::stored(row.get(3)?), row))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What reservations and provisioned concurrency leave of the account's limit.
    pub(crate) fn unreserved(&self, connection: &Connection) -> Result<u32> {
        let claimed = claimed_by_others(connection, 0)?;
        Ok(self.account.limits.concurrent_executions.saturating_sub(claimed))
    }

    /// Environments of one version are kept ready for one reason: an alias, or the version itself.
    fn check_provisioned_once(
        &self,
        connection: &Connection,
        function: FunctionId,
        name: &FunctionName,
        asked: &Qualifier,
    ) -> Result<()> {
        match asked {
            Qualifier::Alias(alias) => {
                let version = self.existing_alias(connection, function, name, alias)?.version;
                match read_provisioned(connection, function, &version.qualifier())? {
                    Some(_) => Err(Refusal::VersionProvisioned.into()),
                    None => Ok(()),
                }
            }
            other => {
                let mut statement = connection.prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM provisioned_concurrency AS config
                     JOIN alias ON alias.function = config.function AND alias.name = config.qualifier
                     WHERE config.function = ?1 AND alias.number = CAST(?2 AS INTEGER))",
                )?;
                match statement.query_row(params![function, other.to_string()], |row| row.get(0))? {
                    true => Err(Refusal::AliasProvisioned.into()),
                    false => Ok(()),
                }
            }
        }
    }

    /// Within the function's reservation if it has one, else within what is unreserved.
    fn check_provisioned_fits(
        &self,
        connection: &Connection,
        function: FunctionId,
        asked: &Qualifier,
        requested: u32,
    ) -> Result<()> {
        let beside = provisioned_sum(connection, function, Some(asked))?;
        if let Some(reserved) = read_reserved(connection, function)? {
            return match beside.saturating_add(requested) > reserved {
                true => Err(Refusal::ProvisionedAboveReserved.into()),
                false => Ok(()),
            };
        }
        let limits = self.account.limits;
        let others = claimed_by_others(connection, function)?.saturating_add(beside);
        let unreserved = limits.concurrent_executions.saturating_sub(others);
        if requested > unreserved {
            return Err(Refusal::ProvisionedAboveUnreserved { unreserved }.into());
        }
        if unreserved - requested < limits.unreserved_minimum {
            return Err(Refusal::ProvisionedTooMuch { minimum: limits.unreserved_minimum }.into());
        }
        Ok(())
    }

    fn provisioned_from_row(
        &self,
        name: &FunctionName,
        row: &Row<'_>,
    ) -> rusqlite::Result<ProvisionedConcurrency> {
        let qualifier = qualifier(row.get_ref(0)?.as_str()?)?;
        Ok(ProvisionedConcurrency {
            arn: self.account.function_arn(name, Some(&qualifier)),
            requested: row.get(1)?,
            last_modified: from_stored(row.get(2)?),
        })
    }
}

/// The version or alias, unless it is `$LATEST` that is meant.
fn published(reference: &FunctionReference) -> Option<&Qualifier> {
    reference.qualifier.as_ref().filter(|qualifier| **qualifier != Qualifier::Latest)
}

/// How many environments are to be kept ready for a version or alias.
pub(crate) fn read_provisioned(
    connection: &Connection,
    function: FunctionId,
    qualifier: &Qualifier,
) -> Result<Option<u32>> {
    let select = "SELECT requested FROM provisioned_concurrency WHERE function = ?1 AND qualifier = ?2";
    let mut statement = connection.prepare_cached(select)?;
    Ok(statement.query_row(params![function, qualifier.to_string()], |row| row.get(0)).optional()?)
}

/// A function's share, if it has one.
pub(crate) fn read_reserved(connection: &Connection, function: FunctionId) -> Result<Option<u32>> {
    let select = "SELECT reserved_concurrency FROM function WHERE id = ?1";
    Ok(connection.prepare_cached(select)?.query_row([function], |row| row.get(0))?)
}

/// Of one function, leaving one qualifier out.
fn provisioned_sum(connection: &Connection, function: FunctionId, beside: Option<&Qualifier>) -> Result<u32> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(requested), 0) FROM provisioned_concurrency
         WHERE function = ?1 AND qualifier IS NOT ?2",
    )?;
    let beside = beside.map(Qualifier::to_string);
    Ok(statement.query_row(params![function, beside], |row| row.get(0))?)
}

/// Of all functions but one: reserved, or provisioned without a reservation.
fn claimed_by_others(connection: &Connection, function: FunctionId) -> Result<u32> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT sum(reserved_concurrency) FROM function
                          WHERE reserved_concurrency IS NOT NULL AND id <> ?1), 0)
              + coalesce((SELECT sum(requested) FROM provisioned_concurrency
                          JOIN function ON function.id = function
                          WHERE reserved_concurrency IS NULL AND function.id <> ?1), 0)",
    )?;
    Ok(statement.query_row([function], |row| row.get(0))?)
}
