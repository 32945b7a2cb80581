//! The files of an image, or of a layer, in little memory: arenas, no pointers.
//!
//! ```text
//! names     | 3 e t c | 5 h o s t s | …         each once, however many files have it
//! inodes    what a file is: node, owner, mode, time, attributes
//! dentries  (directory, name) ─► inode          found by a hash table; those of one directory are a list, too
//! ```
//!
//! All layers, and the image they make, are trees within one `Tree`: an inode moves from a layer's directory to the
//! image's by its number alone. Entries belong to the *inode* of their directory. To remove a directory with all that is in it
//! is therefore to forget its number, whatever its size.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;

use super::archive::{Segment, Time};
use super::error::{BadEntry, Refusal};
use super::limits::{Budget, FlattenLimit};
use super::path::NAME_BYTES;

/// Symbolic links that one path may lead through: as many as Linux follows.
const MAX_LINKS: usize = 40;
/// Bytes that one path may have while the targets of links are in it.
const MAX_EXPANDED_BYTES: usize = 16 * 1024;

/// Number of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InodeId(u32);

impl InodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Number of a dentry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DentryId(NonZeroU32);

/// Where a name begins in the arena of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NameId(u32);

/// What is known of a file beside its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    /// The layer that says so.
    pub(super) layer: u16,
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Time,
    /// Which of [`Tree::xattrs`].
    pub(super) xattrs: Option<NonZeroU32>,
}

