//! Reads an EROFS image by its format alone, and holds against it what the kernel only relies on.

use std::collections::BTreeMap;

use crate::{Files, Kind, Seen};

const BLOCK: usize = 4096;

/// Everything in an image.
pub(crate) fn read(image: &[u8]) -> Files {
    let superblock = &image[1024..1152];
    assert_eq!(u32_at(superblock, 0), 0xe0f5_e1e2);
    assert_eq!(u32_at(superblock, 36) as usize * BLOCK, image.len());
    let root = u64::from(u16_at(superblock, 14));
    let mut files = Files::new();
    let mut names: BTreeMap<u64, u32> = BTreeMap::new();
    let mut nids: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut open = vec![(Vec::new(), root, root)];
    while let Some((path, nid, parent)) = open.pop() {
        let inode = Inode::at(image, nid);
        let seen = inode.seen();
        *names.entry(nid).or_default() += 1;
        nids.push((path.clone(), nid));
        if seen.kind == Kind::Directory {
            let mut directories = 0;
            for (name, child, kind) in inode.entries() {
                match name.as_slice() {
                    b"." => assert_eq!((child, kind), (nid, 2)),
                    b".." => assert_eq!((child, kind), (parent, 2)),
                    _ => {
                        let mut child_path = path.clone();
                        if !child_path.is_empty() {
                            child_path.push(b'/');
                        }
                        child_path.extend_from_slice(&name);
                        let expected = match Inode::at(image, child).mode & 0o170_000 {
                            0o100_000 => 1,
                            0o040_000 => 2,
                            0o010_000 => 5,
                            0o120_000 => 7,
                            mode => panic!("mode {mode:o}"),
                        };
                        assert_eq!(kind, expected);
                        directories += u32::from(kind == 2);
                        open.push((child_path, child, nid));
                    }
                }
            }
            assert_eq!(seen.links, 2 + directories);
        }
        assert!(files.insert(path, seen).is_none());
    }
    for (path, nid) in nids {
        let seen = &files[&path];
        if seen.kind != Kind::Directory {
            assert_eq!(seen.links, names[&nid], "links of {}", path.escape_ascii());
        }
    }
    assert_eq!(u64_at(superblock, 16), names.len() as u64);
    files
}

struct Inode<'a> {
    image: &'a [u8],
    at: usize,
    mode: u32,
    inline: bool,
    bytes: usize,
    block: usize,
    xattr_bytes: usize,
}

impl<'a> Inode<'a> {
    fn at(image: &'a [u8], nid: u64) -> Self {
        let at = usize::try_from(nid).unwrap() * 32;
        assert!(at % BLOCK + 64 <= BLOCK, "the inode at {at} crosses a block");
        let inode = &image[at..at + 64];
        let format = u16_at(inode, 0);
        assert!(matches!(format, 0b001 | 0b101), "format {format:b}");
        let xattrs = usize::from(u16_at(inode, 2));
        Inode {
            image,
            at,
            mode: u32::from(u16_at(inode, 4)),
            inline: format == 0b101,
            bytes: usize::try_from(u64_at(inode, 8)).unwrap(),
            block: u32_at(inode, 16) as usize,
            xattr_bytes: if xattrs == 0 { 0 } else { 12 + (xattrs - 1) * 4 },
        }
    }

    fn content(&self) -> Vec<u8> {
        let whole = if self.inline { self.bytes / BLOCK * BLOCK } else { self.bytes };
        let mut content = self.image[self.block * BLOCK..][..whole].to_vec();
        if self.inline {
            let (at, tail) = (self.at + 64 + self.xattr_bytes, self.bytes - whole);
            assert!(tail > 0 && at % BLOCK + tail <= BLOCK, "the tail at {at} crosses a block");
            content.extend_from_slice(&self.image[at..at + tail]);
        }
        content
    }

    fn entries(&self) -> Vec<(Vec<u8>, u64, u8)> {
        let mut entries: Vec<(Vec<u8>, u64, u8)> = Vec::new();
        for block in self.content().chunks(BLOCK) {
            let count = usize::from(u16_at(block, 8)) / 12;
            for index in 0..count {
                let entry = &block[index * 12..][..12];
                let start = usize::from(u16_at(entry, 8));
                let end = if index + 1 < count {
                    usize::from(u16_at(block, (index + 1) * 12 + 8))
                } else {
                    let rest = &block[start..];
                    start + rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len())
                };
                entries.push((block[start..end].to_vec(), u64_at(entry, 0), entry[10]));
            }
        }
        assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "a directory is not sorted");
        entries
    }

    fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut xattrs = BTreeMap::new();
        let mut rest = &self.image[self.at + 64..][..self.xattr_bytes];
        rest = rest.get(12..).unwrap_or_default();
        while !rest.is_empty() {
            let (name_bytes, value_bytes) = (usize::from(rest[0]), usize::from(u16_at(rest, 2)));
            let prefix = match rest[1] {
                1 => "user.",
                2 => "system.posix_acl_access",
                3 => "system.posix_acl_default",
                4 => "trusted.",
                6 => "security.",
                number => panic!("prefix {number}"),
            };
            let name = [prefix.as_bytes(), &rest[4..][..name_bytes]].concat();
            assert!(xattrs.insert(name, rest[4 + name_bytes..][..value_bytes].to_vec()).is_none());
            rest = &rest[(4 + name_bytes + value_bytes).next_multiple_of(4)..];
        }
        xattrs
    }

    fn seen(&self) -> Seen {
        let inode = &self.image[self.at..];
        Seen {
            kind: match self.mode & 0o170_000 {
                0o100_000 => Kind::File(self.content()),
                0o040_000 => Kind::Directory,
                0o010_000 => Kind::Fifo,
                0o120_000 => Kind::Symlink(self.content()),
                mode => panic!("mode {mode:o}"),
            },
            permissions: self.mode & 0o7777,
            uid: u32_at(inode, 24),
            gid: u32_at(inode, 28),
            mtime: (u64_at(inode, 32).cast_signed(), u32_at(inode, 40)),
            links: u32_at(inode, 44),
            xattrs: self.xattrs(),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
