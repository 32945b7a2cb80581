//! What operations cost in a small catalog, whose lists fill one page, and in one of 10 000 functions with
//! 50 000 versions, and how long it takes to open: medians and 99th percentiles, one call at a time, on disk.
//!
//! `cargo bench -p firesteel-catalog [-- FUNCTIONS]`
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::Path;
use std::time::{Duration, Instant};

use firesteel_catalog::{
    Account, Code, CodeDigest, CodeUpdate, Configuration, FunctionName, FunctionReference, Listed, NewAlias,
    NewFunction, Paging, Publication, RecursiveLoop, Settlement, Store, Variables, VersionNumber,
};

const FUNCTIONS: u32 = 10_000;
const FEW_FUNCTIONS: u32 = 50;
const VERSIONS_OF_EACH: u8 = 5;
const TURNS: u32 = 2_000;
const WRITES: u32 = 200;
const READY: Settlement = Settlement::Ready { image_digest: None };

fn main() {
    let asked = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let functions = asked.unwrap_or(FUNCTIONS);
    let folder = tempfile::tempdir().expect("a folder");
    let (small, full) = (folder.path().join("small"), folder.path().join("full"));
    fill(&small, FEW_FUNCTIONS);
    fill(&full, functions);
    println!("{:<34} {:>12} {:>12} {:>12} {:>12} {:>7}", "", "few: p50", "p99", "many: p50", "p99", "p99 ×");
    let opening = |folder: &Path| {
        let begun = Instant::now();
        drop(open(folder));
        begun.elapsed()
    };
    row("open", (0..20).map(|_| opening(&small)).collect(), (0..20).map(|_| opening(&full)).collect());
    let (few, many) = (Catalog::new(&small, FEW_FUNCTIONS), Catalog::new(&full, functions));
    let measure = |title: &str, turns: u32, call: &dyn Fn(&Catalog, u32)| {
        row(title, few.times(turns, &|_, _| (), call), many.times(turns, &|_, _| (), call));
    };
    measure("list 50 functions", TURNS, &|catalog, turn| catalog.list(Listed::Latest, turn));
    measure("list 50 functions and versions", TURNS, &|catalog, turn| {
        catalog.list(Listed::AllVersions, turn);
    });
    measure("list versions of a function", TURNS, &|catalog, turn| {
        catalog.store.list_versions(&catalog.name(turn), &Paging::default()).expect("a list");
    });
    measure("get a function", TURNS, &|catalog, turn| {
        catalog.store.function(&catalog.reference(turn, None)).expect("a function");
    });
    let forget: &dyn Fn(&Catalog, u32) = &|catalog, turn| {
        catalog.store.put_recursive_loop(&catalog.name(turn), RecursiveLoop::Allow).expect("a function");
    };
    let resolve: &dyn Fn(&Catalog, u32) = &|catalog, turn| {
        catalog.store.resolve(&catalog.reference(turn, Some("prod"))).expect("an alias");
    };
    row("resolve an alias, cold", few.times(WRITES, forget, resolve), many.times(WRITES, forget, resolve));
    let (few_reference, many_reference) = (few.reference(0, Some("prod")), many.reference(0, Some("prod")));
    let warm = |catalog: &Catalog, reference: &FunctionReference| {
        let thousand = |_: &Catalog, _| {
            for _ in 0..1000 {
                catalog.store.resolve(reference).expect("an alias");
            }
        };
        let times = catalog.times(TURNS, &|_, _| (), &thousand);
        times.into_iter().map(|time| time / 1000).collect()
    };
    row("resolve an alias, warm", warm(&few, &few_reference), warm(&many, &many_reference));
    measure("account usage", TURNS, &|catalog, _| {
        catalog.store.account_usage().expect("usage");
    });
    measure("make a function, delete it", WRITES, &|catalog, turn| {
        let created = catalog.store.create_function(new_function(1_000_000 + turn)).expect("a new function");
        catalog.store.delete_function(created.name()).expect("a function");
    });
    measure("new code, a version, delete it", WRITES, &|catalog, turn| {
        let update = CodeUpdate { publish: true, ..update(package(turn, 200)) };
        let updated = catalog.store.update_code(&catalog.name(turn), update).expect("a settled function");
        for version in catalog.store.unsettled().expect("a list") {
            catalog.store.settle(&version, &READY).expect("a function");
        }
        catalog.store.delete_version(updated.version.name(), updated.version.number).expect("a version");
    });
}

/// A store, how many functions it has, and where its list can be entered.
struct Catalog {
    store: Store,
    functions: u32,
    markers: Vec<Option<String>>,
}