impl Attributes {
    /// Those of a directory that no layer describes, but that has to be there for what is in it.
    pub(super) fn implied(layer: u16) -> Self {
        Attributes { layer, permissions: 0o755, uid: 0, gid: 0, mtime: Time::default(), xattrs: None }
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Directory(DirectoryNode),
    /// Its content, whole, in the tar of its layer.
    File {
        at: u64,
        bytes: u64,
    },
    /// Segments from `first` on, as many as say that they are of this file.
    Sparse {
        first: u32,
        count: u32,
        bytes: u64,
    },
    /// Its target, in the arena of targets.
    Symlink {
        at: u32,
        bytes: u32,
    },
    Fifo,
    /// Left out of the image; known here so that it hides what is below, and can be linked to.
    Device,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DirectoryNode {
    first: Option<DentryId>,
    /// A layer has an entry for it, and not only for something in it.
    pub(super) described: bool,
    /// Hides what layers below have in it.
    pub(super) opaque: bool,
}

impl DirectoryNode {
    /// One that a layer has an entry for.
    pub(super) fn described() -> Self {
        DirectoryNode { described: true, ..DirectoryNode::default() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Inode {
    node: Node,
    attributes: Attributes,
}

#[derive(Clone, Copy, Debug)]
struct Dentry {
    directory: InodeId,
    name: NameId,
    inode: Option<NonZeroU32>,
    next: Option<DentryId>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tree {
    inodes: Vec<Inode>,
    dentries: Vec<Dentry>,
    /// Each as one byte for its length, then itself.
    names: Vec<u8>,
    targets: Vec<u8>,
    segments: Vec<Segment>,
    /// Attributes as they will be in the image, all of an inode together. The first is never used.
    xattrs: Vec<Box<[u8]>>,
    by_name: HashTable<NameId>,
    by_place: HashTable<DentryId>,
    /// The set of attributes that was added last: whole layers have one and the same.
    last_xattrs: Option<NonZeroU32>,
    /// Keyed by chance, so that nobody can make names that all collide. Nothing ever goes through the tables in their
    /// order.
    hasher: RandomState,
}

impl Tree {
    pub(super) fn new() -> Self {
        Tree {
            inodes: Vec::new(),
            dentries: Vec::new(),
            names: Vec::new(),
            targets: Vec::new(),
            segments: Vec::new(),
            xattrs: vec![Box::default()],
            by_name: HashTable::new(),
            by_place: HashTable::new(),
            last_xattrs: None,
            hasher: RandomState::new(),
        }
    }

    /// The root of an image without any layer.
    pub(super) fn add_root(&mut self) -> InodeId {
        self.push(Node::Directory(DirectoryNode::default()), Attributes::implied(0))
    }

    pub(super) fn add(
        &mut self,
        node: Node,
        attributes: Attributes,
        budget: &mut Budget,
    ) -> Result<InodeId, FlattenLimit> {
        budget.take_inode()?;
        Ok(self.push(node, attributes))
    }

    fn push(&mut self, node: Node, attributes: Attributes) -> InodeId {
        let id = InodeId(u32::try_from(self.inodes.len()).expect("inodes are limited to 32 bits"));
        self.inodes.push(Inode { node, attributes });
        id
    }

    pub(super) fn add_target(&mut self, target: &[u8], budget: &mut Budget) -> Result<Node, FlattenLimit> {
        budget.take_metadata(target.len())?;
        let at = u32::try_from(self.targets.len()).expect("metadata is limited to 32 bits");
        self.targets.extend_from_slice(target);
        Ok(Node::Symlink { at, bytes: u32::try_from(target.len()).expect("a target has at most 4095 bytes") })
    }

    pub(super) fn add_segments(
        &mut self,
        segments: &[Segment],
        bytes: u64,
        budget: &mut Budget,
    ) -> Result<Node, FlattenLimit> {
        budget.take_metadata(size_of_val(segments))?;
        let first = u32::try_from(self.segments.len()).expect("metadata is limited to 32 bits");
        self.segments.extend_from_slice(segments);
        let count = u32::try_from(segments.len()).expect("metadata is limited to 32 bits");
        Ok(Node::Sparse { first, count, bytes })
    }

    pub(super) fn add_xattrs(
        &mut self,
        xattrs: Vec<u8>,
        budget: &mut Budget,
    ) -> Result<Option<NonZeroU32>, FlattenLimit> {
        if xattrs.is_empty() {
            return Ok(None);
        }
        // They are in the image as often as there are inodes with them.
        budget.take_metadata(xattrs.len())?;
        if self.last_xattrs.is_some_and(|last| *self.xattrs(Some(last)) == *xattrs) {
            return Ok(self.last_xattrs);
        }
        let id = NonZeroU32::new(u32::try_from(self.xattrs.len()).expect("metadata is limited to 32 bits"));
        self.xattrs.push(xattrs.into_boxed_slice());
        self.last_xattrs = id;
        Ok(id)
    }

    pub(super) fn inodes(&self) -> usize {
        self.inodes.len()
    }

    pub(super) fn node(&self, inode: InodeId) -> Node {
        self.inodes[inode.index()].node
    }

    pub(super) fn attributes(&self, inode: InodeId) -> Attributes {
        self.inodes[inode.index()].attributes
    }

    pub(super) fn set_attributes(&mut self, inode: InodeId, attributes: Attributes) {
        self.inodes[inode.index()].attributes = attributes;
    }

    /// The directory that an inode is, to be changed; `None` if it is something else.
    pub(super) fn directory_mut(&mut self, inode: InodeId) -> Option<&mut DirectoryNode> {
        match &mut self.inodes[inode.index()].node {
            Node::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn xattrs(&self, id: Option<NonZeroU32>) -> &[u8] {
        id.map_or(&[], |id| &self.xattrs[id.get() as usize])
    }

    pub(super) fn target(&self, at: u32, bytes: u32) -> &[u8] {
        &self.targets[at as usize..][..bytes as usize]
    }

    pub(super) fn segments(&self, first: u32, count: u32) -> &[Segment] {
        &self.segments[first as usize..][..count as usize]
    }

    pub(super) fn name(&self, dentry: DentryId) -> &[u8] {
        name_at(&self.names, self.dentry(dentry).name)
    }

    /// What is there under a dentry's name; a dentry may be of something that is gone, or not there yet.
    pub(super) fn inode(&self, dentry: DentryId) -> Option<InodeId> {
        self.dentry(dentry).inode.map(|inode| InodeId(inode.get() - 1))
    }

    pub(super) fn set_inode(&mut self, dentry: DentryId, inode: Option<InodeId>) {
        let index = dentry.0.get() as usize - 1;
        self.dentries[index].inode = inode.and_then(|inode| NonZeroU32::new(inode.0 + 1));
    }

    pub(super) fn find(&self, directory: InodeId, name: &[u8]) -> Option<DentryId> {
        self.find_by_id(directory, self.find_name(name)?)
    }

    /// The dentry of a name in a directory, made if there is none.
    pub(super) fn dentry_of(
        &mut self,
        directory: InodeId,
        name: &[u8],
        budget: &mut Budget,
    ) -> Result<DentryId, FlattenLimit> {
        let id = self.intern(name, budget)?;
        if let Some(found) = self.find_by_id(directory, id) {
            return Ok(found);
        }
        // It is in the image as often as there are directories with it.
        budget.take_metadata(name.len())?;
        Ok(self.add_dentry(directory, id))
    }

    /// The dentry of the same name as another in another directory, made if there is none.
    pub(super) fn dentry_like(&mut self, dentry: DentryId, directory: InodeId) -> DentryId {
        let name = self.dentry(dentry).name;
        self.find_by_id(directory, name).unwrap_or_else(|| self.add_dentry(directory, name))
    }

    /// All dentries of a directory, in the order of its list.
    pub(super) fn dentries(&self, directory: InodeId) -> impl Iterator<Item = DentryId> + '_ {
        let first = match self.node(directory) {
            Node::Directory(directory) => directory.first,
            _ => None,
        };
        std::iter::successors(first, |dentry| self.dentry(*dentry).next)
    }

    /// What is in a directory, in the order of its list.
    pub(super) fn children(&self, directory: InodeId) -> impl Iterator<Item = (DentryId, InodeId)> + '_ {
        self.dentries(directory).filter_map(|dentry| Some((dentry, self.inode(dentry)?)))
    }

    /// Brings the list of a directory into the order of names, and drops from it what is not in the image.
    pub(super) fn sort(&mut self, directory: InodeId) {
        let mut listed: Vec<DentryId> = self
            .children(directory)
            .filter(|(_, inode)| !matches!(self.node(*inode), Node::Device))
            .map(|(dentry, _)| dentry)
            .collect();
        listed.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
        let mut next = None;
        for dentry in listed.into_iter().rev() {
            let index = dentry.0.get() as usize - 1;
            self.dentries[index].next = next;
            next = Some(dentry);
        }
        if let Some(directory) = self.directory_mut(directory) {
            directory.first = next;
        }
    }

    /// Gives back what is only needed while the tree grows.
    pub(super) fn finish(&mut self) {
        self.by_name = HashTable::new();
        self.by_place = HashTable::new();
    }

    /// The directory that `path` leads to from `root`, made where it is missing.
    ///
    /// A symbolic link on the way is followed within the tree, as a process whose root it is would follow it. What else is
    /// in the way gives way: the entry that needs a directory there comes later than it.
    pub(super) fn make_directories(
        &mut self,
        root: InodeId,
        path: &[u8],
        layer: u16,
        budget: &mut Budget,
    ) -> Result<InodeId, Refusal> {
        let mut walk = Walk::new(root, path);
        while let Some(part) = walk.next_part() {
            if part.len() > NAME_BYTES {
                // Only the target of a link can have one: it need not lead anywhere, until something is to be put there.
                return Err(BadEntry::NameTooLong.into());
            }
            let dentry = self.dentry_of(walk.directory(), &part, budget)?;
            match self.inode(dentry).map(|inode| (inode, self.node(inode))) {
                Some((inode, Node::Directory(_))) => walk.enter(inode),
                Some((_, Node::Symlink { at, bytes })) => walk.follow(self.target(at, bytes))?,
                Some(_) if walk.links > 0 => return Err(BadEntry::NotADirectory.into()),
                _ => {
                    let node = Node::Directory(DirectoryNode::default());
                    let inode = self.add(node, Attributes::implied(layer), budget)?;
                    self.set_inode(dentry, Some(inode));
                    walk.enter(inode);
                }
            }
        }
        Ok(walk.directory())
    }

    /// What `path` names, seen from `root`, with links followed but for the last part.
    pub(super) fn look_up(
        &self,
        root: InodeId,
        parent: &[u8],
        name: &[u8],
    ) -> Result<Option<InodeId>, Refusal> {
        let mut walk = Walk::new(root, parent);
        while let Some(part) = walk.next_part() {
            let found = self.find(walk.directory(), &part).and_then(|dentry| self.inode(dentry));
            match found.map(|inode| (inode, self.node(inode))) {
                Some((inode, Node::Directory(_))) => walk.enter(inode),
                Some((_, Node::Symlink { at, bytes })) => walk.follow(self.target(at, bytes))?,
                _ => return Ok(None),
            }
        }
        Ok(self.find(walk.directory(), name).and_then(|dentry| self.inode(dentry)))
    }

    fn dentry(&self, dentry: DentryId) -> &Dentry {
        &self.dentries[dentry.0.get() as usize - 1]
    }

    fn find_name(&self, name: &[u8]) -> Option<NameId> {
        self.by_name.find(self.hasher.hash_one(name), |id| name_at(&self.names, *id) == name).copied()
    }

    fn intern(&mut self, name: &[u8], budget: &mut Budget) -> Result<NameId, FlattenLimit> {
        if let Some(id) = self.find_name(name) {
            return Ok(id);
        }
        budget.take_metadata(name.len() + 1)?;
        let id = NameId(u32::try_from(self.names.len()).expect("metadata is limited to 32 bits"));
        self.names.push(u8::try_from(name.len()).expect("names are at most 255 bytes long"));
        self.names.extend_from_slice(name);
        let Tree { by_name, names, hasher, .. } = self;
        by_name.insert_unique(hasher.hash_one(name), id, |id| hasher.hash_one(name_at(names, *id)));
        Ok(id)
    }

    fn find_by_id(&self, directory: InodeId, name: NameId) -> Option<DentryId> {
        let is_it = |id: &DentryId| {
            let dentry = self.dentry(*id);
            dentry.directory == directory && dentry.name == name
        };
        self.by_place.find(place_hash(&self.hasher, directory, name), is_it).copied()
    }

    fn add_dentry(&mut self, directory: InodeId, name: NameId) -> DentryId {
        let number = u32::try_from(self.dentries.len() + 1).ok().and_then(NonZeroU32::new);
        let id = DentryId(number.expect("as many entries as fit into 32 bits"));
        let node = self.directory_mut(directory).expect("dentries are of directories");
        let next = node.first.replace(id);
        self.dentries.push(Dentry { directory, name, inode: None, next });
        let Tree { by_place, dentries, hasher, .. } = self;
        by_place.insert_unique(place_hash(hasher, directory, name), id, |id| {
            let dentry = &dentries[id.0.get() as usize - 1];
            place_hash(hasher, dentry.directory, dentry.name)
        });
        id
    }
}

fn name_at(names: &[u8], id: NameId) -> &[u8] {
    let at = id.0 as usize;
    &names[at + 1..][..usize::from(names[at])]
}

fn place_hash(hasher: &RandomState, directory: InodeId, name: NameId) -> u64 {
    hasher.hash_one(u64::from(directory.0) << 32 | u64::from(name.0))
}

/// A path that is being followed.
struct Walk {
    /// The directories entered, the root first: where `..` of a link's target leads to.
    entered: Vec<InodeId>,
    /// What is still ahead.
    ahead: Vec<u8>,
    at: usize,
    /// How many links were followed.
    links: usize,
}

impl Walk {
    fn new(root: InodeId, path: &[u8]) -> Self {
        Walk { entered: vec![root], ahead: path.to_vec(), at: 0, links: 0 }
    }

    fn directory(&self) -> InodeId {
        *self.entered.last().expect("the root is never left")
    }

    fn enter(&mut self, directory: InodeId) {
        self.entered.push(directory);
    }

    /// The next part that is a name.
    fn next_part(&mut self) -> Option<Vec<u8>> {
        while self.at < self.ahead.len() {
            let rest = &self.ahead[self.at..];
            let bytes = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let part = &rest[..bytes];
            self.at += bytes + 1;
            match part {
                b"" | b"." => {}
                b".." if self.entered.len() > 1 => {
                    self.entered.pop();
                }
                b".." => {}
                _ => return Some(part.to_vec()),
            }
        }
        None
    }

    fn follow(&mut self, target: &[u8]) -> Result<(), BadEntry> {
        self.links += 1;
        let rest = self.ahead.get(self.at..).unwrap_or_default();
        if self.links > MAX_LINKS || target.len() + rest.len() > MAX_EXPANDED_BYTES {
            return Err(BadEntry::Loop);
        }
        if target.starts_with(b"/") {
            self.entered.truncate(1);
        }
        self.ahead = [target, b"/", rest].concat();
        self.at = 0;
        Ok(())
    }
}
