//! The group of one sandbox, in all hierarchies that are used.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::Controller;
use super::cpu::{Bandwidth, CpuShare};
use super::error::GroupError;
use super::folder::{Folder, OpenFile};
use super::groups::Home;
use super::layout::Version;
use crate::memory::MemoryReading;

/// One sandbox's limits, freezer and measures. Drop kills what is in it and removes it; usually that takes
/// microseconds, up to a second for each hierarchy when something does not end.
#[derive(Debug)]
pub struct Group {
    unified: Option<Unified>,
    meter: Option<Meter>,
    /// In the order of `Groups`: cgroup2 first.
    seats: Vec<Seat>,
}

/// Its folder in one hierarchy.
#[derive(Debug)]
pub(super) struct Seat {
    home: Home,
    folder: Folder,
}

/// What is held open of cgroup2: needed between any two invocations.
#[derive(Debug)]
struct Unified {
    directory: File,
    /// `None` on Linux before 5.2.
    freezer: Option<Freezer>,
}

#[derive(Debug)]
struct Freezer {
    freeze: OpenFile,
    events: OpenFile,
}

/// What is held open of memory: needed after every invocation.
#[derive(Debug)]
struct Meter {
    current: OpenFile,
    /// `None` in cgroup2 before Linux 5.19.
    peak: Option<OpenFile>,
    kills: OpenFile,
}

impl Seat {
    pub(super) fn make(home: Home, path: PathBuf) -> Result<Self, GroupError> {
        Ok(Self { home, folder: Folder::make(path)? })
    }
}

impl Group {
    pub(super) fn new(seats: Vec<Seat>) -> Result<Self, GroupError> {
        let unified = seats.iter().find(|seat| seat.home.version == Version::V2);
        let unified = unified.map(|seat| Unified::open(&seat.folder)).transpose()?;
        let meter = seats.iter().find(|seat| seat.home.controllers.contains(&Controller::Memory));
        let meter = meter.map(Meter::open).transpose()?;
        Ok(Self { unified, meter, seats })
    }

    /// The folder in cgroup2, into which a process can be cloned. `None` where there is no cgroup2.
    pub fn clone_into(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(|unified| unified.directory.as_fd())
    }

    /// The files by which a process of one thread moves itself, by writing `0`, to where [`Self::enter`] would move it. In
    /// microseconds: to move another, or a process that could have several threads, the kernel waits until every
    /// processor has been somewhere else, which is some ten milliseconds on an idle host.
    pub fn entrances(&self) -> Vec<PathBuf> {
        let seats = self.seats.iter().filter(|seat| seat.home.version == Version::V1);
        seats.map(|seat| seat.folder.path().join("tasks")).collect()
    }

    /// Likewise, to where [`Self::enter_all`] would move it.
    pub fn all_entrances(&self) -> Vec<PathBuf> {
        let unified = self.seats.iter().filter(|seat| seat.home.version == Version::V2);
        let unified = unified.map(|seat| seat.folder.path().join("cgroup.procs"));
        unified.chain(self.entrances()).collect()
    }

    /// Moves a process into all groups but that in cgroup2. Its children are born there; memory that it has already
    /// is counted where it was.
    ///
    /// # Errors
    /// When the kernel refuses, as it does when the process has ended.
    pub fn enter(&self, pid: Pid) -> Result<(), GroupError> {
        self.move_into(pid, |seat| seat.home.version == Version::V1)
    }

    /// Moves a process into all groups.
    ///
    /// # Errors
    /// When the kernel refuses, as it does when the process has ended.
    pub fn enter_all(&self, pid: Pid) -> Result<(), GroupError> {
        self.move_into(pid, |_| true)
    }

    /// The folder in cgroup2 as it is called below the place where that is mounted: `/` and its path.
    pub(crate) fn place_below(&self, mountpoint: &Path) -> Option<String> {
        let unified = self.seats.iter().find(|seat| seat.home.version == Version::V2)?;
        Some(format!("/{}", unified.folder.path().strip_prefix(mountpoint).ok()?.to_str()?))
    }

    fn move_into(&self, pid: Pid, wanted: impl Fn(&Seat) -> bool) -> Result<(), GroupError> {
        let number = pid.as_raw_pid().to_string();
        self.seats
            .iter()
            .filter(|seat| wanted(seat))
            .try_for_each(|seat| seat.folder.write("cgroup.procs", &number))
    }

