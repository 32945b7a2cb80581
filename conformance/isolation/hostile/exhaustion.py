"""Attempts to use up what is shared. Each goes on until it is refused or has reached what the event allows, and says how far
it came. Only ever in a sandbox: what bounds them is what is being tested.
"""

import ctypes
import fcntl
import mmap
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from kernel import LIBC, attempts, call, name_of

ATTEMPTS, attempt = attempts()

MIB = 1024 * 1024


def until_refused(most, one):
    """Calls `one` so often, or until it is refused."""
    for count in range(most):
        try:
            one(count)
        except OSError as error:
            return f"{count}, then {name_of(error)}"
        except (MemoryError, RuntimeError) as error:
            return f"{count}, then {error!r}"
    return f"{most}, not refused"


@attempt("mib")
def eat_memory(event):
    """Touches memory, MiB after MiB. The kernel's answer is death."""
    kept = []
    return until_refused(event["mib"], lambda _: kept.append(b"x" * MIB)) + " MiB"


@attempt("mib", forked=True)
def eat_memory_in_a_child(event):
    """The same in a child, which may die alone or with all the others."""
    kept = []
    return until_refused(event["mib"], lambda _: kept.append(b"x" * MIB)) + " MiB"


@attempt("mib", forked=True)
def eat_shared_memory(event):
    """Memory that is a file in none."""
    descriptor = os.memfd_create("hostile")
    return until_refused(event["mib"], lambda _: os.write(descriptor, b"x" * MIB)) + " MiB"


@attempt("mib", forked=True)
def lock_memory(event):
    """Memory that cannot be moved out."""
    def lock(_):
        memory = mmap.mmap(-1, MIB)
        if LIBC.mlock(ctypes.byref(ctypes.c_char.from_buffer(memory)), ctypes.c_size_t(MIB)) != 0:
            raise OSError(ctypes.get_errno(), "mlock")
        kept.append(memory)
    kept = []
    return until_refused(event["mib"], lock) + " MiB"


@attempt("mib")
def eat_disk(event):
    """Fills /tmp."""
    path = "/tmp/hostile-disk"
    block = os.urandom(MIB)
    try:
        with open(path, "wb", buffering=0) as file:
            written = 0

            def write(_):
                nonlocal written
                done = file.write(block)
                written += done
                if done < MIB:
                    written += file.write(block[done:])
            said = until_refused(event["mib"], write)
        return f"{said}; {written} bytes"
    finally:
        os.unlink(path)


@attempt("files")
def eat_inodes(event):
    """Makes empty files in /tmp."""
    folder = tempfile.mkdtemp(dir="/tmp")
    try:
        return until_refused(event["files"], lambda n: os.close(os.open(f"{folder}/{n}", os.O_CREAT | os.O_WRONLY)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@attempt("depth", forked=True)
def eat_folders(event):
    """Makes a folder in a folder in a folder, deeper than any path."""
    top = tempfile.mkdtemp(dir="/tmp")
    os.chdir(top)

    def down(_):
        os.mkdir("x")
        os.chdir("x")
    return until_refused(event["depth"], down)


@attempt("descriptors", forked=True)
def eat_descriptors(event):
    """Opens files in one process."""
    return until_refused(event["descriptors"], lambda _: os.open("/dev/null", os.O_RDONLY))


@attempt("processes", "descriptors", forked=True)
def eat_descriptors_in_many_processes(event):
    """Opens files in many processes: the host has one table for all."""
    reading, writing = os.pipe()
    children = []

    def one(_):
        child = os.fork()
        if child == 0:
            said = until_refused(event["descriptors"], lambda _: os.open("/dev/null", os.O_RDONLY))
            os.write(writing, (said + "\n").encode())
            signal.pause()
        children.append(child)
    started = until_refused(event["processes"], one)
    said = b""
    while said.count(b"\n") < len(children):
        said += os.read(reading, 4096)
    for child in children:
        os.kill(child, signal.SIGKILL)
    return f"processes: {started}; descriptors of the last: {said.decode().splitlines()[-1:]}"


@attempt("threads", forked=True)
def eat_threads(event):
    """Starts threads that wait."""
    end = threading.Event()
    threading.stack_size(64 * 1024)
    try:
        return until_refused(event["threads"], lambda _: threading.Thread(target=end.wait, daemon=True).start())
    finally:
        end.set()


@attempt("processes", forked=True)
def eat_processes(event):
    """Starts processes that wait, then ends them."""
    children = []

    def one(_):
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
    try:
        return until_refused(event["processes"], one)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@attempt("pipes", forked=True)
def eat_pipe_buffers(event):
    """Fills pipes as large as they can be made: memory of the kernel."""
    def one(_):
        reading, writing = os.pipe2(os.O_NONBLOCK)
        size = fcntl.fcntl(writing, 1031, MIB)
        os.write(writing, b"x" * size)
    return until_refused(event["pipes"], one)


@attempt("sockets", forked=True)
def eat_socket_buffers(event):
    """Fills socket pairs that nobody reads."""
    kept = []

    def one(_):
        pair = socket.socketpair()
        kept.append(pair)
        pair[0].setblocking(False)
        try:
            while True:
                pair[0].send(b"x" * 65536)
        except BlockingIOError:
            pass
    return until_refused(event["sockets"], one)


@attempt("watches", forked=True)
def eat_watches(event):
    """Makes inotify instances: the host counts them by user."""
    return until_refused(event["watches"], lambda _: call("inotify_init1", 0))


@attempt("count", forked=True)
def eat_pending_signals(event):
    """Queues signals to itself: the host counts them by user."""
    number = signal.SIGRTMIN + 1
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])

    def one(_):
        if LIBC.sigqueue(os.getpid(), number, ctypes.c_void_p(0)) != 0:
            raise OSError(ctypes.get_errno(), "sigqueue")
    return until_refused(event["count"], one)


@attempt("mib")
def fill_stdout(event):
    """Writes lines to standard output."""
    line = b"x" * 1023 + b"\n"
    sys.stdout.flush()
    for _ in range(event["mib"] * 1024):
        rest = line
        while rest:
            rest = rest[os.write(1, rest):]
    return f"{event['mib']} MiB"


@attempt("mib")
def fill_one_line(event):
    """Writes to standard error, without ever ending the line."""
    for _ in range(event["mib"] * 1024):
        rest = b"x" * 1024
        while rest:
            rest = rest[os.write(2, rest):]
    return f"{event['mib']} MiB"


@attempt("seconds", "processes")
def eat_processor(event):
    """Computes in several processes at a time."""
    until, children = time.monotonic() + event["seconds"], []
    for _ in range(event["processes"]):
        child = os.fork()
        if child == 0:
            while time.monotonic() < until:
                pass
            os._exit(0)
        children.append(child)
    used = 0.0
    for child in children:
        _, _, usage = os.wait4(child, 0)
        used += usage.ru_utime + usage.ru_stime
    return {"processor_seconds": round(used, 3), "seconds": event["seconds"]}


@attempt("times")
def sync_disks(event):
    """Has all disks of the host written out, again and again."""
    started = time.monotonic()
    for _ in range(event["times"]):
        os.sync()
    return f"{event['times']} times in {time.monotonic() - started:.3f} s"


@attempt()
def see_limits(event):
    """What it was given."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    disk = os.statvfs("/tmp")
    return {"limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
            "tmp_bytes": disk.f_blocks * disk.f_frsize, "tmp_inodes": disk.f_files,
            "processors": len(os.sched_getaffinity(0))}
