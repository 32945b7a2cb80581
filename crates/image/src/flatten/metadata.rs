//! The metadata of an image as bytes: superblock, inodes, directories, links.

use super::layout::{Layout, file_bytes, listed, split, xattr_bytes};
use super::tree::{InodeId, Node, Tree};
use crate::erofs::{
    self, BLOCK_BYTES, Directory, DirectoryEntry, FileType, INODE_BYTES, Inode, NID_BYTES, Superblock,
    xattr_area_bytes, xattr_header,
};

/// The same for all images: what tells them apart is their content.
const UUID: [u8; 16] = *b"firestee\x8c\x01erofs\0";

/// All blocks before the first layer's region.
pub(super) fn write(tree: &Tree, layout: &Layout) -> Vec<u8> {
    let mut metadata = vec![0; layout.metadata_blocks as usize * BLOCK_BYTES as usize];
    for (index, &inode) in layout.order.iter().enumerate() {
        write_inode(&mut metadata, tree, layout, index, inode);
    }
    let root = layout.places[layout.order[0].index()].nid;
    let superblock = Superblock {
        root_nid: u16::try_from(root).expect("the root's inode is the first"),
        inodes: layout.order.len() as u64,
        blocks: layout.blocks,
        uuid: UUID,
    };
    superblock.write(&mut metadata);
    metadata
}

fn write_inode(metadata: &mut [u8], tree: &Tree, layout: &Layout, index: usize, inode: InodeId) {
    let place = layout.places[inode.index()];
    let attributes = tree.attributes(inode);
    let directory;
    let data = match tree.node(inode) {
        Node::Directory(_) => {
            directory = directory_of(tree, layout, inode);
            directory.as_bytes()
        }
        Node::Symlink { at, bytes } => tree.target(at, bytes),
        _ => &[],
    };
    let (whole, tail) = split(tree, inode);
    let xattrs = tree.xattrs(attributes.xattrs);
    let at = place.nid as usize * NID_BYTES as usize;
    let inode = Inode {
        file_type: file_type(tree, inode),
        permissions: attributes.permissions,
        uid: attributes.uid,
        gid: attributes.gid,
        mtime_seconds: attributes.mtime.seconds,
        mtime_nanos: attributes.mtime.nanos,
        links: place.links,
        number: u32::try_from(index + 1).expect("inodes are limited to 32 bits"),
        bytes: data.len() as u64 + file_bytes(tree, inode),
        layout: match tail {
            0 => erofs::Layout::Plain { block: place.block },
            _ => erofs::Layout::Inline { block: place.block },
        },
        xattr_bytes: xattr_area_bytes(xattr_bytes(tree, inode)),
    };
    inode.write(&mut metadata[at..][..INODE_BYTES as usize]);
    let mut at = at + INODE_BYTES as usize;
    if !xattrs.is_empty() {
        for part in [&xattr_header()[..], xattrs] {
            metadata[at..][..part.len()].copy_from_slice(part);
            at += part.len();
        }
    }
    let (blocks, tail) = if tail == 0 {
        (data, &[][..])
    } else {
        data.split_at(usize::try_from(whole).expect("it is in memory") * BLOCK_BYTES as usize)
    };
    metadata[at..][..tail.len()].copy_from_slice(tail);
    if !blocks.is_empty() {
        // What `block` says of a file is beyond the metadata.
        metadata[place.block as usize * BLOCK_BYTES as usize..][..blocks.len()].copy_from_slice(blocks);
    }
}

fn directory_of(tree: &Tree, layout: &Layout, inode: InodeId) -> Directory {
    let place = layout.places[inode.index()];
    let parent = layout.places[place.parent as usize];
    let entries: Vec<_> = listed(tree, inode)
        .map(|(name, child)| match child {
            Some(child) => DirectoryEntry {
                name,
                nid: layout.places[child.index()].nid.into(),
                file_type: file_type(tree, child),
            },
            None => DirectoryEntry {
                name,
                nid: if name == b"." { place.nid } else { parent.nid }.into(),
                file_type: FileType::Directory,
            },
        })
        .collect();
    Directory::of(&entries)
}

fn file_type(tree: &Tree, inode: InodeId) -> FileType {
    match tree.node(inode) {
        Node::Directory(_) => FileType::Directory,
        Node::File { .. } | Node::Sparse { .. } => FileType::Regular,
        Node::Symlink { .. } => FileType::Symlink,
        Node::Fifo => FileType::Fifo,
        Node::Device => unreachable!("devices are left out when directories are sorted"),
    }
}
