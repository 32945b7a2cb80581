"""Attempts at files, by their paths."""

import ctypes
import os
import select
import stat
import struct
import time

from kernel import Escaped, attempts, call, each

ATTEMPTS, attempt = attempts()

# Where code lies, and what belongs to the host.
READ_ONLY = [os.environ.get("LAMBDA_TASK_ROOT", "/var/task"), "/opt", "/var/runtime", "/", "/usr", "/usr/bin", "/usr/lib",
             "/etc", "/bin", "/lib", "/var", "/dev", "/proc", "/sys", "/home", "/root", "/run", "/srv"]
# What tells of the host or commands it, whoever reads or writes.
KERNEL_READ = ["/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/timer_list",
               "/proc/sched_debug", "/proc/latency_stats", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/sysvipc/shm",
               "/proc/keys", "/proc/iomem", "/proc/ioports", "/sys/kernel/debug", "/sys/kernel/tracing",
               "/sys/kernel/security", "/sys/firmware/acpi/tables", "/sys/firmware/dmi/tables/DMI", "/dev/mem",
               "/dev/kmem", "/dev/port", "/dev/kmsg"]
KERNEL_WRITE = ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sys/vm/panic_on_oom",
                "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/ns_last_pid", "/proc/irq/0/smp_affinity",
                "/proc/mtrr", "/proc/acpi/wakeup", "/proc/scsi/scsi", "/sys/power/state", "/sys/kernel/uevent_helper",
                "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/module/kernel/parameters/panic"]
DEVICES = ["sda", "sda1", "vda", "vda1", "nvme0n1", "xvda", "dm-0", "loop0", "loop-control", "mapper/control", "mem", "kmem",
           "port", "kmsg", "fuse", "kvm", "net/tun", "vhost-net", "vhost-vsock", "vsock", "uinput", "input/event0",
           "snapshot", "hwrng", "rtc0", "watchdog", "cpu/0/msr", "ppp", "userfaultfd", "tty0", "tty1", "console", "fb0",
           "dri/card0"]
# Kind, major, minor: memory, disks, loop devices, fuse, kvm, tun.
NODES = [("mem", stat.S_IFCHR, 1, 1), ("port", stat.S_IFCHR, 1, 4), ("kmsg", stat.S_IFCHR, 1, 11), ("sda", stat.S_IFBLK, 8, 0),
         ("loop0", stat.S_IFBLK, 7, 0), ("vda", stat.S_IFBLK, 253, 0), ("vda-254", stat.S_IFBLK, 254, 0),
         ("nvme", stat.S_IFBLK, 259, 0), ("fuse", stat.S_IFCHR, 10, 229), ("kvm", stat.S_IFCHR, 10, 232),
         ("tun", stat.S_IFCHR, 10, 200), ("tty0", stat.S_IFCHR, 4, 0)]


def read_some(path):
    """The first bytes, None if there are none: a masked file is empty."""
    if os.path.isdir(path):
        return " ".join(os.listdir(path))[:200] or None
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 200).decode(errors="replace") or None
    finally:
        os.close(descriptor)


def open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    return "opened for writing"


def write_back(path):
    """Some may be opened by everybody, and refuse what is written."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        seen = os.read(descriptor, 4096)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, seen)
    finally:
        os.close(descriptor)
    return "written"


def walk(roots, seconds=10):
    """Every ordinary file below, as far as time allows."""
    until = time.monotonic() + seconds
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                if time.monotonic() > until:
                    return
                yield os.path.join(folder, name)


@attempt("paths")
def read_files(event):
    """Reads the files, or lists the folders, that the test has planted outside."""
    return each(event["paths"], read_some)


@attempt("paths")
def read_files_past_the_root(event):
    """The same by way of every directory descriptor, root and working folder that /proc offers."""
    doors = [f"/proc/{pid}/{door}" for pid in os.listdir("/proc") if pid.isdigit() for door in ("root", "cwd")]
    doors += [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    ways = [door + way + path for door in doors for way in ("", "/../../../../../../..") for path in event["paths"]]
    return each(ways, read_some)


@attempt("path")
def read_a_file_by_its_handle(event):
    """Names a file by handle and opens it by the handle, past the mounts."""
    buffer = bytearray(struct.pack("Ii128s", 128, 0, b""))
    memory = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    mount = ctypes.c_int()
    folder = os.path.dirname(event["path"]) or "/"
    call("name_to_handle_at", -100, folder.encode(), memory, ctypes.pointer(mount), 0)
    descriptor = call("open_by_handle_at", os.open("/", os.O_RDONLY), memory, os.O_RDONLY)
    raise Escaped(f"opened {os.readlink(f'/proc/self/fd/{descriptor}')}")


@attempt()
def write_code(event):
    """Makes files where code and the host's own files lie."""
    def write(folder):
        path = os.path.join(folder, "hostile")
        with open(path, "w") as file:
            file.write("was here")
        os.unlink(path)
        return "a file was made"
    return each(READ_ONLY, write)


