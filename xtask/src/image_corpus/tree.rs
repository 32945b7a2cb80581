//! A layer before it is a tar: paths in order, each with what a tar header says of it, and its content in memory.
//!
//! ```text
//! debian.rs  wheels.rs  recipe.rs ──► Tree ──► bytecode.rs adds to it ──► write_tar
//! ```
//!
//! The same tree gives the same tar to the byte: entries are in the order of their paths, and nothing of this machine
//! (clock, user, order of folders) is in a header. Times of modification are those of the packages: Python compares
//! them with its compiled modules.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use tar::{Builder, EntryType, Header};

/// What `/bin` and its like are links into, on a Debian of this decade.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Entries by their path, which has no slash at either end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime_s: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Folder,
    File(Bytes),
    /// So many bytes that no compression and no deduplication makes smaller, the same for the same seed.
    Noise {
        seed: u64,
        bytes: u64,
    },
    Symlink(String),
    /// To the path of another entry of the same tree.
    Hardlink(String),
}

impl Node {
    /// Root's, as packages have it.
    pub(crate) fn file(content: impl Into<Bytes>, mtime_s: u64) -> Self {
        Self { kind: Kind::File(content.into()), mode: 0o644, uid: 0, gid: 0, mtime_s }
    }

    fn folder(mtime_s: u64) -> Self {
        Self { kind: Kind::Folder, mode: 0o755, uid: 0, gid: 0, mtime_s }
    }
}

impl Tree {
    /// With the links of a Debian whose `/bin` is in `/usr`.
    pub(crate) fn merged(mtime_s: u64) -> Self {
        let mut tree = Self::default();
        for name in MERGED {
            let link = Kind::Symlink(format!("usr/{name}"));
            tree.insert(name, Node { kind: link, mode: 0o777, uid: 0, gid: 0, mtime_s });
            tree.insert(&format!("usr/{name}"), Node::folder(mtime_s));
        }
        tree
    }

    /// In place of what was there, with the folders above it where they are missing.
    pub(crate) fn insert(&mut self, path: &str, node: Node) {
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/') {
            self.0.entry(folder.to_owned()).or_insert_with(|| Node::folder(node.mtime_s));
            above = folder;
        }
        self.0.insert(path.to_owned(), node);
    }

    /// All that a package's tar holds, at the places where a merged `/usr` has it.
    pub(crate) fn unpack(&mut self, tar: impl Read) -> io::Result<()> {
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let Some(path) = placed(&entry.path()?.to_string_lossy()) else { continue };
            let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
            let header = entry.header();
            let mut node = Node {
                kind: Kind::Folder,
                mode: header.mode()? & 0o7777,
                uid: header.uid()?,
                gid: header.gid()?,
                mtime_s: header.mtime()?,
            };
            node.kind = match (header.entry_type(), target) {
                (EntryType::Directory, _) if MERGED.contains(&path.as_str()) => continue,
                (EntryType::Directory, _) => Kind::Folder,
                (EntryType::Symlink, Some(target)) => Kind::Symlink(target),
                (EntryType::Link, Some(target)) => Kind::Hardlink(placed(&target).unwrap_or_default()),
                (EntryType::Regular, _) => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content)?;
                    Kind::File(content.into())
                }
                (other, _) => return Err(io::Error::other(format!("{path:?} is of type {other:?}"))),
            };
            self.insert(&path, node);
        }
        Ok(())
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// In the order of the paths.
    pub(crate) fn write_tar(&self, into: impl Write) -> io::Result<()> {
        let order: Vec<_> = self.0.keys().map(String::as_str).collect();
        self.write_tar_in_order(&order, into)
    }

    /// In any order of all paths. Of the paths of one file, the first has the content, and others are links to it.
    pub(crate) fn write_tar_in_order(&self, order: &[&str], into: impl Write) -> io::Result<()> {
        let mut linked = BTreeMap::<&str, Option<&str>>::new();
        for node in self.0.values() {
            if let Kind::Hardlink(target) = &node.kind {
                linked.insert(target, None);
            }
        }
        let mut tar = Builder::new(into);
        for path in order {
            let node =
                self.0.get(*path).ok_or_else(|| io::Error::other(format!("no {path:?} in the tree")))?;
            let target = match &node.kind {
                Kind::Hardlink(target) => target.as_str(),
                _ => path,
            };
            match linked.get_mut(target) {
                Some(Some(first)) => append_link(&mut tar, path, node, first)?,
                first => {
                    if let Some(first) = first {
                        *first = Some(path);
                    }
                    let of = self.get(target);
                    let of = of.ok_or_else(|| io::Error::other(format!("{path:?} links to nothing")))?;
                    append(&mut tar, path, of)?;
                }
            }
        }
        tar.into_inner()?.flush()
    }
}

/// The path in a tree of what a package calls `./lib/…`; `None` for the root itself.
fn placed(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./").trim_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    match path {
        "" | "." => None,
        _ if MERGED.contains(&top) && top != path => Some(format!("usr/{path}")),
        _ => Some(path.to_owned()),
    }
}

fn append<W: Write>(tar: &mut Builder<W>, path: &str, node: &Node) -> io::Result<()> {
    match &node.kind {
        Kind::Folder => {
            let mut header = header(EntryType::Directory, node, 0);
            tar.append_data(&mut header, format!("{path}/"), io::empty())
        }
        Kind::File(content) => {
            let mut header = header(EntryType::Regular, node, content.len() as u64);
            tar.append_data(&mut header, path, content.as_ref())
        }
        Kind::Noise { seed, bytes } => {
            let mut header = header(EntryType::Regular, node, *bytes);
            tar.append_data(&mut header, path, Noise(fastrand::Rng::with_seed(*seed)).take(*bytes))
        }
        Kind::Symlink(target) => tar.append_link(&mut header(EntryType::Symlink, node, 0), path, target),
        Kind::Hardlink(target) => Err(io::Error::other(format!("{target:?} is a link to a link"))),
    }
}

fn append_link<W: Write>(tar: &mut Builder<W>, path: &str, node: &Node, first: &str) -> io::Result<()> {
    tar.append_link(&mut header(EntryType::Link, node, 0), path, first)
}

fn header(kind: EntryType, node: &Node, bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(node.mode);
    header.set_uid(node.uid);
    header.set_gid(node.gid);
    header.set_mtime(node.mtime_s);
    header.set_size(bytes);
    header
}

struct Noise(fastrand::Rng);

impl Read for Noise {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // In whole words, so that the bytes do not depend on how a reader cuts them.
        let whole = if into.len() < 8 { into.len() } else { into.len() / 8 * 8 };
        self.0.fill(&mut into[..whole]);
        Ok(whole)
    }
}
