//! A server that is killed in the midst of writing: what was acknowledged is there, the rest wholly or not
//! at all.
//!
//! The test runs itself once more as the writer, which tells each step that the store has acknowledged, and
//! kills it after a number of them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use firesteel_catalog::{
    Account, AliasUpdate, Code, CodeDigest, CodeUpdate, Configuration, FunctionName, FunctionReference,
    NewAlias, NewFunction, Paging, Publication, Settlement, Store, Variables, VersionNumber,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// Says that this is the writer, and where it writes.
const WRITER: &str = "FIRESTEEL_CATALOG_WRITER";
const READY: Settlement = Settlement::Ready { image_digest: None };

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(WRITER) {
        write(&open(Path::new(&folder)));
        return ExitCode::SUCCESS;
    }
    let trial = Trial::test("what_was_acknowledged_survives_any_kill", survive);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn survive() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut acknowledged = 0;
    for round in 0..12 {
        let mut writer = Command::new(std::env::current_exe()?)
            .env(WRITER, folder.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(writer.stdout.take().expect("it was asked for")).lines();
        // None in the first round: killed in the midst of making the file, or thereabouts.
        for _ in 0..round * 2 {
            acknowledged = lines.next().ok_or("the writer ended by itself")??.parse()?;
        }
        writer.kill()?;
        writer.wait()?;
        // What it said between the last line read and its end.
        for line in lines {
            acknowledged = line?.parse()?;
        }
        check(folder.path(), acknowledged)?;
    }
    match acknowledged {
        0 => Err("nothing was ever acknowledged".into()),
        _ => Ok(()),
    }
}

/// Step n: package n becomes `$LATEST`, version n and what the alias points to, each in a write of its own.
/// Goes on wherever the one before was killed.
fn write(store: &Store) {
    if store.function(&reference(None)).is_err() {
        let created = store.create_function(new_function()).expect("the function is new");
        store.settle(&created, &READY).expect("the store can be written to");
    }
    for version in store.unsettled().expect("the store can be read") {
        store.settle(&version, &READY).expect("the store can be written to");
    }
    let alias = store.alias(&name(), "prod").map(|alias| alias.version).ok();
    let first = alias.map_or(1, |version| number(version) + 1);
    for step in first.. {
        let update = CodeUpdate {
            code: package(step),
            architecture: None,
            publish: false,
            revision_id: None,
            dry_run: false,
        };
        let updated = store.update_code(&name(), update).expect("nothing is in progress");
        store.settle(&updated.version, &READY).expect("the store can be written to");
        let version = store.publish_version(&name(), &Publication::default()).expect("settled").number;
        let new = NewAlias { name: "prod".into(), version, weights: Vec::new(), description: String::new() };
        let update = AliasUpdate { version: Some(version), ..AliasUpdate::default() };
        store
            .update_alias(&name(), "prod", update)
            .or_else(|_| store.create_alias(&name(), &new))
            .expect("the version is there");
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{step}").and_then(|()| stdout.flush()).expect("the test listens");
    }
}

fn check(folder: &Path, acknowledged: u64) -> Result<(), Failed> {
    let file = rusqlite::Connection::open(folder.join("catalog.sqlite"))?;
    let verdict: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(verdict, "ok");
    let broken: usize =
        file.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
    assert_eq!(broken, 0);
    drop(file);

    let store = open(folder);
    let Ok(latest) = store.function(&reference(None)) else {
        assert_eq!(acknowledged, 0);
        return Ok(());
    };
    let variables = latest.version.configuration.variables.as_ref();
    assert_eq!(variables.and_then(|variables| variables.get("TOKEN")), Some("secret"));
    let mut numbers = Vec::new();
    let mut paging = Paging::default();
    loop {
        let page = store.list_versions(&name(), &paging)?;
        for version in page.items {
            let expected = match version.number {
                VersionNumber::Latest => None,
                VersionNumber::Published(number) => Some(package(number)),
            };
            assert!(expected.is_none_or(|package| package == version.code), "{version:?}");
            numbers.push(number(version.number));
        }
        paging.marker = page.next_marker;
        if paging.marker.is_none() {
            break;
        }
    }
    let published = u64::try_from(numbers.len())? - 1;
    assert_eq!(numbers, (0..=published).collect::<Vec<_>>(), "numbers follow each other");
    let pointed = store.alias(&name(), "prod").map_or(0, |alias| number(alias.version));
    let coded = (acknowledged..=acknowledged + 1).find(|step| latest.version.code == package(*step));
    assert!(acknowledged <= pointed && pointed <= published, "{acknowledged} {pointed} {published}");
    assert!(coded.is_some_and(|coded| published <= coded), "{published} {:?}", latest.version.code);
    let sizes = (1..=published).map(size_bytes).sum::<u64>() + latest.version.code.size_bytes();
    assert_eq!(store.account_usage()?.code_size_bytes, sizes, "what triggers counted");
    Ok(())
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Account::new("eu-west-1", "111122223333")).expect("the folder can be used")
}

fn name() -> FunctionName {
    "f".parse().expect("a name")
}

fn reference(qualifier: Option<firesteel_catalog::Qualifier>) -> FunctionReference {
    FunctionReference { name: name(), qualifier }
}

fn number(version: VersionNumber) -> u64 {
    match version {
        VersionNumber::Latest => 0,
        VersionNumber::Published(number) => number,
    }
}

fn size_bytes(step: u64) -> u64 {
    100 + step
}

fn package(step: u64) -> Code {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&step.to_be_bytes());
    Code::Package { sha256: CodeDigest(digest), size_bytes: size_bytes(step) }
}

fn new_function() -> NewFunction {
    let variables = Variables::new([("TOKEN".to_owned(), "secret".to_owned())]).expect("allowed");
    NewFunction {
        name: name(),
        configuration: Configuration {
            runtime: Some("python3.13".into()),
            handler: Some("app.handler".into()),
            variables: Some(variables),
            ..Configuration::default()
        },
        layers: Vec::new(),
        code: package(0),
        tags: std::collections::BTreeMap::new(),
        code_signing_config: None,
        publish: false,
    }
}
