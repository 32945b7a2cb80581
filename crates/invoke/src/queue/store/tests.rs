use uuid::Uuid;

use super::*;
use crate::queue::event::{Event, History};

fn task(lane: &str, number: u128) -> Task {
    let event = Event {
        request_id: Uuid::from_u128(number),
        function_arn: lane.into(),
        qualifier: Some("blue".into()),
        trace: Some("Root=1-a-b".into()),
        client_context: None,
        payload: Bytes::from(vec![b'x'; 100]),
    };
    Task::Run { event, history: History { accepted_ms: 1, attempts: 0, backoffs: 0 }, last_error: None }
}

fn add(lane: &str, due_ms: u64, number: u128) -> Change {
    Change::Add { due_ms, task: task(lane, number) }
}

fn count(store: &Store) -> i64 {
    store.connection().query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_was_added_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let mut store = Store::open(Some(&path)).unwrap();
    store.apply(&[add("a", 5, 1), add("a", 3, 2), add("b", 4, 3)]).unwrap();
    drop(store);
    let mut store = Store::open(Some(&path)).unwrap();
    let first = store.first(Stage::Run, "a", 9).unwrap();
    assert_eq!(first.iter().map(|(due_ms, _)| *due_ms).collect::<Vec<_>>(), [3, 5]);
    let (id, later) = (first[0].1, first[1].1);
    assert_eq!(store.read(id).unwrap(), Some(task("a", 2)));
    store
        .apply(&[Change::Postpone { id, due_ms: 9, task: task("a", 2) }, Change::Remove { id: later }])
        .unwrap();
    assert_eq!(store.first(Stage::Run, "a", 9).unwrap(), [(9, id)]);
    assert_eq!(store.read(id).unwrap(), Some(task("a", 2)), "a task that is due again has its payload still");
    let summary = |lane: &str, due_ms| LaneSummary { stage: Stage::Run, lane: lane.into(), tasks: 1, due_ms };
    assert_eq!(store.lanes().unwrap(), [summary("a", 9), summary("b", 4)]);
}

#[test]
fn every_commit_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(&folder.path().join("queue.sqlite"))).unwrap();
    let pragma = |name: &str| -> String {
        store
            .connection()
            .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2", "FULL");
    assert_eq!(pragma("auto_vacuum"), "2", "INCREMENTAL");
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let store = Store::open(Some(&path)).unwrap();
    store.connection().pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    for _ in 0..2 {
        let error = Store::open(Some(&path)).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 99, known: 1, .. }), "{error}");
    }
}

#[test]
fn a_second_server_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let store = Store::open(Some(&path)).unwrap();
    let second = Connection::open(&path).unwrap();
    second.busy_timeout(Duration::ZERO).unwrap();
    let error = second.query_row("SELECT count(*) FROM tasks", [], |row| row.get::<_, i64>(0)).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    drop(store);
    Store::open(Some(&path)).unwrap();
}

#[test]
fn what_is_no_database_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let text = "not a database, but someone's notes\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open(Some(&path)), Err(OpenError::Storage { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

/// The log cut at every page and in the midst of pages, as a power cut may leave it: of each batch all is there or
/// nothing, and the batches that are there are the first ones.
#[test]
fn a_batch_is_there_as_a_whole_or_not_at_all() {
    const BATCHES: i64 = 4;
    const BATCH: i64 = 16;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let log = folder.path().join("queue.sqlite-wal");
    let mut store = Store::open(Some(&path)).unwrap();
    for batch in 0..BATCHES {
        let changes: Vec<Change> =
            (0..BATCH).map(|number| add(&batch.to_string(), 1, u128::try_from(number).unwrap())).collect();
        store.apply(&changes).unwrap();
    }
    let database = std::fs::read(&path).unwrap();
    let whole = std::fs::read(&log).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for length in (0..=whole.len()).step_by(1000).chain([whole.len()]) {
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join("queue.sqlite");
        std::fs::write(&path, &database).unwrap();
        std::fs::write(copy.path().join("queue.sqlite-wal"), &whole[..length]).unwrap();
        let store = Store::open(Some(&path)).unwrap();
        let count = count(&store);
        assert_eq!(count % BATCH, 0, "a part of a batch, with {length} bytes of the log");
        let lanes = store.lanes().unwrap();
        assert!(lanes.iter().enumerate().all(|(batch, lane)| lane.lane == batch.to_string()), "{lanes:?}");
        seen.insert(count);
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        (0..=BATCHES).map(|batch| batch * BATCH).collect::<Vec<_>>()
    );
}

#[test]
fn a_file_shrinks_when_most_of_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let mut store = Store::open(Some(&path)).unwrap();
    let big = |number| match task("a", number) {
        Task::Run { event, history, last_error } => {
            let event = Event { payload: Bytes::from(vec![0; 1024 * 1024]), ..event };
            Change::Add { due_ms: 1, task: Task::Run { event, history, last_error } }
        }
        Task::Deliver(_) => unreachable!(),
    };
    store.apply(&(0..20).map(big).collect::<Vec<_>>()).unwrap();
    let removals: Vec<Change> =
        store.first(Stage::Run, "a", 20).unwrap().into_iter().map(|(_, id)| Change::Remove { id }).collect();
    store.apply(&removals).unwrap();
    let pages = |store: &Store| -> i64 {
        store
            .connection()
            .query_row("SELECT page_count FROM pragma_page_count", [], |row| row.get(0))
            .unwrap()
    };
    let before = pages(&store);
    assert!(before > 5000, "{before}");
    for _ in 0..10 {
        store.give_back().unwrap();
    }
    let after = pages(&store);
    assert!(after < 2100, "{after}");
}