impl Catalog {
    fn new(folder: &Path, functions: u32) -> Self {
        let store = open(folder);
        let mut markers = vec![None];
        while let Some(last) = markers.last() {
            let paging = Paging { marker: last.clone(), max_items: None };
            match store.list_functions(Listed::AllVersions, &paging).expect("a list").next_marker {
                Some(next) => markers.push(Some(next)),
                None => break,
            }
        }
        // So that each page is a whole one.
        if markers.len() > 1 {
            markers.pop();
        }
        Catalog { store, functions, markers }
    }

    fn list(&self, listed: Listed, turn: u32) {
        let marker = self.markers[usize::try_from(turn).expect("small") % self.markers.len()].clone();
        self.store.list_functions(listed, &Paging { marker, max_items: None }).expect("a list");
    }

    /// Of another function each turn, in no order that the file has.
    fn name(&self, turn: u32) -> FunctionName {
        name(turn * 7_919 % self.functions)
    }

    fn reference(&self, turn: u32, qualifier: Option<&str>) -> FunctionReference {
        let qualifier = qualifier.map(|text| text.parse().expect("a qualifier"));
        FunctionReference { name: self.name(turn), qualifier }
    }

    fn times(
        &self,
        turns: u32,
        prepare: &dyn Fn(&Catalog, u32),
        call: &dyn Fn(&Catalog, u32),
    ) -> Vec<Duration> {
        let time = |turn| {
            prepare(self, turn);
            let begun = Instant::now();
            call(self, turn);
            begun.elapsed()
        };
        (0..turns).map(time).collect()
    }
}

fn row(title: &str, mut few: Vec<Duration>, mut many: Vec<Duration>) {
    few.sort_unstable();
    many.sort_unstable();
    let at = |times: &[Duration], percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "{title:<34} {:>12.1?} {:>12.1?} {:>12.1?} {:>12.1?} {:>7.2}",
        at(&few, 50),
        at(&few, 99),
        at(&many, 50),
        at(&many, 99),
        at(&many, 99).as_secs_f64() / at(&few, 99).as_secs_f64()
    );
}

/// Made in memory where that is possible, since each write is synced, and moved to the disk.
fn fill(folder: &Path, functions: u32) {
    let in_memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let begun = Instant::now();
    make(&open(in_memory.path()), functions);
    std::fs::create_dir(folder).expect("a folder of our own");
    let mut size_bytes = 0;
    for file in ["catalog.key", "catalog.sqlite"] {
        size_bytes = std::fs::copy(in_memory.path().join(file), folder.join(file)).expect("there is room");
    }
    println!(
        "{functions} functions and {} versions made in {:.1} s, {:.1} MiB",
        functions * u32::from(VERSIONS_OF_EACH),
        begun.elapsed().as_secs_f64(),
        size_bytes as f64 / f64::from(1 << 20)
    );
}

fn make(store: &Store, functions: u32) {
    for function in 0..functions {
        let created = store.create_function(new_function(function)).expect("a new function");
        store.settle(&created, &READY).expect("a new function");
        for version in 1..=VERSIONS_OF_EACH {
            if version > 1 {
                let update = update(package(function, version));
                let updated = store.update_code(&name(function), update).expect("a settled function");
                store.settle(&updated.version, &READY).expect("a function");
            }
            store.publish_version(&name(function), &Publication::default()).expect("a settled function");
        }
        let alias = NewAlias {
            name: "prod".into(),
            version: VersionNumber::Published(u64::from(VERSIONS_OF_EACH)),
            weights: Vec::new(),
            description: String::new(),
        };
        store.create_alias(&name(function), &alias).expect("a new alias");
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Account::new("eu-west-1", "111122223333")).expect("a folder of our own")
}

fn name(function: u32) -> FunctionName {
    format!("function-{function:07}").parse().expect("a name")
}

fn package(function: u32, version: u8) -> Code {
    let mut digest = [version; 32];
    digest[..4].copy_from_slice(&function.to_be_bytes());
    Code::Package { sha256: CodeDigest(digest), size_bytes: 1000 }
}

fn update(code: Code) -> CodeUpdate {
    CodeUpdate { code, architecture: None, publish: false, revision_id: None, dry_run: false }
}

fn new_function(function: u32) -> NewFunction {
    let variables = [("TABLE".to_owned(), "orders".to_owned()), ("TOKEN".to_owned(), "secret".to_owned())];
    NewFunction {
        name: name(function),
        configuration: Configuration {
            role: "arn:aws:iam::111122223333:role/r".into(),
            runtime: Some("python3.13".into()),
            handler: Some("app.handler".into()),
            variables: Some(Variables::new(variables).expect("allowed")),
            ..Configuration::default()
        },
        layers: Vec::new(),
        code: package(function, 1),
        tags: [("team".to_owned(), "a".to_owned())].into(),
        code_signing_config: None,
        publish: false,
    }
}
