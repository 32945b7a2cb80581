//! Packages: where they may come from, which are refused, and the links by which they are had again.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use firesteel_image::{Limits, Sha256, StoreLimits};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Given, ORIGIN, Server, new_function, test, test_with, with};
use crate::package;

const INVALID: &str = "InvalidParameterValueException";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_link_leads_to_the_archive_as_it_was_uploaded", link),
        test("what_is_no_package_is_refused", refused),
        test_with("a_package_unpacks_to_less_than_the_limit", small, unzipped),
        test_with("the_store_has_a_limit", full, storage),
        test_with("a_package_can_be_an_object_of_s3", objects, object),
        test("a_store_of_objects_that_is_down_is_no_mistake", down),
    ]
}

fn create(code: &Value) -> Value {
    with(new_function("f"), json!({"Code": code}))
}

fn zip(archive: &[u8]) -> Value {
    json!({"ZipFile": package::base64(archive)})
}

async fn link(server: Arc<Server>) {
    let archive = package::function("f");
    server.create("f").await;
    let whole = server.get(&format!("{FUNCTIONS}/f")).await.json(200);
    let link = whole["Code"]["Location"].as_str().unwrap().strip_prefix(ORIGIN).unwrap();
    let downloaded = server.get(link).await;
    assert_eq!((downloaded.status, &*downloaded.content), (StatusCode::OK, &*archive));

    let other = link.replace(&Sha256::of(&archive).to_string(), &Sha256::of(b"other").to_string());
    server.get(&other).await.refusal(403, "AccessDeniedException");
    server.delete(&format!("{FUNCTIONS}/f")).await.nothing();
    server.get(link).await.refusal(404, "ResourceNotFoundException");
}

async fn refused(server: Arc<Server>) {
    let damaged = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let empty = "Uploaded file must be a non-empty zip";
    for (archive, text) in [
        (b"no archive".as_slice(), damaged),
        (b"", empty),
        (&package::archive(&[]), empty),
        (&package::archive(&[("../outside", b"x")]), damaged),
    ] {
        assert_eq!(server.post(FUNCTIONS, &create(&zip(archive))).await.refusal(400, INVALID), text);
    }
    assert_eq!(server.code.packages_bytes(), 0);
}

fn small() -> Given {
    let package = Limits { unpacked_bytes: 10, ..Limits::default() };
    Given { code: StoreLimits { package, ..StoreLimits::default() }, ..Given::default() }
}

async fn unzipped(server: Arc<Server>) {
    let of = |bytes: usize| create(&zip(&package::archive(&[("file", &vec![0; bytes])])));
    let refusal = server.post(FUNCTIONS, &of(11)).await.refusal(400, INVALID);
    assert_eq!(refusal, "Unzipped size must be smaller than 10 bytes");
    server.post(FUNCTIONS, &of(10)).await.json(201);
}

fn full() -> Given {
    Given { code: StoreLimits { packages_bytes: 100, ..StoreLimits::default() }, ..Given::default() }
}

async fn storage(server: Arc<Server>) {
    let refusal = server.post(FUNCTIONS, &new_function("f")).await;
    assert_eq!(refusal.refusal(400, "CodeStorageExceededException"), "Code storage limit exceeded.");
}

/// Bucket `code` with the object `folder/f.zip`, and others that are not for everybody.
pub(crate) fn objects() -> Given {
    async fn object(Path((bucket, key)): Path<(String, String)>) -> Response {
        let refusal = |status: u16, code: &str, message: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        };
        match (bucket.as_str(), key.as_str()) {
            ("code", "folder/f.zip") => {
                let headers = [("etag", "\"e\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")];
                (headers, package::function("of-s3")).into_response()
            }
            ("code", _) => refusal(404, "NoSuchKey", "The specified key does not exist."),
            ("secret", _) => refusal(403, "AccessDenied", "Access Denied"),
            _ => refusal(404, "NoSuchBucket", "The specified bucket does not exist"),
        }
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/{bucket}/{*key}", get(object));
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Given { s3_endpoint: Some(endpoint), ..Given::default() }
}

async fn object(server: Arc<Server>) {
    let of = |bucket: &str, key: &str| json!({"S3Bucket": bucket, "S3Key": key});
    for (code, status, error_type, text) in [
        (
            of("code", "missing.zip"),
            400,
            INVALID,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            of("missing", "f.zip"),
            400,
            INVALID,
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not \
             exist",
        ),
        (
            of("secret", "f.zip"),
            403,
            "AccessDeniedException",
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for \
             secret/f.zip. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
        ),
    ] {
        assert_eq!(server.post(FUNCTIONS, &create(&code)).await.refusal(status, error_type), text);
    }
    let archive = package::function("of-s3");
    let created = server.post(FUNCTIONS, &create(&of("code", "folder/f.zip"))).await.json(201);
    assert_eq!(created["CodeSha256"], package::code_sha256(&archive));
    server.settled("f").await;
    assert_eq!(server.invoke("f").await["package"], "of-s3");
    server.update_code("f", "of-bytes", json!({})).await;
    server.put(&format!("{FUNCTIONS}/f/code"), &of("code", "folder/f.zip")).await.json(200);
    server.settled("f").await;
    assert_eq!(server.invoke("f").await["package"], "of-s3");
    let missing = server.put(&format!("{FUNCTIONS}/f/code"), &of("code", "missing.zip")).await;
    missing.refusal(400, INVALID);
}

async fn down(server: Arc<Server>) {
    let code = json!({"S3Bucket": "code", "S3Key": "f.zip"});
    let refusal = server.post(FUNCTIONS, &create(&code)).await.refusal(500, "ServiceException");
    assert_eq!(refusal, "s3://code/f.zip cannot be fetched: the store does not answer.");
}
