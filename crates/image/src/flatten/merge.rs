//! A layer over what the layers below it have made.
//!
//! | the layer has | below is | then there is |
//! |---|---|---|
//! | a deletion | anything | nothing |
//! | a file, link or device | anything | what the layer has |
//! | a directory | a directory | both in one; owner, mode, time and attributes are the layer's, if it describes the directory |
//! | the same, opaque or beside a deletion | a directory | only what the layer has in it |
//! | a directory that it describes | something else | the layer's |
//! | a directory only for what it has in it | a symbolic link | the link, and all of that where it leads to |
//!
//! The last row is what a tool does that unpacks one layer over the other: `lib/a.so` goes where `/lib` leads to. Overlayfs,
//! which never sees the two as one tree, would put a directory in the place of `/lib`, and a whole system would lose its
//! libraries. No link leads outside of the tree.

use super::error::{BadEntry, FlattenError, Refusal};
use super::layer::Layer;
use super::layer_tree::LayerTree;
use super::limits::Budget;
use super::tree::{DentryId, InodeId, Node, Tree};

/// Two directories that become one.
#[derive(Clone, Copy)]
struct Pair {
    below: InodeId,
    above: InodeId,
    /// Which pair it was found in, and under which name.
    parent: Option<(usize, DentryId)>,
}

/// Merges `above` over the tree of `root`. The result is the root of both.
pub(super) fn merge(
    layer: &Layer,
    number: u16,
    above: &LayerTree,
    root: InodeId,
    tree: &mut Tree,
    budget: &mut Budget,
) -> Result<InodeId, FlattenError> {
    resolve_links(layer, above, root, tree)?;
    if let Node::Directory(directory) = tree.node(above.root)
        && directory.opaque
    {
        keep_attributes(tree, root, above.root, directory.described);
        return Ok(above.root);
    }
    let mut merge =
        Merge { above, tree, budget, pairs: Vec::new(), prefix: Vec::new(), through_links: Vec::new() };
    merge.merge_all(root, above.root).map_err(|refusal| refusal.of(layer, b""))?;
    // After everything else, and in the order of paths: so it depends on no order in the archive what a link leads to.
    while !merge.through_links.is_empty() {
        let mut round = std::mem::take(&mut merge.through_links);
        round.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (path, directory) in round {
            let below = merge.tree.make_directories(root, &path, number, merge.budget);
            let below = below.map_err(|refusal| refusal.of(layer, &path))?;
            merge.prefix = path;
            merge.merge_all(below, directory).map_err(|refusal| refusal.of(layer, &merge.prefix))?;
        }
    }
    Ok(root)
}

/// Finds targets of hard links that the layer named before it had them, or that only layers below have: as these are before
/// this layer hides any of it.
fn resolve_links(
    layer: &Layer,
    above: &LayerTree,
    root: InodeId,
    tree: &mut Tree,
) -> Result<(), FlattenError> {
    // In the order of paths, which matters for links to links only: but it should not be the archive's.
    let mut links: Vec<_> = above.links.iter().collect();
    links.sort_unstable_by(|a, b| a.1.path.cmp(&b.1.path));
    for (dentry, link) in links {
        if tree.inode(*dentry).is_some() {
            // Something that needs a directory there came after it.
            continue;
        }
        let find = || -> Result<InodeId, Refusal> {
            let (parent, name) = link.target.split().ok_or(BadEntry::LinkToDirectory)?;
            let found = match tree.look_up(above.root, parent, name)? {
                Some(found) => Some(found),
                None => tree.look_up(root, parent, name)?,
            };
            let found = found.ok_or(BadEntry::LinkTarget)?;
            match tree.node(found) {
                Node::Directory(_) => Err(BadEntry::LinkToDirectory.into()),
                _ => Ok(found),
            }
        };
        let found = find().map_err(|refusal| refusal.of(layer, link.path.as_bytes()))?;
        tree.set_inode(*dentry, Some(found));
    }
    Ok(())
}

/// Where `above` takes the place of `below` without describing itself, it is still the directory that it was.
fn keep_attributes(tree: &mut Tree, below: InodeId, above: InodeId, described: bool) {
    if !described {
        tree.set_attributes(above, tree.attributes(below));
    }
}

struct Merge<'a> {
    above: &'a LayerTree,
    tree: &'a mut Tree,
    budget: &'a mut Budget,
    /// Worked off from the front, kept for the paths of what is found in them.
    pairs: Vec<Pair>,
    /// In the layer, the path of the first pair.
    prefix: Vec<u8>,
    /// Directories of the layer at whose path there is a symbolic link.
    through_links: Vec<(Vec<u8>, InodeId)>,
}

impl Merge<'_> {
    fn merge_all(&mut self, below: InodeId, above: InodeId) -> Result<(), Refusal> {
        self.pairs.clear();
        self.pairs.push(Pair { below, above, parent: None });
        let mut next = 0;
        while next < self.pairs.len() {
            self.merge_pair(next)?;
            next += 1;
        }
        Ok(())
    }

    fn merge_pair(&mut self, index: usize) -> Result<(), Refusal> {
        let Pair { below, above, .. } = self.pairs[index];
        if let Node::Directory(directory) = self.tree.node(above)
            && directory.described
        {
            self.tree.set_attributes(below, self.tree.attributes(above));
        }
        let dentries: Vec<DentryId> = self.tree.dentries(above).collect();
        dentries.into_iter().try_for_each(|dentry| self.merge_dentry(index, below, dentry))
    }

    fn merge_dentry(&mut self, pair: usize, below: InodeId, dentry: DentryId) -> Result<(), Refusal> {
        let hides = self.above.hiding.contains(&dentry);
        let Some(inode) = self.tree.inode(dentry) else {
            if hides {
                let lower = self.tree.dentry_like(dentry, below);
                self.tree.set_inode(lower, None);
            }
            return Ok(());
        };
        let lower = self.tree.dentry_like(dentry, below);
        let found = self.tree.inode(lower).filter(|_| !hides).map(|found| (found, self.tree.node(found)));
        match (self.tree.node(inode), found) {
            (Node::Directory(directory), Some((found, Node::Directory(_)))) if directory.opaque => {
                keep_attributes(self.tree, found, inode, directory.described);
                self.tree.set_inode(lower, Some(inode));
            }
            (Node::Directory(_), Some((found, Node::Directory(_)))) => {
                self.pairs.push(Pair { below: found, above: inode, parent: Some((pair, dentry)) });
            }
            (Node::Directory(directory), Some((_, Node::Symlink { .. })))
                if !directory.described && !directory.opaque =>
            {
                let path = self.path(pair, dentry);
                self.budget.take_metadata(path.len())?;
                self.through_links.push((path, inode));
            }
            _ => self.tree.set_inode(lower, Some(inode)),
        }
        Ok(())
    }

    /// The path, in the layer, of what is found under a dentry in a pair.
    fn path(&self, pair: usize, dentry: DentryId) -> Vec<u8> {
        let mut names = vec![self.tree.name(dentry)];
        let mut parent = self.pairs[pair].parent;
        while let Some((pair, dentry)) = parent {
            names.push(self.tree.name(dentry));
            parent = self.pairs[pair].parent;
        }
        if !self.prefix.is_empty() {
            names.push(&self.prefix);
        }
        names.reverse();
        names.join(&b'/')
    }
}
