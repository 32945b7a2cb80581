//! The fields of one header of 512 bytes.

use tar::Header;

use super::super::error::BadTar;

/// What a header says, before other headers overrule it.
#[derive(Debug)]
pub(super) struct Fields {
    /// The byte that tells types apart.
    pub(super) kind: u8,
    pub(super) path: Vec<u8>,
    /// What a link leads to.
    pub(super) target: Vec<u8>,
    /// The lower twelve bits of the mode.
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) bytes: u64,
    pub(super) mtime: i64,
}

impl Fields {
    pub(super) fn parse(block: &[u8; 512]) -> Result<Self, BadTar> {
        let header = Header::from_byte_slice(block);
        let fields = header.as_old();
        if !checksum_holds(block, &fields.cksum) {
            return Err(BadTar::Checksum);
        }
        let mut path = Vec::new();
        // GNU tar's headers have times in the place of the prefix, and another magic.
        if &block[257..263] == b"ustar\0" {
            let prefix = text(&block[345..500]);
            if !prefix.is_empty() {
                path.extend_from_slice(prefix);
                path.push(b'/');
            }
        }
        path.extend_from_slice(text(&fields.name));
        Ok(Fields {
            kind: fields.linkflag[0],
            path,
            target: text(&fields.linkname).to_vec(),
            permissions: u16::try_from(field(&fields.mode, "mode")? & 0o7777).expect("it has twelve bits"),
            uid: id(&fields.uid, "uid")?,
            gid: id(&fields.gid, "gid")?,
            bytes: size(&fields.size, "size")?,
            mtime: field(&fields.mtime, "mtime")?,
        })
    }
}

/// The number in a field that cannot be negative.
pub(super) fn size(bytes: &[u8], name: &'static str) -> Result<u64, BadTar> {
    u64::try_from(field(bytes, name)?).map_err(|_| BadTar::Number { field: name })
}

fn id(bytes: &[u8], name: &'static str) -> Result<u32, BadTar> {
    u32::try_from(field(bytes, name)?).map_err(|_| BadTar::Number { field: name })
}

fn field(bytes: &[u8], name: &'static str) -> Result<i64, BadTar> {
    number(bytes).ok_or(BadTar::Number { field: name })
}

/// A number: octal digits among spaces and NULs, nothing at all for 0, or, where the first bit is set, two's complement.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let sign_extended = i128::from(first & 0x7f) - i128::from(first & 0x40) * 2;
        let number = rest.iter().fold(sign_extended, |number, byte| number * 256 + i128::from(*byte));
        return i64::try_from(number).ok();
    }
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_padding(byte)).unwrap_or(field.len());
    let end = field[start..].iter().position(is_padding).map_or(field.len(), |bytes| start + bytes);
    field[start..end].iter().try_fold(0i64, |number, byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// The sum of all bytes, those of the checksum counted as spaces. Some archivers took bytes for signed.
fn checksum_holds(block: &[u8; 512], said: &[u8]) -> bool {
    let counted = |index: usize| if (148..156).contains(&index) { b' ' } else { block[index] };
    let unsigned: i64 = (0..block.len()).map(|index| i64::from(counted(index))).sum();
    let signed: i64 = (0..block.len()).map(|index| i64::from(counted(index).cast_signed())).sum();
    number(said).is_some_and(|said| said == unsigned || said == signed)
}

/// A field of text ends at its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_archivers_write_them() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"00000000000 ", Some(0)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(0x2_0000_0000)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\xc0\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"0000648\0", None),
            (b"-1\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }
}
