//! Opening a folder: whose it is, with which key, and what was left by a crash.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use firesteel_catalog::{ConfigurationUpdate, OpenError, Store};

use crate::fixture::*;

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), account()).unwrap();
    let refused = Store::open(folder.path(), account()).unwrap_err();
    let owner = format!("is in use by process {}", std::process::id());
    assert!(refused.to_string().ends_with(&owner), "{refused}");
    drop(store);
    Store::open(folder.path(), account()).unwrap();
}

#[test]
fn variables_are_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), account()).unwrap();
    let mut new = new_function("f", package(1));
    new.configuration.variables = Some(variables(&[("TOKEN", "geheimgeheim")]));
    let created = store.create_function(new).unwrap();
    assert!(!format!("{created:?}").contains("geheimgeheim"));
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"geheimgeheim"), "{}", path.display());
    }
    drop(store);
    let store = Store::open(folder.path(), account()).unwrap();
    let found = store.function(&reference("f")).unwrap().version;
    assert_eq!(found.configuration.variables.as_ref().unwrap().get("TOKEN"), Some("geheimgeheim"));
}

#[test]
fn the_key_must_be_there_private_and_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("catalog.key");
    let open = || Store::open(folder.path(), account());
    drop(open().unwrap());
    fs::remove_file(&key).unwrap();
    let store = open().expect("nothing was sealed with the lost key");
    create(&store, "f", 1);
    let update = ConfigurationUpdate {
        variables: Some(variables(&[("TOKEN", "x")])),
        ..ConfigurationUpdate::default()
    };
    update_configuration(&store, "f", update);
    drop(store);
    let kept = fs::read(&key).unwrap();

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open().unwrap_err(), OpenError::KeyExposed { .. }));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, [7; 32]).unwrap();
    assert!(matches!(open().unwrap_err(), OpenError::KeyDiffers { .. }));
    fs::remove_file(&key).unwrap();
    assert!(matches!(open().unwrap_err(), OpenError::KeyMissing { .. }));
    assert!(!key.exists(), "no new key is made over what was sealed with another");
    fs::write(&key, kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    open().unwrap();
}

#[test]
fn a_file_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), account()).unwrap());
    let path = folder.path().join("catalog.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 1000).unwrap();
    drop(file);
    let refused = Store::open(folder.path(), account()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 1000, .. }), "{refused}");
    assert!(refused.to_string().starts_with("the catalog has format 1000, this program knows formats up to"));
}

#[test]
fn a_closed_catalog_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), account()).unwrap();
    create(&store, "f", 1);
    store.function(&reference("f")).unwrap();
    assert!(folder.path().join("catalog.sqlite-wal").exists());
    drop(store);
    assert!(!folder.path().join("catalog.sqlite-wal").exists(), "the log is in the file");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Store::open(&file.path().join("data"), account()).unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
}
