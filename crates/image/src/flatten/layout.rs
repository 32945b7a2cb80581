//! Where everything of a finished tree goes.
//!
//! The tree is walked once, in byte order of paths. On the way each file gets its place among the files of its layer, by
//! the first of its paths, and each inode its place among inodes. Which number an inode has depends on names and kinds
//! only: a file that merely has another content leaves all numbers as they were, and with them all directories.

use super::error::FlattenError;
use super::error::Refusal;
use super::layer::Layer;
use super::limits::FlattenLimit;
use super::placement::Region;
use super::tree::{DentryId, InodeId, Node, Tree};
use crate::chunk::CHUNK_BYTES;
use crate::erofs::{BLOCK_BYTES, FIRST_INODE, INODE_BYTES, NID_BYTES, directory_bytes, xattr_area_bytes};

/// The largest end of a directory, or target of a link, that is kept beside its inode. Larger ones leave gaps that are
/// larger than what they would have left of a block of their own.
const INLINE_BYTES: u64 = 2048;

/// Where one inode is, and its data.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Its number: where it is, in units of 32 bytes.
    pub(super) nid: u32,
    /// Names that it has.
    pub(super) links: u32,
    /// First block of its data: from the start of the image, once the layout is whole.
    pub(super) block: u32,
    /// The directory that a directory is in.
    pub(super) parent: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Layout {
    /// By inode; `links` is 0 for those that are not in the image.
    pub(super) places: Vec<Place>,
    /// Inodes in the image, the root first.
    pub(super) order: Vec<InodeId>,
    /// Blocks before the first layer's region: what of the image is held in memory.
    pub(super) metadata_blocks: u32,
    /// Blocks of the image.
    pub(super) blocks: u32,
}

impl Layout {
    pub(super) fn of(
        tree: &mut Tree,
        root: InodeId,
        layers: &[Layer],
        path_limit: usize,
    ) -> Result<Self, FlattenError> {
        let mut walk = Walk {
            tree,
            layers,
            path_limit,
            layout: Layout { places: Vec::new(), order: Vec::new(), metadata_blocks: 0, blocks: 0 },
            regions: vec![Region::default(); layers.len()],
            path: Vec::new(),
        };
        walk.layout.places.resize(walk.tree.inodes(), Place::default());
        walk.walk(root)?;
        let Walk { mut layout, regions, .. } = walk;
        layout.place_inodes(tree).and_then(|()| layout.place_regions(tree, &regions)).map_err(|limit| {
            let layer = layers.last().expect("an image without layers is within every limit");
            Refusal::from(limit).of(layer, b"")
        })?;
        Ok(layout)
    }

    /// Inodes, each with its attributes and its tail, and then the blocks of directories and links.
    fn place_inodes(&mut self, tree: &Tree) -> Result<(), FlattenLimit> {
        let mut shelf = Shelf { end: FIRST_INODE, gap: 0..0 };
        for &inode in &self.order {
            let head = INODE_BYTES + xattr_area_bytes(xattr_bytes(tree, inode));
            let (_, tail) = split(tree, inode);
            let at = shelf.place(u64::from(head), tail);
            self.places[inode.index()].nid = to_u32(at / u64::from(NID_BYTES))?;
        }
        let mut block = shelf.end.div_ceil(u64::from(BLOCK_BYTES));
        for index in 0..self.order.len() {
            let inode = self.order[index];
            let (whole, _) = split(tree, inode);
            if whole > 0 {
                self.places[inode.index()].block = to_u32(block)?;
                block += whole;
            }
        }
        self.metadata_blocks = to_u32(block)?;
        Ok(())
    }

    /// Regions of layers, each from a chunk's start on.
    fn place_regions(&mut self, tree: &Tree, regions: &[Region]) -> Result<(), FlattenLimit> {
        let chunk_blocks = u64::from(CHUNK_BYTES / BLOCK_BYTES);
        let mut end = u64::from(self.metadata_blocks);
        let mut starts = Vec::new();
        for region in regions {
            if region.blocks() > 0 {
                end = end.next_multiple_of(chunk_blocks);
            }
            starts.push(end);
            end += region.blocks();
        }
        self.blocks = to_u32(end)?;
        for &inode in &self.order {
            if file_bytes(tree, inode) > 0 {
                let start = starts[usize::from(tree.attributes(inode).layer)];
                let block = &mut self.places[inode.index()].block;
                *block = to_u32(start + u64::from(*block))?;
            }
        }
        Ok(())
    }
}

/// How the data of a directory, or of a link, is divided: whole blocks, and bytes beside the inode. Files have none there.
pub(super) fn split(tree: &Tree, inode: InodeId) -> (u64, u64) {
    let bytes = match tree.node(inode) {
        Node::Directory(_) => directory_bytes(listed(tree, inode).map(|(name, _)| name)),
        Node::Symlink { bytes, .. } => u64::from(bytes),
        _ => return (0, 0),
    };
    let (whole, tail) = (bytes / u64::from(BLOCK_BYTES), bytes % u64::from(BLOCK_BYTES));
    if tail > INLINE_BYTES { (whole + 1, 0) } else { (whole, tail) }
}

