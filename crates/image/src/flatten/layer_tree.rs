//! One layer as a tree of its own: what it adds, and what it hides of the layers below.
//!
//! Made first and merged later ([`super::merge`]), so that the order of entries within a layer matters only where it has
//! to: the last of several entries for one path counts, and whatever is in the way of a later entry gives way to it.
//! Deletions are of what lower layers have, wherever in the layer they stand, and so is the search for the target of a hard
//! link that the layer itself does not have.
//!
//! Refused is what has no place in an image or no meaning, see [`BadEntry`]. Devices are not refused, since images made of
//! whole systems have them, but left out: the environment brings its own `/dev`, and no image gets at a device of the host by
//! naming its number. They hide what lower layers have, as any file does; so 0/0, overlayfs' own mark, deletes.

use std::collections::{BTreeMap, HashSet};

use super::archive::{Archive, Content, Entry};
use super::error::{BadEntry, FlattenError, Refusal};
use super::layer::Layer;
use super::limits::{Budget, FlattenLimit};
use super::path::{ImagePath, Mark};
use super::tree::{Attributes, DentryId, DirectoryNode, InodeId, Node, Tree};
use crate::erofs::{XATTR_MAX_BYTES, XattrPrefix, push_xattr};

/// Longest target of a symbolic link that Linux follows.
const TARGET_BYTES: usize = 4095;

/// A layer before it is merged.
#[derive(Debug)]
pub(super) struct LayerTree {
    pub(super) root: InodeId,
    /// Dentries that hide what lower layers have under their name, whether or not the layer has something there itself.
    pub(super) hiding: HashSet<DentryId>,
    /// Hard links to what this layer does not have.
    pub(super) links: BTreeMap<DentryId, PendingLink>,
}

/// A hard link whose target is still to be found.
#[derive(Debug)]
pub(super) struct PendingLink {
    pub(super) path: ImagePath,
    pub(super) target: ImagePath,
}

/// Reads all of a layer into `tree`.
pub(super) fn read_layer(
    layer: &Layer,
    number: u16,
    tree: &mut Tree,
    budget: &mut Budget,
) -> Result<LayerTree, FlattenError> {
    let root = tree
        .add(Node::Directory(DirectoryNode::default()), Attributes::implied(number), budget)
        .map_err(|limit| Refusal::from(limit).of(layer, b""))?;
    let layer_tree = LayerTree { root, hiding: HashSet::new(), links: BTreeMap::new() };
    let mut reader = Reader { number, tree, budget, layer_tree, last_parent: None };
    let mut archive = Archive::of(layer);
    while let Some(entry) = archive.next_entry()? {
        let path = entry.path.clone();
        reader.take(entry).map_err(|refusal| refusal.of(layer, &path))?;
    }
    Ok(reader.layer_tree)
}

struct Reader<'a> {
    number: u16,
    tree: &'a mut Tree,
    budget: &'a mut Budget,
    layer_tree: LayerTree,
    /// Where the last entry was put: mostly the next one comes to lie beside it.
    last_parent: Option<(Vec<u8>, InodeId)>,
}

