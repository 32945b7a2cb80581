//! Random lives of functions, versions and aliases, beside a bookkeeper that is nothing but maps.

use std::collections::{BTreeMap, BTreeSet};

use firesteel_catalog::{
    AliasUpdate, CatalogError, CodeDigest, ConfigurationUpdate, Listed, NewAlias, Paging, RefusalKind, Store,
    VersionNumber, Weighted,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::fixture::*;

const FUNCTIONS: [&str; 2] = ["f", "g"];
const ALIASES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Operation {
    Create { seed: u8, publish: bool },
    UpdateCode { seed: u8, publish: bool },
    UpdateTimeout { timeout_s: u32 },
    Settle,
    Publish,
    DeleteVersion { number: u64 },
    CreateAlias { alias: usize, number: u64, additional: Option<u64> },
    UpdateAlias { alias: usize, number: u64, additional: Option<u64> },
    DeleteAlias { alias: usize },
    DeleteFunction,
}

/// What a version is made of.
type Content = (u8, u32);

/// What an alias points to.
type Pointers = (u64, Option<u64>);

#[derive(Clone, Debug)]
struct Function {
    latest: Content,
    unsettled: bool,
    versions: BTreeMap<u64, Content>,
    aliases: BTreeMap<&'static str, Pointers>,
}

#[derive(Clone, Debug, Default)]
struct Bookkeeper {
    functions: BTreeMap<&'static str, Function>,
    last_numbers: BTreeMap<&'static str, u64>,
}

impl Bookkeeper {
    fn apply(&mut self, function: &'static str, operation: &Operation) -> Result<(), RefusalKind> {
        use RefusalKind::{ResourceConflict, ResourceNotFound};
        if let Operation::Create { seed, publish } = operation {
            if self.functions.contains_key(function) {
                return Err(ResourceConflict);
            }
            let new = Function {
                latest: (*seed, 3),
                unsettled: true,
                versions: BTreeMap::new(),
                aliases: BTreeMap::new(),
            };
            self.functions.insert(function, new);
            if *publish {
                self.publish(function);
            }
            return Ok(());
        }
        let known = self.functions.get_mut(function).ok_or(ResourceNotFound)?;
        match operation {
            Operation::Create { .. } => unreachable!("done above"),
            Operation::UpdateCode { .. } | Operation::UpdateTimeout { .. } | Operation::Publish
                if known.unsettled =>
            {
                return Err(ResourceConflict);
            }
            Operation::UpdateCode { seed, publish } => {
                (known.latest.0, known.unsettled) = (*seed, true);
                if *publish {
                    self.publish(function);
                }
            }
            Operation::UpdateTimeout { timeout_s } => {
                (known.latest.1, known.unsettled) = (*timeout_s, true);
            }
            Operation::Settle => known.unsettled = false,
            Operation::Publish => self.publish(function),
            Operation::DeleteVersion { number } => {
                if known.aliases.values().any(|(one, two)| one == number || *two == Some(*number)) {
                    return Err(ResourceConflict);
                }
                known.versions.remove(number);
            }
            Operation::CreateAlias { alias, number, additional } => {
                let alias = ALIASES[*alias];
                if known.aliases.contains_key(alias) {
                    return Err(ResourceConflict);
                }
                known.check_pointers(*number, *additional)?;
                known.aliases.insert(alias, (*number, *additional));
            }
            Operation::UpdateAlias { alias, number, additional } => {
                let alias = ALIASES[*alias];
                if !known.aliases.contains_key(alias) {
                    return Err(ResourceNotFound);
                }
                known.check_pointers(*number, *additional)?;
                known.aliases.insert(alias, (*number, *additional));
            }
            Operation::DeleteAlias { alias } => {
                known.aliases.remove(ALIASES[*alias]);
            }
            Operation::DeleteFunction => {
                self.functions.remove(function);
            }
        }
        Ok(())
    }

    fn publish(&mut self, function: &'static str) {
        let last = self.last_numbers.entry(function).or_default();
        let Some(known) = self.functions.get_mut(function) else { return };
        if known.versions.get(last) != Some(&known.latest) {
            *last += 1;
            known.versions.insert(*last, known.latest);
        }
    }

    fn packages(&self) -> BTreeSet<CodeDigest> {
        let contents = self
            .functions
            .values()
            .flat_map(|function| function.versions.values().copied().chain([function.latest]));
        contents.map(|(seed, _)| digest(seed)).collect()
    }
}

impl Function {
    fn check_pointers(&self, number: u64, additional: Option<u64>) -> Result<(), RefusalKind> {
        if additional == Some(number) {
            return Err(RefusalKind::InvalidParameterValue);
        }
        match [Some(number), additional].into_iter().flatten().all(|one| self.versions.contains_key(&one)) {
            true => Ok(()),
            false => Err(RefusalKind::ResourceNotFound),
        }
    }
}

/// Does it to the store; a refusal is told by its kind.
fn perform(store: &Store, function: &str, operation: &Operation) -> Result<(), RefusalKind> {
    let name = name(function);
    let weights = |additional: &Option<u64>| {
        additional.iter().map(|number| Weighted { number: *number, weight: 0.5 }).collect::<Vec<_>>()
    };
    let result = match operation {
        Operation::Create { seed, publish } => {
            let mut new = new_function(function, package(*seed));
            new.publish = *publish;
            store.create_function(new).map(drop)
        }
        Operation::UpdateCode { seed, publish } => {
            let mut update = code_update(package(*seed));
            update.publish = *publish;
            store.update_code(&name, update).map(drop)
        }
        Operation::UpdateTimeout { timeout_s } => {
            let update =
                ConfigurationUpdate { timeout_s: Some(*timeout_s), ..ConfigurationUpdate::default() };
            store.update_configuration(&name, update, None, None).map(drop)
        }
        Operation::Settle => store.function(&reference(function)).and_then(|_| {
            for version in store.unsettled()?.iter().filter(|version| *version.name() == name) {
                store.settle(version, &READY)?;
            }
            Ok(())
        }),
        Operation::Publish => store.publish_version(&name, &Default::default()).map(drop),
        Operation::DeleteVersion { number } => {
            store.delete_version(&name, VersionNumber::Published(*number)).map(drop)
        }
        Operation::CreateAlias { alias, number, additional } => {
            let new = NewAlias {
                name: ALIASES[*alias].into(),
                version: VersionNumber::Published(*number),
                weights: weights(additional),
                description: String::new(),
            };
            store.create_alias(&name, &new).map(drop)
        }
        Operation::UpdateAlias { alias, number, additional } => {
            let update = AliasUpdate {
                version: Some(VersionNumber::Published(*number)),
                weights: Some(weights(additional)),
                ..AliasUpdate::default()
            };
            store.update_alias(&name, ALIASES[*alias], update).map(drop)
        }
        Operation::DeleteAlias { alias } => store.delete_alias(&name, ALIASES[*alias]),
        Operation::DeleteFunction => store.delete_function(&name).map(drop),
    };
    result.map_err(|error| match error {
        CatalogError::Refused(refusal) => refusal.kind(),
        CatalogError::Failed(failure) => panic!("{failure:?}"),
    })
}

/// Everything that can be seen of both is the same.
fn compare(store: &Store, books: &Bookkeeper) -> Result<(), TestCaseError> {
    let content = |version: &firesteel_catalog::Version| {
        let seed = version.code.package().unwrap().0[0];
        (seed, version.configuration.timeout_s)
    };
    let listed = store.list_functions(Listed::AllVersions, &Paging::default()).unwrap().items;
    let listed: Vec<_> =
        listed.iter().map(|version| (version.name().to_string(), version.number, content(version))).collect();
    let expected: Vec<_> = books
        .functions
        .iter()
        .flat_map(|(function, known)| {
            let versions = known.versions.iter().map(|(number, content)| (*number, *content));
            let latest = [(VersionNumber::Latest, known.latest)];
            let published = versions.map(|(number, content)| (VersionNumber::Published(number), content));
            let all: Vec<_> = latest.into_iter().chain(published).collect();
            all.into_iter().map(|(number, content)| ((*function).to_owned(), number, content))
        })
        .collect();
    prop_assert_eq!(listed, expected);
    prop_assert_eq!(store.referenced_code().unwrap().into_iter().collect::<BTreeSet<_>>(), books.packages());

    for function in FUNCTIONS {
        let known = books.functions.get(function);
        for alias in ALIASES {
            let resolved = store.resolve(&reference(&format!("{function}:{alias}"))).ok();
            let seen = resolved.map(|resolved| {
                let alternative = resolved.alternative.as_ref();
                (
                    content(&resolved.target.version),
                    alternative.map(|alternative| content(&alternative.target.version)),
                )
            });
            let expected = known.and_then(|known| {
                let (number, additional) = known.aliases.get(alias)?;
                Some((known.versions[number], additional.map(|number| known.versions[&number])))
            });
            prop_assert_eq!(seen, expected, "{}:{}", function, alias);
        }
        for number in 1..6 {
            let seen = store.resolve(&reference(&format!("{function}:{number}"))).ok();
            let expected = known.and_then(|known| known.versions.get(&number)).copied();
            prop_assert_eq!(seen.map(|resolved| content(&resolved.target.version)), expected);
        }
        let seen = store.resolve(&reference(function)).ok();
        let expected = known.map(|known| known.latest);
        prop_assert_eq!(seen.map(|resolved| content(&resolved.target.version)), expected);
    }
    Ok(())
}

fn operation() -> impl Strategy<Value = Operation> {
    let pointers = || (0..ALIASES.len(), 1_u64..5, proptest::option::of(1_u64..5));
    prop_oneof![
        2 => (1_u8..4, any::<bool>()).prop_map(|(seed, publish)| Operation::Create { seed, publish }),
        3 => (1_u8..4, any::<bool>()).prop_map(|(seed, publish)| Operation::UpdateCode { seed, publish }),
        2 => (3_u32..6).prop_map(|timeout_s| Operation::UpdateTimeout { timeout_s }),
        5 => Just(Operation::Settle),
        4 => Just(Operation::Publish),
        2 => (1_u64..5).prop_map(|number| Operation::DeleteVersion { number }),
        3 => pointers()
            .prop_map(|(alias, number, additional)| Operation::CreateAlias { alias, number, additional }),
        2 => pointers()
            .prop_map(|(alias, number, additional)| Operation::UpdateAlias { alias, number, additional }),
        1 => (0..ALIASES.len()).prop_map(|alias| Operation::DeleteAlias { alias }),
        1 => Just(Operation::DeleteFunction),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_keeps_the_same_books(
        operations in proptest::collection::vec((0..FUNCTIONS.len(), operation()), 1..60)
    ) {
        let store = in_memory();
        let mut books = Bookkeeper::default();
        for (function, operation) in operations {
            let function = FUNCTIONS[function];
            let expected = books.apply(function, &operation);
            prop_assert_eq!(perform(&store, function, &operation), expected, "{} {:?}", function, operation);
            compare(&store, &books)?;
        }
    }
}
