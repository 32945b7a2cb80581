//! What each attempt of the hostile guest comes to.
//!
//! In the order in which they are made: what one leaves, a later one looks for. An attempt that is not listed fails the
//! suite.

use serde_json::{Value, json};

use crate::escape::Planted;
use crate::neighbour;

/// One attempt.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    /// By which of two functions with the same hostile code.
    pub(crate) by: By,
    /// Whether it uses up what is shared, so that the neighbour is measured meanwhile.
    pub(crate) eats: bool,
    /// What the attempt needs to be told.
    pub(crate) event: fn(&Planted) -> Value,
}

/// How an attempt ends. None ends by having reached what is not its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// The kernel did not do it.
    Refused,
    /// Done, to what is its own alone. The text is in what it says.
    Contained(&'static str),
    /// It has ended its own runtime, and the caller gets this type of error.
    Ended(&'static str),
    /// The kernel has killed one of its processes for want of memory, whichever.
    OutOfMemory,
}

/// Two environments, neither of which may reach the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    One,
    Other,
}

use End::{Contained, Ended, OutOfMemory, Refused};

const fn row(name: &'static str, end: End, event: fn(&Planted) -> Value) -> Row {
    Row { name, end, by: By::One, eats: false, event }
}

const fn other(name: &'static str, end: End, event: fn(&Planted) -> Value) -> Row {
    Row { name, end, by: By::Other, eats: false, event }
}

const fn eater(name: &'static str, end: End, event: fn(&Planted) -> Value) -> Row {
    Row { name, end, by: By::One, eats: true, event }
}

fn nothing(_: &Planted) -> Value {
    json!({})
}

/// More than any sandbox has.
const FAR_TOO_MANY: u32 = 100_000;

/// Of a hostile function, in MiB.
pub(crate) const MEMORY_MIB: u32 = 1024;

/// Of `/tmp`, in MiB.
const DISK_MIB: u32 = 512;

