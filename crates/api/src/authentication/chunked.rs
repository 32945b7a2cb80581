//! Bodies in signed chunks: `x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with `-TRAILER` or without.
//!
//! ```text
//!  400;chunk-signature=<64 digits>\r\n  <1024 bytes>\r\n      each signed together with the signature before it,
//!  0;chunk-signature=<64 digits>\r\n                          the first together with the request's
//!  x-amz-checksum-crc32:AAAAAA==\r\n                          trailers, if announced,
//!  x-amz-trailer-signature:<64 digits>\r\n                    and their signature
//!  \r\n
//! ```
//!
//! What is cut short, reordered or put in between breaks the chain. A form with unsigned chunks exists for S3, and is refused
//! like any other payload that is not signed.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use http::request::Parts;

use super::canonical::{hex, sha256_hex};
use super::claim::Claim;
use super::refusal::Refusal;

const CHUNK_SIGNATURE: &[u8] = b";chunk-signature=";
const TRAILER_SIGNATURE: &[u8] = b"x-amz-trailer-signature:";

/// How the chunks of a body are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    Plain,
    WithTrailer,
}

/// The chain of signatures, up to the last chunk that was found good.
struct Chain<'a> {
    key: &'a hmac::Key,
    date: &'a str,
    scope: &'a str,
    previous: String,
}

impl Chunks {
    /// The form that the head announces.
    pub(super) fn announced(head: &Parts) -> Option<Self> {
        let hash = head.headers.get("x-amz-content-sha256")?;
        [Chunks::Plain, Chunks::WithTrailer].into_iter().find(|chunks| hash == chunks.name())
    }

    /// What stands in the place of the body's hash.
    pub(super) fn name(self) -> &'static str {
        match self {
            Chunks::Plain => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Chunks::WithTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        }
    }

    /// What is in the chunks of `body`. `claim` is that of the request, which has been found good.
    pub(super) fn verified(
        self,
        body: &[u8],
        head: &Parts,
        claim: &Claim,
        key: &hmac::Key,
    ) -> Result<Bytes, Refusal> {
        let previous = claim.signature.clone();
        let mut chain = Chain { key, date: &claim.date.text, scope: &claim.scope, previous };
        let mut rest = body;
        let mut decoded = BytesMut::with_capacity(body.len());
        loop {
            let line = line(&mut rest)?;
            let at = line.windows(CHUNK_SIGNATURE.len()).position(|window| window == CHUNK_SIGNATURE);
            let (size, signature) = at.map(|at| line.split_at(at)).ok_or(MALFORMED)?;
            let size_bytes = std::str::from_utf8(size)
                .ok()
                .filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .and_then(|size| usize::from_str_radix(size, 16).ok())
                .ok_or(MALFORMED)?;
            let chunk = rest.split_off(..size_bytes).ok_or(TRUNCATED)?;
            let hashes = format!("{}\n{}", sha256_hex(b""), sha256_hex(chunk));
            chain.link("PAYLOAD", &hashes, &signature[CHUNK_SIGNATURE.len()..])?;
            if chunk.is_empty() {
                break;
            }
            decoded.extend_from_slice(chunk);
            if !line_is_empty(&mut rest)? {
                return Err(MALFORMED);
            }
        }
        if self == Chunks::WithTrailer {
            let mut trailers = String::new();
            loop {
                let line = line(&mut rest)?;
                if let Some(signature) = line.strip_prefix(TRAILER_SIGNATURE) {
                    chain.link("TRAILER", &sha256_hex(trailers.as_bytes()), signature)?;
                    break;
                }
                trailers.push_str(std::str::from_utf8(line).map_err(|_| MALFORMED)?);
                trailers.push('\n');
            }
        }
        if !line_is_empty(&mut rest)? || !rest.is_empty() {
            return Err(MALFORMED);
        }
        let announced = head.headers.get("x-amz-decoded-content-length");
        if announced.is_none_or(|length| length != decoded.len().to_string().as_str()) {
            return Err(Refusal::Chunk("x-amz-decoded-content-length is not the length of the chunks"));
        }
        Ok(decoded.freeze())
    }
}

const MALFORMED: Refusal = Refusal::Chunk("the body is not made of chunks");
const TRUNCATED: Refusal = Refusal::Chunk("the body ends before its last chunk");

impl Chain<'_> {
    /// The next signature, of which `signature` is to be the spelling.
    fn link(&mut self, what: &str, hashes: &str, signature: &[u8]) -> Result<(), Refusal> {
        let Chain { key, date, scope, previous } = self;
        let to_sign = format!("AWS4-HMAC-SHA256-{what}\n{date}\n{scope}\n{previous}\n{hashes}");
        let expected = hex(hmac::sign(key, to_sign.as_bytes()).as_ref());
        verify_slices_are_equal(expected.as_bytes(), signature)
            .map_err(|_| Refusal::Chunk("a chunk is not what was signed"))?;
        self.previous = expected;
        Ok(())
    }
}

/// The next line, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Refusal> {
    let end = rest.windows(2).position(|window| window == b"\r\n").ok_or(TRUNCATED)?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Ok(line)
}

fn line_is_empty(rest: &mut &[u8]) -> Result<bool, Refusal> {
    line(rest).map(<[u8]>::is_empty)
}
