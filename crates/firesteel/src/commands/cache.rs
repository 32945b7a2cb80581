//! `firesteel cache`: a node that keeps shards of chunks for others.

use std::sync::Arc;

use firesteel_image::tiers::{CacheNode, NodeLimits, NodeOptions, serve_node};
use tokio::sync::oneshot;

use crate::cli::CacheArguments;
use crate::exit::{Exit, Failure};
use crate::images;
use crate::listen;
use crate::notice::tell;

const MIB: u64 = 1 << 20;

pub(crate) async fn run(arguments: CacheArguments) -> Result<Exit, Failure> {
    let access = images::access(&arguments.access)?;
    let options = NodeOptions {
        memory_bytes: arguments.memory.saturating_mul(MIB),
        flash: arguments.disk.map(|folder| (folder, arguments.disk_size.saturating_mul(MIB))),
    };
    let opened = tokio::task::spawn_blocking(move || CacheNode::open(&options)).await;
    let opened = opened.map_err(|error| Failure::platform("the cache cannot be opened").because(&error))?;
    let node = Arc::new(opened.map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .try_next("--disk DIR with a folder of its own that you may write to")
    })?);
    let (listener, address) = listen::bind(arguments.listen).map_err(|error| {
        Failure::usage(format!("cannot listen on {}", arguments.listen))
            .because(&error)
            .try_next("--listen 127.0.0.1:0, which lets the system choose a port")
    })?;
    tell(format_args!("firesteel: a cache node listens on {address}"));
    let (ended, exit) = oneshot::channel();
    let shutdown = async {
        // Nobody waits for it if the server has failed.
        let _ = ended.send(super::invoke::interrupted().await);
    };
    serve_node(listener, Arc::clone(&node), access, NodeLimits::default(), shutdown).await;
    let report = node.report();
    tell(format_args!(
        "firesteel: {} shards were read, {} were not here, {} were given",
        report.reads.hits, report.reads.misses, report.puts
    ));
    Ok(match exit.await {
        // That is how a node ends.
        Ok(Exit::Interrupted | Exit::Terminated) | Err(_) => Exit::Success,
        Ok(exit) => exit,
    })
}
