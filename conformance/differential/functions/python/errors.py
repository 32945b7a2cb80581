"""Handlers that fail, each in another way."""
import asyncio
import json
import os
import sys
import threading


class CustomError(Exception):
    pass


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


class NoneStr(Exception):
    def __str__(self):
        return ""


class Quit(BaseException):
    pass


def plain(event, context):
    raise ValueError("something is wrong")


def custom(event, context):
    raise CustomError("custom", 42)


def empty(event, context):
    raise NoneStr()


def no_arguments(event, context):
    raise Exception


def key_error(event, context):
    return event["missing"]


def multi_line(event, context):
    raise ValueError("first\n  second\n\tthird \u00e9")


def chained(event, context):
    try:
        json.loads("{")
    except ValueError as error:
        raise CustomError("outer") from error


def during_handling(event, context):
    try:
        {}["x"]
    except KeyError:
        raise CustomError("while handling")


def deep(event, context):
    def level(n):
        if n == 0:
            raise ValueError("deep")
        level(n - 1)
    level(3)


def recursion(event, context):
    return recursion(event, context)


def library(event, context):
    return json.loads("[1 2]")


def from_lambda(event, context):
    return (lambda: 1 / 0)()


def compiled(event, context):
    exec(compile("def f():\n    raise ValueError('from nowhere')\nf()", "<nowhere>", "exec"), {})


def bad_str(event, context):
    raise BadStr()


def surrogate(event, context):
    raise ValueError("lone \ud800 surrogate")


def latin(event, context):
    raise ValueError("caf\u00e9 \u4e2d")


def sys_exit(event, context):
    sys.exit(event.get("code"))


def os_exit(event, context):
    print("going")
    os._exit(7)


def keyboard_interrupt(event, context):
    raise KeyboardInterrupt


def base_exception(event, context):
    raise Quit("base")


def cancelled(event, context):
    raise asyncio.CancelledError("cancelled")


def group(event, context):
    raise ExceptionGroup("many", [ValueError(1), TypeError(2)])  # noqa: F821  (3.11 and later)


def note(event, context):
    error = ValueError("with a note")
    error.add_note("the note")
    raise error


def huge(event, context):
    raise ValueError("m" * (2 * 1024 * 1024))


def in_thread(event, context):
    def work():
        print("thread at work")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return "joined"


def two_step(event, context):
    if event.get("fail"):
        raise ValueError("this one")
    return "fine"


def assertion(event, context):
    assert event == "never", "the assertion's text"


def unicode_line(event, context):
    raise ValueError("line")  # \u00e9 é in the source line
