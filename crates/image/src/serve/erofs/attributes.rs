//! Extended attributes: behind an inode, or shared by several.

use super::{u16_at, u32_at};

const HEADER_BYTES: usize = 12;
const ENTRY_BYTES: usize = 4;

/// What names begin with, by the number that stands for it.
fn prefix(number: u8) -> Option<&'static [u8]> {
    match number {
        0 => Some(b""),
        1 => Some(b"user."),
        2 => Some(b"system.posix_acl_access"),
        3 => Some(b"system.posix_acl_default"),
        4 => Some(b"trusted."),
        6 => Some(b"security."),
        _ => None,
    }
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// What is behind an inode: the numbers of shared ones, and the others. What cannot be read of it is left out.
pub(super) fn parse_inline(bytes: &[u8]) -> (Vec<u32>, Vec<Attribute>) {
    if bytes.len() < HEADER_BYTES {
        return (Vec::new(), Vec::new());
    }
    let n_shared = usize::from(bytes[4]);
    let ids = bytes[HEADER_BYTES..].chunks_exact(4).take(n_shared).map(|id| u32_at(id, 0)).collect();
    let mut attributes = Vec::new();
    let mut rest = bytes.get(HEADER_BYTES + 4 * n_shared..).unwrap_or_default();
    while let Some((attribute, length)) = parse_one(rest) {
        attributes.extend(attribute);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (ids, attributes)
}

/// How long the entry is that begins with these bytes.
pub(super) fn entry_bytes(header: &[u8]) -> usize {
    match header {
        [name, _, _, _, ..] => ENTRY_BYTES + usize::from(*name) + usize::from(u16_at(header, 2)),
        _ => 0,
    }
}

/// The attribute at the start of these bytes, unless its name cannot be told, and how long it is. `None` at the end.
pub(super) fn parse_one(bytes: &[u8]) -> Option<(Option<Attribute>, usize)> {
    let length = entry_bytes(bytes);
    // Filled up with zeros.
    if length <= ENTRY_BYTES || bytes.len() < length {
        return None;
    }
    let (name, value) = bytes[ENTRY_BYTES..length].split_at(bytes[0].into());
    let attribute =
        prefix(bytes[1]).map(|prefix| Attribute { name: [prefix, name].concat(), value: value.to_vec() });
    Some((attribute, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shared_ones_are_named_and_inline_ones_read() {
        let bytes = [
            &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &7_u32.to_le_bytes(),
            &[2, 1, 3, 0, b'a', b'b', b'x', b'y', b'z', 0, 0, 0],
            &[1, 99, 1, 0, b'a', b'x', 0, 0],
            &[1, 6, 0, 0, b'c', 0, 0, 0],
        ]
        .concat();
        let (ids, attributes) = parse_inline(&bytes);
        assert_eq!(ids, [7]);
        let of = |name: &str, value: &str| Attribute { name: name.into(), value: value.into() };
        assert_eq!(attributes, [of("user.ab", "xyz"), of("security.c", "")]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            parse_inline(&bytes);
            parse_one(&bytes);
        }
    }
}
