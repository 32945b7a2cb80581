//! What is where in a tar file: enough of the format for archives of images, which hold a few blobs under short names.
//!
//! Names are as they are written, without a `./` before them. Of two entries with one name the last counts, as for tar
//! itself. Links among the entries are followed, as old archives share layers by them. Everything else about an entry,
//! its owner and mode, is of no interest here.

use std::collections::BTreeMap;
use std::io;

use super::section::Section;

const BLOCK: u64 = 512;

type Header = [u8; 512];
/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// An image of the most layers has a few hundred.
const MAX_ENTRIES: usize = 20_000;
/// Of a long name, or of other properties that come before an entry.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;

/// Why a file is no archive. The mistake of whoever made it.
#[derive(Debug, thiserror::Error)]
pub enum BadTar {
    /// At an entry, the bytes are not what they should be.
    #[error("at byte {position}: {problem}")]
    Entry {
        /// Of the entry's header.
        position: u64,
        /// In short.
        problem: &'static str,
    },
    /// More than an image could need.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// It cannot be read.
    #[error("reading it")]
    Read(#[from] io::Error),
}

/// The files in an archive by name.
#[derive(Debug)]
pub(super) struct TarIndex {
    archive: Section,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { start: u64, bytes: u64 },
    Link { target: String },
}

/// What an extension says of the entry after it.
#[derive(Default)]
struct Extension {
    name: Option<String>,
    target: Option<String>,
    bytes: Option<u64>,
}

impl TarIndex {
    pub(super) fn read(archive: Section) -> Result<Self, BadTar> {
        let mut entries = BTreeMap::new();
        let mut position = 0;
        let mut extension = Extension::default();
        let mut headers = 0;
        loop {
            let header = archive.part(position, BLOCK).read()?;
            // Some tools leave the zeros at the end out.
            if header.is_empty() || header.iter().all(|byte| *byte == 0) {
                break;
            }
            headers += 1;
            if headers > MAX_ENTRIES {
                return Err(BadTar::TooMany);
            }
            let bad = |problem| BadTar::Entry { position, problem };
            let header: Header = header.try_into().map_err(|_| bad("it ends in the middle of a header"))?;
            let kind = header[156];
            let is_extension = b"xgLK".contains(&kind);
            let in_header = checked_bytes(&header).map_err(bad)?;
            let bytes = if is_extension { in_header } else { extension.bytes.unwrap_or(in_header) };
            let start = position + BLOCK;
            let has_content = !matches!(kind, b'1'..=b'6');
            let end = start.checked_add(if has_content { bytes } else { 0 });
            let end = end
                .filter(|end| *end <= archive.bytes())
                .ok_or_else(|| bad("its content is not all there"))?;
            if is_extension {
                if bytes > MAX_EXTENSION_BYTES {
                    return Err(bad("its properties are too long"));
                }
                let content = archive.part(start, bytes).read()?;
                extension.add(kind, &content).map_err(bad)?;
            } else {
                let Extension { name, target, .. } = std::mem::take(&mut extension);
                let name = name.map_or_else(|| name_of(&header), Ok).map_err(bad)?;
                let name = normal(&name);
                match kind {
                    0 | b'0' | b'7' => drop(entries.insert(name, Entry::File { start, bytes })),
                    b'1' | b'2' => {
                        let target = target.map_or_else(|| text(&header[157..257]), Ok).map_err(bad)?;
                        let target = match kind {
                            b'1' => normal(&target),
                            _ => resolved(&name, &target)
                                .ok_or_else(|| bad("its link leads out of the archive"))?,
                        };
                        entries.insert(name, Entry::Link { target });
                    }
                    b'5' => {}
                    _ => return Err(bad("it is neither a file nor a folder nor a link")),
                }
            }
            position = end.next_multiple_of(BLOCK);
        }
        Ok(TarIndex { archive, entries })
    }

