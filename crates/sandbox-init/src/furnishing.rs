//! What a sandbox with namespaces of its own is made of: its file system, its name, the rights of what runs in it.
//!
//! Written by the server, carried out by `root`, `scratch` and `confinement` in the first process.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a sandbox with namespaces of its own is like, whatever it is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Furnishing {
    /// Files of control groups that the first process enters by writing `0`.
    pub groups: Vec<PathBuf>,
    /// Its file system. `None`: somebody else has made it, and its name and network too, and this process is in it.
    pub root: Option<Root>,
    /// Rights and limits of everything that is started.
    pub confinement: Confinement,
    /// What it takes itself for.
    pub hostname: String,
    /// Whether it has a network of its own, and its end of it is to be made.
    pub own_network: bool,
    /// Its way to the router, if there is one.
    #[cfg(target_os = "linux")]
    pub link: Option<crate::network::Link>,
}

/// What a root is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Root {
    /// An empty folder of the host's, to build on. Many sandboxes may share it: none sees what another has mounted there.
    pub on: PathBuf,
    /// Files and folders of the host that are found inside, at the same place, read-only. Links are made anew; what
    /// does not exist is left out.
    pub system: Vec<PathBuf>,
    /// Small files: where, and what is in them.
    pub files: Vec<(PathBuf, String)>,
    /// Its `/tmp`.
    pub tmp: Scratch,
}

/// How a `/tmp` is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scratch {
    /// On a disk: a copy of this image of an empty ext4, which is made beside it and has no name.
    Image(PathBuf),
    /// In memory.
    Memory {
        /// At most.
        bytes: u64,
    },
}

/// Who a guest is and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// As the sandbox's user namespace counts.
    pub uid: u32,
    /// The only group.
    pub gid: u32,
    /// Most open descriptors of one process.
    pub descriptors: u64,
}
