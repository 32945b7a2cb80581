//! Aliases: names that point to a version, or share invocations between two.

use rusqlite::{Connection, Row, Transaction, params};

use crate::arn::Arn;
use crate::functions::revision_id;
use crate::name::{FunctionName, Qualifier};
use crate::paging::{Page, Paging};
use crate::refusal::{Refusal, RevisionOf};
use crate::rows::{FunctionId, find_function};
use crate::store::{Result, Store};
use crate::version::VersionNumber;

const PAGE: u32 = 50;
const COLUMNS: &str = "name, number, additional_number, additional_weight, description, revision_id";

/// A name for a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// Its ARN.
    pub arn: Arn,
    /// Never all digits.
    pub name: String,
    /// What it points to.
    pub version: VersionNumber,
    /// A second version, which gets a part of the invocations.
    pub additional: Option<Weighted>,
    /// For people.
    pub description: String,
    /// Another one after each write.
    pub revision_id: String,
}

/// A published version and its part of an alias's invocations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// Published.
    pub number: u64,
    /// 0 to 1.
    pub weight: f64,
}

/// An alias to be made.
#[derive(Clone, Debug)]
pub struct NewAlias {
    /// Not all digits.
    pub name: String,
    /// What it points to.
    pub version: VersionNumber,
    /// At most one.
    pub weights: Vec<Weighted>,
    /// For people.
    pub description: String,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default)]
pub struct AliasUpdate {
    /// What it points to.
    pub version: Option<VersionNumber>,
    /// Empty ends the sharing.
    pub weights: Option<Vec<Weighted>>,
    /// For people.
    pub description: Option<String>,
    /// The revision that the caller has seen.
    pub revision_id: Option<String>,
}

impl Store {
    /// Makes an alias of a version that is there.
    pub fn create_alias(&self, function_name: &FunctionName, new: &NewAlias) -> Result<Alias> {
        self.write(function_name, |transaction| {
            let function = self.function_of_version(transaction, function_name, new.version)?;
            let arn = self.alias_arn(function_name, &new.name);
            if self.find_alias(transaction, function, function_name, &new.name)?.is_some() {
                return Err(Refusal::AliasExists { arn }.into());
            }
            let alias = Alias {
                arn,
                name: new.name.clone(),
                version: new.version,
                additional: additional(new.version, &new.weights)?,
                description: new.description.clone(),
                revision_id: revision_id(),
            };
            self.forget_url_of_alias(transaction, function, &alias.name)?;
            self.put_alias(transaction, function, function_name, &alias)?;
            Ok(alias)
        })
    }

    /// One alias.
    pub fn alias(&self, function_name: &FunctionName, name: &str) -> Result<Alias> {
        self.read(|connection| {
            let function = self.function_of_alias(connection, function_name, name)?;
            self.existing_alias(connection, function, function_name, name)
        })
    }

    /// Changes what it points to, its weights or its description.
    pub fn update_alias(
        &self,
        function_name: &FunctionName,
        name: &str,
        update: AliasUpdate,
    ) -> Result<Alias> {
        self.write(function_name, |transaction| {
            let function = self.function_of_alias(transaction, function_name, name)?;
            let alias = self.find_alias(transaction, function, function_name, name)?;
            let missing = || Refusal::UpdatedAliasNotFound { arn: self.alias_arn(function_name, name) };
            let mut alias = alias.ok_or_else(missing)?;
            RevisionOf::Function.expect(update.revision_id.as_deref(), &alias.revision_id)?;
            alias.version = update.version.unwrap_or(alias.version);
            let weights = update.weights.unwrap_or_else(|| alias.additional.into_iter().collect());
            alias.additional = additional(alias.version, &weights)?;
            alias.description = update.description.unwrap_or(alias.description);
            alias.revision_id = revision_id();
            self.put_alias(transaction, function, function_name, &alias)?;
            Ok(alias)
        })
    }

    /// Deletes an alias with what is attached to it. One that is not there is no mistake, as on AWS.
    pub fn delete_alias(&self, function_name: &FunctionName, name: &str) -> Result<()> {
        self.write(function_name, |transaction| {
            let function = self.function_of_alias(transaction, function_name, name)?;
            let delete = "DELETE FROM alias WHERE function = ?1 AND name = ?2";
            transaction.prepare_cached(delete)?.execute(params![function, name])?;
            Ok(())
        })
    }

    /// By name; with `version`, those that point to it.
    pub fn list_aliases(
        &self,
        function_name: &FunctionName,
        version: Option<VersionNumber>,
        paging: &Paging,
    ) -> Result<Page<Alias>> {
        let after: String = paging.after()?.unwrap_or_default();
        self.read(|connection| {
            let function = self.function_id(connection, function_name, None)?;
            let select = format!(
                "SELECT {COLUMNS} FROM alias
                 WHERE function = ?1 AND name > ?2 AND (?3 IS NULL OR number = ?3 OR additional_number = ?3)
                 ORDER BY name LIMIT ?4"
            );
            let mut statement = connection.prepare_cached(&select)?;
            let number = version.map(VersionNumber::to_stored);
            let aliases = statement
                .query_map(params![function, after, number, paging.limit(PAGE)], |row| {
                    self.alias_from_row(function_name, row)
                })?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(paging.page(PAGE, aliases, |alias| alias.name.clone()))
        })
    }

