"""Attempts at other processes, the first one above all."""

import ctypes
import json
import os
import resource
import signal
import sys
import time

from kernel import LIBC, Escaped, attempts, call, each

ATTEMPTS, attempt = attempts()

PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206


def pids():
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def name_of_process(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError as error:
        return str(error.errno)


@attempt("at_most")
def see_processes(event):
    """Counts the processes that can be seen; more than the environment can have is a hole."""
    seen = {pid: name_of_process(pid) for pid in pids()}
    if len(seen) > event.get("at_most", 20):
        raise Escaped(json.dumps(seen)[:4000])
    return seen


@attempt("secret")
def read_environments(event):
    """Reads the variables of every process, looking for a secret that the server was started with."""
    secret, read = event["secret"].encode(), 0
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if secret in file.read():
                    raise Escaped(f"in process {pid}, {name_of_process(pid)}")
            read += 1
        except OSError:
            pass
    return f"{read} of {len(pids())} read, no secret in them"


@attempt()
def read_first_process(event):
    """Reads what /proc tells of the first process to those who may trace it."""
    def read(name):
        path = f"/proc/1/{name}"
        if name in ("root", "cwd", "exe"):
            return os.readlink(path)
        if os.path.isdir(path):
            return " ".join(os.listdir(path)) or None
        with open(path, "rb") as file:
            return file.read(100).decode(errors="replace") or None
    return each(["environ", "maps", "smaps", "mem", "auxv", "root", "cwd", "exe", "fd", "fdinfo", "map_files", "io", "stack",
                 "syscall", "personality", "pagemap", "timers"], read)


@attempt()
def enter_first_process(event):
    """Goes through the first process's root, working folder and descriptors."""
    return each(["root/", "cwd/", "root/etc/shadow", "fd/0", "fd/3", "fd/4", "exe"],
                lambda name: os.close(os.open(f"/proc/1/{name}", os.O_RDONLY)) or "opened")


@attempt("secret")
def read_command_lines(event):
    """Reads the command lines of all processes, looking for a secret of the host."""
    for pid in pids():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if event["secret"].encode() in file.read():
                    raise Escaped(f"in process {pid}")
        except OSError:
            pass
    return f"not in {len(pids())} processes"


@attempt(forked=True)
def trace_first_process(event):
    """Attaches to the first process as a debugger."""
    return each([PTRACE_SEIZE, PTRACE_ATTACH], lambda way: call("ptrace", way, 1, 0, 0) or "attached")


@attempt(forked=True)
def read_memory_of_first_process(event):
    """Reads the first process's memory without attaching."""
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    buffer = ctypes.create_string_buffer(16)
    here, there = Vector(ctypes.addressof(buffer), 16), Vector(0x400000, 16)
    count = call("process_vm_readv", 1, here, 1, there, 1, 0)
    raise Escaped(f"{count} bytes: {buffer.raw.hex()}")


@attempt(forked=True)
def write_memory_of_first_process(event):
    """Opens the first process's memory for writing."""
    os.close(os.open("/proc/1/mem", os.O_WRONLY))
    raise Escaped("opened for writing")


@attempt(forked=True)
def steal_descriptors_of_first_process(event):
    """Takes descriptors out of the first process: the control socket is one of them."""
    pidfd = os.pidfd_open(1)
    return each(range(16), lambda number: f"got {call('pidfd_getfd', pidfd, number, 0)}")


@attempt(forked=True)
def bend_first_process(event):
    """Sets limits, priority, processors and name of the first process."""
    def rename(_):
        with open("/proc/1/comm", "w") as file:
            file.write("mine")
        return "renamed"

    def score(_):
        with open("/proc/1/oom_score_adj", "w") as file:
            file.write("1000")
        return "score raised"

    def limit(which):
        return lambda _: resource.prlimit(1, which, (1, 1)) and "limited"
    ways = {
        "RLIMIT_NOFILE": limit(resource.RLIMIT_NOFILE),
        "RLIMIT_CPU": limit(resource.RLIMIT_CPU),
        "priority": lambda _: os.setpriority(os.PRIO_PROCESS, 1, 19) or "set",
        "affinity": lambda _: os.sched_setaffinity(1, {0}) or "set",
        "scheduler": lambda _: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)) or "set",
        "comm": rename,
        "oom_score_adj": score,
    }
    return each(ways, lambda name: ways[name](name))


