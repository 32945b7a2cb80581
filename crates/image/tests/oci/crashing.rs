//! Killed at any moment, nothing is there that the next run cannot use or does not remove.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_image::oci::{ImageSources, OciLimits, Platform, Reference, RegistrySettings};

use crate::packing::{Packing, Recipe, tar_of};
use crate::registry::Registry;
use crate::{Yard, contents, noise, wait};

const ROUNDS: usize = 12;
/// Longer than an image takes, so that each step of it is met.
const WITHIN_MICROS: u64 = 150_000;
const FOLDER: &str = "FIRESTEEL_TEST_VICTIM_FOLDER";
const REFERENCE: &str = "FIRESTEEL_TEST_VICTIM_REFERENCE";

/// Ends with whoever started it.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "this is the process that is killed"]
fn victim() {
    let (Ok(folder), Ok(reference)) = (std::env::var(FOLDER), std::env::var(REFERENCE)) else { return };
    let reference: Reference = reference.parse().unwrap();
    let sources =
        ImageSources::open(Path::new(&folder), OciLimits::default(), RegistrySettings::default()).unwrap();
    loop {
        wait(sources.fetch(&reference, &Platform::new("amd64"), Arc::new(()))).unwrap();
        sources.sweep().unwrap();
    }
}

#[test]
fn killed_at_any_moment() {
    let recipe = Recipe::new(vec![
        (tar_of(&[("a", &noise(1, 2_000_000))]), Packing::Gzip),
        (tar_of(&[("b", &noise(2, 1_000_000))]), Packing::Zstd),
        (tar_of(&[("c", b"small")]), Packing::Plain),
    ]);
    let tars: Vec<_> = recipe.layers.iter().map(|(tar, _)| tar.clone()).collect();
    let registry = Registry::start().with("v1", &recipe.pack());
    let mut random = fastrand::Rng::with_seed(11);
    let mut met_half_done = 0;
    let mut yard = Yard::new();
    for round in 0..ROUNDS {
        let Yard { folder, sources } = yard;
        drop(sources);
        let place = folder.path().join("sources");
        let asked = registry.seen("").len();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["crashing::victim", "--exact", "--ignored"])
            .env(FOLDER, &place)
            .env(REFERENCE, registry.reference("v1"))
            .stdout(Stdio::null())
            .spawn();
        let victim = Victim(process.unwrap());
        while registry.seen("").len() == asked {
            std::thread::yield_now();
        }
        // Its moment is what is random here; there is no state to wait for.
        let moment = Instant::now() + Duration::from_micros(random.u64(..WITHIN_MICROS));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        drop(victim);
        let left = |name: &str| std::fs::read_dir(place.join(name)).unwrap().count();
        met_half_done += usize::from(left("incoming") + left("blobs/sha256") > 0);
        yard = Yard::again(folder);
        assert!(yard.names("incoming").is_empty(), "round {round}");
        assert_eq!(contents(&yard.fetch(&registry.reference("v1"))), tars, "round {round}");
        assert!(yard.names("blobs/sha256").is_empty(), "round {round}");
        // The next one has to do it all, every second time.
        if random.bool() {
            yard.sources.sweep().unwrap();
            assert!(yard.names("spools/sha256").is_empty(), "round {round}");
        }
    }
    assert!(met_half_done > 0, "none was killed in the middle of something");
}
