use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::manifest::RootId;

struct Place {
    store: Arc<dyn ObjectStore>,
    vault: Arc<KeyVault>,
    _keys: TempDir,
}

impl Place {
    fn new() -> Self {
        let keys = TempDir::new().unwrap();
        let vault = Arc::new(KeyVault::in_folder(keys.path()));
        Place { store: Arc::new(InMemory::new()), vault, _keys: keys }
    }

    async fn register(&self) -> Register {
        let is_empty = async { Ok(true) };
        Register::open(Arc::clone(&self.store), Arc::clone(&self.vault), is_empty).await.unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(future)
}

fn reading(lease: u64) -> Event {
    Event::Read { lease: LeaseId(lease), root: RootId(1), expires_ms: 1 }
}

/// The number after the one it has seen is free again: what it writes there counts for nothing, and must be written again.
#[test]
fn who_comes_back_after_many_changes_changes_the_latest() {
    wait(async {
        let place = Place::new();
        let (slow, fast) = (place.register().await, place.register().await);
        for lease in 0..200 {
            fast.apply(reading(lease)).await.unwrap();
        }
        let number = 2;
        assert!(place.store.head(&key_of(number)).await.is_err(), "it was cleaned away");
        let state = slow.apply(reading(1000)).await.unwrap();
        assert_eq!(state.leases.len(), 201);
        assert_eq!(fast.read().await.unwrap().leases.len(), 201);
        assert_eq!(place.register().await.read().await.unwrap().leases.len(), 201);
    });
}

#[test]
fn a_store_in_which_another_server_begins_meanwhile_is_not_lost() {
    wait(async {
        let place = Place::new();
        let is_empty = async {
            place.register().await.apply(reading(1)).await.unwrap();
            Ok(false)
        };
        let late =
            Register::open(Arc::clone(&place.store), Arc::clone(&place.vault), is_empty).await.unwrap();
        assert_eq!(late.read().await.unwrap().leases.len(), 1);
    });
}

#[test]
fn few_states_are_kept() {
    wait(async {
        let place = Place::new();
        let register = place.register().await;
        for lease in 0..300 {
            register.apply(reading(lease)).await.unwrap();
        }
        let listed: Vec<_> = place.store.list(None).try_collect().await.unwrap();
        assert!((32..=65).contains(&listed.len()), "{}", listed.len());
    });
}

#[test]
fn what_changes_nothing_is_not_written() {
    wait(async {
        let place = Place::new();
        let register = place.register().await;
        for _ in 0..5 {
            register.apply(reading(1)).await.unwrap();
        }
        assert!(register.apply(Event::Renew { lease: LeaseId(2), expires_ms: 1 }).await.is_err());
        let listed: Vec<_> = place.store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 2);
    });
}

#[test]
fn another_deployments_state_is_none_of_this_one() {
    wait(async {
        let (place, other) = (Place::new(), Place::new());
        let register = place.register().await;
        // With the same keys, and a later number.
        let other = Place { vault: Arc::clone(&place.vault), ..other };
        other.register().await.apply(reading(1)).await.unwrap();
        let bytes = other.store.get(&key_of(2)).await.unwrap().bytes().await.unwrap();
        place.store.put(&key_of(2), bytes.into()).await.unwrap();
        let error = register.read().await.unwrap_err();
        assert!(matches!(error, StateError::Damaged { number: 2, .. }), "{error}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_no_state(bytes in proptest::collection::vec(any::<u8>(), 0..200), begun: bool) {
        wait(async {
            let place = Place::new();
            let register = place.register().await;
            let bytes = if begun { [b"fs-state\x01\0\x02\0\0\0\0\0\0\0", &bytes[..]].concat() } else { bytes };
            place.store.put(&key_of(2), bytes.into()).await.unwrap();
            assert!(register.read().await.is_err());
        });
    }
}
