//! The canonical form of a request, of which signatures are made.
//!
//! ```text
//!  POST                                       method
//!  /2015-03-31/functions/f%253A1/invocations  path, encoded once more than it was sent
//!  Qualifier=1                                query, decoded, encoded, sorted
//!  host:127.0.0.1:9000                        the signed headers, their values joined and trimmed
//!  x-amz-date:20150830T123600Z
//!
//!  host;x-amz-date                            their names
//!  e3b0c442…                                  hash of the body
//! ```

use std::borrow::Cow;
use std::fmt::Write;

use http::header::HOST;
use http::request::Parts;
use sha2::{Digest, Sha256};

/// The query's own signature, which cannot be in what it signs.
const SIGNATURE_PARAMETER: &[u8] = b"X-Amz-Signature";

/// The canonical request.
pub(super) fn request(head: &Parts, signed_headers: &str, presigned: bool, payload_hash: &str) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(head.method.as_str());
    text.push('\n');
    encode_into(&mut text, normalized(head.uri.path()).as_bytes(), b"/");
    text.push('\n');
    query_into(&mut text, head.uri.query().unwrap_or_default(), presigned);
    text.push('\n');
    for name in signed_headers.split(';') {
        header_into(&mut text, head, name);
    }
    text.push('\n');
    text.push_str(signed_headers);
    text.push('\n');
    text.push_str(payload_hash);
    text
}

/// What is signed: the canonical request in its scope.
pub(super) fn string_to_sign(date: &str, scope: &str, request: &str) -> String {
    format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(request.as_bytes()))
}

/// Without `.`, `..` and empty segments, as signers for all services but S3 leave them out.
fn normalized(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let is_folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if is_folder && !segments.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{end}", segments.join("/")))
}

/// Parameters by name, then by value. Compared as they are encoded, as signers compare them.
fn query_into(text: &mut String, query: &str, presigned: bool) {
    if query.is_empty() {
        return;
    }
    let mut parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !(presigned && name.as_bytes() == SIGNATURE_PARAMETER))
        .map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes())))
        .collect();
    parameters.sort_unstable();
    for (at, (name, value)) in parameters.iter().enumerate() {
        if at > 0 {
            text.push('&');
        }
        let _ = write!(text, "{name}={value}");
    }
}

/// `name:value` and a line's end. Several values are one, with commas between them; runs of blanks are one blank. A header
/// that is not there has no value.
fn header_into(text: &mut String, head: &Parts, name: &str) {
    text.push_str(name);
    text.push(':');
    // A request to a proxy has its host in its first line.
    let authority = (name == HOST.as_str() || name == ":authority")
        .then(|| head.headers.get(HOST).is_none().then(|| head.uri.authority()).flatten())
        .flatten();
    if let Some(authority) = authority {
        text.push_str(authority.as_str());
    }
    let name = if name == ":authority" { HOST.as_str() } else { name };
    for (at, value) in head.headers.get_all(name).iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        for (at, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
            if at > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    text.push('\n');
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    encode_into(&mut text, bytes, b"");
    text
}

/// Percent-encodes all but the unreserved characters and what is in `keep`.
fn encode_into(text: &mut String, bytes: &[u8], keep: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// The digest as it stands in canonical requests.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_signers_do() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a//", "/a/"),
            ("/../x", "/x"),
            ("/a.b/.c", "/a.b/.c"),
        ] {
            assert_eq!(normalized(path), expected, "{path}");
        }
    }
}
