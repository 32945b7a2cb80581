//! Why a request is taken for nobody's: classes and texts of AWS's front end. All are answered with 403.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// Why a request is refused before anybody asks what it wants. The text is the caller's answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is signed.
    #[error("Missing Authentication Token")]
    MissingToken,
    /// The parts of a signature are not all there, or cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// The signature is for something else: another time, region, service, set of headers.
    #[error("{0}")]
    Misplaced(String),
    /// The signature is not that of this request. The strings are what it should have been made of, so that authors of
    /// signers can compare them with theirs.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this \
         request should have been\n'{request}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
    )]
    Mismatch {
        /// The canonical request.
        request: String,
        /// What its signature is made of.
        to_sign: String,
    },
    /// A chunked body is not what was signed.
    #[error("The request signature we calculated does not match the signature you provided: {0}.")]
    Chunk(&'static str),
    /// This very request was accepted before.
    #[error("The request signature was used before. Sign every request anew.")]
    Replayed,
    /// No such access key, or its session token is another.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
}

impl Refusal {
    /// The exception's name, as in `x-amzn-ErrorType`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Refusal::MissingToken => "MissingAuthenticationTokenException",
            Refusal::Incomplete(_) => "IncompleteSignatureException",
            Refusal::Misplaced(_) | Refusal::Mismatch { .. } | Refusal::Chunk(_) | Refusal::Replayed => {
                "InvalidSignatureException"
            }
            Refusal::UnknownKey => "UnrecognizedClientException",
            Refusal::ExpiredToken => "ExpiredTokenException",
        }
    }

    /// What is missing in an `Authorization` header, which is shown as a hash: it may be another service's secret.
    pub(super) fn incomplete_header(complaints: &str, authorization: &str) -> Self {
        let hash = BASE64_STANDARD.encode(Sha256::digest(authorization.as_bytes()));
        Refusal::Incomplete(format!(
            "{complaints}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"
        ))
    }
}
