//! A store of objects that gives something else than what was put into it: never a wrong byte.

use std::sync::Arc;

use bytes::Bytes;
use firesteel_image::chunk::FetchError;
use firesteel_image::store::{OpenError, StateError, StoreOpenError, UpdateError};
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::flat::{Flat, named, slots, small};
use crate::{Test, World, pass, read, wait};

pub(crate) const TESTS: &[Test] = &[
    ("every flipped bit is found", every_flipped_bit_is_found),
    ("whatever is cut off or added is found", whatever_is_cut_off_or_added_is_found),
    ("objects in each other's place are found", objects_in_each_others_place_are_found),
    ("an earlier state is not taken for a later one", an_earlier_state_is_not_taken_for_a_later_one),
    ("damage is told and not carried on", damage_is_told_and_not_carried_on),
    ("a chunk that was cut off is stored again", a_chunk_that_was_cut_off_is_stored_again),
    ("a chunk that was cut off is copied again", a_chunk_that_was_cut_off_is_copied_again),
];

/// A store with two images, and everything that is in it.
struct Victim {
    world: World,
    images: Vec<(&'static str, Arc<Flat>)>,
    objects: Vec<(Path, Bytes)>,
}

impl Victim {
    async fn new() -> Self {
        let world = World::new();
        let server = world.server().await;
        let images = vec![("a", slots(&[1, 2])), ("b", small(3))];
        for (name, flat) in &images {
            server.put(Arc::clone(flat), &named(name)).await.unwrap();
        }
        let objects = all(&world.objects).await;
        Victim { world, images, objects }
    }

    /// With `bytes` in place of an object, or none: everything that can be read is right. Says whether an error was seen.
    async fn is_found(&self, changed: &Path, bytes: Option<Bytes>) -> bool {
        let objects = InMemory::new();
        for (key, right) in &self.objects {
            let found = if key == changed { bytes.clone() } else { Some(right.clone()) };
            if let Some(found) = found {
                objects.put(key, found.into()).await.unwrap();
            }
        }
        self.look(Arc::new(objects)).await
    }

    /// By a server that knows nothing yet.
    async fn look(&self, objects: Arc<dyn ObjectStore>) -> bool {
        let Ok(server) = self.world.try_server(objects).await else { return true };
        let mut found = false;
        for (name, flat) in &self.images {
            let Ok(Some(image)) = server.resolve("t", name).await else {
                found = true;
                continue;
            };
            match server.open(image).await {
                Ok(opened) => match read(&opened).await {
                    Ok(bytes) => assert!(bytes == flat.0, "wrong bytes of {name}"),
                    Err(_) => found = true,
                },
                Err(_) => found = true,
            }
        }
        found
    }