@attempt()
def overwrite_itself(event):
    """Opens its own code, the bootstrap, the interpreter and the C library for writing."""
    mapped = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
    ours = [path for path in mapped if os.path.isfile(path) and not path.startswith(("/tmp", "/dev"))]
    code = [os.path.join(READ_ONLY[0], name) for name in os.listdir(READ_ONLY[0])]
    return each(sorted(ours + [path for path in code if os.path.isfile(path)]), open_for_writing)


@attempt()
def make_code_writable(event):
    """Changes modes and owners of its own code."""
    return each(READ_ONLY[:3], lambda path: os.chmod(path, 0o777) or "mode changed")


@attempt()
def read_the_kernel(event):
    """Reads what /proc, /sys and /dev tell of the host."""
    # Shows to each who asks what is theirs.
    own = {"/proc/keys", "/proc/sysvipc/shm"}
    # To those without rights, addresses of 0.
    def read(path):
        seen = read_some(path)
        if path in own and seen is not None and seen.count("\n") <= 3:
            return None
        if path in ("/proc/iomem", "/proc/ioports") and seen and seen.startswith(("00000000-00000000", "0000-0000")):
            return None
        return seen
    return each(KERNEL_READ, read)


@attempt()
def command_the_kernel(event):
    """Opens for writing what commands the host."""
    return each(KERNEL_WRITE, lambda path: write_back(path) if path.startswith("/proc/sys/") else open_for_writing(path))


@attempt()
def write_proc_sys(event):
    """Writes into every sysctl what it says already."""
    return each(walk(["/proc/sys"]), write_back)


@attempt()
def write_sys(event):
    """Opens every file in /sys for writing, cgroups included."""
    return each(walk(["/sys"]), open_for_writing)


@attempt()
def write_cgroups(event):
    """Opens every file of every control group that is mounted anywhere, and makes a group."""
    mounted = [line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup" in line]
    roots = sorted(set(mounted + ["/sys/fs/cgroup"]))
    def make(root):
        os.mkdir(root + "/hostile")
        return "a group was made"
    return each(list(walk(roots)) + roots, lambda path: make(path) if path in roots else open_for_writing(path))


@attempt()
def open_devices(event):
    """Opens devices of the host by name."""
    return each(["/dev/" + name for name in DEVICES],
                lambda path: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) or "opened")


@attempt()
def make_devices(event):
    """Makes device nodes by number in /tmp and opens them."""
    def make(node):
        name, kind, major, minor = node
        path = "/tmp/hostile-" + name
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        finally:
            os.unlink(path)
        return "opened"
    return each(NODES, make)


@attempt()
def see_mounts(event):
    """What the list of mounts tells: sources on the host, and who is not read-only."""
    return [" ".join(line.split()[3:6]) for line in open("/proc/self/mountinfo")]


@attempt()
def see_environment(event):
    """The names of all variables."""
    return sorted(os.environ)


@attempt("paths", "seconds")
def watch_neighbours(event):
    """Watches paths that others may use too, and waits for their traces."""
    descriptor = call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
    # Opened, read, written, attributes, made, removed, moved.
    watched = {call("inotify_add_watch", descriptor, path.encode(), 0xFFF): path for path in event["paths"]}
    ready, _, _ = select.select([descriptor], [], [], event["seconds"])
    if ready:
        watch, mask, _, length = struct.unpack_from("iIII", os.read(descriptor, 65536))
        raise Escaped(f"event {mask:#x} on {watched.get(watch)}")
    return f"no event in {event['seconds']} s on {len(watched)} watches"