impl Reader<'_> {
    fn take(&mut self, entry: Entry) -> Result<(), Refusal> {
        self.budget.take_entry()?;
        let path = ImagePath::parse(&entry.path, self.budget.path_bytes())?;
        match path.mark()? {
            Mark::Bookkeeping => Ok(()),
            Mark::Opaque { directory } => {
                let directory = self.parent(directory)?;
                let directory = self.tree.directory_mut(directory).expect("a parent is a directory");
                directory.opaque = true;
                Ok(())
            }
            Mark::Whiteout { directory, name } => {
                let directory = self.parent(directory)?;
                let dentry = self.tree.dentry_of(directory, name, self.budget)?;
                self.layer_tree.hiding.insert(dentry);
                Ok(())
            }
            Mark::None => self.put(&path, entry),
        }
    }

    fn put(&mut self, path: &ImagePath, entry: Entry) -> Result<(), Refusal> {
        let attributes = self.attributes(&entry)?;
        let Some((parent, name)) = path.split() else {
            let Content::Directory = entry.content else { return Err(BadEntry::Root.into()) };
            self.describe(self.layer_tree.root, attributes);
            return Ok(());
        };
        let node = match entry.content {
            Content::Directory => {
                let dentry = self.dentry(parent, name)?;
                if let Some(inode) = self.tree.inode(dentry)
                    && let Node::Directory(_) = self.tree.node(inode)
                {
                    self.describe(inode, attributes);
                    return Ok(());
                }
                Node::Directory(DirectoryNode::described())
            }
            Content::HardLink(target) => {
                let target = ImagePath::parse(&target, self.budget.path_bytes())?;
                return self.link(path, target);
            }
            Content::Symlink(target) => {
                if target.is_empty() || target.len() > TARGET_BYTES || target.contains(&0) {
                    return Err(BadEntry::SymlinkTarget.into());
                }
                self.tree.add_target(&target, self.budget)?
            }
            Content::File { at, bytes } => {
                self.budget.take_content(bytes)?;
                Node::File { at, bytes }
            }
            Content::Sparse { segments, bytes } => {
                self.budget.take_content(bytes)?;
                self.tree.add_segments(&segments, bytes, self.budget)?
            }
            Content::Fifo => Node::Fifo,
            Content::Device => Node::Device,
        };
        let dentry = self.dentry(parent, name)?;
        let inode = self.tree.add(node, attributes, self.budget)?;
        self.set(dentry, Some(inode));
        Ok(())
    }

    fn link(&mut self, path: &ImagePath, target: ImagePath) -> Result<(), Refusal> {
        if *path == target {
            // Some archivers write a second entry of a file as a link to itself.
            return Ok(());
        }
        let Some((parent, name)) = path.split() else { return Err(BadEntry::Root.into()) };
        let Some((target_parent, target_name)) = target.split() else {
            return Err(BadEntry::LinkToDirectory.into());
        };
        let found = self.tree.look_up(self.layer_tree.root, target_parent, target_name)?;
        let dentry = self.dentry(parent, name)?;
        match found.map(|inode| (inode, self.tree.node(inode))) {
            Some((_, Node::Directory(_))) => Err(BadEntry::LinkToDirectory.into()),
            Some((inode, _)) => {
                self.set(dentry, Some(inode));
                Ok(())
            }
            None => {
                self.budget.take_metadata(path.as_bytes().len() + target.as_bytes().len())?;
                self.set(dentry, None);
                self.layer_tree.links.insert(dentry, PendingLink { path: path.clone(), target });
                Ok(())
            }
        }
    }

    fn describe(&mut self, directory: InodeId, attributes: Attributes) {
        self.tree.set_attributes(directory, attributes);
        self.tree.directory_mut(directory).expect("only directories are described").described = true;
    }

    fn set(&mut self, dentry: DentryId, inode: Option<InodeId>) {
        self.layer_tree.links.remove(&dentry);
        if self.tree.inode(dentry).is_some() {
            // It may have been a directory, or a link, on the way there.
            self.last_parent = None;
        }
        self.tree.set_inode(dentry, inode);
    }

    fn dentry(&mut self, parent: &[u8], name: &[u8]) -> Result<DentryId, Refusal> {
        let parent = self.parent(parent)?;
        Ok(self.tree.dentry_of(parent, name, self.budget)?)
    }

    fn parent(&mut self, path: &[u8]) -> Result<InodeId, Refusal> {
        if let Some((last, directory)) = &self.last_parent
            && last == path
        {
            return Ok(*directory);
        }
        let directory = self.tree.make_directories(self.layer_tree.root, path, self.number, self.budget)?;
        self.last_parent = Some((path.to_vec(), directory));
        Ok(directory)
    }

    fn attributes(&mut self, entry: &Entry) -> Result<Attributes, Refusal> {
        Ok(Attributes {
            layer: self.number,
            permissions: entry.permissions,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs: match encode_xattrs(&entry.xattrs)? {
                xattrs if xattrs.is_empty() => None,
                xattrs => self.tree.add_xattrs(xattrs, self.budget).map_err(|limit: FlattenLimit| limit)?,
            },
        })
    }
}

/// Extended attributes as the image has them, in an order that does not depend on the archive's.
///
/// Left out are those that EROFS cannot show, and overlayfs' own: the image becomes a layer of an overlay, and would tell it
/// to look for files elsewhere.
fn encode_xattrs(xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<u8>, BadEntry> {
    let mut last = BTreeMap::new();
    for (name, value) in xattrs {
        if name.contains(&0) || name.len() > 255 {
            return Err(BadEntry::Xattr);
        }
        let is_overlays = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        if let Some(key) = XattrPrefix::split(name).filter(|_| !is_overlays) {
            last.insert(key, value);
        }
    }
    let mut encoded = Vec::new();
    for ((prefix, name), value) in last {
        if !push_xattr(&mut encoded, prefix, name, value) {
            return Err(BadEntry::Xattr);
        }
    }
    if encoded.len() > XATTR_MAX_BYTES { Err(BadEntry::XattrsTooLarge) } else { Ok(encoded) }
}