pub(crate) const ROWS: [Row; 111] = [
    // Files.
    row("read_files", Refused, |planted| json!({"paths": planted.paths})),
    row("read_files_past_the_root", Refused, |planted| json!({"paths": planted.paths})),
    row("read_a_file_by_its_handle", Refused, |planted| json!({"path": planted.paths[0]})),
    row("write_code", Refused, nothing),
    row("overwrite_itself", Refused, nothing),
    row("make_code_writable", Refused, nothing),
    row("read_the_kernel", Refused, nothing),
    row("command_the_kernel", Refused, nothing),
    row("write_proc_sys", Refused, nothing),
    row("write_sys", Refused, nothing),
    row("write_cgroups", Refused, nothing),
    row("open_devices", Refused, nothing),
    row("make_devices", Refused, nothing),
    row("see_mounts", Contained(""), nothing),
    row("see_environment", Contained("AWS_LAMBDA_RUNTIME_API"), nothing),
    // What is its own, or made for it. The host's folders of programs and libraries are one for all, and who watches
    // those sees that they are used.
    row(
        "watch_neighbours",
        Contained("no event"),
        |_| json!({"paths": ["/tmp", "/var/task", "/opt", "/dev", "/proc", "/etc"], "seconds": 1}),
    ),
    // Processes.
    row("see_processes", Contained("sandbox-init"), |_| json!({"at_most": 2})),
    row("read_environments", Contained("no secret"), |planted| json!({"secret": planted.canary})),
    row("read_first_process", Refused, nothing),
    row("enter_first_process", Refused, nothing),
    row("read_command_lines", Contained("not in"), |planted| json!({"secret": planted.data})),
    row("trace_first_process", Refused, nothing),
    row("read_memory_of_first_process", Refused, nothing),
    row("write_memory_of_first_process", Refused, nothing),
    row("steal_descriptors_of_first_process", Refused, nothing),
    row("bend_first_process", Refused, nothing),
    row("signal_first_process", Contained("still there"), |_| json!({})),
    // There is nobody else.
    row("kill_everybody", Refused, |_| json!({"signal": "SIGKILL"})),
    row("kill_its_parent", Refused, nothing),
    row("signal_by_number", Contained("nobody else"), |_| json!({"below": 65536})),
    other("leave_a_daemon", Contained("beating"), |_| json!({"name": "heartbeat"})),
    row("feel_the_pulse", Refused, |_| json!({"name": "heartbeat"})),
    row("adopt_orphans", Contained("of what it starts"), nothing),
    eater("fork_bomb", Contained("EAGAIN"), |_| json!({"seconds": 3, "at_most": FAR_TOO_MANY})),
    row("end_itself", Ended("Runtime.ExitError"), |_| json!({"status": 0})),
    row("stop_itself", Ended("Sandbox.Timedout"), nothing),
    row("crash_with_a_core", Refused, nothing),
    // Rights.
    row("mount_tmpfs", Refused, nothing),
    row("mount_proc", Refused, nothing),
    row("mount_bind", Refused, nothing),
    row("mount_writable", Refused, nothing),
    row("mount_the_new_way", Refused, nothing),
    row("unmount", Refused, nothing),
    row("change_root", Refused, nothing),
    row("unshare", Refused, nothing),
    row("clone_into_namespaces", Refused, nothing),
    row("clone3_into_a_user_namespace", Refused, nothing),
    row("enter_namespaces", Refused, nothing),
    row("load_modules", Refused, nothing),
    row("replace_the_kernel", Refused, nothing),
    row("use_keys", Refused, nothing),
    row("load_bpf", Refused, nothing),
    row("userfaultfd", Refused, nothing),
    row("count_events", Refused, nothing),
    row("io_uring", Refused, nothing),
    row("watch_a_mount", Refused, nothing),
    row("set_names", Refused, nothing),
    row("set_clocks", Refused, nothing),
    row("command_the_machine", Refused, nothing),
    row("other_personality", Refused, nothing),
    row("become_root", Refused, nothing),
    row("run_setuid_programs", Contained("none of which ran as its owner"), |_| json!({"seconds": 10})),
    row("make_a_setuid_program", Contained("of user "), nothing),
    row("raise_limits", Refused, nothing),
    row("lower_its_oom_score", Refused, nothing),
    row("raise_its_priority", Refused, nothing),
    row("type_into_a_terminal", Refused, nothing),
    row("execute_from_memory", Contained("ended with 7"), nothing),
    row("see_rights", Contained("NoNewPrivs"), nothing),
    row("undo_no_new_privileges", Refused, nothing),
    // The network.
    other("listen_abstract", Contained("listening"), |_| json!({"name": "firesteel-other"})),
    other("listen_everywhere", Contained("listening"), |_| json!({"port": 7078})),
    row("connect", Refused, |planted| json!({"addresses": planted.addresses})),
    row("send_datagrams", Refused, |planted| json!({"addresses": planted.datagrams})),
    row(
        "connect_abstract",
        Refused,
        |planted| json!({"names": [planted.abstract_name, "firesteel-other", neighbour::ABSTRACT]}),
    ),
    row("connect_unix", Refused, |planted| json!({"paths": planted.sockets})),
    row("see_abstract", Contained("[]"), nothing),
    row("scan_loopback", Contained("only [9001]"), nothing),
    row("see_network", Contained("\"lo\""), nothing),
    row("raw_sockets", Refused, nothing),
    row("other_families", Refused, nothing),
    row("change_network", Refused, nothing),
    row("take_the_runtime_api", Refused, nothing),
    eater("hold_the_runtime_api", Contained("were held"), |_| json!({"connections": 2000, "seconds": 2})),
    eater("hammer_the_runtime_api", Contained("404"), |_| json!({"requests": 20_000, "connections": 8})),
    // Exhaustion.
    eater("eat_memory", Ended("Runtime.OutOfMemory"), |_| json!({"mib": 2 * MEMORY_MIB})),
    eater("eat_memory_in_a_child", Refused, |_| json!({"mib": 2 * MEMORY_MIB})),
    eater("eat_shared_memory", OutOfMemory, |_| json!({"mib": 2 * MEMORY_MIB})),
    eater("lock_memory", Contained("0, then"), |_| json!({"mib": 2 * MEMORY_MIB})),
    eater("eat_disk", Contained("then ENOSPC"), |_| json!({"mib": 2 * DISK_MIB})),
    eater("eat_inodes", Contained("then ENOSPC"), |_| json!({"files": FAR_TOO_MANY})),
    eater("eat_folders", Contained("not refused"), |_| json!({"depth": 5000})),
    eater("eat_descriptors", Contained("then EMFILE"), |_| json!({"descriptors": FAR_TOO_MANY})),
    eater(
        "eat_descriptors_in_many_processes",
        Contained("then EMFILE"),
        |_| json!({"processes": 200, "descriptors": FAR_TOO_MANY}),
    ),
    eater("eat_threads", Contained("can't start new thread"), |_| json!({"threads": FAR_TOO_MANY})),
    eater("eat_processes", Contained("then EAGAIN"), |_| json!({"processes": FAR_TOO_MANY})),
    eater("eat_pipe_buffers", Contained("then"), |_| json!({"pipes": 4096})),
    eater("eat_socket_buffers", Contained("then"), |_| json!({"sockets": 4096})),
    eater("eat_watches", Contained("then EMFILE"), |_| json!({"watches": 4096})),
    eater("eat_pending_signals", Contained(""), |_| json!({"count": 4096})),
    eater("fill_stdout", Contained("64 MiB"), |_| json!({"mib": 64})),
    eater("fill_one_line", Contained("16 MiB"), |_| json!({"mib": 16})),
    eater("eat_processor", Contained("processor_seconds"), |_| json!({"seconds": 3, "processes": 8})),
    eater("sync_disks", Contained("times in"), |_| json!({"times": 20})),
    row("see_limits", Contained("RLIMIT_NOFILE"), nothing),
    // What one leaves and another looks for.
    other("leave_shared_memory", Contained("left"), |_| json!({"key": 4242})),
    row("find_shared_memory", Refused, |_| json!({"key": 4242})),
    other("leave_message_queue", Contained("left"), |_| json!({"name": "firesteel-left"})),
    row("find_message_queue", Refused, |_| json!({"name": "firesteel-left"})),
    other("leave_file", Contained("left in"), |_| json!({"name": "firesteel-left", "text": "left"})),
    row("find_file", Refused, |_| json!({"name": "firesteel-left"})),
];