@attempt("signals", forked=True)
def signal_first_process(event):
    """Sends signals to the first process. Whether it minds is to be seen from outside, and by its being there still."""
    sent = {}
    for name in event.get("signals", ["SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT", "SIGSEGV", "SIGABRT", "SIGQUIT", "SIGUSR1"]):
        try:
            os.kill(1, getattr(signal, name))
            sent[name] = "sent"
        except PermissionError:
            sent[name] = "EPERM"
    return {"sent": sent, "still there": name_of_process(1)}


@attempt("signal")
def kill_everybody(event):
    """Signals every process that it can, itself excepted: its runtime, its extensions."""
    os.kill(-1, getattr(signal, event.get("signal", "SIGKILL")))
    return f"seen afterwards: {pids()}"


@attempt()
def kill_its_parent(event):
    """Kills the process that started this one, and its group."""
    os.kill(os.getppid(), signal.SIGKILL)
    return f"parent {os.getppid()} is there: {name_of_process(os.getppid())}"


@attempt("below")
def signal_by_number(event):
    """Signals every number there may be, whoever it is: processes of the host would have one."""
    mine, reached = set(pids()), []
    for pid in range(2, event.get("below", 65536)):
        if pid not in mine:
            try:
                os.kill(pid, 0)
                reached.append(pid)
            except ProcessLookupError:
                pass
            except PermissionError:
                reached.append(pid)
    # Threads answer to numbers, too.
    reached = [pid for pid in reached if not any(os.path.exists(f"/proc/{one}/task/{pid}") for one in mine)]
    if reached:
        raise Escaped(f"others are there: {reached[:50]}")
    return "nobody else has a number"


@attempt("name")
def leave_a_daemon(event):
    """Leaves a process that is nobody's child, in a session of its own, and writes its heartbeat into /tmp."""
    path = "/tmp/" + event.get("name", "heartbeat")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for which in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCONT):
                signal.signal(which, signal.SIG_IGN)
            with open(os.devnull, "r+b") as null:
                for descriptor in range(3):
                    os.dup2(null.fileno(), descriptor)
            beat = 0
            while True:
                beat += 1
                with open(path, "w") as file:
                    file.write(f"{beat} {time.time()}")
                time.sleep(0.01)
        os._exit(0)
    os.wait()
    return f"beating in {path}"


@attempt("name")
def feel_the_pulse(event):
    """Reads the heartbeat that a daemon of an earlier invocation has left."""
    with open("/tmp/" + event.get("name", "heartbeat")) as file:
        return file.read()


@attempt(forked=True)
def adopt_orphans(event):
    """Makes itself the reaper of whatever it starts, in the place of the first process, and loses a grandchild to itself."""
    if LIBC.prctl(36, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    grandchild, _ = os.wait()
    return f"of what it starts: {child} and {grandchild}"


@attempt("seconds", "at_most")
def fork_bomb(event):
    """Forks as fast as it can, as do its children, for some seconds; then ends them. Only ever in a sandbox."""
    reading, writing = os.pipe()
    until, most = time.monotonic() + event["seconds"], event["at_most"]
    leader = os.fork()
    if leader == 0:
        os.setpgid(0, 0)
        os.close(reading)
        forked = 0
        while time.monotonic() < until and forked < most:
            try:
                if os.fork() == 0:
                    forked = 0
                else:
                    forked += 1
                os.write(writing, b".")
            except BlockingIOError:
                os.write(writing, b"!")
                time.sleep(0.001)
            except OSError:
                os.write(writing, b"?")
        os._exit(0)
    os.close(writing)
    counted, stuck = 0, 0
    while True:
        part = os.read(reading, 65536)
        if not part or time.monotonic() > until + 2:
            break
        counted += part.count(b".")
        stuck += part.count(b"!")
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(leader, 0)
    return f"{counted} returns from fork, {stuck} times EAGAIN"


@attempt("status")
def end_itself(event):
    """Ends the runtime without a word."""
    sys.stdout.flush()
    os._exit(event.get("status", 0))


@attempt()
def stop_itself(event):
    """Stops the runtime, so that it answers nothing until somebody continues it."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return "was continued"


@attempt(forked=True)
def crash_with_a_core(event):
    """Dies of a signal that leaves a core, where the host might keep it."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:
        # Thus Python says EPERM.
        os.kill(os.getpid(), signal.SIGSEGV)
    raise Escaped("the limit on cores was raised")
