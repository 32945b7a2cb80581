//! Reads and writes objects.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::aws::AmazonS3;
use object_store::client::ReqwestConnector;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, GetOptions, ObjectStore, RetryConfig};
use tokio::task::spawn_blocking;

use super::refusal::{Connection, Refusal};
use super::s3_error::{S3ConnectError, S3GetError, S3PutError};
use super::s3_settings::S3Settings;

/// A caller waits for the answer: a store that is down is told of soon.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(20);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Between two pieces, not for the whole, which may be large.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// Handed to the sink at once: a piece costs a change of threads.
const PIECE_BYTES: usize = 1024 * 1024;

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Object {
    /// Where it is.
    pub bucket: String,
    /// What it is called.
    pub key: String,
    /// Which of its versions; the newest if `None`.
    pub version_id: Option<String>,
}

/// `s3://bucket/key`, with `?versionId=…` where it has one.
impl fmt::Display for S3Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)?;
        match &self.version_id {
            Some(version_id) => write!(formatter, "?versionId={version_id}"),
            None => Ok(()),
        }
    }
}

/// A client of one store, for all its buckets.
#[derive(Clone, Debug)]
pub struct S3Store {
    settings: S3Settings,
    connection: Connection,
}

impl S3Store {
    /// Makes the client. Nothing is sent yet.
    pub fn new(settings: S3Settings) -> Result<Self, S3ConnectError> {
        let options = ClientOptions::new()
            .with_allow_http(settings.is_plain_http())
            .with_no_system_certificates(settings.is_plain_http())
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_read_timeout(PIECE_WITHIN);
        match Connection::new(&ReqwestConnector::default(), &options) {
            Ok(connection) => Ok(S3Store { settings, connection }),
            Err(source) => Err(S3ConnectError { endpoint: settings.bucket_endpoint("BUCKET"), source }),
        }
    }

    /// Writes an object into `sink`, piece by piece and on a thread for blocking work, and gives the sink back.
    ///
    /// Dropped at an await, it drops the sink, once a piece that is being written is.
    pub async fn get<S: Write + Send + 'static>(
        &self,
        object: &S3Object,
        limit_bytes: u64,
        mut sink: S,
    ) -> Result<S, S3GetError> {
        let failed = |source| get_error(object, source);
        let (slashes, key) = split(&object.key)
            .map_err(|source| S3GetError::Key { object: Box::new(object.clone()), source })?;
        let options = GetOptions { version: object.version_id.clone(), ..GetOptions::default() };
        let bucket = self.bucket(&object.bucket, slashes).map_err(failed)?;
        let found = bucket.get_opts(&key, options).await.map_err(failed)?;
        let too_large = || S3GetError::TooLarge { object: Box::new(object.clone()), limit_bytes };
        if found.meta.size > limit_bytes {
            return Err(too_large());
        }
        let mut left_bytes = limit_bytes;
        let mut content = found.into_stream();
        let mut piece = BytesMut::new();
        loop {
            let next = content.next().await.transpose().map_err(failed)?;
            let at_end = next.is_none();
            if let Some(bytes) = next {
                left_bytes = left_bytes.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
                piece.extend_from_slice(&bytes);
            }
            if at_end || piece.len() >= PIECE_BYTES {
                let written = write(sink, piece.split().freeze()).await;
                sink = written
                    .map_err(|source| S3GetError::Sink { object: Box::new(object.clone()), source })?;
            }
            if at_end {
                return Ok(sink);
            }
        }
    }

    /// Writes an object, or replaces it.
    pub async fn put(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), S3PutError> {
        let place = || (bucket.to_owned(), key.to_owned());
        let (slashes, parsed) = split(key).map_err(|source| {
            let (bucket, key) = place();
            S3PutError::Key { bucket, key, source }
        })?;
        let written = match self.bucket(bucket, slashes) {
            Ok(store) => store.put_opts(&parsed, content.into(), object_store::PutOptions::default()).await,
            Err(error) => Err(error),
        };
        written.map(drop).map_err(|source| {
            let (bucket, key) = place();
            match Refusal::within(&source) {
                Some(refusal) => S3PutError::Refused { bucket, key, refusal: refusal.clone() },
                None => S3PutError::Unavailable { bucket, key, source },
            }
        })
    }

    /// All keys of the bucket that begin with these slashes.
    fn bucket(&self, bucket: &str, slashes: &str) -> object_store::Result<AmazonS3> {
        let backoff = BackoffConfig { init_backoff: FIRST_BACKOFF, ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_FOR };
        let client = self.settings.client(bucket, self.settings.bucket_endpoint(bucket) + slashes);
        client
            .with_allow_http(self.settings.is_plain_http())
            .with_retry(retry)
            .with_http_connector(self.connection.clone())
            .build()
    }
}

/// The slashes that a key begins with, and the rest. The parser drops slashes at either end, which to S3 is another key, and
/// takes no key for the whole bucket.
fn split(key: &str) -> Result<(&str, Key), object_store::path::Error> {
    let rest = key.trim_start_matches('/');
    let parsed = Key::parse(rest)?;
    if parsed.as_ref() == rest && !rest.is_empty() {
        Ok((&key[..key.len() - rest.len()], parsed))
    } else {
        Err(object_store::path::Error::EmptySegment { path: key.to_owned() })
    }
}

async fn write<S: Write + Send + 'static>(mut sink: S, piece: Bytes) -> io::Result<S> {
    let written = spawn_blocking(move || sink.write_all(&piece).map(|()| sink)).await;
    written.unwrap_or_else(|ended| Err(io::Error::other(ended)))
}

fn get_error(object: &S3Object, source: object_store::Error) -> S3GetError {
    let object = Box::new(object.clone());
    match Refusal::within(&source) {
        Some(refusal) if refusal.status == 403 => S3GetError::Denied { object, refusal: refusal.clone() },
        Some(refusal) => S3GetError::Refused { object, refusal: refusal.clone() },
        None => S3GetError::Unavailable { object, source },
    }
}
