//! Roots: images are moved forward, and what is deleted was needed by nobody.

use std::sync::Arc;

use firesteel_image::chunk::FetchError;
use firesteel_image::manifest::RootId;
use firesteel_image::store::Phase;
use futures_util::TryStreamExt;
use object_store::ObjectStore;

use crate::faulty::Faulty;
use crate::flat::{named, slots, small};
use crate::{Test, World, pass, read, wait};

pub(crate) const TESTS: &[Test] = &[
    ("a root goes when all that is live has left it", a_root_goes_when_all_that_is_live_has_left_it),
    ("who reads from a root keeps it", who_reads_from_a_root_keeps_it),
    ("who slept and reads from an expired root halts its deletion", who_slept_halts_the_deletion),
    ("who writes under a root keeps it, unless it seems dead", who_writes_under_a_root_keeps_it),
    ("another salt shares nothing with what was", another_salt_shares_nothing_with_what_was),
    ("what is written under a root that is gone goes too", strays_go_too),
];

async fn count(world: &World, prefix: &str) -> usize {
    world.objects.list(Some(&prefix.into())).try_collect::<Vec<_>>().await.unwrap().len()
}

async fn phases(world: &World) -> Vec<Phase> {
    world.server().await.roots().await.unwrap().into_iter().map(|root| root.phase).collect()
}

fn a_root_goes_when_all_that_is_live_has_left_it() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        let kept = server.put(slots(&[1, 2]), &named("kept")).await.unwrap().image;
        let gone = server.put(slots(&[1, 3]), &named("gone")).await.unwrap().image;
        server.remove(gone).await.unwrap();
        assert_eq!(server.rotate(false).await.unwrap(), RootId(2));
        let collected = server.collect().await.unwrap();
        assert_eq!((collected.moved, collected.expired), (1, vec![RootId(1)]));
        assert!(read(&server.open(kept).await.unwrap()).await.unwrap() == slots(&[1, 2]).0);
        assert_eq!(count(&world, "roots/00000002").await, 3, "two chunks and a manifest");
        assert_eq!(count(&world, "roots/00000001").await, 5, "in quarantine");
        pass(59).await;
        assert!(server.collect().await.unwrap().deleted.is_empty());
        pass(2).await;
        assert_eq!(server.collect().await.unwrap().deleted, [RootId(1)]);
        assert_eq!(count(&world, "roots/00000001").await, 0);
        assert!(read(&server.open(kept).await.unwrap()).await.unwrap() == slots(&[1, 2]).0);
        // Nothing new to store of the same content: it came along.
        assert_eq!(server.put(slots(&[1, 2]), &named("again")).await.unwrap().new_chunks, 0);
    });
}

fn who_reads_from_a_root_keeps_it() {
    wait(async {
        let world = World::new();
        let (server, reader) = (world.server().await, world.server().await);
        let image = server.put(small(1), &named("a")).await.unwrap().image;
        let opened = reader.open(image).await.unwrap();
        server.remove(image).await.unwrap();
        server.rotate(false).await.unwrap();
        for _ in 0..10 {
            assert!(server.collect().await.unwrap().expired.is_empty());
            // Its lease is renewed all the while.
            pass(30).await;
        }
        assert!(read(&opened).await.unwrap() == small(1).0);
        drop(opened);
        pass(1).await;
        assert_eq!(server.collect().await.unwrap().expired, [RootId(1)]);
    });
}

fn who_slept_halts_the_deletion() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        let image = server.put(small(1), &named("a")).await.unwrap().image;
        let link = Faulty::in_turns(&world.objects, 0);
        let sleeper = world.try_server(Arc::<Faulty>::clone(&link)).await.unwrap();
        let opened = sleeper.open(image).await.unwrap();
        server.rotate(false).await.unwrap();
        // Cut off from the store for longer than its lease lasts.
        link.die_after(0);
        pass(12).await;
        assert_eq!(server.collect().await.unwrap().expired, [RootId(1)]);
        assert!(matches!(read(&opened).await, Err(FetchError::Unreachable { .. })));
        link.die_after(u64::MAX);
        // It reads right, and somebody has to look.
        assert!(read(&opened).await.unwrap() == small(1).0);
        assert!(matches!(phases(&world).await[0], Phase::Expired { alarm_ms: Some(_), .. }));
        pass(10_000).await;
        let collected = server.collect().await.unwrap();
        assert_eq!((collected.alarmed, collected.deleted), (vec![RootId(1)], vec![]));
        assert!(read(&opened).await.unwrap() == small(1).0);
        drop(opened);
        server.thaw(RootId(1)).await.unwrap();
        assert!(server.collect().await.unwrap().deleted.is_empty(), "the quarantine begins anew");
        pass(61).await;
        assert_eq!(server.collect().await.unwrap().deleted, [RootId(1)]);
    });
}

fn who_writes_under_a_root_keeps_it() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        server.put(small(1), &named("first")).await.unwrap();
        let made = server.roots().await.unwrap().len();
        assert_eq!(made, 1);
        // Dies while it writes, and leaves its lease.
        let writer = world.try_server(Faulty::dying_after(&world.objects, 8, false)).await.unwrap();
        assert!(writer.put(slots(&[5, 6, 7]), &named("half")).await.is_err());
        assert_eq!(server.roots().await.unwrap()[0].leases, 1);
        server.rotate(false).await.unwrap();
        let collected = server.collect().await.unwrap();
        assert_eq!((collected.moved, collected.expired.len()), (1, 0), "it may still commit");
        pass(12).await;
        assert_eq!(server.collect().await.unwrap().expired, [RootId(1)]);
        assert_eq!(server.list().await.unwrap().len(), 1, "nothing half done is there");
    });
}

fn another_salt_shares_nothing_with_what_was() {
    wait(async {
        let world = World::new();
        let server = world.server().await;
        let old = server.put(small(1), &named("old")).await.unwrap().image;
        server.rotate(true).await.unwrap();
        server.collect().await.unwrap();
        let put = server.put(small(1), &named("new")).await.unwrap();
        assert_eq!(put.new_chunks, 1);
        for image in [old, put.image] {
            assert!(read(&server.open(image).await.unwrap()).await.unwrap() == small(1).0);
        }
        server.rotate(false).await.unwrap();
        server.collect().await.unwrap();
        assert_eq!(server.put(small(1), &named("newer")).await.unwrap().new_chunks, 0);
    });
}

fn strays_go_too() {
    use object_store::ObjectStoreExt;

    wait(async {
        let world = World::new();
        let server = world.server().await;
        server.rotate(false).await.unwrap();
        server.collect().await.unwrap();
        pass(61).await;
        server.collect().await.unwrap();
        for root in [1, 2, 9] {
            let key = format!("roots/{root:08}/chunks/00/stray");
            world.objects.put(&key.into(), "late".into()).await.unwrap();
        }
        server.collect().await.unwrap();
        assert_eq!(count(&world, "roots/00000001").await, 0);
        assert_eq!(count(&world, "roots/00000002").await, 1, "it is active");
        assert_eq!(count(&world, "roots/00000009").await, 1, "it is to come");
    });
}
