//! Who may ask a cache node: who knows the secret, or has a certificate of the right authority, or both.
//!
//! Shards are ciphertext whose keys no node has, and are compared with the chunk's id by whoever reads them. What is kept from
//! strangers is the room, and the knowledge of what is stored.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;

use super::tls::NodeTls;

/// How far apart clocks of workers and nodes may be.
const MAX_SKEW: Duration = Duration::from_secs(300);

/// Shorter ones can be guessed.
const MIN_SECRET_BYTES: usize = 16;

/// What workers and nodes share: the key of an HMAC-SHA256. Never shown.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// A secret that can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret of {0} bytes can be guessed: it needs {MIN_SECRET_BYTES}")]
pub struct WeakSecret(usize);

/// What is asked of whoever connects. There is none that asks nothing.
#[derive(Debug, Clone)]
pub struct NodeAccess {
    pub(super) secret: Option<Secret>,
    pub(super) tls: Option<Arc<NodeTls>>,
}

/// What a request says of itself: what of it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claims<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Of the body.
    pub(super) digest: blake3::Hash,
}

impl Secret {
    /// Of random bytes.
    ///
    /// # Errors
    ///
    /// They are too few.
    pub fn new(bytes: &[u8]) -> Result<Self, WeakSecret> {
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(WeakSecret(bytes.len()));
        }
        Ok(Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// What is sent as the request's `authorization`.
    pub(super) fn sign(&self, claims: Claims<'_>, now: SystemTime) -> String {
        let time = unix_seconds(now);
        let signature = hmac::sign(&self.0, signed(claims, time).as_bytes());
        format!("{SCHEME} {time} {} {}", claims.digest, Hex(signature.as_ref()))
    }

    /// Whether this `authorization` is of somebody who knows the secret, and of now. The digest that it is of is given; the body is
    /// to be compared with it.
    pub(super) fn verify(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        now: SystemTime,
    ) -> Option<blake3::Hash> {
        let rest = authorization.strip_prefix(SCHEME)?.strip_prefix(' ')?;
        let mut parts = rest.split(' ');
        let (time, digest, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let time: u64 = time.parse().ok()?;
        if time.abs_diff(unix_seconds(now)) > MAX_SKEW.as_secs() {
            return None;
        }
        let digest = blake3::Hash::from_hex(digest).ok()?;
        let signature = unhex(signature)?;
        // In constant time.
        hmac::verify(&self.0, signed(Claims { method, path, digest }, time).as_bytes(), &signature).ok()?;
        Some(digest)
    }
}

const SCHEME: &str = "Firesteel-HMAC-SHA256";

/// None of the parts can have a line's end in it.
fn signed(Claims { method, path, digest }: Claims<'_>, time: u64) -> String {
    format!("firesteel cache 1\n{method}\n{path}\n{time}\n{digest}")
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl NodeAccess {
    /// For who knows this.
    pub fn by_secret(secret: Secret) -> Self {
        NodeAccess { secret: Some(secret), tls: None }
    }

    /// For who has a certificate, and the other way round.
    pub fn by_certificates(tls: NodeTls) -> Self {
        NodeAccess { secret: None, tls: Some(Arc::new(tls)) }
    }

    /// For who knows this as well.
    #[must_use]
    pub fn and_secret(self, secret: Secret) -> Self {
        NodeAccess { secret: Some(secret), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret() -> Secret {
        Secret::new(&[7; 32]).unwrap()
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
    }

    fn claims() -> Claims<'static> {
        Claims { method: "PUT", path: "/v1/shards/ab/1", digest: blake3::hash(b"body") }
    }

    #[test]
    fn who_knows_the_secret_is_believed_for_a_while() {
        let authorization = secret().sign(claims(), now());
        let verify = |method, path, time| secret().verify(method, path, &authorization, time);
        assert_eq!(verify("PUT", "/v1/shards/ab/1", now()), Some(blake3::hash(b"body")));
        assert_eq!(verify("PUT", "/v1/shards/ab/1", now() + MAX_SKEW), Some(blake3::hash(b"body")));
        assert_eq!(verify("PUT", "/v1/shards/ab/1", now() - MAX_SKEW), Some(blake3::hash(b"body")));
        let later = now() + MAX_SKEW + Duration::from_secs(1);
        assert_eq!(verify("PUT", "/v1/shards/ab/1", later), None);
        assert_eq!(verify("GET", "/v1/shards/ab/1", now()), None);
        assert_eq!(verify("PUT", "/v1/shards/ab/2", now()), None);
        let other = Secret::new(&[8; 32]).unwrap();
        assert_eq!(other.verify("PUT", "/v1/shards/ab/1", &authorization, now()), None);
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(Secret::new(&[1; 15]).unwrap_err(), WeakSecret(15));
        assert_eq!(format!("{:?}", secret()), "Secret");
    }

    proptest! {
        #[test]
        fn nothing_else_is_believed(position in 0..170_usize, byte in any::<u8>(), garbage in ".{0,200}") {
            let authorization = secret().sign(claims(), now());
            let verify = |text: &str| secret().verify("PUT", "/v1/shards/ab/1", text, now());
            prop_assert_eq!(verify(&garbage), None);
            let mut changed = authorization.into_bytes();
            let position = position % changed.len();
            let before = std::mem::replace(&mut changed[position], byte);
            if let Ok(changed) = String::from_utf8(changed) && !before.eq_ignore_ascii_case(&byte) {
                prop_assert_eq!(verify(&changed), None);
            }
        }
    }
}
