//! The store of images in a bucket: what is conditional is decided by the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use firesteel_image::S3Settings;
use firesteel_image::chunk::{CHUNK_BYTES, ChunkSource, Domain, FetchError};
use firesteel_image::manifest::KeyVault;
use firesteel_image::store::{ImageStore, NewImage, SlotReader, StoreSettings};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::server::Server;
use crate::{Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("images are stored in a bucket", images_are_stored_in_a_bucket),
    ("a server that is too busy is asked again, but not by a function", a_busy_server_is_asked_again),
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
    open_at(&server.settings(), bucket, keys).await
}

async fn open_at(s3: &S3Settings, bucket: &str, keys: &TempDir) -> ImageStore {
    let vault = Arc::new(KeyVault::in_folder(keys.path()));
    let settings = StoreSettings { quarantine_ms: 0, ..StoreSettings::default() };
    ImageStore::in_bucket(s3, bucket, Some("images"), vault, settings).await.unwrap()
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

/// Else one busy moment among thousands of reads would pass for damage, or keep an image where it is. What a function waits
/// for, its tiers ask for again, when they see fit.
fn a_busy_server_is_asked_again(server: &Server) {
    server.make_bucket("busy");
    let keys = TempDir::new().unwrap();
    wait(async {
        let store = open_at(&busy(server.settings()).await, "busy", &keys).await;
        let put = store.put(Arc::new(Text("content")), &image("a")).await.unwrap();
        let verified = store.verify(put.image).await.unwrap();
        assert!(verified.damaged.is_empty(), "{verified:?}");
        let opened = store.open(put.image).await.unwrap();
        let (chunk, _) = opened.image.slot(0).unwrap();
        let refused = opened.origin.fetch(chunk).await.unwrap_err();
        assert!(matches!(refused, FetchError::Unreachable { .. }), "{refused}");
        opened.origin.fetch(chunk).await.unwrap();
        store.rotate(false).await.unwrap();
        assert_eq!(store.collect().await.unwrap().moved, 1);
    });
}

/// The server by another address, where it is too busy for every other read of a chunk.
async fn busy(server: S3Settings) -> S3Settings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (behind, is_busy) = (server.endpoint.clone().unwrap(), Arc::new(AtomicBool::new(false)));
    let client = reqwest::Client::new();
    let pass_on = move |request: Request| {
        let (behind, is_busy, client) = (behind.clone(), Arc::clone(&is_busy), client.clone());
        async move {
            let (mut head, body) = request.into_parts();
            let is_chunk = head.method == "GET" && head.uri.path().contains("/chunks/");
            if is_chunk && !is_busy.fetch_xor(true, Ordering::Relaxed) {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            head.uri = format!("{behind}{}", head.uri).parse().unwrap();
            let request = Request::from_parts(head, body).try_into().unwrap();
            let answer = client.execute(request).await.unwrap();
            let mut response = Response::new(());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            let bytes = answer.bytes().await.unwrap();
            response.map(|()| bytes.into())
        }
    };
    let router = axum::Router::new().fallback(pass_on);
    tokio::spawn(async move { axum::serve(listener, router).await });
    S3Settings { endpoint: Some(endpoint), ..server }
}
