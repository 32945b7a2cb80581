//! What is stored is there, shared, named, and gone when it is removed.

use std::fs;
use std::sync::Arc;

use firesteel_image::chunk::Domain;
use firesteel_image::manifest::KeyVault;
use firesteel_image::store::{
    ImageStore, NewImage, OpenError, PutError, StateError, StoreOpenError, StoreSettings,
};
use tempfile::TempDir;

use crate::flat::{Flat, named, slots, small};
use crate::{Test, World, read, wait};

pub(crate) const TESTS: &[Test] = &[
    ("what is put is opened, in a folder", what_is_put_is_opened_in_a_folder),
    ("what is the same is stored once", what_is_the_same_is_stored_once),
    ("domains share nothing with each other", domains_share_nothing_with_each_other),
    ("names are of one image at a time", names_are_of_one_image_at_a_time),
    ("an image that cannot be read is not stored", an_image_that_cannot_be_read_is_not_stored),
    ("a store that has lost its state is not opened", a_store_that_has_lost_its_state_is_not_opened),
    ("lists of first touches are kept", lists_of_first_touches_are_kept),
];

fn what_is_put_is_opened_in_a_folder() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("images");
    let vault = Arc::new(KeyVault::in_folder(&folder.path().join("keys")));
    let flat = slots(&[1, 0, 2, 2, 3]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Spawned, as servers do.
    let stored = runtime.spawn(async move {
        let store = ImageStore::in_folder(&path, Arc::clone(&vault), StoreSettings::default()).await.unwrap();
        let put = store.put(Arc::clone(&flat), &named("a")).await.unwrap();
        assert_eq!((put.was_there, put.chunks, put.new_chunks, put.zero_slots), (false, 3, 3, 1));
        assert_eq!((put.stored_bytes, put.new_bytes), (3000, 3000));
        drop(store);
        let store = ImageStore::in_folder(&path, vault, StoreSettings::default()).await.unwrap();
        let opened = store.open(put.image).await.unwrap();
        assert_eq!(opened.image.config(), r#"{"name":"a"}"#);
        assert!(read(&opened).await.unwrap() == flat.0);
        let verified = store.verify(put.image).await.unwrap();
        assert_eq!((verified.chunks, verified.stored_bytes, verified.damaged.len()), (3, 3000, 0));
        let described = store.inspect(put.image).await.unwrap();
        assert_eq!((described.names, described.row.digest.as_str()), (vec!["a".to_owned()], "sha256:a"));
        assert!(store.remove(put.image).await.unwrap());
        assert!(!store.remove(put.image).await.unwrap());
        assert!(matches!(store.open(put.image).await, Err(OpenError::NoImage { .. })));
        // Who has it open reads on.
        assert!(read(&opened).await.unwrap() == flat.0);
        store.rotate(true).await.unwrap();
        store.collect().await.unwrap();
        path
    });
    let path = runtime.block_on(stored).unwrap();
    drop(runtime);
    assert!(fs::read_dir(&path).unwrap().count() == 2, "roots and state");
}

fn what_is_the_same_is_stored_once() {
    wait(async {
        let server = World::new().server().await;
        let first = server.put(slots(&[1, 2, 3]), &named("a")).await.unwrap();
        let again = server.put(slots(&[1, 2, 3]), &named("a")).await.unwrap();
        assert!(again.was_there && again.image == first.image);
        let second = server.put(slots(&[1, 2, 4]), &named("b")).await.unwrap();
        assert_eq!((second.chunks, second.new_chunks, second.new_bytes), (3, 1, 1000));
        let stats = server.stats().await.unwrap();
        assert_eq!((stats.images, stats.live_chunks, stats.shared_chunks, stats.stored_chunks), (2, 4, 2, 4));
        assert_eq!((stats.unshared_bytes, stats.live_bytes, stats.stored_bytes), (6000, 4000, 4000));
        assert!((stats.deduplication() - 1.5).abs() < 1e-9);
    });
}

fn domains_share_nothing_with_each_other() {
    wait(async {
        let server = World::new().server().await;
        let of = |tenant: &str, domain| NewImage { tenant: tenant.to_owned(), domain, ..named("a") };
        let tenant = |name: &str| Domain::Tenant(name.to_owned());
        for (new, new_chunks) in [
            (of("t", Domain::Deployment), 1),
            // Another tenant's image, but the same chunk.
            (of("u", Domain::Deployment), 0),
            (of("t", tenant("t")), 1),
            (of("u", tenant("u")), 1),
            (of("t", Domain::Private([1; 32])), 1),
            (of("t", Domain::Private([2; 32])), 1),
        ] {
            let put = server.put(small(1), &new).await.unwrap();
            assert_eq!((put.chunks, put.new_chunks), (1, new_chunks), "{new:?}");
            assert!(read(&server.open(put.image).await.unwrap()).await.unwrap() == small(1).0);
        }
    });
}

fn names_are_of_one_image_at_a_time() {
    wait(async {
        let server = World::new().server().await;
        let called = |digest: &str, name: &str| NewImage { name: Some(name.to_owned()), ..named(digest) };
        let one = server.put(small(1), &called("1", "app")).await.unwrap().image;
        let two = server.put(small(2), &called("2", "app")).await.unwrap().image;
        assert_eq!(server.resolve("t", "app").await.unwrap(), Some(two));
        assert_eq!(server.resolve("u", "app").await.unwrap(), None);
        server.put(small(1), &called("1", "app")).await.unwrap();
        assert_eq!(server.resolve("t", "app").await.unwrap(), Some(one));
        assert!(server.name("u", "mine", Some(one)).await.is_err(), "it is of another tenant");
        server.name("t", "app", None).await.unwrap();
        assert_eq!(server.resolve("t", "app").await.unwrap(), None);
        let listed: Vec<_> = server.list().await.unwrap().into_iter().map(|(image, ..)| image).collect();
        assert_eq!(listed.len(), 2);
    });
}

fn an_image_that_cannot_be_read_is_not_stored() {
    use std::io;

    use firesteel_image::chunk::CHUNK_BYTES;
    use firesteel_image::store::SlotReader;

    struct Broken(u64);

    impl SlotReader for Broken {
        type Error = io::Error;

        fn image_bytes(&self) -> u64 {
            self.0
        }

        fn read_slot(&self, slot: u32, into: &mut [u8; CHUNK_BYTES as usize]) -> io::Result<()> {
            into.fill(1);
            if slot == 3 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
        }
    }

    wait(async {
        let server = World::new().server().await;
        let error = server.put(Arc::new(Broken(4 * 524_288)), &named("a")).await.unwrap_err();
        assert_eq!(error.to_string(), "slot 3 of the image cannot be read");
        let error = server.put(Arc::new(Broken(u64::MAX)), &named("a")).await.unwrap_err();
        assert!(matches!(error, PutError::TooLarge { .. }), "{error}");
        assert!(server.list().await.unwrap().is_empty());
        // No image of no bytes is refused: it has no chunks, and that is all.
        let put = server.put(Arc::new(Flat(vec![])), &named("empty")).await.unwrap();
        assert!(read(&server.open(put.image).await.unwrap()).await.unwrap().is_empty());
    });
}

fn a_store_that_has_lost_its_state_is_not_opened() {
    use futures_util::TryStreamExt;
    use object_store::{ObjectStore, ObjectStoreExt};

    wait(async {
        let world = World::new();
        world.server().await.put(small(1), &named("a")).await.unwrap();
        let states: Vec<_> = world.objects.list(Some(&"state".into())).try_collect().await.unwrap();
        for state in states {
            world.objects.delete(&state.location).await.unwrap();
        }
        let error = world.try_server(Arc::clone(&world.objects)).await.unwrap_err();
        assert!(matches!(error, StoreOpenError::State(StateError::Lost)), "{error}");
    });
}

fn lists_of_first_touches_are_kept() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        let image = server.put(small(1), &named("a")).await.unwrap().image;
        assert_eq!(server.prefetch_list(image).await.unwrap(), None);
        for list in ["1", "2"] {
            server.put_prefetch_list(image, list.into()).await.unwrap();
            assert_eq!(server.prefetch_list(image).await.unwrap().unwrap(), list);
        }
        server.rotate(false).await.unwrap();
        assert_eq!(server.collect().await.unwrap().moved, 1);
        assert_eq!(server.prefetch_list(image).await.unwrap().unwrap(), "2");
    });
}
