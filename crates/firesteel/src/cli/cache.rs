//! `firesteel cache`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::CacheAccessArguments;

const CACHE_HELP: &str = "\
A node keeps shards of chunks for servers that are given its address by --cache-node:
five to a chunk, on five nodes, of which any four are enough. What it keeps is
encrypted, can be lost at any time, and is not asked for in any other way.";

#[derive(Debug, Args)]
#[command(after_help = CACHE_HELP)]
pub(crate) struct CacheArguments {
    /// Address and port to listen on; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9100")]
    pub(crate) listen: SocketAddr,

    /// Kept in memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(crate) memory: u64,

    /// A folder of its own, for what is kept on disk [default: nothing is]
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,

    /// Kept there, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 65_536, requires = "disk")]
    pub(crate) disk_size: u64,

    #[command(flatten)]
    pub(crate) access: CacheAccessArguments,
}
