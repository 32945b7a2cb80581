//! What becomes of a function that invokes itself over and over by way of other services.

use rusqlite::{Connection, params};

use crate::name::FunctionName;
use crate::rows::FunctionId;
use crate::store::{Result, Store};

/// Per function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecursiveLoop {
    /// Stopped after some 16 rounds.
    #[default]
    Terminate,
    /// Left alone.
    Allow,
}

impl Store {
    /// What was chosen, or the default.
    pub fn recursive_loop(&self, name: &FunctionName) -> Result<RecursiveLoop> {
        self.read(|connection| read_recursive_loop(connection, self.function_id(connection, name, None)?))
    }

    /// Chooses.
    pub fn put_recursive_loop(&self, name: &FunctionName, chosen: RecursiveLoop) -> Result<()> {
        self.write(name, |transaction| {
            let function = self.function_id(transaction, name, None)?;
            let update = "UPDATE function SET recursive_loop_allowed = ?2 WHERE id = ?1";
            transaction.prepare_cached(update)?.execute(params![function, chosen == RecursiveLoop::Allow])?;
            Ok(())
        })
    }
}

pub(crate) fn read_recursive_loop(connection: &Connection, function: FunctionId) -> Result<RecursiveLoop> {
    let select = "SELECT recursive_loop_allowed FROM function WHERE id = ?1";
    let allowed: bool = connection.prepare_cached(select)?.query_row([function], |row| row.get(0))?;
    Ok(if allowed { RecursiveLoop::Allow } else { RecursiveLoop::Terminate })
}
