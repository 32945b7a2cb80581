//! A file system that is the tree of an image, for hosts whose kernel cannot mount one from a file, and for who is not root.
//!
//! The kernel keeps what it was told, names that are not there included, so a warm tree is walked without a question. What it
//! opens it need not tell: nothing is kept for an open file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyXattr, Request,
};
use tokio::runtime::Handle;

use super::answer::answer;
use super::erofs::{Inode, Tree, TreeError};
use super::fuse;

/// The tree.
#[derive(Debug)]
pub(super) struct FuseTree {
    tree: Arc<Tree>,
    runtime: Handle,
    /// Whether the kernel opens without asking, once it has been told to.
    opens_by_itself: bool,
}

impl FuseTree {
    pub(super) fn new(tree: Tree, runtime: Handle) -> Self {
        FuseTree { tree: Arc::new(tree), runtime, opens_by_itself: false }
    }

    fn nid(&self, ino: INodeNo) -> u64 {
        if ino == INodeNo::ROOT { self.tree.root_nid() } else { ino.0.saturating_sub(2) }
    }
}

/// Numbers of FUSE: its root is 1, and 0 is none.
fn ino(tree: &Tree, nid: u64) -> INodeNo {
    if nid == tree.root_nid() { INodeNo::ROOT } else { INodeNo(nid.saturating_add(2)) }
}

fn errno(error: &TreeError) -> Errno {
    match error {
        TreeError::Blocks(error) => fuse::errno(error),
        TreeError::Bad(error) => {
            tracing::warn!(%error, "an image is not as it should be");
            Errno::EIO
        }
    }
}

fn attributes(ino: INodeNo, inode: &Inode) -> FileAttr {
    let (seconds, nanoseconds) = inode.modified;
    // A time beyond what can be told is no reason not to show the file.
    let since = Duration::new(seconds, nanoseconds.min(999_999_999));
    let modified = UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
    FileAttr {
        ino,
        size: inode.size_bytes,
        blocks: inode.size_bytes.div_ceil(512),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: kind(inode.mode),
        perm: u16::try_from(inode.mode & 0o7777).expect("twelve bits"),
        nlink: inode.n_links,
        uid: inode.uid,
        gid: inode.gid,
        rdev: inode.device,
        blksize: 4096,
        flags: 0,
    }
}

fn kind(mode: u32) -> FileType {
    match mode >> 12 {
        1 => FileType::NamedPipe,
        2 => FileType::CharDevice,
        4 => FileType::Directory,
        6 => FileType::BlockDevice,
        10 => FileType::Symlink,
        12 => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// As a folder's entries have it.
fn kind_of_entry(kind: u8) -> FileType {
    match kind {
        2 => FileType::Directory,
        3 => FileType::CharDevice,
        4 => FileType::BlockDevice,
        5 => FileType::NamedPipe,
        6 => FileType::Socket,
        7 => FileType::Symlink,
        _ => FileType::RegularFile,
    }
}

impl Filesystem for FuseTree {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let opens = InitFlags::FUSE_NO_OPEN_SUPPORT | InitFlags::FUSE_NO_OPENDIR_SUPPORT;
        self.opens_by_itself = config.add_capabilities(opens).is_ok();
        // Each is a matter of speed only.
        for wanted in [InitFlags::FUSE_PARALLEL_DIROPS, InitFlags::FUSE_CACHE_SYMLINKS] {
            let _ = config.add_capabilities(wanted);
        }
        fuse::init(config)
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (tree, nid, name) = (Arc::clone(&self.tree), self.nid(parent), name.to_owned());
        answer(&self.runtime, async move {
            let found = async {
                let folder = tree.inode(nid).await?;
                if !folder.is_folder() {
                    return Ok(None);
                }
                match tree.lookup(&folder, name.as_bytes()).await? {
                    Some(nid) => tree.inode(nid).await.map(Some),
                    None => Ok(None),
                }
            };
            match found.await {
                Ok(Some(inode)) => {
                    let attributes = attributes(ino(&tree, inode.nid), &inode);
                    reply.entry(&fuse::FOR_EVER, &attributes, Generation(0));
                }
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        let (tree, nid) = (Arc::clone(&self.tree), self.nid(ino));
        answer(&self.runtime, async move {
            match tree.inode(nid).await {
                Ok(inode) => reply.attr(&fuse::FOR_EVER, &attributes(ino, &inode)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        let (tree, nid) = (Arc::clone(&self.tree), self.nid(ino));
        answer(&self.runtime, async move {
            let target = async {
                let link = tree.inode(nid).await?;
                if link.is_link() { tree.target(&link).await.map(Some) } else { Ok(None) }
            };
            match target.await {
                Ok(Some(target)) => reply.data(&target),
                Ok(None) => reply.error(Errno::EINVAL),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.opens_by_itself {
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        }
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let (tree, nid) = (Arc::clone(&self.tree), self.nid(ino));
        answer(&self.runtime, async move {
            let bytes = async {
                let file = tree.inode(nid).await?;
                tree.read(&file, offset..offset.saturating_add(size.into())).await
            };
            match bytes.await {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.opens_by_itself {
            reply.error(Errno::ENOSYS);
        } else {
            let keep = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
            reply.opened(FileHandle(0), keep);
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let (tree, nid) = (Arc::clone(&self.tree), self.nid(ino));
        answer(&self.runtime, async move {
            let names = async {
                let folder = tree.inode(nid).await?;
                if folder.is_folder() { tree.names(&folder, offset).await.map(Some) } else { Ok(None) }
            };
            match names.await {
                Ok(Some(names)) => {
                    for name in names {
                        let (number, kind) = (self::ino(&tree, name.nid), kind_of_entry(name.kind));
                        if reply.add(number, name.next, kind, OsStr::from_bytes(&name.name)) {
                            break;
                        }
                    }
                    reply.ok();
                }
                Ok(None) => reply.error(Errno::ENOTDIR),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let (blocks, inodes) = self.tree.size();
        reply.statfs(blocks, 0, 0, inodes, 0, 4096, 255, 4096);
    }

    fn getxattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let (tree, nid, name) = (Arc::clone(&self.tree), self.nid(ino), name.to_owned());
        answer(&self.runtime, async move {
            match attributes_of(&tree, nid).await {
                Ok(found) => match found.into_iter().find(|(other, _)| other == name.as_bytes()) {
                    Some((_, value)) => reply_sized(reply, size, &value),
                    None => reply.error(Errno::ENODATA),
                },
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn listxattr(&self, _request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let (tree, nid) = (Arc::clone(&self.tree), self.nid(ino));
        answer(&self.runtime, async move {
            match attributes_of(&tree, nid).await {
                Ok(found) => {
                    let names: Vec<u8> =
                        found.into_iter().flat_map(|(name, _)| name.into_iter().chain([0])).collect();
                    reply_sized(reply, size, &names);
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }
}

async fn attributes_of(tree: &Tree, nid: u64) -> Result<Vec<(Vec<u8>, Vec<u8>)>, TreeError> {
    let inode = tree.inode(nid).await?;
    tree.attributes(&inode).await
}

/// Who gives no room asks how much is needed.
fn reply_sized(reply: ReplyXattr, size: u32, bytes: &[u8]) {
    match u32::try_from(bytes.len()) {
        Ok(needed) if size == 0 => reply.size(needed),
        Ok(needed) if needed <= size => reply.data(bytes),
        _ => reply.error(Errno::ERANGE),
    }
}
