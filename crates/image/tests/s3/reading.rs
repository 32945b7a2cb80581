//! Objects that are there, and what is said of those that are not.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpListener;

use firesteel_image::{CodeStore, S3GetError, S3Object, S3Settings, S3Store, Sha256, StoreLimits};

use crate::server::Server;
use crate::{Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("an object is read into a sink", an_object_is_read_into_a_sink),
    ("an object is read into the store of code", an_object_is_read_into_the_store_of_code),
    ("a version is read, and else the newest", a_version_is_read_and_else_the_newest),
    ("keys may hold what S3 allows", keys_may_hold_what_s3_allows),
    ("an object over the limit is not read", an_object_over_the_limit_is_not_read),
    ("what is missing is told in Lambda's words", what_is_missing_is_told_in_lambdas_words),
    ("who is not allowed is told in Lambda's words", who_is_not_allowed_is_told_in_lambdas_words),
    ("keys that cannot be asked for are refused", keys_that_cannot_be_asked_for_are_refused),
    ("a store that is not there is unavailable", a_store_that_is_not_there_is_unavailable),
    ("a store that breaks off is unavailable", a_store_that_breaks_off_is_unavailable),
    ("a sink that fails ends it", a_sink_that_fails_ends_it),
];

const NO_LIMIT: u64 = u64::MAX;

fn object(bucket: &str, key: &str) -> S3Object {
    S3Object { bucket: bucket.to_owned(), key: key.to_owned(), version_id: None }
}

fn read(store: &S3Store, object: &S3Object) -> Result<String, S3GetError> {
    wait(store.get(object, NO_LIMIT, Vec::new())).map(|content| String::from_utf8(content).unwrap())
}

fn an_object_is_read_into_a_sink(server: &Server) {
    server.make_bucket("sink");
    // More than one piece.
    let content = "0123456789".repeat(300_000);
    server.make_object("sink", "code/a.zip", &content);
    assert!(read(&server.store(), &object("sink", "code/a.zip")).unwrap() == content);
    server.make_object("sink", "empty", "");
    assert_eq!(read(&server.store(), &object("sink", "empty")).unwrap(), "");
}

fn an_object_is_read_into_the_store_of_code(server: &Server) {
    server.make_bucket("code");
    server.make_object("code", "a.zip", "bytes");
    let folder = tempfile::TempDir::new().unwrap();
    let store = CodeStore::open(folder.path(), StoreLimits::default()).unwrap();
    let incoming = store.receive().unwrap();
    let incoming = wait(server.store().get(&object("code", "a.zip"), NO_LIMIT, incoming)).unwrap();
    assert_eq!(incoming.size_bytes(), 5);
    // These bytes are no archive; that it says so shows that they have come.
    assert!(store.put(incoming).unwrap_err().to_string().starts_with("Could not unzip"));
    assert!(store.tree(Sha256::of(b"bytes")).is_err());
}

fn a_version_is_read_and_else_the_newest(server: &Server) {
    server.make_bucket("versions");
    server.keep_versions("versions");
    let first = server.make_object("versions", "a", "1");
    server.make_object("versions", "a", "2");
    let mut asked = object("versions", "a");
    assert_eq!(read(&server.store(), &asked).unwrap(), "2");
    asked.version_id = first;
    assert_eq!(read(&server.store(), &asked).unwrap(), "1");
}

fn keys_may_hold_what_s3_allows(server: &Server) {
    server.make_bucket("keys");
    for (key, in_url) in [
        ("a b+c", "a%20b%2Bc"),
        ("50%", "50%25"),
        ("ü/(1)/~x", "%C3%BC/%281%29/~x"),
        ("q?a=b#c", "q%3Fa%3Db%23c"),
        ("/a", "/a"),
        ("//b/c", "//b/c"),
    ] {
        server.make_object("keys", in_url, key);
        assert_eq!(read(&server.store(), &object("keys", key)).unwrap(), key);
    }
}

fn an_object_over_the_limit_is_not_read(server: &Server) {
    server.make_bucket("large");
    server.make_object("large", "a", "12345");
    let get = |limit| wait(server.store().get(&object("large", "a"), limit, Vec::new()));
    assert_eq!(get(5).unwrap(), b"12345");
    let error = get(4).unwrap_err();
    assert_eq!(error.to_string(), "s3://large/a is larger than 4 bytes");
}

fn what_is_missing_is_told_in_lambdas_words(server: &Server) {
    server.make_bucket("missing");
    let error = read(&server.store(), &object("missing", "none")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
    );
    let error = read(&server.store(), &object("no-such-bucket", "none")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"
    );
    server.keep_versions("missing");
    server.make_object("missing", "a", "1");
    let asked = S3Object { version_id: Some("never".to_owned()), ..object("missing", "a") };
    let error = read(&server.store(), &asked).unwrap_err();
    let S3GetError::Refused { refusal, .. } = &error else { panic!("{error:?}") };
    assert!(["NoSuchVersion", "InvalidArgument"].contains(&refusal.code.as_str()), "{refusal:?}");
}

fn who_is_not_allowed_is_told_in_lambdas_words(server: &Server) {
    server.make_bucket("denied");
    server.make_object("denied", "a", "1");
    let authenticating = server.authenticating();
    let error = read(&server.store(), &object("denied", "a")).unwrap_err();
    drop(authenticating);
    let text = error.to_string();
    let expected = "Your access has been denied by S3, please make sure your request credentials have permission to \
                    GetObject for denied/a. S3 Error Code: InvalidAccessKeyId. S3 Error Message: ";
    assert!(text.starts_with(expected), "{text}");
    assert!(matches!(error, S3GetError::Denied { .. }));
}

fn keys_that_cannot_be_asked_for_are_refused(server: &Server) {
    for key in ["a//b", "a/", "../a", "a/./b", "a\nb", "", "/"] {
        let error = read(&server.store(), &object("any", key)).unwrap_err();
        assert!(matches!(error, S3GetError::Key { .. }), "{key:?}: {error:?}");
    }
}

/// A store at `endpoint`, which is no server.
fn elsewhere(server: &Server, endpoint: &str) -> S3Store {
    S3Store::new(S3Settings { endpoint: Some(endpoint.to_owned()), ..server.settings() }).unwrap()
}

fn a_store_that_is_not_there_is_unavailable(server: &Server) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = read(&elsewhere(server, &endpoint), &object("b", "k")).unwrap_err();
    assert!(matches!(error, S3GetError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "reading s3://b/k");
    assert!(error.source().is_some());
}

fn a_store_that_breaks_off_is_unavailable(server: &Server) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let broken = std::thread::spawn(move || {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: \"e\"\r\n\
                      Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\nhalf";
        // The first, and one for what is left. More are not answered.
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let error = read(&elsewhere(server, &endpoint), &object("b", "k")).unwrap_err();
    assert!(matches!(error, S3GetError::Unavailable { .. }), "{error:?}");
    broken.join().unwrap();
}

#[derive(Debug)]
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn a_sink_that_fails_ends_it(server: &Server) {
    server.make_bucket("full");
    server.make_object("full", "a", "1");
    let error = wait(server.store().get(&object("full", "a"), NO_LIMIT, Full)).unwrap_err();
    assert!(matches!(error, S3GetError::Sink { .. }), "{error:?}");
}
