//! Packages on their way in and out.
//!
//! ```text
//!  bytes, or an object of S3 ─► take ─► in the store ─► referring: the catalog refers to it, or it goes again
//!  GetFunction, GetLayerVersion ─► link ─► whoever has it, for ten minutes ─► download: the archive as it was uploaded
//! ```
//!
//! A link says what it opens and until when, signed with a key that ends with the server: nothing is kept of it. Called by the
//! operations of functions and layers; `download` by the router, for those who have a link and need no credentials.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use firesteel_catalog::CodeDigest;
use firesteel_image::{Claim, Incoming, PutError, ReadError, S3GetError, S3Object, Sha256, Stored};
use jiff::Timestamp;
use tokio_util::io::ReaderStream;

use crate::error::{ACCESS_DENIED, ApiError};
use crate::front::Front;
use crate::model::exception;

/// Largest archive inside a request.
pub(super) const ZIPPED_BYTES: usize = 52_428_800;

/// As long as AWS's own links.
const LINK_VALID_S: i64 = 600;
const LINKS: &str = "/code/";
const SIGNATURE: &str = "&signature=";

/// Where a package comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The request itself.
    Bytes(Bytes),
    /// The store of objects.
    Object(S3Object),
}

/// A package that was looked at, and what keeps it in the store until the catalog refers to it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) stored: Stored,
    /// Of one that is not only checked.
    claim: Option<Claim>,
}

impl Taken {
    /// How it is called in the catalog.
    pub(super) fn digest(&self) -> CodeDigest {
        CodeDigest(self.stored.sha256.into())
    }
}

/// Puts a package into the store. Nothing refers to it yet: see [`referring`].
pub(super) async fn take(front: &Front, source: Source) -> Result<Taken, ApiError> {
    let store = Arc::clone(front.code()?);
    let taken = match source {
        Source::Bytes(archive) => {
            check_zipped(&archive)?;
            front.blocking(move || store.put_bytes_claimed(&archive)).await?
        }
        Source::Object(object) => {
            let incoming = fetched(front, &object).await?;
            front.blocking(move || store.put_claimed(incoming)).await?
        }
    };
    let (stored, claim) = taken.map_err(|error| put_refused(&error))?;
    Ok(Taken { stored, claim: Some(claim) })
}

/// What [`take`] would say, with nothing kept.
pub(super) async fn check(front: &Front, source: Source) -> Result<Taken, ApiError> {
    let store = Arc::clone(front.code()?);
    let stored = match source {
        Source::Bytes(archive) => {
            check_zipped(&archive)?;
            front.blocking(move || store.check_bytes(&archive)).await?
        }
        Source::Object(object) => {
            let incoming = fetched(front, &object).await?;
            front.blocking(move || store.check(incoming)).await?
        }
    };
    Ok(Taken { stored: stored.map_err(|error| put_refused(&error))?, claim: None })
}

/// The write that refers to a package that was taken. If it is refused, and nobody else refers to the package, that goes.
pub(super) async fn referring<T>(
    front: &Front,
    taken: Taken,
    write: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let digest = taken.digest();
    let result = write.await;
    let was_kept = taken.claim.is_some();
    // Only now may it be removed, by others as well.
    drop(taken);
    if result.is_err() && was_kept {
        front.invoker().remove_code(vec![digest]).await;
    }
    result
}

/// Refuses a function that unpacks to too much: to so many bytes, and what is in `packages`. One that is not there any more
/// is for those to find out who need it.
pub(super) async fn check_unzipped(
    front: &Front,
    unzipped_bytes: u64,
    packages: Vec<CodeDigest>,
) -> Result<(), ApiError> {
    if packages.is_empty() {
        return Ok(());
    }
    let store = Arc::clone(front.code()?);
    let limit_bytes = unzipped_limit_bytes(front)?;
    let further_bytes = front.blocking(move || {
        let sizes = packages.into_iter().map(|package| match store.tree(Sha256::from(package.0)) {
            Ok(tree) => Ok(tree.unpacked().bytes),
            Err(ReadError::Unknown { .. }) => Ok(0),
            Err(error) => Err(error),
        });
        sizes.sum::<Result<u64, ReadError>>()
    });
    let actual_bytes = unzipped_bytes + further_bytes.await?.map_err(|error| failed(&error))?;
    if actual_bytes <= limit_bytes {
        return Ok(());
    }
    Err(invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of {limit_bytes} bytes. \
         The actual size is {actual_bytes} bytes."
    )))
}

/// Largest function, unpacked and with its layers.
pub(super) fn unzipped_limit_bytes(front: &Front) -> Result<u64, ApiError> {
    Ok(front.code()?.limits().package.unpacked_bytes)
}

/// Where the archive can be fetched by whoever is told, for ten minutes.
pub(super) fn link(front: &Front, package: CodeDigest) -> String {
    let expires_s = Timestamp::now().as_second() + LINK_VALID_S;
    let origin = front.origin().trim_end_matches('/');
    format!("{origin}{}", signed(front.link_key(), package, expires_s))
}

pub(crate) fn is_link(uri: &Uri) -> bool {
    uri.path().starts_with(LINKS)
}

/// The archive that a link opens.
pub(crate) async fn download(front: &Front, uri: &Uri) -> Result<Response, ApiError> {
    let link = uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    let package = opened(front.link_key(), link, Timestamp::now().as_second())?;
    let store = Arc::clone(front.code()?);
    let opening = front.blocking(move || -> Result<(File, u64), ReadError> {
        let archive = store.zip(Sha256::from(package.0))?;
        let size_bytes = archive.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        Ok((archive, size_bytes))
    });
    let (archive, size_bytes) = opening.await?.map_err(|error| match error {
        ReadError::Unknown { .. } => ApiError::refused(
            &exception::RESOURCE_NOT_FOUND,
            "The package that this link opened was removed.",
        ),
        error => failed(&error),
    })?;
    let mut response =
        Response::new(Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(archive))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_LENGTH, size_bytes.into());
    Ok(response)
}

