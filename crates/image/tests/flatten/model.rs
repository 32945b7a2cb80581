//! Layers, naively: maps of whole paths, copied and searched without a thought for time.

use std::collections::{BTreeMap, BTreeSet};

use crate::archives::Tar;
use crate::{Files, Kind, Seen};

/// One entry of a layer. Paths are as in a tar, without `./`.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Directory(String, Attributes),
    File(String, Vec<u8>, Attributes),
    Symlink(String, String, Attributes),
    HardLink(String, String),
    Fifo(String, Attributes),
    Device(String),
    Whiteout(String),
    Opaque(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) permissions: u32,
    pub(crate) uid: u32,
    pub(crate) mtime: u32,
    pub(crate) xattr: Option<Vec<u8>>,
}

impl Attributes {
    fn implied() -> Self {
        Attributes { permissions: 0o755, uid: 0, mtime: 0, xattr: None }
    }
}

#[derive(Clone, Debug)]
struct Node {
    kind: Option<Kind>,
    attributes: Attributes,
    described: bool,
    /// Names of one file have the same.
    identity: (usize, usize),
}

impl Node {
    fn is_directory(&self) -> bool {
        self.kind == Some(Kind::Directory)
    }
}

type Nodes = BTreeMap<String, Node>;

pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Tar::new();
    for entry in entries {
        let with = |tar: Tar, attributes: &Attributes| {
            let tar = match &attributes.xattr {
                Some(value) => tar.pax("SCHILY.xattr.user.x", value),
                None => tar,
            };
            tar.mode(attributes.permissions).owner(attributes.uid.into(), 0).mtime(attributes.mtime.into())
        };
        tar = match entry {
            Entry::Directory(path, attributes) => with(tar, attributes).directory(path),
            Entry::File(path, content, attributes) => with(tar, attributes).file(path, content),
            Entry::Symlink(path, target, attributes) => with(tar, attributes).symlink(path, target),
            Entry::Fifo(path, attributes) => with(tar, attributes).entry(b'6', path.as_bytes(), b"", b""),
            Entry::HardLink(path, target) => tar.hard_link(path, target),
            Entry::Device(path) => tar.entry(b'3', path.as_bytes(), b"", b""),
            Entry::Whiteout(path) => {
                let (parent, name) = split(path);
                tar.file(join(parent, &format!(".wh.{name}")), "")
            }
            Entry::Opaque(path) => tar.file(join(path, ".wh..wh..opq"), ""),
        };
    }
    tar.finish()
}

/// What all layers make; `None` where one of them is to be refused.
pub(crate) fn files(layers: &[Vec<Entry>]) -> Option<Files> {
    let mut nodes = Nodes::new();
    nodes.insert(String::new(), implied((0, usize::MAX)));
    for (number, entries) in layers.iter().enumerate() {
        nodes = Layer::read(number, entries)?.over(&nodes)?;
    }
    let mut names: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    nodes.retain(|_, node| node.kind.is_some());
    for node in nodes.values().filter(|node| !node.is_directory()) {
        *names.entry(node.identity).or_default() += 1;
    }
    let subdirectories = |path: &str| {
        nodes.iter().filter(|(p, n)| !p.is_empty() && n.is_directory() && split(p).0 == path).count()
    };
    let seen = |(path, node): (&String, &Node)| {
        let seen = Seen {
            kind: node.kind.clone().unwrap(),
            permissions: node.attributes.permissions,
            uid: node.attributes.uid,
            gid: 0,
            mtime: (node.attributes.mtime.into(), 0),
            links: if node.is_directory() {
                u32::try_from(2 + subdirectories(path)).unwrap()
            } else {
                names[&node.identity]
            },
            xattrs: node.attributes.xattr.iter().map(|value| (b"user.x".to_vec(), value.clone())).collect(),
        };
        (path.clone().into_bytes(), seen)
    };
    Some(nodes.iter().map(seen).collect())
}

struct Layer {
    nodes: Nodes,
    deleted: BTreeSet<String>,
    opaque: BTreeSet<String>,
    links: BTreeMap<String, String>,
    /// Of directories that something else has taken the place of. They still have to lead somewhere.
    gone_links: Vec<(String, String)>,
}

