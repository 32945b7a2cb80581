//! Control groups: what limits, freezes, measures and ends a sandbox, whatever the processes in it do.
//!
//! ```text
//!   each hierarchy    …/<where the server may>/firesteel-<id>     Groups: locked while the server lives
//!                                               ├── <sandbox>     Group: limits
//!                                               └── <sandbox>
//!
//!   in cgroup2        the sandbox's processes                      freeze, kill; limits where it has the controllers
//!   in v1             its first process and these                  limits where cgroup2 has not the controllers
//! ```
//!
//! A sandbox's first process stays outside of the group in cgroup2, so that it can be spoken to while the rest stands
//! still; what it starts is made there ([`Group::clone_into`]). v1 knows no such way: there the first process
//! is moved in ([`Group::enter`]), and its children are born where it is.
//!
//! cgroup2 freezes and kills without any controller, so it is used beside v1 wherever it is mounted. v1's own
//! freezer never is: what it has frozen does not even die of SIGKILL until it is thawed.
//!
//! | | |
//! |---|---|
//! | `layout` | which hierarchies there are |
//! | `unified` | where in cgroup2 groups may be made that have controllers |
//! | `lock` | whose a group is; what was left behind |
//! | `folder` | one group as a folder; how it ends |
//!
//! Called by the backends that isolate. Everything here is synchronous: microseconds, except for ending
//! what does not end at once. Refused: to fail as a whole. A host on which a limit cannot be had still runs sandboxes, and
//! [`Enforcement`] says what holds and what does not.

mod cpu;
mod enforcement;
mod error;
mod folder;
mod group;
mod groups;
mod host;
mod layout;
mod lock;
mod unified;

pub use cpu::CpuShare;
pub use enforcement::{Enforcement, Means};
pub use error::GroupError;
pub use group::Group;
pub use groups::Groups;
pub use host::HostGroups;

/// What the kernel has to count for the limits here.
///
/// In the order in which groups are ended: once nothing more can be started, the rest goes quickly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Controller {
    Processes,
    Memory,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Processes, Self::Memory, Self::Cpu];

    /// The kernel's.
    fn name(self) -> &'static str {
        match self {
            Self::Processes => "pids",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}
