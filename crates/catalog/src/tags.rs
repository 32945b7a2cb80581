//! Tags: labels of functions, at most fifty each.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use crate::refusal::Refusal;
use crate::rows::FunctionId;
use crate::store::{Result, Store};

const MAX_TAGS: usize = 50;

impl Store {
    /// Adds tags, or gives them other values.
    pub(crate) fn put_tags(
        &self,
        transaction: &Transaction<'_>,
        function: FunctionId,
        tags: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut statement =
            transaction.prepare_cached("INSERT OR REPLACE INTO function_tag VALUES (?1, ?2, ?3)")?;
        for (key, value) in tags {
            statement.execute(params![function, key, value])?;
        }
        let mut count =
            transaction.prepare_cached("SELECT count(*) FROM function_tag WHERE function = ?1")?;
        match count.query_row([function], |row| row.get::<_, usize>(0))? > MAX_TAGS {
            true => Err(Refusal::TooManyTags.into()),
            false => Ok(()),
        }
    }

    /// All tags of a function.
    pub(crate) fn read_tags(
        &self,
        connection: &Connection,
        function: FunctionId,
    ) -> Result<BTreeMap<String, String>> {
        let mut statement =
            connection.prepare_cached("SELECT key, value FROM function_tag WHERE function = ?1")?;
        let tags = statement.query_map([function], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(tags.collect::<Result<_, _>>()?)
    }
}