/// What a directory lists, in order: `.` and `..`, which have no inode here, among the others.
pub(super) fn listed(tree: &Tree, directory: InodeId) -> impl Iterator<Item = (&[u8], Option<InodeId>)> {
    let mut dots = [&b"."[..], b".."].into_iter().peekable();
    let mut others = tree.children(directory).map(|(dentry, inode)| (tree.name(dentry), inode)).peekable();
    std::iter::from_fn(move || match (dots.peek(), others.peek()) {
        (Some(dot), other) if other.is_none_or(|(name, _)| dot < name) => dots.next().map(|dot| (dot, None)),
        _ => others.next().map(|(name, inode)| (name, Some(inode))),
    })
}

/// Bytes of a regular file's content; 0 for everything else.
pub(super) fn file_bytes(tree: &Tree, inode: InodeId) -> u64 {
    match tree.node(inode) {
        Node::File { bytes, .. } | Node::Sparse { bytes, .. } => bytes,
        _ => 0,
    }
}

/// Bytes of an inode's extended attributes.
pub(super) fn xattr_bytes(tree: &Tree, inode: InodeId) -> u32 {
    let bytes = tree.xattrs(tree.attributes(inode).xattrs).len();
    u32::try_from(bytes).expect("they are limited to what an inode can carry")
}

fn to_u32(blocks: u64) -> Result<u32, FlattenLimit> {
    u32::try_from(blocks).map_err(|_| FlattenLimit::Blocks(u64::from(u32::MAX)))
}

/// Inodes one after the other. What a tail had to leave free before a block's end is used by the next ones that fit.
struct Shelf {
    end: u64,
    gap: std::ops::Range<u64>,
}

impl Shelf {
    fn place(&mut self, head: u64, tail: u64) -> u64 {
        let step = u64::from(NID_BYTES);
        if tail == 0 && self.gap.start + head <= self.gap.end && fits(self.gap.start, head, tail) {
            let at = self.gap.start;
            self.gap.start = (at + head).next_multiple_of(step);
            return at;
        }
        let mut at = self.end;
        while !fits(at, head, tail) {
            at += step;
        }
        if at > self.end {
            self.gap = self.end..at;
        }
        self.end = (at + head + tail).next_multiple_of(step);
        at
    }
}

/// Neither an inode nor a tail may cross a block; attributes between them may.
fn fits(at: u64, head: u64, tail: u64) -> bool {
    let block = u64::from(BLOCK_BYTES);
    at % block + u64::from(INODE_BYTES) <= block && (tail == 0 || (at + head) % block + tail <= block)
}

struct Walk<'a> {
    tree: &'a mut Tree,
    layers: &'a [Layer],
    path_limit: usize,
    layout: Layout,
    regions: Vec<Region>,
    path: Vec<u8>,
}

impl Walk<'_> {
    /// Goes through the tree from `root` on, without recursion: how deep it is, the archives have decided.
    fn walk(&mut self, root: InodeId) -> Result<(), FlattenError> {
        self.layout.order.push(root);
        self.layout.places[root.index()].links = 2;
        self.layout.places[root.index()].parent = number(root);
        let mut open = vec![(self.listing(root).into_iter(), root, 0)];
        while let Some((children, directory, path_bytes)) = open.last_mut() {
            let Some((dentry, inode)) = children.next() else {
                open.pop();
                continue;
            };
            let directory = *directory;
            self.path.truncate(*path_bytes);
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(self.tree.name(dentry));
            if self.path.len() > self.path_limit {
                // Each entry's own path is shorter, but links led from one to the other.
                let layer = &self.layers[usize::from(self.tree.attributes(inode).layer)];
                return Err(Refusal::from(FlattenLimit::PathBytes(self.path_limit)).of(layer, &self.path));
            }
            if let Node::Directory(_) = self.tree.node(inode) {
                self.layout.order.push(inode);
                self.layout.places[directory.index()].links += 1;
                self.layout.places[inode.index()].links = 2;
                self.layout.places[inode.index()].parent = number(directory);
                open.push((self.listing(inode).into_iter(), inode, self.path.len()));
            } else {
                self.visit(inode)?;
            }
        }
        Ok(())
    }

    /// Sorts a directory, and lists it in the order in which its children's paths are: a directory's go on with a slash.
    fn listing(&mut self, directory: InodeId) -> Vec<(DentryId, InodeId)> {
        self.tree.sort(directory);
        let tree = &*self.tree;
        let mut listing: Vec<_> = tree.children(directory).collect();
        let key = |(dentry, inode): &(DentryId, InodeId)| {
            let slash = matches!(tree.node(*inode), Node::Directory(_)).then_some(b'/');
            (tree.name(*dentry), slash)
        };
        listing.sort_by(|a, b| {
            let ((a_name, a_slash), (b_name, b_slash)) = (key(a), key(b));
            a_name.iter().chain(&a_slash).cmp(b_name.iter().chain(&b_slash))
        });
        listing
    }

    fn visit(&mut self, inode: InodeId) -> Result<(), FlattenError> {
        let place = &mut self.layout.places[inode.index()];
        place.links += 1;
        if place.links > 1 {
            return Ok(());
        }
        self.layout.order.push(inode);
        let bytes = file_bytes(self.tree, inode);
        if bytes > 0 {
            let layer = usize::from(self.tree.attributes(inode).layer);
            let block = self.regions[layer].place(&self.path, bytes);
            self.layout.places[inode.index()].block =
                to_u32(block).map_err(|limit| Refusal::from(limit).of(&self.layers[layer], &self.path))?;
        }
        Ok(())
    }
}

fn number(inode: InodeId) -> u32 {
    u32::try_from(inode.index()).expect("inodes have numbers of 32 bits")
}
