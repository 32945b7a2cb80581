//! Killed at any moment, the store has what it has answered for, and nothing half done.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use firesteel_image::{CodeStore, ReadError, Sha256, StoreLimits};

use crate::victim::{self, Test};
use crate::{Shop, assert_files, package};

pub(crate) const TESTS: &[Test] =
    &[("killed at any moment, the store has what it has answered for", killed_at_any_moment)];

const ROUNDS: u64 = 40;
/// Longer than any of its steps takes, so that each is met.
const WITHIN_MICROS: u64 = 4000;
const PACKAGES: u32 = 6;

fn content(number: u32) -> String {
    format!("# {number}\n").repeat(2000 * (1 + number as usize))
}

/// Stores and removes packages for ever, and says so: `+` stored, `-` about to be removed.
pub(crate) fn work(folder: &Path, seed: u64) -> ! {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = CodeStore::open(folder, StoreLimits::default()).unwrap();
    let mut output = std::io::stdout().lock();
    let mut say = |sign: char, number: u32| {
        writeln!(output, "{sign} {number}").and_then(|()| output.flush()).unwrap();
    };
    loop {
        let number = random.u32(..PACKAGES);
        let bytes = package(&content(number));
        if random.bool() {
            store.put_bytes(&bytes).unwrap();
            say('+', number);
        } else {
            say('-', number);
            store.remove(Sha256::of(&bytes)).unwrap();
        }
    }
}

fn killed_at_any_moment() {
    let mut shop = Shop::new();
    let mut random = fastrand::Rng::with_seed(7);
    let by_name: HashMap<Sha256, u32> =
        (0..PACKAGES).map(|number| (Sha256::of(&package(&content(number))), number)).collect();
    // Whether it must be there; unknown while it is being stored or removed.
    let mut expected: HashMap<u32, bool> = HashMap::new();
    let mut met_half_done = 0;
    for seed in 0..ROUNDS {
        let Shop { folder, store } = shop;
        drop(store);
        let code = folder.path().join("code");
        let log = victim::kill_one(&code, seed, &mut random, WITHIN_MICROS);
        for line in &log {
            let (sign, number) = line.split_once(' ').unwrap();
            // A removal that was announced may not have come to pass when it was killed; the next line tells.
            expected.insert(number.parse().unwrap(), sign == "+");
        }
        if fs::read_dir(code.join("incoming")).unwrap().next().is_some() {
            met_half_done += 1;
        }
        shop = Shop { store: CodeStore::open(&code, StoreLimits::default()).unwrap(), folder };
        check(&shop, &by_name, &expected);
    }
    assert!(met_half_done > 0, "none was killed in the middle of something");
}

fn check(shop: &Shop, by_name: &HashMap<Sha256, u32>, expected: &HashMap<u32, bool>) {
    shop.await_removals();
    for name in shop.names("packages") {
        let sha256: Sha256 = name.strip_suffix(".zip").unwrap().parse().unwrap();
        let bytes = fs::read(shop.path("packages").join(&name)).unwrap();
        assert_eq!(Sha256::of(&bytes), sha256, "it is whole");
    }
    for (sha256, number) in by_name {
        match (shop.store.tree(*sha256), expected.get(number)) {
            (Ok(tree), _) => assert_files(&tree, &[("index.py", &content(*number))]),
            (Err(ReadError::Unknown { .. }), Some(false) | None) => {}
            (Err(error), known) => panic!("package {number}, {known:?}: {error:?}"),
        }
    }
    assert_eq!(shop.names("trees").len(), shop.names("packages").len());
}
