//! The store of images in a bucket: what is conditional is decided by the server.

use std::sync::Arc;

use firesteel_image::chunk::{CHUNK_BYTES, ChunkSource, Domain};
use firesteel_image::manifest::KeyVault;
use firesteel_image::store::{ImageStore, NewImage, SlotReader, StoreSettings};
use tempfile::TempDir;

use crate::server::Server;
use crate::{Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("images are stored in a bucket", images_are_stored_in_a_bucket),
    ("servers that have not seen each other's changes lose nothing", servers_lose_nothing),
];

struct Text(&'static str);

impl SlotReader for Text {
    type Error = std::io::Error;

    fn image_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_slot(&self, _: u32, into: &mut [u8; CHUNK_BYTES as usize]) -> std::io::Result<()> {
        into[..self.0.len()].copy_from_slice(self.0.as_bytes());
        Ok(())
    }
}

fn image(digest: &str) -> NewImage {
    NewImage {
        tenant: "t".to_owned(),
        digest: digest.to_owned(),
        domain: Domain::Deployment,
        layout: 1,
        config: "{}".to_owned(),
        name: Some(digest.to_owned()),
    }
}

async fn open(server: &Server, bucket: &str, keys: &TempDir) -> ImageStore {
    let vault = Arc::new(KeyVault::in_folder(keys.path()));
    let settings = StoreSettings { quarantine_ms: 0, ..StoreSettings::default() };
    ImageStore::in_bucket(&server.settings(), bucket, Some("images"), vault, settings).await.unwrap()
}

async fn read(store: &ImageStore, name: &str) -> Vec<u8> {
    let opened = store.open(store.resolve("t", name).await.unwrap().unwrap()).await.unwrap();
    let (chunk, key) = opened.image.slot(0).unwrap();
    opened.origin.fetch(chunk).await.unwrap().open(key, 0..chunk.stored_bytes)
}

fn images_are_stored_in_a_bucket(server: &Server) {
    server.make_bucket("images");
    let keys = TempDir::new().unwrap();
    wait(async {
        let store = open(server, "images", &keys).await;
        let put = store.put(Arc::new(Text("content")), &image("a")).await.unwrap();
        assert_eq!(put.new_chunks, 1);
        assert_eq!(store.put(Arc::new(Text("content")), &image("b")).await.unwrap().new_chunks, 0);
        let again = open(server, "images", &keys).await;
        assert_eq!(read(&again, "a").await, b"content");
        // Forward into another root, and the first one goes.
        store.rotate(true).await.unwrap();
        assert_eq!(store.collect().await.unwrap().moved, 2);
        drop((store, again));
        let store = open(server, "images", &keys).await;
        while store.roots().await.unwrap().len() > 1 {
            store.collect().await.unwrap();
        }
        assert_eq!(read(&store, "b").await, b"content");
        assert_eq!(store.stats().await.unwrap().stored_chunks, 1);
    });
}

/// Each believes that the state is what it was when it began. One after the other, because this server of S3 looks and
/// writes in two steps.
fn servers_lose_nothing(server: &Server) {
    server.make_bucket("in-turns");
    let keys = TempDir::new().unwrap();
    let names = ["a", "b", "c", "d"];
    wait(async {
        let mut stores = Vec::new();
        for _ in names {
            stores.push(open(server, "in-turns", &keys).await);
        }
        for (store, name) in stores.iter().zip(names) {
            store.put(Arc::new(Text("same")), &image(name)).await.unwrap();
        }
        for store in &stores {
            assert_eq!(store.list().await.unwrap().len(), names.len());
            for name in names {
                assert_eq!(read(store, name).await, b"same");
            }
        }
    });
}
