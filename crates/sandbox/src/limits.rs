//! What a sandbox may use.

use crate::cgroup::{CpuShare, Group, GroupError};

/// Limits of everything in a sandbox together. What of it this host can hold is told by
/// [`Backend::enforcement`](crate::Backend::enforcement); the process backend holds none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory, without swap. `None`: as much as there is.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Processor time.
    pub cpu: Option<CpuShare>,
    /// Size of `/tmp`, in MiB; 0: as little as can be made.
    pub tmp_mib: u32,
}

impl Limits {
    /// Sets those that the host can hold; which it cannot is told once, for all sandboxes.
    pub(crate) fn apply(&self, to: &Group) -> Result<(), GroupError> {
        let held = |result| match result {
            Err(GroupError::Unavailable { .. }) => Ok(()),
            other => other,
        };
        held(self.memory_bytes.map_or(Ok(()), |bytes| to.limit_memory(bytes)))?;
        held(self.processes.map_or(Ok(()), |count| to.limit_processes(count)))?;
        held(self.cpu.map_or(Ok(()), |share| to.limit_cpu(Some(share))))
    }
}