    /// The bytes of a file.
    pub(super) fn get(&self, name: &str) -> Option<Section> {
        let asked = normal(name);
        let mut name = &asked;
        // More links in a row than this are a loop.
        for _ in 0..8 {
            match self.entries.get(name)? {
                Entry::File { start, bytes } => return Some(self.archive.part(*start, *bytes)),
                Entry::Link { target } => name = target,
            }
        }
        None
    }
}

impl Extension {
    fn add(&mut self, kind: u8, content: &[u8]) -> Result<(), &'static str> {
        match kind {
            b'L' => self.name = Some(text(content)?),
            b'K' => self.target = Some(text(content)?),
            b'x' => {
                let mut rest = content;
                while let Some((key, value)) = next_record(&mut rest)? {
                    match key {
                        b"path" => self.name = Some(text(value)?),
                        b"linkpath" => self.target = Some(text(value)?),
                        b"size" => {
                            let digits = text(value)?;
                            self.bytes = Some(digits.parse().map_err(|_| "its size is no number")?);
                        }
                        _ => {}
                    }
                }
            }
            // Of all entries: comments.
            _ => {}
        }
        Ok(())
    }
}

/// `LENGTH KEY=VALUE\n`, the length being that of all of it.
fn next_record<'a>(rest: &mut &'a [u8]) -> Result<Option<Record<'a>>, &'static str> {
    if rest.is_empty() || rest[0] == 0 {
        return Ok(None);
    }
    let bad = "its properties are malformed";
    let space = rest.iter().position(|byte| *byte == b' ').ok_or(bad)?;
    let length: usize =
        std::str::from_utf8(&rest[..space]).ok().and_then(|digits| digits.parse().ok()).ok_or(bad)?;
    let record = rest.get(space + 1..length).ok_or(bad)?;
    let record = record.strip_suffix(b"\n").ok_or(bad)?;
    let equals = record.iter().position(|byte| *byte == b'=').ok_or(bad)?;
    *rest = &rest[length..];
    Ok(Some((&record[..equals], &record[equals + 1..])))
}

/// The length of the content, once the header is known to be one.
fn checked_bytes(header: &Header) -> Result<u64, &'static str> {
    let told = number(&header[148..156])?;
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let in_field: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    if sum - in_field + 8 * u64::from(b' ') != told {
        return Err("it is no header of a tar file");
    }
    number(&header[124..136])
}

/// Octal digits, or, for what they cannot hold, a binary number.
fn number(field: &[u8]) -> Result<u64, &'static str> {
    if let [first @ 0x80..=0xff, rest @ ..] = field {
        let append = |value: u64, byte: &u8| Some(value.checked_mul(256)? + u64::from(*byte));
        let value = rest.iter().try_fold(u64::from(first & 0x7f), append);
        return value.ok_or("a number in it is too large");
    }
    let digits = text(field)?;
    let digits = digits.trim_matches(' ');
    if digits.is_empty() {
        return Ok(0);
    }
    if !digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return Err("a number in it is none");
    }
    u64::from_str_radix(digits, 8).map_err(|_| "a number in it is none")
}

fn name_of(header: &Header) -> Result<String, &'static str> {
    let name = text(&header[..100])?;
    // Only POSIX has a first part of the name here; GNU has times.
    let prefix = if &header[257..263] == b"ustar\0" { text(&header[345..500])? } else { String::new() };
    Ok(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> Result<String, &'static str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).map(str::to_owned).map_err(|_| "a name in it is no UTF-8")
}

fn normal(name: &str) -> String {
    name.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// Where a symbolic link `name` leads, unless it is out of the archive.
fn resolved(name: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, expected) in [
            (&b"0000644\0"[..], Ok(0o644)),
            (b"  644 \0\0", Ok(0o644)),
            (b"\0\0\0\0\0\0\0\0", Ok(0)),
            (&[0x80, 0, 0, 0, 0, 0, 1, 2], Ok(258)),
            (&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 3], Ok((1 << 63) + 3)),
            (&[0xff; 12], Err("a number in it is too large")),
            (b"0000648\0", Err("a number in it is none")),
            (b"-1\0\0\0\0\0\0", Err("a number in it is none")),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn links_stay_in_the_archive() {
        assert_eq!(resolved("a/layer.tar", "../b/layer.tar").as_deref(), Some("b/layer.tar"));
        assert_eq!(resolved("a", "./b//c").as_deref(), Some("b/c"));
        assert_eq!(resolved("a/layer.tar", "../../b"), None);
        assert_eq!(resolved("a", "/etc/passwd"), None);
    }
}