    /// What is beyond is killed. Nothing of it is swapped, if the host lets that be said. The kernel counts in pages and rounds down.
    ///
    /// # Errors
    /// When no group counts memory, or the kernel refuses: below what is in use already, where it cannot be reclaimed.
    pub fn limit_memory(&self, bytes: u64) -> Result<(), GroupError> {
        let seat = self.seat(Controller::Memory)?;
        let value = &bytes.to_string();
        match seat.home.version {
            Version::V1 => {
                let (limit, with_swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
                seat.folder.write("memory.swappiness", "0")?;
                if !seat.folder.has(with_swap) {
                    return seat.folder.write(limit, value);
                }
                // The limit may at no time be above that with swap: raised in the one order, lowered in the other.
                if seat.folder.write(limit, value).is_err() {
                    seat.folder.write(with_swap, value)?;
                    return seat.folder.write(limit, value);
                }
                seat.folder.write(with_swap, value)
            }
            Version::V2 => {
                if seat.folder.has("memory.swap.max") {
                    seat.folder.write("memory.swap.max", "0")?;
                }
                seat.folder.write("memory.max", value)
            }
        }
    }

    /// Processes and threads, not counting the one thread of a first process that was moved here by [`Self::enter`]. Beyond it,
    /// starting one fails with EAGAIN.
    ///
    /// # Errors
    /// When no group counts processes, or the kernel refuses.
    pub fn limit_processes(&self, count: u32) -> Result<(), GroupError> {
        let seat = self.seat(Controller::Processes)?;
        let first_process = match seat.home.version {
            Version::V1 => 1,
            Version::V2 => 0,
        };
        seat.folder.write("pids.max", &(u64::from(count) + first_process).to_string())
    }

    /// Processor time of all together: no more than this, and where there is less, a part like that of other groups of the same
    /// server. `None` takes the limit away.
    ///
    /// # Errors
    /// When no group limits processor time, or the kernel refuses: in v1, more than a group above has.
    pub fn limit_cpu(&self, share: Option<CpuShare>) -> Result<(), GroupError> {
        let seat = self.seat(Controller::Cpu)?;
        let bandwidth = share.map(CpuShare::bandwidth);
        let file = match seat.home.version {
            Version::V1 => "cpu.shares",
            Version::V2 => "cpu.weight",
        };
        seat.folder.write(file, &share.unwrap_or(CpuShare::WHOLE).weight().to_string())?;
        match (seat.home.version, bandwidth) {
            (Version::V1, None) => seat.folder.write("cpu.cfs_quota_us", "-1"),
            (Version::V1, Some(Bandwidth { quota_us, period_us })) => {
                let period = &period_us.to_string();
                // With the quota of before it may come to more than a group above has.
                if seat.folder.write("cpu.cfs_period_us", period).is_err() {
                    seat.folder.write("cpu.cfs_quota_us", "-1")?;
                    seat.folder.write("cpu.cfs_period_us", period)?;
                }
                seat.folder.write("cpu.cfs_quota_us", &quota_us.to_string())
            }
            (Version::V2, None) => seat.folder.write("cpu.max", "max"),
            (Version::V2, Some(Bandwidth { quota_us, period_us })) => {
                seat.folder.write("cpu.max", &format!("{quota_us} {period_us}"))
            }
        }
    }

    /// Everything in the group of cgroup2 stands still soon after, when [`Self::is_frozen`] says so, and what is started
    /// there later does from its birth. SIGKILL still ends it.
    ///
    /// # Errors
    /// Where there is no cgroup2, or the kernel refuses.
    pub fn freeze(&self) -> Result<(), GroupError> {
        self.freezer()?.freeze.write("1")
    }

    /// It goes on where it was.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), GroupError> {
        self.freezer()?.freeze.write("0")
    }

    /// Whether [`Self::freeze`] can be had.
    pub fn can_freeze(&self) -> bool {
        self.freezer().is_ok()
    }

