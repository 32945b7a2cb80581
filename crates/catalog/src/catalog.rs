//! The functions served, in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::arn::Arn;
use crate::function::Function;
use crate::name::{FunctionName, Qualifier};
use crate::reference::FunctionReference;

/// The name under which AWS's Runtime Interface Emulator serves its one function, whatever it is
/// called; scripts and tests written against the emulator use it.
const ONLY_FUNCTION: &str = "function";

/// Every function served, with the region and account they pretend to live in.
///
/// Filled once by `serve`, then shared unchanged.
#[derive(Clone, Debug)]
pub struct Catalog {
    region: String,
    account: String,
    functions: BTreeMap<FunctionName, Arc<Function>>,
}

/// The function, or the version of it, does not exist. The caller's mistake, 404
/// `ResourceNotFoundException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Function not found: {arn}")]
pub struct NotFound {
    /// What was asked for, qualified only if the request was.
    pub arn: Arn,
}

/// Two functions were given one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a function named `{name}` exists already")]
pub struct DuplicateName {
    /// The name.
    pub name: FunctionName,
}

impl Catalog {
    /// An empty catalog. `account` is twelve digits.
    pub fn new(region: impl Into<String>, account: impl Into<String>) -> Self {
        Catalog { region: region.into(), account: account.into(), functions: BTreeMap::new() }
    }

    /// Adds a function under its own name.
    pub fn add(&mut self, function: Function) -> Result<Arc<Function>, DuplicateName> {
        match self.functions.entry(function.name().clone()) {
            Entry::Occupied(entry) => Err(DuplicateName { name: entry.key().clone() }),
            Entry::Vacant(entry) => Ok(entry.insert(Arc::new(function)).clone()),
        }
    }

    /// The function a request means.
    ///
    /// Only `$LATEST` exists, so any other qualifier is not found. When exactly one function is served,
    /// the name `function` reaches it too.
    pub fn find(&self, reference: &FunctionReference) -> Result<Arc<Function>, NotFound> {
        let exists = matches!(reference.qualifier, None | Some(Qualifier::Latest));
        let function = exists.then(|| self.named(&reference.name)).flatten();
        function.cloned().ok_or_else(|| NotFound { arn: reference.arn(&self.region, &self.account) })
    }

    fn named(&self, name: &FunctionName) -> Option<&Arc<Function>> {
        self.functions.get(name).or_else(|| {
            let only = (self.functions.len() == 1).then(|| self.functions.values().next()).flatten();
            only.filter(|_| name.as_str() == ONLY_FUNCTION)
        })
    }

    /// All functions, sorted by name.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = &Arc<Function>> {
        self.functions.values()
    }

    /// The unqualified ARN of a function.
    pub fn arn(&self, name: &FunctionName) -> Arn {
        FunctionReference { name: name.clone(), qualifier: None }.arn(&self.region, &self.account)
    }

    /// The region the functions pretend to live in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that pretends to own them.
    pub fn account(&self) -> &str {
        &self.account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Settings;

    fn catalog(names: &[&str]) -> Catalog {
        let mut catalog = Catalog::new("eu-west-1", "111122223333");
        for name in names {
            let settings = Settings::new(name.parse().unwrap(), "provided.al2023", "h", "/code");
            catalog.add(Function::new(settings).unwrap()).unwrap();
        }
        catalog
    }

    fn find(catalog: &Catalog, path: &str) -> Result<String, String> {
        let reference = FunctionReference::parse(path, None, catalog.region(), catalog.account()).unwrap();
        match catalog.find(&reference) {
            Ok(function) => Ok(function.name().to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn functions_are_found_by_name_and_as_latest() {
        let catalog = catalog(&["a", "b"]);
        assert_eq!(find(&catalog, "a").as_deref(), Ok("a"));
        assert_eq!(find(&catalog, "b:$LATEST").as_deref(), Ok("b"));
        assert_eq!(catalog.functions().len(), 2);
    }

    #[test]
    fn what_is_not_found_is_printed_as_it_was_asked_for() {
        let catalog = catalog(&["a"]);
        for (path, arn) in [
            ("x", "function:x"),
            ("x:$LATEST", "function:x:$LATEST"),
            ("a:prod", "function:a:prod"),
            ("a:1", "function:a:1"),
            ("function:1", "function:function:1"),
        ] {
            let expected = format!("Function not found: arn:aws:lambda:eu-west-1:111122223333:{arn}");
            assert_eq!(find(&catalog, path), Err(expected));
        }
    }

    #[test]
    fn the_only_function_is_also_called_function() {
        assert_eq!(find(&catalog(&["a"]), "function").as_deref(), Ok("a"));
        assert!(find(&catalog(&["a", "b"]), "function").is_err());
        assert!(find(&catalog(&[]), "function").is_err());
        assert_eq!(find(&catalog(&["a", "function"]), "function").as_deref(), Ok("function"));
    }

    #[test]
    fn a_name_is_given_once() {
        let mut catalog = catalog(&["a"]);
        let again = Function::new(Settings::new("a".parse().unwrap(), "x", "h", "/code")).unwrap();
        assert_eq!(catalog.add(again).unwrap_err().to_string(), "a function named `a` exists already");
    }
}
