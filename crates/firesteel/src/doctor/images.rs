//! How container images are mounted here: a small one is, and is looked at.

use std::path::PathBuf;

use firesteel_image::serve::{ServingPath, ServingPaths};
use tokio::runtime::Handle;

use super::Check;

const NAME: &str = "container images";

/// Mounts a trial image below `mounts`, by each way until one works.
pub(super) async fn checks(mounts: PathBuf) -> Vec<Check> {
    let runtime = Handle::current();
    match tokio::task::spawn_blocking(move || ServingPath::detect(&mounts, &runtime)).await {
        Ok(found) => vec![check(found)],
        Err(_ended) => vec![Check::missing(NAME, "it could not be found out")],
    }
}

fn check(ServingPaths { path, why_not_erofs, why_not_fuse, next }: ServingPaths) -> Check {
    let check = match (path, why_not_erofs) {
        (Some(path @ ServingPath::Erofs), _) => return Check::ok(NAME, path.words()),
        (Some(path), None) => Check::degraded(NAME, path.words()),
        (Some(path), Some(why)) => Check::degraded(NAME, format!("{}; {why}", path.words())),
        (None, why) => Check::missing(NAME, why_not_fuse.or(why).unwrap_or_default()),
    };
    match next {
        Some(next) => check.try_next(next),
        None => check,
    }
}
