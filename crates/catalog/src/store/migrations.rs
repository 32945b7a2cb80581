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
    include_str!("migrations/6_policy_revisions.sql"),
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

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::account::Account;
    use crate::paging::Paging;
    use crate::reference::FunctionReference;
    use crate::store::Store;

    /// A function as the first format has it.
    const RECORD: &str = r#"{
        "configuration": {"role": "r", "runtime": "python3.13", "handler": "h", "timeout_s": 7},
        "layers": [],
        "code": {"image": {"uri": "repo:1", "digest": null}},
        "state": "active",
        "last_update": "successful",
        "revision_id": "of the version",
        "last_modified_ms": 0,
        "published_description": null
    }"#;

    #[test]
    fn a_file_of_each_older_format_is_brought_up_to_date() {
        let account = || Account::new("eu-west-1", "111122223333");
        for taken in 0..=STEPS.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("catalog.sqlite");
            let file = Connection::open(&path).unwrap();
            for step in &STEPS[..taken] {
                file.execute_batch(step).unwrap();
            }
            file.pragma_update(None, "user_version", taken).unwrap();
            if taken > 0 {
                file.execute_batch("INSERT INTO function (name, fleeting) VALUES ('f', 0)").unwrap();
                let insert = "INSERT INTO version (function, number, code_size_bytes, unsettled, record)
                              VALUES (1, ?1, 0, 0, ?2)";
                file.execute(insert, params![0, RECORD]).unwrap();
                file.execute(insert, params![1, RECORD]).unwrap();
                let alias = "INSERT INTO alias VALUES (1, 'prod', 1, NULL, NULL, '', 'of the alias')";
                file.execute_batch(alias).unwrap();
            }
            let has_policies = (3..6).contains(&taken);
            if has_policies {
                let policies = "INSERT INTO policy_statement (function, qualifier, position, sid, statement)
                                VALUES (1, 'prod', 1, 's', '{}'), (1, '1', 1, 's', '{}'), (1, '$LATEST', 1, 's', '{}')";
                file.execute_batch(policies).unwrap();
            }
            drop(file);

            let store = Store::open(folder.path(), account()).unwrap();
            let named = |path| FunctionReference::parse(path, None, "eu-west-1", "111122223333").unwrap();
            for (path, revision_id) in
                [("f:prod", "of the alias"), ("f:1", "of the version"), ("f", "of the version")]
            {
                let revision = store.policy(&named(path)).ok().map(|policy| policy.revision_id);
                assert_eq!(
                    revision.as_deref(),
                    has_policies.then_some(revision_id),
                    "{path} from format {taken}"
                );
            }
            let reference = named("f:prod");
            let timeout_s = store.resolve(&reference).ok().map(|resolved| {
                assert_eq!(resolved.target.version.number.to_string(), "1");
                resolved.target.version.configuration.timeout_s
            });
            assert_eq!(timeout_s, (taken > 0).then_some(7), "from format {taken}");
            let functions = if taken > 0 { 1 } else { 0 };
            assert_eq!(store.account_usage().unwrap().functions, functions);
            store.list_event_source_mappings(&Default::default(), &Paging::default()).unwrap();
            drop(store);
            let file = Connection::open(&path).unwrap();
            let format: usize = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(format, STEPS.len());
        }
    }
}
