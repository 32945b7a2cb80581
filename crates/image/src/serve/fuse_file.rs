//! A file system that is one file: the blocks of an image, for the kernel to mount.
//!
//! Its root is not a folder but the file itself, so there are no names, nothing to look up and nothing to list.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, INodeNo, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyOpen, Request,
};
use tokio::runtime::Handle;

use super::answer::answer;
use super::block_file::BlockFile;
use super::fuse;

/// The one file.
#[derive(Debug)]
pub(super) struct FuseFile {
    pub(super) file: Arc<BlockFile>,
    pub(super) runtime: Handle,
}

impl Filesystem for FuseFile {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        fuse::init(config)
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOENT);
        }
        let size = self.file.image_bytes();
        let attributes = FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: FileType::RegularFile,
            perm: 0o400,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        };
        reply.attr(&fuse::FOR_EVER, &attributes);
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = Arc::clone(&self.file);
        answer(&self.runtime, async move {
            match file.read(offset, size as usize).await {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(fuse::errno(&error)),
            }
        });
    }
}
