//! Reading a request's body up to a limit.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// How much of an oversized body is still read, so that a client that writes all before it reads finds its
/// answer. AWS's front end takes at most this much of any request.
pub(crate) const DRAIN_LIMIT_BYTES: u64 = 70_167_211;

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge { size_bytes: u64 },
    Unreadable,
}

/// The whole body, if it is at most `limit_bytes` long. A body in one piece is not copied.
pub(crate) async fn read(mut body: Body, limit_bytes: usize) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut size_bytes: u64 = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(BodyError::Unreadable) };
        let Ok(data) = frame.into_data() else { continue };
        size_bytes += data.len() as u64;
        if size_bytes > DRAIN_LIMIT_BYTES {
            break;
        }
        if size_bytes > limit_bytes as u64 {
            (first, rest) = (Bytes::new(), BytesMut::new());
        } else if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    if size_bytes > limit_bytes as u64 {
        return Err(BodyError::TooLarge { size_bytes });
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    fn body(parts: &[&'static str]) -> Body {
        let frames: Vec<_> = parts
            .iter()
            .map(|part| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(part.as_bytes()))))
            .collect();
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn pieces_are_put_together_and_the_limit_is_exact() {
        assert_eq!(read(body(&[]), 4).await.unwrap(), "");
        assert_eq!(read(body(&["abcd"]), 4).await.unwrap(), "abcd");
        assert_eq!(read(body(&["ab", "", "c", "d"]), 4).await.unwrap(), "abcd");
        assert!(matches!(read(body(&["ab", "cde"]), 4).await, Err(BodyError::TooLarge { size_bytes: 5 })));
        assert!(matches!(read(body(&["abcde", "f"]), 4).await, Err(BodyError::TooLarge { size_bytes: 6 })));
    }
}
