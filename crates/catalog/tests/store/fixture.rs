//! A store, in memory and on disk, and functions for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_catalog::{
    Account, CatalogError, Code, CodeDigest, CodeUpdate, Configuration, ConfigurationUpdate, FunctionName,
    FunctionReference, NewFunction, Refusal, Settlement, Store, Updated, Variables, Version,
};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function";

/// Runs a test against a store in memory and one on disk.
pub(crate) fn with_each_store(test: impl Fn(&Store)) {
    test(&in_memory());
    let folder = tempfile::tempdir().unwrap();
    test(&Store::open(folder.path(), account()).unwrap());
}

pub(crate) fn in_memory() -> Store {
    Store::in_memory(account()).unwrap()
}

pub(crate) fn account() -> Account {
    Account::new(REGION, ACCOUNT)
}

pub(crate) fn name(text: &str) -> FunctionName {
    text.parse().unwrap()
}

pub(crate) fn reference(path: &str) -> FunctionReference {
    FunctionReference::parse(path, None, REGION, ACCOUNT).unwrap()
}

pub(crate) fn digest(seed: u8) -> CodeDigest {
    CodeDigest([seed; 32])
}

pub(crate) fn package(seed: u8) -> Code {
    Code::Package { sha256: digest(seed), size_bytes: 100 }
}

pub(crate) fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::new(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into()))).unwrap()
}

pub(crate) fn new_function(function: &str, code: Code) -> NewFunction {
    NewFunction {
        name: name(function),
        configuration: Configuration {
            role: "arn:aws:iam::111122223333:role/r".into(),
            runtime: Some("python3.13".into()),
            handler: Some("app.handler".into()),
            ..Configuration::default()
        },
        layers: Vec::new(),
        code,
        tags: BTreeMap::new(),
        code_signing_config: None,
        publish: false,
    }
}

pub(crate) fn code_update(code: Code) -> CodeUpdate {
    CodeUpdate { code, architecture: None, publish: false, revision_id: None, dry_run: false }
}

pub(crate) const READY: Settlement = Settlement::Ready { image_digest: None };

/// A function whose code was found fit to run.
pub(crate) fn create(store: &Store, function: &str, seed: u8) -> Arc<Version> {
    let version = store.create_function(new_function(function, package(seed))).unwrap();
    store.settle(&version, &READY).unwrap().unwrap()
}

/// New code, found fit to run.
pub(crate) fn update_code(store: &Store, function: &str, seed: u8) -> Updated {
    let updated = store.update_code(&name(function), code_update(package(seed))).unwrap();
    store.settle(&updated.version, &READY).unwrap().unwrap();
    updated
}

/// New settings, found fit to run.
pub(crate) fn update_configuration(store: &Store, function: &str, update: ConfigurationUpdate) -> Updated {
    let updated = store.update_configuration(&name(function), update, None, None).unwrap();
    store.settle(&updated.version, &READY).unwrap().unwrap();
    updated
}

/// Publishes `$LATEST`, whatever it is.
pub(crate) fn publish(store: &Store, function: &str) -> Arc<Version> {
    store.publish_version(&name(function), &Default::default()).unwrap()
}

/// The refusal, of an operation that must be refused.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, CatalogError>) -> Refusal {
    match result.unwrap_err() {
        CatalogError::Refused(refusal) => refusal,
        CatalogError::Failed(failure) => panic!("{failure:?}"),
    }
}

/// The text of a refusal.
#[track_caller]
pub(crate) fn words<T: std::fmt::Debug>(result: Result<T, CatalogError>) -> String {
    refusal(result).to_string()
}
