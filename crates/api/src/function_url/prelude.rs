//! The prelude of a streamed answer: status, headers and cookies as JSON, eight zero bytes, then the body.
//!
//! It comes in pieces of any size. The parser takes them one by one and keeps them until the zeros are there.

use bytes::{Bytes, BytesMut};

use super::head::{Head, InvalidHead, Members};

const DELIMITER: [u8; 8] = [0; 8];
/// More than any head of an HTTP answer that clients take.
const LIMIT_BYTES: usize = 1024 * 1024;

/// Why there is no prelude.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPrelude {
    #[error("the prelude is not JSON of an answer's head")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Head(#[from] InvalidHead),
    #[error("the prelude has no end within {LIMIT_BYTES} bytes")]
    TooLong,
}

/// Reads a prelude from the pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct PreludeParser {
    read: BytesMut,
}

impl PreludeParser {
    /// The prelude, and what of the body is there already, once the delimiter is whole. Not to be called after that.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Option<(Head, Bytes)>, InvalidPrelude> {
        // The delimiter may have begun in the pieces before.
        let searched = self.read.len().saturating_sub(DELIMITER.len() - 1);
        self.read.extend_from_slice(piece);
        let mut windows = self.read[searched..].windows(DELIMITER.len());
        let Some(position) = windows.position(|window| window == DELIMITER) else {
            return if self.read.len() > LIMIT_BYTES { Err(InvalidPrelude::TooLong) } else { Ok(None) };
        };
        let json = self.read.split_to(searched + position);
        let head = serde_json::from_slice::<Members>(&json)?.head()?;
        let body = self.read.split_off(DELIMITER.len());
        Ok(Some((head, body.freeze())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRELUDE: &str = r#"{"statusCode":201,"headers":{"x-a":"1"},"cookies":["c=d"]}"#;

    fn parsed(pieces: &[&[u8]]) -> Result<Option<(Head, Vec<u8>)>, InvalidPrelude> {
        let mut parser = PreludeParser::default();
        let mut pieces = pieces.iter();
        for piece in pieces.by_ref() {
            if let Some((head, first)) = parser.push(piece)? {
                let rest = pieces.flat_map(|piece| piece.iter().copied());
                return Ok(Some((head, first.into_iter().chain(rest).collect())));
            }
        }
        Ok(None)
    }

    fn stream(body: &[u8]) -> Vec<u8> {
        [PRELUDE.as_bytes(), &DELIMITER, body].concat()
    }

    #[test]
    fn a_prelude_in_one_piece() {
        let (head, body) = parsed(&[&stream(b"body")]).unwrap().unwrap();
        assert_eq!(head.status, 201);
        assert_eq!(head.headers["x-a"], "1");
        assert_eq!(head.headers["set-cookie"], "c=d");
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_prelude_without_its_end_is_none_yet() {
        assert!(parsed(&[]).unwrap().is_none());
        let stream = stream(b"");
        assert!(parsed(&[&stream[..stream.len() - 1]]).unwrap().is_none());
        assert_eq!(parsed(&[&stream]).unwrap().unwrap().1, b"");
    }

    #[test]
    fn what_is_no_prelude_is_refused() {
        for json in ["", "x", "7", r#"{"statusCode":"OK"}"#, "{}\0", r#"{"headers":{"a":"\u0000"}}"#] {
            let stream =
                [json.as_bytes(), b"x".repeat(usize::from(json == "{}\0")).as_slice(), &DELIMITER].concat();
            parsed(&[&stream]).unwrap_err();
        }
    }

    #[test]
    fn a_prelude_without_any_end_is_not_kept_forever() {
        let piece = vec![b' '; LIMIT_BYTES];
        assert!(matches!(parsed(&[&piece, b" "]), Err(InvalidPrelude::TooLong)));
    }

    #[test]
    fn every_split_in_two_is_the_same() {
        let stream = stream(b"\0\0body\0");
        let whole = parsed(&[&stream]).unwrap().unwrap();
        for middle in 0..=stream.len() {
            let (one, two) = stream.split_at(middle);
            assert_eq!(parsed(&[one, two]).unwrap().unwrap(), whole, "split at {middle}");
        }
    }

    proptest! {
        #[test]
        fn every_split_is_the_same(
            body in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..40),
            sizes in proptest::collection::vec(0usize..20, 0..60),
        ) {
            let stream = stream(&body);
            let mut rest = stream.as_slice();
            let mut pieces = Vec::new();
            for size in sizes {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let (head, seen) = parsed(&pieces).unwrap().unwrap();
            prop_assert_eq!(head.status, 201);
            prop_assert_eq!(seen, body);
        }
    }
}