impl Layer {
    fn read(number: usize, entries: &[Entry]) -> Option<Self> {
        let mut layer = Layer {
            nodes: Nodes::new(),
            deleted: BTreeSet::new(),
            opaque: BTreeSet::new(),
            links: BTreeMap::new(),
            gone_links: Vec::new(),
        };
        layer.nodes.insert(String::new(), implied((number, usize::MAX)));
        for (index, entry) in entries.iter().enumerate() {
            let identity = (number, index);
            let mut put = |path: &str, kind: Option<Kind>, attributes: &Attributes| {
                layer.make(split(path).0, identity);
                let node = Node { kind, attributes: attributes.clone(), described: true, identity };
                if !(node.is_directory() && layer.nodes.get(path).is_some_and(Node::is_directory)) {
                    layer.remove(path);
                }
                layer.nodes.insert(path.to_owned(), node);
            };
            match entry {
                Entry::Directory(path, attributes) => put(path, Some(Kind::Directory), attributes),
                Entry::File(path, content, attributes) => {
                    put(path, Some(Kind::File(content.clone())), attributes);
                }
                Entry::Symlink(path, target, attributes) => {
                    put(path, Some(Kind::Symlink(target.clone().into_bytes())), attributes);
                }
                Entry::Fifo(path, attributes) => put(path, Some(Kind::Fifo), attributes),
                Entry::Device(path) => put(path, None, &Attributes::implied()),
                Entry::HardLink(path, target) if path == target => {}
                Entry::HardLink(path, target) => match layer.nodes.get(target).cloned() {
                    Some(node) if node.is_directory() => return None,
                    found => {
                        layer.make(split(path).0, identity);
                        layer.remove(path);
                        match found {
                            Some(node) => drop(layer.nodes.insert(path.clone(), node)),
                            None => drop(layer.links.insert(path.clone(), target.clone())),
                        }
                    }
                },
                Entry::Whiteout(path) => {
                    layer.make(split(path).0, identity);
                    layer.deleted.insert(path.clone());
                }
                Entry::Opaque(path) => {
                    layer.make(path, identity);
                    layer.opaque.insert(path.clone());
                }
            }
        }
        Some(layer)
    }

    /// Makes all directories up to this one.
    fn make(&mut self, path: &str, identity: (usize, usize)) {
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            let path = &path[..end];
            if !self.nodes.get(path).is_some_and(Node::is_directory) {
                self.remove(path);
                self.nodes.insert(path.to_owned(), implied(identity));
            }
        }
    }

    fn remove(&mut self, path: &str) {
        self.nodes.retain(|other, _| !is_within(other, path));
        self.links.remove(path);
        // A directory that comes back is another one.
        self.deleted.retain(|other| other == path || !is_within(other, path));
        self.opaque.retain(|other| !is_within(other, path));
        let (gone, kept) =
            std::mem::take(&mut self.links).into_iter().partition(|(other, _)| is_within(other, path));
        self.links = kept;
        self.gone_links.extend(gone);
    }

    fn over(mut self, below: &Nodes) -> Option<Nodes> {
        for (_, target) in &self.gone_links {
            if self.nodes.get(target).or_else(|| below.get(target))?.is_directory() {
                return None;
            }
        }
        // In the order in which they would be found, which matters only for links to links.
        for (path, target) in &self.links.clone() {
            let found = self.nodes.get(target).or_else(|| below.get(target))?.clone();
            if found.is_directory() {
                return None;
            }
            self.nodes.insert(path.clone(), found);
        }
        let mut nodes = below.clone();
        nodes.retain(|path, _| {
            !self.deleted.iter().any(|deleted| is_within(path, deleted))
                && !self.opaque.iter().any(|opaque| path != opaque && is_within(path, opaque))
        });
        for (path, node) in self.nodes {
            match nodes.get_mut(&path) {
                Some(lower) if node.is_directory() && lower.is_directory() => {
                    if node.described {
                        lower.attributes = node.attributes;
                    }
                }
                _ => {
                    nodes.retain(|other, _| !is_within(other, &path));
                    nodes.insert(path, node);
                }
            }
        }
        Some(nodes)
    }
}

fn implied(identity: (usize, usize)) -> Node {
    Node { kind: Some(Kind::Directory), attributes: Attributes::implied(), described: false, identity }
}

fn is_within(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
