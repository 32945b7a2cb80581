//! Images come and go, by servers that work at once and die, while roots are rotated, collected and deleted.
//!
//! What must be there is read all the time: by servers that have just begun, and by those that had it open before.

use std::collections::HashMap;
use std::sync::Arc;

use firesteel_image::manifest::ImageId;
use firesteel_image::store::{ImageStore, Opened};

use crate::faulty::Faulty;
use crate::flat::{named, small};
use crate::{Test, World, pass, read, wait};

pub(crate) const TESTS: &[Test] = &[
    ("images come and go, of which none is lost (1 of 4)", || wait(churn(1))),
    ("images come and go, of which none is lost (2 of 4)", || wait(churn(2))),
    ("images come and go, of which none is lost (3 of 4)", || wait(churn(3))),
    ("images come and go, of which none is lost (4 of 4)", || wait(churn(4))),
];

/// Of each test. With `FIRESTEEL_CHURN=2500` it is ten thousand in all, and takes a minute and more.
fn creates() -> u32 {
    std::env::var("FIRESTEEL_CHURN").map_or(500, |creates| creates.parse().unwrap())
}

const SERVERS: usize = 3;
/// More than this are not kept at once.
const LIVE: usize = 8;
/// Different contents: images share them.
const CONTENTS: u32 = 9;

struct Server {
    link: Arc<Faulty>,
    store: ImageStore,
    /// Open images, each with its content.
    open: Vec<(Opened, u32)>,
}

#[derive(Default)]
struct Model {
    /// What was answered for, with its content.
    live: HashMap<ImageId, u32>,
    /// What a server has died over: there or not.
    unknown: HashMap<ImageId, u32>,
    creates: u32,
    removes: u32,
    rotations: u32,
    deaths: u32,
    deleted: usize,
    read_late: u32,
}

impl Server {
    async fn new(world: &World, random: &mut fastrand::Rng) -> Self {
        let link = Faulty::in_turns(&world.objects, random.u64(1..1000));
        let store = world.try_server(Arc::<Faulty>::clone(&link)).await.unwrap();
        Server { link, store, open: Vec::new() }
    }
}

async fn churn(seed: u64) {
    let world = World::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(Server::new(&world, &mut random).await);
    }
    let mut model = Model::default();
    let creates = creates();
    while model.creates < creates {
        let chosen = random.usize(..SERVERS);
        // Dies in the middle of what follows, now and then.
        if random.u8(..25) == 0 {
            servers[chosen].link.die_after(random.u64(1..16));
        }
        match random.u8(..100) {
            0 => {
                servers[chosen].store.rotate(random.bool()).await.ok();
                model.rotations += 1;
            }
            1..=5 => collect_with(&mut servers, chosen, &mut random, &mut model).await,
            6..=7 => pass(random.u64(..40)).await,
            8..=25 => open(&mut servers[chosen], &mut random, &mut model).await,
            26..=40 => read_open(&mut servers[chosen], &mut random, &mut model).await,
            _ if model.live.len() >= LIVE => remove(&servers[chosen], &mut random, &mut model).await,
            _ => create(&servers, chosen, &mut random, &mut model).await,
        }
        for server in &mut servers {
            if server.link.is_dead() {
                model.deaths += 1;
                *server = Server::new(&world, &mut random).await;
            }
        }
    }
    finish(&world, servers, &model).await;
}

/// Two servers store at once: different images, or the same one.
async fn create(servers: &[Server], chosen: usize, random: &mut fastrand::Rng, model: &mut Model) {
    let (first, second) = (&servers[chosen], &servers[(chosen + 1) % SERVERS]);
    let names = [model.creates, model.creates + random.u32(..2)];
    let contents = names.map(|name| name % CONTENTS);
    let news = names.map(|name| named(&format!("{name}")));
    let (one, other) = tokio::join!(
        first.store.put(small(contents[0]), &news[0]),
        second.store.put(small(contents[1]), &news[1])
    );
    for (done, (content, new)) in [one, other].into_iter().zip(contents.into_iter().zip(news)) {
        let image = ImageId::of(&new.tenant, &new.digest, &new.domain);
        match done {
            Ok(put) => {
                assert_eq!(put.image, image);
                model.unknown.remove(&image);
                model.live.insert(image, content);
            }
            Err(error) => {
                assert!(first.link.is_dead() || second.link.is_dead(), "{error:?}");
                if !model.live.contains_key(&image) {
                    model.unknown.insert(image, content);
                }
            }
        }
    }
    model.creates = names[1] + 1;
}

