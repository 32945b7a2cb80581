//! Many environments that stand still: what one more costs the host, and whether they all answer again.
//!
//! Each function has one environment, since a caller at a time is all that asks. What the first one costs is left out: with
//! it comes all that is there once.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::load::{Client, InvokeError, pause};
use super::super::ours::{Isolation, Serving};
use super::super::phases::Setup;
use super::super::process_tree::{Below, kib, pss_kib};
use super::super::report::Contestant;
use super::super::server::Server;
use super::report::{Footprint, Idle, Report};
use crate::explain;

/// Until blanks are made again and everybody is frozen.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) async fn run(setup: &Setup, environments: u16, report: &mut Report) {
    const PHASE: &str = "idle environments";
    let names: Vec<String> = (1..=environments).map(|number| format!("f{number}")).collect();
    let isolation = Isolation::Namespace { blanks: None };
    let serving =
        Serving { isolation, environments: Some(names.len()), ..Serving::one(&setup.function, &names) };
    let server = match setup.ours(PHASE, serving).await {
        Ok(server) => server,
        Err(error) => return report.failures.add(Contestant::Namespace, PHASE, &explain(&error)),
    };
    let seen = idle(&server, &names);
    let stopping = Instant::now();
    server.stop().await;
    match seen {
        Ok(Some(mut idle)) => {
            idle.stopped_s = stopping.elapsed().as_secs_f64();
            report.idle = Some(idle);
        }
        Ok(None) => report.failures.add(Contestant::Namespace, PHASE, "memory cannot be seen here"),
        Err(error) => report.failures.add(Contestant::Namespace, PHASE, &explain(&error)),
    }
}

/// Nothing where memory cannot be seen.
fn idle(server: &Server, names: &[String]) -> Result<Option<Idle>, InvokeError> {
    let invoke = |name: &String| Client::connect(server.address, name)?.timed();
    let (first, others) = names.split_first().expect("the least number that the option takes is two");
    invoke(first)?;
    pause(SETTLE);
    let Some((before, _)) = look(server) else { return Ok(None) };

    let making = Instant::now();
    others.iter().try_for_each(|name| invoke(name).map(drop))?;
    let made_s = making.elapsed().as_secs_f64();
    pause(SETTLE);
    let Some((after, below)) = look(server) else { return Ok(None) };
    let frozen = below.frozen();

    names.iter().try_for_each(|name| invoke(name).map(drop))?;
    let again = server.pid().map(Below::of).unwrap_or_default();
    Ok(Some(Idle {
        environments: names.len(),
        made_s,
        stopped_s: 0.0,
        before,
        after,
        frozen,
        same_again: below.functions.intersection(&again.functions).count(),
    }))
}

fn look(server: &Server) -> Option<(Footprint, Below)> {
    let pid = server.pid()?;
    let below = Below::of(pid);
    let meminfo = |field| kib(Path::new("/proc/meminfo"), field);
    let kernel = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];
    let footprint = Footprint {
        server: server.memory()?,
        server_private_kib: kib(
            &Path::new("/proc").join(pid.to_string()).join("smaps_rollup"),
            "Private_Dirty:",
        )?,
        first_processes_kib: pss_kib(&below.platform),
        functions_kib: pss_kib(&below.functions),
        available_kib: meminfo("MemAvailable:")?,
        kernel_kib: kernel.into_iter().filter_map(meminfo).sum(),
    };
    Some((footprint, below))
}
