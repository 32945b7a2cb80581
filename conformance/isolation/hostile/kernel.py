"""How an attempt is made and judged, and system calls that Python has no function for."""

import ctypes
import errno
import json
import os
import platform
import signal

LIBC = ctypes.CDLL(None, use_errno=True)

# Numbers of calls, x86-64 first.
CALLS = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "pidfd_getfd": (438, 438),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "sethostname": (170, 161), "setdomainname": (171, 162), "clock_settime": (227, 112),
    "settimeofday": (164, 170), "clock_adjtime": (305, 266), "reboot": (169, 142), "swapon": (167, 224),
    "acct": (163, 89), "quotactl": (179, 60), "syslog": (103, 116), "personality": (135, 92),
    "capset": (126, 91), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
}
COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]


class Escaped(Exception):
    """Something outside was reached."""


class Attempt:
    def __init__(self, function, needs, forked):
        self.function, self.needs, self.forked = function, needs, forked
        self.about = (function.__doc__ or "").strip().split("\n")[0]


def attempts():
    """A table and the decorator that fills it.

    An attempt raises OSError when refused, or Escaped; otherwise it returns how far it came. `forked`: in a child, as
    success would change the process that makes it.
    """
    table = {}

    def attempt(*needs, forked=False):
        def add(function):
            table[function.__name__] = Attempt(function, list(needs), forked)
            return function
        return add

    return table, attempt


def outcome_of(attempt, event):
    return in_child(lambda: judge(attempt, event)) if attempt.forked else judge(attempt, event)


def judge(attempt, event):
    try:
        return "contained", attempt.function(event)
    except Escaped as escaped:
        return "succeeded", str(escaped)
    except OSError as error:
        return "refused", name_of(error)
    except MemoryError:
        return "refused", "ENOMEM"


def name_of(error):
    if error.errno is None:
        return str(error)
    return errno.errorcode.get(error.errno, str(error.errno))


def in_child(body):
    """What `body` returns in a child; refused when a signal ends the child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(body()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(["broken", repr(error)]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if answer:
        outcome, detail = json.loads(answer)
        # A mistake here must not pass for a refusal there.
        if outcome == "broken":
            raise RuntimeError(detail)
        return outcome, detail
    return "refused", "ended by " + (signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else str(status))


def call(name, *arguments):
    """Makes a system call. Raises OSError."""
    converted = [argument if isinstance(argument, (bytes, ctypes.Array, ctypes._Pointer)) or argument is None
                 else ctypes.byref(argument) if isinstance(argument, ctypes.Structure)
                 else ctypes.c_ulong(argument) for argument in arguments]
    result = LIBC.syscall(ctypes.c_long(CALLS[name][COLUMN]), *converted)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def each(things, attempt):
    """Makes an attempt with each of several things: an escape if any of them works, otherwise all the refusals.

    `attempt` raises OSError, or returns what was gained, None if that is nothing.
    """
    gained, refusals = {}, {}
    for thing in things:
        try:
            result = attempt(thing)
            if result is None:
                refusals.setdefault("nothing gained", []).append(str(thing))
            else:
                gained[str(thing)] = result
        except OSError as error:
            refusals.setdefault(name_of(error), []).append(str(thing))
    if gained:
        raise Escaped(json.dumps(gained)[:4000])
    raise Refusals(refusals)


class Refusals(OSError):
    """Several refusals, by errno. Where all are the same, said as a single one."""

    def __init__(self, by_errno):
        super().__init__()
        self.by_errno = by_errno

    def __str__(self):
        if len(self.by_errno) == 1:
            return next(iter(self.by_errno))
        return "; ".join(f"{name}: {len(things)} ({' '.join(things[:5])})" for name, things in self.by_errno.items())
