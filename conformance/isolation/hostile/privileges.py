"""Attempts at rights: mounts, namespaces, the kernel's own entrances, users."""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import subprocess
import time

from kernel import LIBC, Escaped, attempts, call, each

ATTEMPTS, attempt = attempts()

NAMESPACES = {"user": 0x10000000, "mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x08000000,
              "uts": 0x04000000, "cgroup": 0x02000000, "time": 0x80}
MS_REMOUNT_BIND = 32 | 4096


def does(name, *arguments):
    """An attempt that is a hole if the call succeeds at all."""
    raise Escaped(f"{name}: {call(name, *arguments)}")


@attempt(forked=True)
def mount_tmpfs(event):
    """Mounts a file system of its own."""
    does("mount", b"none", b"/tmp", b"tmpfs", 0, None)


@attempt(forked=True)
def mount_proc(event):
    """Mounts /proc anew, without what is masked."""
    does("mount", b"proc", b"/tmp", b"proc", 0, None)


@attempt(forked=True)
def mount_bind(event):
    """Mounts the root in another place."""
    does("mount", b"/", b"/tmp", None, 4096, None)


@attempt(forked=True)
def mount_writable(event):
    """Mounts once more, writable, what is read-only."""
    return each([os.environ.get("LAMBDA_TASK_ROOT", "/var/task"), "/", "/opt", "/proc/sys"],
                lambda path: f"{call('mount', None, path.encode(), None, MS_REMOUNT_BIND, None)}")


@attempt(forked=True)
def mount_the_new_way(event):
    """The same by the calls of newer kernels."""
    attributes = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
    ways = {
        "fsopen": lambda: call("fsopen", b"tmpfs", 0),
        "open_tree": lambda: call("open_tree", -100, b"/", 1),
        "mount_setattr": lambda: call("mount_setattr", -100, b"/", 0x8000, attributes, 32),
    }
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def unmount(event):
    """Takes away what is mounted, so that what lies beneath is seen."""
    return each(["/tmp", "/proc", "/dev", "/var/task", "/opt", "/etc", "/"],
                lambda path: f"{call('umount2', path.encode(), 2)}")


@attempt(forked=True)
def change_root(event):
    """chroot, from where ".." leads out, and pivot_root."""
    os.makedirs("/tmp/hostile-root", exist_ok=True)
    ways = {"chroot": lambda: call("chroot", b"/tmp/hostile-root"),
            "pivot_root": lambda: call("pivot_root", b"/tmp/hostile-root", b"/tmp/hostile-root")}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def unshare(event):
    """Makes a namespace of each kind."""
    return each(NAMESPACES, lambda name: f"{call('unshare', NAMESPACES[name])}")


