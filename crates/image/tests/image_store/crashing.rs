//! A server dies at any of its steps: images are there whole or not at all, and the next server goes on.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use firesteel_image::manifest::KeyVault;
use firesteel_image::store::{ImageStore, StoreSettings};
use tempfile::TempDir;

use crate::faulty::Faulty;
use crate::flat::{named, slots, small};
use crate::victim::{self, Test};
use crate::{World, pass, read, wait};

pub(crate) const TESTS: &[Test] = &[
    ("dying at any step of a put leaves all or nothing", dying_at_any_step_of_a_put),
    ("dying at any step of a collection loses nothing", dying_at_any_step_of_a_collection),
    ("two servers that begin at once have one store", two_servers_begin_at_once),
    ("killed at any moment, the store has what it has answered for", killed_at_any_moment),
];

fn dying_at_any_step_of_a_put() {
    wait(async {
        let (mut died, mut stored) = (0, 0);
        for last_is_done in [false, true] {
            for requests in 1.. {
                let world = World::new();
                let other = world.server().await.put(slots(&[1, 2]), &named("other")).await.unwrap().image;
                let link = Faulty::dying_after(&world.objects, requests, last_is_done);
                let put = match world.try_server(Arc::<Faulty>::clone(&link)).await {
                    Ok(server) => server.put(slots(&[2, 3, 4]), &named("a")).await.ok(),
                    Err(_) => None,
                };
                died += u32::from(put.is_none());
                let server = world.server().await;
                let there = server.resolve("t", "a").await.unwrap();
                assert!(put.is_none_or(|put| there == Some(put.image)), "it was answered for");
                for (image, flat) in [(Some(other), slots(&[1, 2])), (there, slots(&[2, 3, 4]))] {
                    let Some(image) = image else { continue };
                    assert!(read(&server.open(image).await.unwrap()).await.unwrap() == flat.0);
                    stored += 1;
                }
                let again = server.put(slots(&[2, 3, 4]), &named("a")).await.unwrap();
                assert_eq!(again.was_there, there.is_some());
                assert!(server.verify(again.image).await.unwrap().damaged.is_empty());
                if put.is_some() && !link.is_dead() {
                    break;
                }
            }
        }
        assert!(died > 20 && stored > died, "{died} {stored}");
    });
}

fn dying_at_any_step_of_a_collection() {
    wait(async {
        let mut died = 0;
        for last_is_done in [false, true] {
            for requests in 1.. {
                let world = World::new();
                let server = world.server().await;
                let images = [slots(&[1, 2]), slots(&[2, 3]), small(4)];
                for (name, flat) in ["a", "b", "c"].iter().zip(&images) {
                    server.put(Arc::clone(flat), &named(name)).await.unwrap();
                }
                server.rotate(false).await.unwrap();
                server.rotate(true).await.unwrap();
                let link = Faulty::dying_after(&world.objects, requests, last_is_done);
                let mut ended = false;
                if let Ok(dying) = world.try_server(Arc::<Faulty>::clone(&link)).await {
                    let first = dying.collect().await;
                    // A lease that it has left lapses.
                    pass(80).await;
                    ended = first.is_ok() && dying.collect().await.is_ok() && !link.is_dead();
                }
                died += u32::from(!ended);
                for round in 0..4 {
                    for (name, flat) in ["a", "b", "c"].iter().zip(&images) {
                        let image = server.resolve("t", name).await.unwrap().unwrap();
                        let opened = server.open(image).await.unwrap();
                        assert!(
                            read(&opened).await.unwrap() == flat.0,
                            "{name} in round {round} after {requests}"
                        );
                    }
                    pass(80).await;
                    server.collect().await.unwrap();
                }
                let roots = server.roots().await.unwrap();
                assert_eq!((roots.len(), roots[0].images), (1, 3), "after {requests}");
                assert_eq!(server.stats().await.unwrap().stored_chunks, 4);
                if ended {
                    break;
                }
            }
        }
        assert!(died > 40, "{died}");
    });
}

fn two_servers_begin_at_once() {
    wait(async {
        for yields in 0..20 {
            let world = World::new();
            let begin = |turn| world.try_server(Faulty::in_turns(&world.objects, turn));
            let (one, other) = tokio::join!(begin(2 * yields + 2), begin(3 * yields + 1));
            let (one, other) = (one.unwrap(), other.unwrap());
            let (a, b) = (named("a"), named("b"));
            let (first, second) = tokio::join!(one.put(small(1), &a), other.put(small(2), &b));
            first.unwrap();
            second.unwrap();
            assert_eq!(world.server().await.list().await.unwrap().len(), 2);
        }
    });
}

const ROUNDS: u64 = 20;
/// Longer than most of its steps take, so that each is met.
const WITHIN_MICROS: u64 = 20_000;
const IMAGES: u8 = 5;

async fn in_folder(folder: &Path) -> ImageStore {
    let vault = Arc::new(KeyVault::in_folder(&folder.join("keys")));
    // What was left goes at once.
    let settings = StoreSettings { quarantine_ms: 0, ..StoreSettings::default() };
    ImageStore::in_folder(&folder.join("images"), vault, settings).await.unwrap()
}

fn real_time<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

/// Stores, removes and collects for ever, and says so: `+` stored, `-` about to be removed.
pub(crate) fn work(folder: &Path, seed: u64) -> ! {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut output = std::io::stdout().lock();
    let mut say = |sign: char, number: u8| {
        writeln!(output, "{sign} {number}").and_then(|()| output.flush()).unwrap();
    };
    real_time(async {
        let store = in_folder(folder).await;
        loop {
            let number = random.u8(1..=IMAGES);
            match random.u8(..8) {
                0 => drop(store.rotate(random.bool()).await.unwrap()),
                1 => drop(store.collect().await.unwrap()),
                2 | 3 => {
                    say('-', number);
                    if let Some(image) = store.resolve("t", &number.to_string()).await.unwrap() {
                        store.remove(image).await.unwrap();
                    }
                }
                _ => {
                    let new = named(&number.to_string());
                    store.put(slots(&[number, number + 1]), &new).await.unwrap();
                    say('+', number);
                }
            }
        }
    })
}

fn killed_at_any_moment() {
    let folder = TempDir::new().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    // Whether it must be there; unknown while it is being stored or removed.
    let mut expected = std::collections::HashMap::new();
    for seed in 0..ROUNDS {
        for line in victim::kill_one(folder.path(), seed, &mut random, WITHIN_MICROS) {
            let (sign, number) = line.split_once(' ').unwrap();
            expected.insert(number.parse::<u8>().unwrap(), sign == "+");
        }
        real_time(async {
            let store = in_folder(folder.path()).await;
            for number in 1..=IMAGES {
                match store.resolve("t", &number.to_string()).await.unwrap() {
                    Some(image) => {
                        let opened = store.open(image).await.unwrap();
                        assert!(read(&opened).await.unwrap() == slots(&[number, number + 1]).0);
                    }
                    None => assert_ne!(expected.get(&number), Some(&true), "image {number} in round {seed}"),
                }
            }
        });
    }
    assert!(expected.len() > 2, "{expected:?}");
}
