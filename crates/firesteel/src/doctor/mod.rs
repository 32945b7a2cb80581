//! What this machine can hold functions by: tried, not guessed.
//!
//! ```text
//!  trial     sandboxes are made and used ─┐
//!  host      what the kernel allows       ├─► Report ─► table, JSON, exit code
//!  images    a small one is mounted       │
//!  programs  what is installed            ┘
//! ```
//!
//! Each [`Check`] has a state, what was found or why not, and what to type. Those that decide are about the kind of isolation
//! that functions would get here; the rest helps to understand and mend.
//!
//! Used by `commands/doctor.rs`.

mod host;
#[cfg(target_os = "linux")]
mod images;
mod programs;
mod report;
mod trial;

use self::report::Area;
pub(crate) use self::report::{Check, Report};
use crate::cli::IsolationArguments;
use crate::data_folder::DataFolder;

/// Looks at everything.
pub(crate) async fn examine(arguments: &IsolationArguments, data: &DataFolder) -> Report {
    let trial::Tried { kinds, chosen, limits, network } = trial::all(arguments, data).await;
    // Other programs are asked, and may be slow to answer.
    let programs = tokio::task::spawn_blocking(|| (programs::interpreters(), programs::oci_runtimes()));
    let (interpreters, oci_runtimes) = programs.await.unwrap_or_default();
    #[cfg(target_os = "linux")]
    let images = images::checks(data.mounts()).await;
    #[cfg(not(target_os = "linux"))]
    let images = Vec::new();
    Report {
        isolation: chosen,
        areas: vec![
            Area { name: "isolation", checks: kinds },
            Area { name: "limits", checks: limits },
            Area { name: "network", checks: network },
            Area { name: "host", checks: host::checks() },
            Area { name: "images", checks: images },
            Area { name: "interpreters", checks: interpreters },
            Area { name: "OCI runtimes", checks: oci_runtimes },
        ],
    }
}