    /// Whether everything stands still. True of an empty group that was frozen; false while a process is in the middle of a call
    /// to the kernel that cannot be interrupted.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn is_frozen(&self) -> Result<bool, GroupError> {
        Ok(self.freezer()?.events.value("frozen")? == 1)
    }

    /// Memory as the kernel counts it: that of processes, page cache of files that they were first to read, its own
    /// for them. In v1 that of the first process too, from when it was moved here.
    ///
    /// # Errors
    /// When no group counts memory; in cgroup2 before Linux 5.19, which does not keep a peak.
    pub fn memory(&self) -> Result<MemoryReading, GroupError> {
        let meter = self.meter()?;
        let peak = meter.peak.as_ref().ok_or(GroupError::Unavailable { what: "memory.peak" })?;
        let current_bytes = meter.current.number()?;
        // Read later, but the kernel keeps the two apart.
        let peak_bytes = peak.number()?.max(current_bytes);
        Ok(MemoryReading { current_bytes, peak_bytes })
    }

    /// How many processes were killed for want of memory.
    ///
    /// # Errors
    /// When no group counts memory; in v1 before Linux 4.13, which does not count them.
    pub fn oom_kills(&self) -> Result<u64, GroupError> {
        self.meter()?.kills.value("oom_kill")
    }

    /// Kills everything in the group of cgroup2, frozen or not; a first process outside of it lives on. From Linux 5.14 on nothing
    /// escapes by forking; before, this is to be repeated until all are gone.
    ///
    /// # Errors
    /// Where there is no cgroup2, or the kernel refuses.
    pub fn kill(&self) -> Result<(), GroupError> {
        let unified = self.seats.iter().find(|seat| seat.home.version == Version::V2);
        unified.ok_or(GroupError::Unavailable { what: "cgroup.kill" })?.folder.kill()
    }

    fn seat(&self, controller: Controller) -> Result<&Seat, GroupError> {
        let found = self.seats.iter().find(|seat| seat.home.controllers.contains(&controller));
        found.ok_or(GroupError::Unavailable { what: controller.name() })
    }

    fn meter(&self) -> Result<&Meter, GroupError> {
        self.meter.as_ref().ok_or(GroupError::Unavailable { what: Controller::Memory.name() })
    }

    fn freezer(&self) -> Result<&Freezer, GroupError> {
        let freezer = self.unified.as_ref().and_then(|unified| unified.freezer.as_ref());
        freezer.ok_or(GroupError::Unavailable { what: "cgroup.freeze" })
    }
}

impl Unified {
    fn open(folder: &Folder) -> Result<Self, GroupError> {
        let directory =
            File::open(folder.path()).map_err(|source| GroupError::read(folder.path(), source))?;
        let freezer = folder.has("cgroup.freeze").then(|| Freezer::open(folder)).transpose()?;
        Ok(Self { directory, freezer })
    }
}

impl Freezer {
    fn open(folder: &Folder) -> Result<Self, GroupError> {
        let freeze = OpenFile::to_write(folder, "cgroup.freeze")?;
        Ok(Self { freeze, events: OpenFile::to_read(folder, "cgroup.events")? })
    }
}

impl Meter {
    fn open(seat: &Seat) -> Result<Self, GroupError> {
        let (current, peak, kills) = match seat.home.version {
            Version::V1 => ("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
            Version::V2 => ("memory.current", "memory.peak", "memory.events"),
        };
        let open = |name| OpenFile::to_read(&seat.folder, name);
        let peak = seat.folder.has(peak).then(|| open(peak)).transpose()?;
        Ok(Self { current: open(current)?, peak, kills: open(kills)? })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What the kernel of this host does with it is tested in `tests/cgroups`; a host has controllers in one version only.
    #[test]
    fn what_is_written_to_and_read_from_cgroup2() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("group");
        let home = Home { version: Version::V2, controllers: Controller::ALL.to_vec() };
        let seat = Seat::make(home, path.clone()).unwrap();
        let file = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
        for name in [
            "cgroup.freeze",
            "cgroup.kill",
            "memory.max",
            "memory.swap.max",
            "pids.max",
            "cpu.max",
            "cpu.weight",
        ] {
            file(name, "");
        }
        file("cgroup.events", "populated 1\nfrozen 1\n");
        file("memory.current", "4096\n");
        file("memory.peak", "8192\n");
        file("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n");
        let group = Group::new(vec![seat]).unwrap();
        let text = |name: &str| fs::read_to_string(path.join(name)).unwrap();

        group.limit_memory(1 << 27).unwrap();
        assert_eq!((text("memory.max").as_str(), text("memory.swap.max").as_str()), ("134217728", "0"));
        group.limit_processes(1024).unwrap();
        assert_eq!(text("pids.max"), "1024");
        group.limit_cpu(None).unwrap();
        assert_eq!((text("cpu.max").as_str(), text("cpu.weight").as_str()), ("max", "1000"));
        file("cpu.weight", "");
        group.limit_cpu(Some(CpuShare::from_thousandths(72))).unwrap();
        assert_eq!((text("cpu.max").as_str(), text("cpu.weight").as_str()), ("1440 20000", "72"));
        group.freeze().unwrap();
        assert_eq!(text("cgroup.freeze"), "1");
        group.thaw().unwrap();
        assert_eq!(text("cgroup.freeze"), "0");
        assert!(group.is_frozen().unwrap());
        file("cgroup.events", "populated 1\nfrozen 0\n");
        assert!(!group.is_frozen().unwrap());
        group.kill().unwrap();
        assert_eq!(text("cgroup.kill"), "1");
        assert_eq!(group.oom_kills().unwrap(), 2);
        assert_eq!(group.memory().unwrap(), MemoryReading { current_bytes: 4096, peak_bytes: 8192 });
        file("memory.peak", "much\n");
        assert!(matches!(group.memory(), Err(GroupError::Text { .. })));
    }
}
