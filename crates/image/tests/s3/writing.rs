//! Objects that are written, and what is said of those that cannot be.

use std::error::Error;

use bytes::Bytes;
use firesteel_image::{S3Object, S3PutError};

use crate::server::Server;
use crate::{Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("what is written can be read", what_is_written_can_be_read),
    ("a bucket that is missing is told", a_bucket_that_is_missing_is_told),
    ("keys that cannot be written are refused", keys_that_cannot_be_written_are_refused),
];

fn what_is_written_can_be_read(server: &Server) {
    server.make_bucket("written");
    let key = "aws/lambda/async/f/2026/11/05/f-2026-11-05T10.11.12-id";
    for content in ["1", "2"] {
        wait(server.store().put("written", key, Bytes::from(content))).unwrap();
        let object = S3Object { bucket: "written".to_owned(), key: key.to_owned(), version_id: None };
        let read = wait(server.store().get(&object, 10, Vec::new())).unwrap();
        assert_eq!(read, content.as_bytes());
    }
}

fn a_bucket_that_is_missing_is_told(server: &Server) {
    let error = wait(server.store().put("no-such-bucket", "k", Bytes::new())).unwrap_err();
    assert!(
        matches!(&error, S3PutError::Refused { refusal, .. } if refusal.code == "NoSuchBucket"),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "s3://no-such-bucket/k was refused");
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "NoSuchBucket: The specified bucket does not exist");
}

fn keys_that_cannot_be_written_are_refused(server: &Server) {
    let error = wait(server.store().put("any", "a//b", Bytes::new())).unwrap_err();
    assert!(matches!(error, S3PutError::Key { .. }), "{error:?}");
}