@attempt(forked=True)
def clone_into_namespaces(event):
    """Starts a process in a new namespace of each kind."""
    def clone(name):
        child = call("clone", NAMESPACES[name] & ~0xFF | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return f"process {child}"
    return each([name for name in NAMESPACES if name != "time"], clone)


@attempt(forked=True)
def clone3_into_a_user_namespace(event):
    """The same by the call whose flags lie in memory."""
    arguments = (ctypes.c_uint64 * 8)(NAMESPACES["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call("clone3", arguments, 64)
    if child == 0:
        os._exit(0)
    raise Escaped(f"process {child}")


@attempt(forked=True)
def enter_namespaces(event):
    """Enters the namespaces of every process that it sees."""
    own = {os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
    paths = [f"/proc/{pid}/ns/{name}" for pid in os.listdir("/proc") if pid.isdigit()
             for name in os.listdir("/proc/self/ns")]

    def enter(path):
        call("setns", os.open(path, os.O_RDONLY), 0)
        return "its own" if os.readlink(path) in own else "another's"
    return each(paths, enter)


@attempt(forked=True)
def load_modules(event):
    """Loads and unloads code of the kernel."""
    ways = {"init_module": lambda: call("init_module", b"\x7fELF", 4, b""),
            "finit_module": lambda: call("finit_module", os.open("/proc/self/exe", os.O_RDONLY), b"", 0),
            "delete_module": lambda: call("delete_module", b"loop", 0o4000)}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def replace_the_kernel(event):
    """kexec_load, of nothing."""
    does("kexec_load", 0, 0, None, 0)


@attempt(forked=True)
def use_keys(event):
    """Makes, finds and reads keys."""
    ways = {"add_key": lambda: call("add_key", b"user", b"hostile", b"x", 1, -4),
            "request_key": lambda: call("request_key", b"user", b"hostile", None, -3),
            "keyctl session": lambda: call("keyctl", 0, -3, 1),
            "keyctl user": lambda: call("keyctl", 0, -4, 1),
            "keyctl describe": lambda: call("keyctl", 6, -5, 0, 0)}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def load_bpf(event):
    """Makes a map, and loads a program that returns 0."""
    map_of_one = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    instructions = (ctypes.c_uint64 * 2)(0xB7, 0x95)
    license = ctypes.create_string_buffer(b"GPL")
    program = (ctypes.c_uint64 * 16)(1 | 2 << 32, ctypes.addressof(instructions), ctypes.addressof(license))
    ways = {"map": lambda: call("bpf", 0, map_of_one, 72), "program": lambda: call("bpf", 5, program, 72)}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def userfaultfd(event):
    """Holds the kernel up at page faults."""
    return each([0, 1], lambda flags: f"{call('userfaultfd', flags)}")


@attempt(forked=True)
def count_events(event):
    """Counts events of the processor, its own and everybody's."""
    attributes = (ctypes.c_uint32 * 32)(1, 128, 0)
    return each([(0, -1), (-1, 0)], lambda who: f"{call('perf_event_open', attributes, who[0], who[1], -1, 0)}")


@attempt(forked=True)
def io_uring(event):
    """Sets up a ring, by which calls are made past a filter."""
    does("io_uring_setup", 8, (ctypes.c_uint32 * 30)())


@attempt(forked=True)
def watch_a_mount(event):
    """fanotify: sees what everybody does to a mount."""
    does("fanotify_init", 0x200, os.O_RDONLY)


@attempt(forked=True)
def set_names(event):
    """Renames the host."""
    return each(["sethostname", "setdomainname"], lambda name: f"{call(name, b'hostile', 7)}")


@attempt(forked=True)
def set_clocks(event):
    """Sets clocks, to what they say."""
    now = (ctypes.c_long * 2)(int(time.time()), 0)
    ways = {"clock_settime": lambda: call("clock_settime", 0, now),
            "settimeofday": lambda: call("settimeofday", now, None),
            "time zone": lambda: call("settimeofday", None, (ctypes.c_int * 2)(0, 0))}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def command_the_machine(event):
    """Reboot (of a kind that only forbids Ctrl-Alt-Del), swap, accounting, quotas, the kernel's log."""
    ways = {"reboot": lambda: call("reboot", 0xFEE1DEAD, 672274793, 0, None),
            "swapon": lambda: call("swapon", b"/tmp", 0),
            "acct": lambda: call("acct", b"/tmp/hostile-acct"),
            "quotactl": lambda: call("quotactl", 0x80000100, None, 0, None),
            "syslog": lambda: call("syslog", 3, ctypes.create_string_buffer(64), 64)}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def other_personality(event):
    """Memory that can be executed whenever it can be read."""
    does("personality", 0x400000)


@attempt(forked=True)
def become_root(event):
    """Every way to another user or group, and to capabilities."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    everything = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    ways = {"setuid": lambda: os.setuid(0), "setreuid": lambda: os.setreuid(0, 0),
            "setresuid": lambda: os.setresuid(0, 0, 0), "setgid": lambda: os.setgid(0),
            "setgroups": lambda: os.setgroups([0]), "another's": lambda: os.setuid(1000),
            "capset": lambda: call("capset", header, everything)}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt("seconds")
def run_setuid_programs(event):
    """Looks for programs that run as their owner, and executes those that tell who one is."""
    until, found = time.monotonic() + event.get("seconds", 20), []
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
        for name in names:
            path = os.path.join(folder, name)
            try:
                if os.lstat(path).st_mode & 0o6000 and os.access(path, os.X_OK):
                    found.append(path)
            except OSError:
                pass
        if time.monotonic() > until:
            break
    for path in found:
        try:
            with subprocess.Popen([path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                try:
                    with open(f"/proc/{process.pid}/status") as file:
                        uids = next(line for line in file if line.startswith("Uid:")).split()[1:]
                    if any(int(uid) != os.getuid() for uid in uids):
                        raise Escaped(f"{path} runs as {uids}")
                except (OSError, StopIteration):
                    pass
                finally:
                    process.kill()
        except OSError:
            pass
    return f"{len(found)} programs, none of which ran as its owner: {' '.join(found)[:1000]}"


@attempt(forked=True)
def make_a_setuid_program(event):
    """Makes a setuid program in /tmp. Only its own user's, who nobody else is."""
    path = "/tmp/hostile-setuid"
    with open(path, "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(path, 0o4755)
    mode = os.stat(path).st_mode
    os.unlink(path)
    return f"mode {mode:o} of user {os.getuid()}"


@attempt(forked=True)
def raise_limits(event):
    """Raises each limit above what it was given."""
    def more(name):
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            return None
        try:
            resource.setrlimit(number, (hard + 1, hard + 1))
        except ValueError:
            # Thus Python says EPERM.
            raise PermissionError(errno.EPERM, name) from None
        return f"above {hard}"
    return each([name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"], more)


@attempt(forked=True)
def lower_its_oom_score(event):
    """Has others killed first when memory runs out."""
    def write(score):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(score)
        return "lowered"
    return each(["-1", "-1000"], write)


@attempt(forked=True)
def raise_its_priority(event):
    """Runs before others."""
    ways = {"nice": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
            "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))}
    return each(ways, lambda name: f"{ways[name]()}")


@attempt(forked=True)
def type_into_a_terminal(event):
    """Types a character into every terminal that it can open, its own input and output among them."""
    TIOCSTI = 0x5412
    paths = ["/dev/tty", "/dev/console", "/dev/pts/0", "/dev/pts/1", "/dev/ptmx", "/proc/self/fd/0", "/proc/self/fd/1",
             "/proc/self/fd/2"]

    def type_x(path):
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            fcntl.ioctl(descriptor, TIOCSTI, b"x")
        finally:
            os.close(descriptor)
        return "typed"
    return each(paths, type_x)


@attempt(forked=True)
def execute_from_memory(event):
    """Executes a program that lies in no file. Allowed, as on AWS: it gains nothing by it."""
    descriptor = os.memfd_create("hostile", 0)
    with open("/bin/sh", "rb") as file:
        os.write(descriptor, file.read())
    done = subprocess.run([f"/proc/self/fd/{descriptor}", "-c", "exit 7"], pass_fds=[descriptor])
    return f"it ran and ended with {done.returncode}"


@attempt()
def see_rights(event):
    """What the kernel says of this process's rights."""
    wanted = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    with open("/proc/self/status") as file:
        return {line.split(":")[0]: line.split(":")[1].split() for line in file if line.split(":")[0] in wanted}


@attempt(forked=True)
def undo_no_new_privileges(event):
    """Takes back what cannot be taken back: no new privileges, the filter."""
    ways = {"PR_SET_NO_NEW_PRIVS": (38, 0), "PR_SET_SECCOMP": (22, 0), "PR_SET_SECUREBITS": (28, 0x2F),
            "PR_CAP_AMBIENT_RAISE": (47, 2, 21)}

    def prctl(name):
        number, *arguments = ways[name]
        arguments += [0] * (4 - len(arguments))
        if LIBC.prctl(number, *map(ctypes.c_ulong, arguments)) != 0:
            raise OSError(ctypes.get_errno(), name)
        return "done"
    return each(ways, prctl)