async fn remove(server: &Server, random: &mut fastrand::Rng, model: &mut Model) {
    let (image, content) = any(&model.live, random);
    match server.store.remove(image).await {
        Ok(there) => {
            assert!(there, "{image} is lost");
            model.live.remove(&image);
        }
        Err(error) => {
            assert!(server.link.is_dead(), "{error:?}");
            model.live.remove(&image);
            model.unknown.insert(image, content);
        }
    }
    model.removes += 1;
}

/// What has been answered for, by any server, is there for this one.
async fn open(server: &mut Server, random: &mut fastrand::Rng, model: &mut Model) {
    if model.live.is_empty() {
        return;
    }
    let (image, content) = any(&model.live, random);
    match server.store.open(image).await {
        Ok(opened) => {
            match read(&opened).await {
                Ok(bytes) => assert!(bytes == small(content).0),
                Err(error) => assert!(server.link.is_dead(), "{error:?}"),
            }
            if server.open.len() < 6 {
                server.open.push((opened, content));
            }
        }
        Err(error) => assert!(server.link.is_dead(), "{image}: {error:?}"),
    }
}

/// What a server has open it can read, whatever has become of the image since.
async fn read_open(server: &mut Server, random: &mut fastrand::Rng, model: &mut Model) {
    if server.open.is_empty() {
        return;
    }
    let (opened, content) = &server.open[random.usize(..server.open.len())];
    match read(opened).await {
        Ok(bytes) => assert!(bytes == small(*content).0),
        Err(error) => assert!(server.link.is_dead(), "{error:?}"),
    }
    model.read_late += 1;
    // Environments do not live for ever.
    if random.u8(..3) == 0 {
        server.open.clear();
    }
}

/// While another one stores.
async fn collect_with(servers: &mut [Server], chosen: usize, random: &mut fastrand::Rng, model: &mut Model) {
    let other = (chosen + 1) % SERVERS;
    let (image, content) = match model.live.is_empty() {
        true => (None, 0),
        false => {
            let (image, content) = any(&model.live, random);
            (Some(image), content)
        }
    };
    let reading = async {
        let Some(image) = image else { return };
        match servers[other].store.open(image).await {
            Ok(opened) => match read(&opened).await {
                Ok(bytes) => assert!(bytes == small(content).0),
                Err(error) => assert!(servers[other].link.is_dead(), "{error:?}"),
            },
            Err(error) => assert!(servers[other].link.is_dead(), "{error:?}"),
        }
    };
    let (collected, ()) = tokio::join!(servers[chosen].store.collect(), reading);
    match collected {
        Ok(collected) => {
            assert!(collected.alarmed.is_empty(), "nobody reads from an expired root");
            assert!(collected.stuck.is_empty() || servers[chosen].link.is_dead(), "{:?}", collected.stuck);
            model.deleted += collected.deleted.len();
        }
        Err(error) => assert!(servers[chosen].link.is_dead(), "{error:?}"),
    }
}

fn any(images: &HashMap<ImageId, u32>, random: &mut fastrand::Rng) -> (ImageId, u32) {
    let mut sorted: Vec<_> = images.iter().map(|(image, content)| (*image, *content)).collect();
    sorted.sort_unstable();
    sorted[random.usize(..sorted.len())]
}

/// In the end there is what should be, and after a rotation nothing else.
async fn finish(world: &World, servers: Vec<Server>, model: &Model) {
    drop(servers);
    let server = world.server().await;
    for (image, row, _) in server.list().await.unwrap() {
        let content = model.live.get(&image).or_else(|| model.unknown.get(&image));
        let content = content.unwrap_or_else(|| panic!("{image} was removed: {row:?}"));
        assert!(read(&server.open(image).await.unwrap()).await.unwrap() == small(*content).0);
        if !model.live.contains_key(&image) {
            server.remove(image).await.unwrap();
        }
    }
    assert_eq!(server.list().await.unwrap().len(), model.live.len());
    server.rotate(true).await.unwrap();
    for _ in 0..4 {
        pass(80).await;
        server.collect().await.unwrap();
    }
    for (image, content) in &model.live {
        assert!(read(&server.open(*image).await.unwrap()).await.unwrap() == small(*content).0);
    }
    let stats = server.stats().await.unwrap();
    assert_eq!(
        (stats.stored_chunks, stats.stored_bytes),
        (stats.live_chunks, stats.live_bytes),
        "no garbage"
    );
    assert_eq!(server.roots().await.unwrap().len(), 1);
    let creates = creates();
    assert!(
        model.removes > creates * 9 / 10 && model.rotations > creates / 125 && model.deaths > creates / 25,
        "{}",
        model.removes
    );
    let (deleted, read_late) = (model.deleted, model.read_late);
    assert!(deleted > creates as usize / 250 && read_late > creates * 3 / 25, "{deleted} {read_late}");
}
