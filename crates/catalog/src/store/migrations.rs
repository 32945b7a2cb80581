//! The schema, as numbered steps; a file's `user_version` is the number of the last one taken.
//!
//! A step that has been released is never changed: what it got wrong is mended by the next one.

use rusqlite::Connection;

use super::open::OpenError;

/// In order; the first makes version 1.
pub(super) const STEPS: &[&str] = &[
    include_str!("migrations/1_functions.sql"),
    include_str!("migrations/2_layers.sql"),
    include_str!("migrations/3_attachments.sql"),
    include_str!("migrations/4_code_signing.sql"),
    include_str!("migrations/5_event_sources.sql"),
];

/// Takes the steps that a file has not taken yet, each wholly or not at all.
///
/// A file of a newer program is refused: what it means is not known here, and writing to it would harm it.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let taken: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if taken > STEPS.len() {
        return Err(OpenError::Newer { found: taken, known: STEPS.len() });
    }
    for (step, number) in STEPS.iter().zip(1..).skip(taken) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
