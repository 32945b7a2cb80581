//! Extended attributes, inline: they follow the inode that has them.

/// Bytes of the header before the first attribute.
const HEADER_BYTES: u32 = 12;

/// How large the attributes of an inode, without the header, can be: what 16 bits count in units of 4 bytes.
pub(crate) const XATTR_MAX_BYTES: usize = (u16::MAX as usize - 1) * 4;

/// The beginnings of names that the format knows, and has a number for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum XattrPrefix {
    User,
    PosixAclAccess,
    PosixAclDefault,
    Trusted,
    Security,
}

impl XattrPrefix {
    /// Splits a name; `None` where the kernel would not show such an attribute of EROFS at all.
    pub(crate) fn split(name: &[u8]) -> Option<(XattrPrefix, &[u8])> {
        match name {
            b"system.posix_acl_access" => return Some((XattrPrefix::PosixAclAccess, b"")),
            b"system.posix_acl_default" => return Some((XattrPrefix::PosixAclDefault, b"")),
            _ => {}
        }
        [
            (&b"user."[..], XattrPrefix::User),
            (b"trusted.", XattrPrefix::Trusted),
            (b"security.", XattrPrefix::Security),
        ]
        .into_iter()
        .find_map(|(prefix, kind)| name.strip_prefix(prefix).map(|rest| (kind, rest)))
        .filter(|(_, rest)| !rest.is_empty())
    }

    fn number(self) -> u8 {
        match self {
            XattrPrefix::User => 1,
            XattrPrefix::PosixAclAccess => 2,
            XattrPrefix::PosixAclDefault => 3,
            XattrPrefix::Trusted => 4,
            XattrPrefix::Security => 6,
        }
    }
}

/// Appends an attribute. False, and nothing appended, where name or value is too long for the format.
pub(crate) fn push_xattr(into: &mut Vec<u8>, prefix: XattrPrefix, name: &[u8], value: &[u8]) -> bool {
    let (Ok(name_bytes), Ok(value_bytes)) = (u8::try_from(name.len()), u16::try_from(value.len())) else {
        return false;
    };
    into.extend_from_slice(&[name_bytes, prefix.number()]);
    into.extend_from_slice(&value_bytes.to_le_bytes());
    into.extend_from_slice(name);
    into.extend_from_slice(value);
    into.resize(into.len().next_multiple_of(4), 0);
    true
}

/// Bytes between inode and tail for attributes of so many bytes; nothing at all for none.
pub(crate) fn xattr_area_bytes(attributes: u32) -> u32 {
    if attributes == 0 { 0 } else { HEADER_BYTES + attributes }
}

/// What stands before the attributes: no filter, and none that are shared.
pub(crate) fn xattr_header() -> [u8; HEADER_BYTES as usize] {
    [0; HEADER_BYTES as usize]
}
