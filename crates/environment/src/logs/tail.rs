//! The last 4 096 bytes of an invocation's log, for callers that ask with `X-Amz-Log-Type: Tail`.

use bytes::Bytes;

/// How much of the log a caller gets (AWS: "Invoke", LogType).
const TAIL_BYTES: usize = 4096;

/// The end of a log. It may begin in the middle of a line, as on AWS.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Up to twice the size: cut back only when full, so that most pushes are one copy.
    bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Tail { bytes: Vec::with_capacity(512) }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() >= TAIL_BYTES {
            self.bytes.clear();
            self.bytes.extend_from_slice(&bytes[bytes.len() - TAIL_BYTES..]);
            return;
        }
        if self.bytes.len() + bytes.len() > 2 * TAIL_BYTES {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES);
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes[self.bytes.len().saturating_sub(TAIL_BYTES)..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_is_the_end_of_everything_pushed(
            parts in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..6000), 0..12)
        ) {
            let mut tail = Tail::new();
            parts.iter().for_each(|part| tail.push(part));
            let all = parts.concat();
            let expected = &all[all.len().saturating_sub(TAIL_BYTES)..];
            proptest::prop_assert_eq!(&tail.to_bytes()[..], expected);
        }
    }
}
