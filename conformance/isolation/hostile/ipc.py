"""Attempts to leave something for a neighbour, or to find what a neighbour has left: pairs of attempts, the first in one
environment, the second in another.
"""

import ctypes
import os

from kernel import LIBC, Escaped, attempts

ATTEMPTS, attempt = attempts()

IPC_CREAT = 0o1000


def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@attempt("key")
def leave_shared_memory(event):
    """Leaves a System V segment that everybody may read."""
    checked(LIBC.shmget(event["key"], 4096, IPC_CREAT | 0o666))
    return "left"


@attempt("key")
def find_shared_memory(event):
    """Looks for such a segment, by its key and in the list."""
    with open("/proc/sysvipc/shm") as file:
        listed = len(file.readlines()) - 1
    number = checked(LIBC.shmget(event["key"], 0, 0))
    raise Escaped(f"segment {number}; {listed} are listed")


@attempt("name")
def leave_message_queue(event):
    """Leaves a POSIX message queue that everybody may read."""
    os.umask(0)
    checked(LIBC.mq_open(("/" + event["name"]).encode(), os.O_CREAT | os.O_RDWR, ctypes.c_uint(0o666), None))
    return "left"


@attempt("name")
def find_message_queue(event):
    """Looks for such a queue."""
    checked(LIBC.mq_open(("/" + event["name"]).encode(), os.O_RDONLY))
    raise Escaped("found")


@attempt("name", "text")
def leave_file(event):
    """Leaves a file in /tmp and, where there is one, in /dev/shm."""
    done = []
    for folder in ("/tmp", "/dev/shm", "/var/tmp"):
        try:
            with open(os.path.join(folder, event["name"]), "w") as file:
                file.write(event["text"])
            done.append(folder)
        except OSError:
            pass
    return f"left in {done}"


@attempt("name")
def find_file(event):
    """Looks for such a file."""
    for folder in ("/tmp", "/dev/shm", "/var/tmp"):
        path = os.path.join(folder, event["name"])
        if os.path.exists(path):
            with open(path) as file:
                raise Escaped(f"{path}: {file.read(200)}")
    raise FileNotFoundError(2, "nowhere")
