//! What is the same in every root of a sandbox's own, whoever makes it.
//!
//! Lists only. Used by `root`, which makes such a root, and by servers that have others make it.

/// Folders that exist in every root: some to be mounted on, some to be found empty.
pub const FOLDERS: [&str; 12] =
    ["dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "var/task", "var/runtime"];

/// Of `/dev`: without memory, disks, terminals. AWS has no `/dev/shm` either.
pub const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Links in `/dev`, and what they lead to.
pub const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// What of `/proc` is the host's, not the sandbox's, and tells or does more than a function has business with.
pub const MASKED: [&str; 15] = [
    "acpi",
    "asound",
    "bus",
    "fs",
    "interrupts",
    "irq",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "modules",
    "scsi",
    "sched_debug",
    "timer_list",
];

/// What of `/proc` may be read and not written.
pub const READ_ONLY_PROC: [&str; 2] = ["sys", "sysrq-trigger"];

/// What of `/sys` runtimes look at, to count processors.
pub const PROCESSORS: &str = "sys/devices/system/cpu";

/// Where a container that is to become another root finds a small file system to build on, which the others beside it do not
/// belong into, either: this program, the tree, and what is to be put into it.
pub const WORKSPACE: &str = "/.firesteel/workspace";