    /// Those that count: states that are superseded do not.
    fn live(&self) -> Vec<(Path, Bytes)> {
        let newest = self.objects.iter().map(|(key, _)| key).filter(|key| is_state(key)).max().unwrap();
        self.objects.iter().filter(|(key, _)| !is_state(key) || key == newest).cloned().collect()
    }
}

fn is_state(key: &Path) -> bool {
    key.as_ref().starts_with("state/")
}

async fn all(objects: &Arc<dyn ObjectStore>) -> Vec<(Path, Bytes)> {
    let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
    let mut all = Vec::new();
    for object in listed {
        let bytes = objects.get(&object.location).await.unwrap().bytes().await.unwrap();
        all.push((object.location, bytes));
    }
    all
}

fn every_flipped_bit_is_found() {
    wait(async {
        let victim = Victim::new().await;
        for (key, bytes) in victim.live() {
            // Of every byte one, and of some all.
            for at in 0..bytes.len() {
                let bits = if at % 64 == 0 { 0..8 } else { at % 8..at % 8 + 1 };
                for bit in bits {
                    let mut flipped = bytes.to_vec();
                    flipped[at] ^= 1 << bit;
                    assert!(
                        victim.is_found(&key, Some(flipped.into())).await,
                        "bit {bit} of byte {at} of {key}"
                    );
                }
            }
        }
        assert!(!victim.look(Arc::clone(&victim.world.objects)).await, "it is right as it is");
    });
}

fn whatever_is_cut_off_or_added_is_found() {
    wait(async {
        let victim = Victim::new().await;
        for (key, bytes) in victim.live() {
            for length in (0..bytes.len()).step_by(7) {
                assert!(victim.is_found(&key, Some(bytes.slice(..length))).await, "{length} bytes of {key}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(victim.is_found(&key, Some(longer.into())).await, "{key}");
            // Without its last step, the state is what it was before it: one image is not there yet.
            assert!(victim.is_found(&key, None).await, "without {key}");
        }
    });
}

fn objects_in_each_others_place_are_found() {
    wait(async {
        let victim = Victim::new().await;
        for (key, _) in victim.live() {
            for (other, bytes) in &victim.objects {
                assert!(
                    key == *other || victim.is_found(&key, Some(bytes.clone())).await,
                    "{other} as {key}"
                );
            }
        }
    });
}

fn an_earlier_state_is_not_taken_for_a_later_one() {
    wait(async {
        let victim = Victim::new().await;
        let server = victim.world.server().await;
        let (newest, _) = victim.live().into_iter().find(|(key, _)| is_state(key)).unwrap();
        let number: u64 = newest.filename().unwrap().parse().unwrap();
        let later = Path::from(format!("state/{:020}", number + 1));
        for (key, bytes) in victim.objects.iter().filter(|(key, _)| is_state(key)) {
            victim.world.objects.put(&later, bytes.clone().into()).await.unwrap();
            let error = server.list().await.unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{key}: {error}");
            let error = victim.world.try_server(Arc::clone(&victim.world.objects)).await.unwrap_err();
            assert!(matches!(error, StoreOpenError::State(StateError::Damaged { .. })), "{key}: {error}");
        }
        victim.world.objects.delete(&later).await.unwrap();
        victim.world.objects.delete(&newest).await.unwrap();
        let error = server.list().await.unwrap_err();
        assert!(matches!(error, StateError::RolledBack { .. }), "{error}");
        let error = server.remove(server_image()).await.unwrap_err();
        assert!(matches!(error, UpdateError::State(StateError::RolledBack { .. })), "{error}");
    });
}

fn server_image() -> firesteel_image::manifest::ImageId {
    firesteel_image::manifest::ImageId::from_bytes([0; 32])
}

fn damage_is_told_and_not_carried_on() {
    wait(async {
        let victim = Victim::new().await;
        let server = victim.world.server().await;
        let a = server.resolve("t", "a").await.unwrap().unwrap();
        let chunks: Vec<_> =
            victim.objects.iter().filter(|(key, _)| key.as_ref().contains("/chunks/")).collect();
        let described = server.inspect(a).await.unwrap();
        let damaged = described.manifest.chunks()[0];
        let (key, bytes) =
            chunks.iter().find(|(key, _)| key.filename() == Some(&damaged.id.to_string())).unwrap();
        let mut flipped = bytes.to_vec();
        flipped[0] ^= 1;
        victim.world.objects.put(key, flipped.into()).await.unwrap();
        let verified = server.verify(a).await.unwrap();
        assert!(matches!(verified.damaged[..], [FetchError::Corrupt { id, .. }] if id == damaged.id));
        // The other image goes, this one stays, and its root with it.
        pass(1).await;
        server.rotate(false).await.unwrap();
        let collected = server.collect().await.unwrap();
        assert_eq!((collected.moved, collected.stuck.len(), collected.expired.len()), (1, 1, 0));
        assert_eq!(collected.stuck[0].0, a);
        assert!(server.remove(a).await.unwrap());
        assert_eq!(server.collect().await.unwrap().expired.len(), 1);
        let lost = server.verify(a).await.unwrap_err();
        assert!(matches!(lost, OpenError::NoImage { .. }));
    });
}

fn a_chunk_that_was_cut_off_is_stored_again() {
    wait(async {
        let victim = Victim::new().await;
        let server = victim.world.server().await;
        let (key, bytes) = victim.objects.iter().find(|(key, _)| key.as_ref().contains("/chunks/")).unwrap();
        victim.world.objects.put(key, bytes.slice(..5).into()).await.unwrap();
        for (name, flat) in &victim.images {
            server.put(Arc::clone(flat), &named(&format!("{name} again"))).await.unwrap();
        }
        assert!(!victim.look(Arc::clone(&victim.world.objects)).await);
    });
}

/// Where an image moves to. Else the root that has the chunk whole would go.
fn a_chunk_that_was_cut_off_is_copied_again() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        let moving = server.put(slots(&[1, 2]), &named("moving")).await.unwrap().image;
        server.rotate(false).await.unwrap();
        server.put(slots(&[1]), &named("there")).await.unwrap();
        let chunks = "roots/00000002/chunks".into();
        let chunk = world.objects.list(Some(&chunks)).try_next().await.unwrap().unwrap().location;
        world.objects.put(&chunk, "cut off".into()).await.unwrap();
        assert_eq!(server.collect().await.unwrap().moved, 1);
        assert!(read(&server.open(moving).await.unwrap()).await.unwrap() == slots(&[1, 2]).0);
    });
}
