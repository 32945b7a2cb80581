//! Who sent a request: AWS Signature Version 4, in the `Authorization` header or in the query.
//!
//! ```text
//!  head ─► claim: what it says of itself ─► scope, date, key, token ─► Pending ── body ─► signature ─► replays ─► Identity
//!          (claim.rs, date.rs)               (credentials.rs)                   (canonical.rs, chunked.rs)  (replay.rs)
//! ```
//!
//! What can be refused without the body is refused before the body is read. The rest is one rule: the signature has to be
//! that of the head and of the body **as they arrived**. So `UNSIGNED-PAYLOAD` is refused without being looked for, as AWS's
//! Lambda refuses it. Headers that steer an invocation count only when they are signed.
//!
//! Called by the layer in `layer.rs`, which stands before every operation, and by function URLs of auth type `AWS_IAM`.
//! Nothing here reads a clock or a socket. What an identity may do is not decided here but in `authorization`.

mod canonical;
mod chunked;
mod claim;
mod credentials;
mod date;
mod layer;
mod refusal;
mod replay;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use jiff::Timestamp;

use self::canonical::hex;
use self::chunked::Chunks;
use self::claim::Claim;
use self::credentials::Credential;
use self::replay::Replays;

pub use self::credentials::{Credentials, CredentialsError, Identity};
pub use self::layer::authenticate;
pub(crate) use self::layer::verified;
pub use self::refusal::Refusal;

/// What every scope of Lambda's requests names, those of function URLs too.
const SERVICE: &str = "lambda";
/// How far the caller's clock may be off. AWS's Lambda was seen to refuse beyond it in either direction.
const SKEW_SECONDS: i64 = 5 * 60;

/// Whether a request that was accepted once is accepted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Not if it changes anything: the rule is in `replay.rs`.
    Refused,
    /// As long as its date is good, as on AWS. For function URLs, whose callers seldom mark their requests.
    Accepted,
}

/// Decides who sent a request. One for each door, so that a request is remembered where it was accepted.
#[derive(Debug)]
pub struct Authenticator {
    credentials: Arc<Credentials>,
    region: String,
    replays: Option<Replays>,
}

impl Authenticator {
    /// Accepts requests signed for `region` with one of `credentials`.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, region: impl Into<String>, replay: Replay) -> Self {
        let replays = (replay == Replay::Refused).then(Replays::default);
        Authenticator { credentials, region: region.into(), replays }
    }

    /// Checks what the head alone tells, in AWS's order.
    ///
    /// # Errors
    ///
    /// The refusal, with AWS's class and text.
    pub fn begin<'a>(&'a self, head: &'a Parts, now: Timestamp) -> Result<Pending<'a>, Refusal> {
        let claim = Claim::of(head)?;
        claim.check_date(now)?;
        claim.check_signed_headers(head)?;
        claim.check_scope(&self.region)?;
        let credential = self.credentials.find(&claim.access_key_id).ok_or(Refusal::UnknownKey)?;
        credential.check_token(claim.token.as_deref(), now)?;
        Ok(Pending { authenticator: self, head, claim, credential })
    }
}

/// The access key that a request says it is signed with: where there are no credentials, nobody can tell whether it is.
///
/// # Errors
///
/// It is not signed, or its signature is not in its form.
pub(crate) fn claimed_key(head: &Parts) -> Result<String, Refusal> {
    Ok(Claim::of(head)?.access_key_id)
}

/// A request whose head is plausible, and whose body is still to come.
#[derive(Debug)]
pub struct Pending<'a> {
    authenticator: &'a Authenticator,
    head: &'a Parts,
    claim: Claim,
    credential: &'a Credential,
}

impl Pending<'_> {
    /// Who sent the request, and its body without the frames of a chunked one.
    ///
    /// # Errors
    ///
    /// The signature is not that of this head and this body, or was accepted before.
    pub fn finish(self, body: Bytes, now: Timestamp) -> Result<(Arc<Identity>, Bytes), Refusal> {
        let Pending { authenticator, head, claim, credential } = self;
        let chunks = Chunks::announced(head);
        let payload_hash =
            chunks.map_or_else(|| canonical::sha256_hex(&body), |chunks| chunks.name().to_owned());
        let request = canonical::request(head, &claim.signed_headers, claim.presigned, &payload_hash);
        let to_sign = canonical::string_to_sign(&claim.date.text, &claim.scope, &request);
        let key = credential.signing_key(&claim.scope_date, &authenticator.region);
        let expected = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
        if verify_slices_are_equal(expected.as_bytes(), claim.signature.as_bytes()).is_err() {
            return Err(Refusal::Mismatch { request, to_sign });
        }
        let body = match chunks {
            Some(chunks) => chunks.verified(&body, head, &claim, &key)?,
            None => body,
        };
        // What only reads may be asked twice. A presigned URL is made to be handed on, and used until it expires.
        let changes = !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if let Some(replays) = authenticator.replays.as_ref()
            && changes
            && !claim.presigned
        {
            replays.admit(&expected, &head.headers, claim.date.seconds, now)?;
        }
        Ok((Arc::clone(&credential.identity), body))
    }
}

#[cfg(test)]
mod tests;