    pub(crate) fn find_alias(
        &self,
        connection: &Connection,
        function: FunctionId,
        function_name: &FunctionName,
        name: &str,
    ) -> Result<Option<Alias>> {
        let select = format!("SELECT {COLUMNS} FROM alias WHERE function = ?1 AND name = ?2");
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query(params![function, name])?;
        let alias = rows.next()?.map(|row| self.alias_from_row(function_name, row)).transpose()?;
        Ok(alias)
    }

    pub(crate) fn existing_alias(
        &self,
        connection: &Connection,
        function: FunctionId,
        function_name: &FunctionName,
        name: &str,
    ) -> Result<Alias> {
        let alias = self.find_alias(connection, function, function_name, name)?;
        Ok(alias.ok_or_else(|| Refusal::AliasNotFound { arn: self.alias_arn(function_name, name) })?)
    }

    /// Calls about an alias do not tell a missing function from a missing alias.
    fn function_of_alias(
        &self,
        connection: &Connection,
        function_name: &FunctionName,
        name: &str,
    ) -> Result<FunctionId> {
        let function = find_function(connection, function_name)?;
        Ok(function.ok_or_else(|| Refusal::AliasNotFound { arn: self.alias_arn(function_name, name) })?)
    }

    fn function_of_version(
        &self,
        connection: &Connection,
        function_name: &FunctionName,
        version: VersionNumber,
    ) -> Result<FunctionId> {
        self.function_id(connection, function_name, Some(&version.qualifier()))
    }

    pub(crate) fn alias_arn(&self, function_name: &FunctionName, name: &str) -> Arn {
        self.account.function_arn(function_name, Some(&Qualifier::Alias(name.to_owned())))
    }

    /// Both versions must be there.
    fn put_alias(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        function_name: &FunctionName,
        alias: &Alias,
    ) -> Result<()> {
        let additional = alias.additional.map(|weighted| VersionNumber::Published(weighted.number));
        for number in [alias.version].into_iter().chain(additional) {
            let exists = "SELECT EXISTS (SELECT 1 FROM version WHERE function = ?1 AND number = ?2)";
            let mut statement = transaction.prepare_cached(exists)?;
            if !statement.query_row(params![function, number.to_stored()], |row| row.get::<_, bool>(0))? {
                let arn = self.account.function_arn(function_name, Some(&number.qualifier()));
                return Err(Refusal::FunctionNotFound { arn }.into());
            }
        }
        transaction
            .prepare_cached(
                "INSERT INTO alias
                     (function, name, number, additional_number, additional_weight, description, revision_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (function, name) DO UPDATE SET
                     number = excluded.number,
                     additional_number = excluded.additional_number,
                     additional_weight = excluded.additional_weight,
                     description = excluded.description,
                     revision_id = excluded.revision_id",
            )?
            .execute(params![
                function,
                alias.name,
                alias.version.to_stored(),
                alias.additional.map(|weighted| weighted.number),
                alias.additional.map(|weighted| weighted.weight),
                alias.description,
                alias.revision_id,
            ])?;
        Ok(())
    }

    fn alias_from_row(&self, function_name: &FunctionName, row: &Row<'_>) -> rusqlite::Result<Alias> {
        let name: String = row.get(0)?;
        let additional = match (row.get(2)?, row.get(3)?) {
            (Some(number), Some(weight)) => Some(Weighted { number, weight }),
            _ => None,
        };
        Ok(Alias {
            arn: self.alias_arn(function_name, &name),
            name,
            version: VersionNumber::from_stored(row.get(1)?),
            additional,
            description: row.get(4)?,
            revision_id: row.get(5)?,
        })
    }
}

/// AWS's rules for routing.
fn additional(version: VersionNumber, weights: &[Weighted]) -> Result<Option<Weighted>, Refusal> {
    let weighted = match weights {
        [] => return Ok(None),
        [weighted] => *weighted,
        _ => return Err(Refusal::TooManyWeights),
    };
    if !(0.0..=1.0).contains(&weighted.weight) {
        let Weighted { number, weight } = weighted;
        return Err(Refusal::Constraint {
            member: "routingConfig.additionalVersionWeights",
            value: format!("{{{number}={weight:?}}}"),
            constraint:
                "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, \
                         Member must have value greater than or equal to 0.0, Member must not be null]"
                    .to_owned(),
        });
    }
    match version {
        VersionNumber::Latest => Err(Refusal::LatestWeighted),
        VersionNumber::Published(number) if number == weighted.number => {
            Err(Refusal::SameVersionWeighted { number })
        }
        VersionNumber::Published(_) => Ok(Some(weighted)),
    }
}