fn check_zipped(archive: &[u8]) -> Result<(), ApiError> {
    match archive.len() > ZIPPED_BYTES {
        true => Err(ApiError::ArchiveTooLarge { limit_bytes: ZIPPED_BYTES }),
        false => Ok(()),
    }
}

/// No archive is larger than what is in it, but for names: so much is read of it.
async fn fetched(front: &Front, object: &S3Object) -> Result<Incoming, ApiError> {
    let store = Arc::clone(front.code()?);
    let incoming =
        front.blocking(move || store.receive()).await?.map_err(|error| put_refused(&error.into()))?;
    front.s3().get(object, unzipped_limit_bytes(front)?, incoming).await.map_err(|error| get_refused(&error))
}

/// Path and query of a link.
fn signed(key: &hmac::Key, package: CodeDigest, expires_s: i64) -> String {
    let opens = format!("{LINKS}{package}?expires={expires_s}");
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, opens.as_bytes()));
    format!("{opens}{SIGNATURE}{signature}")
}

/// What path and query of a link open.
fn opened(key: &hmac::Key, link: &str, now_s: i64) -> Result<CodeDigest, ApiError> {
    let invalid = || ApiError::refused(&ACCESS_DENIED, "The link is not one of this server's.");
    let (opens, signature) = link.split_once(SIGNATURE).ok_or_else(invalid)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    hmac::verify(key, opens.as_bytes(), &signature).map_err(|_| invalid())?;
    let (package, expires_s) =
        opens.strip_prefix(LINKS).and_then(|opens| opens.split_once("?expires=")).ok_or_else(invalid)?;
    if expires_s.parse::<i64>().map_err(|_| invalid())? <= now_s {
        return Err(ApiError::refused(&ACCESS_DENIED, "Request has expired"));
    }
    package.parse().map_err(|_| invalid())
}

fn invalid(message: String) -> ApiError {
    ApiError::refused(&exception::INVALID_PARAMETER_VALUE, message)
}

fn put_refused(error: &PutError) -> ApiError {
    match error {
        PutError::Empty | PutError::TooLarge { .. } => invalid(error.to_string()),
        PutError::Unzip(cause) => {
            tracing::info!(error = cause as &(dyn Error + 'static), "an uploaded package cannot be unpacked");
            invalid(error.to_string())
        }
        PutError::CodeStorageExceeded { .. } => {
            ApiError::refused(&exception::CODE_STORAGE_EXCEEDED, error.to_string())
        }
        PutError::Disk(cause) => failed(cause),
    }
}

fn get_refused(error: &S3GetError) -> ApiError {
    match error {
        S3GetError::Denied { .. } => ApiError::refused(&ACCESS_DENIED, error.to_string()),
        S3GetError::Refused { .. } | S3GetError::Key { .. } => invalid(error.to_string()),
        S3GetError::TooLarge { limit_bytes, .. } => {
            put_refused(&PutError::TooLarge { limit_bytes: *limit_bytes })
        }
        S3GetError::Unavailable { object, .. } => {
            tracing::warn!(error = error as &(dyn Error + 'static), "a package cannot be fetched");
            ApiError::refused(
                &exception::SERVICE,
                format!("{object} cannot be fetched: the store does not answer."),
            )
        }
        S3GetError::Sink { .. } => failed(error),
    }
}

fn failed(error: &(dyn Error + 'static)) -> ApiError {
    tracing::error!(error, "the store of code failed");
    ApiError::Service
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: CodeDigest = CodeDigest([0xab; 32]);

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, b"key")
    }

    fn refusal(link: &str, now_s: i64) -> String {
        opened(&key(), link, now_s).unwrap_err().to_string()
    }

    #[test]
    fn an_archive_in_a_request_has_a_limit_of_its_own() {
        assert!(check_zipped(&vec![0; ZIPPED_BYTES]).is_ok());
        let error = check_zipped(&vec![0; ZIPPED_BYTES + 1]).unwrap_err();
        assert_eq!(error.class(), "RequestEntityTooLargeException");
        let recorded = serde_json::json!({"Message": "Zipped size must be smaller than 52428800 bytes"});
        assert_eq!(error.body(), recorded, "without a Type");
    }

    #[test]
    fn a_link_opens_its_package_until_it_expires() {
        let link = signed(&key(), PACKAGE, 1_000);
        assert!(is_link(&link.parse().unwrap()), "{link}");
        assert_eq!(opened(&key(), &link, 999).unwrap(), PACKAGE);
        assert_eq!(refusal(&link, 1_000), "Request has expired");
    }

    #[test]
    fn a_link_cannot_be_changed_or_made_by_others() {
        let link = signed(&key(), PACKAGE, 1_000);
        let other_key = hmac::Key::new(hmac::HMAC_SHA256, b"another");
        for changed in [
            link.replace("expires=1000", "expires=9000"),
            link.replace("abab", "cdcd"),
            link.replace("&signature=", "&other="),
            link[..link.len() - 1].to_owned(),
            format!("{link}&more=1"),
            signed(&other_key, PACKAGE, 1_000),
        ] {
            assert_eq!(refusal(&changed, 0), "The link is not one of this server's.", "{changed}");
        }
    }
}
