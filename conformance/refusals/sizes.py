"""Requests that are too large, or are none: refused as on AWS."""

from report import equal, holds
from wire import Wire, head, request

CONTROL_LIMIT = 70_167_211
SYNCHRONOUS_LIMIT = 6 * 1024 * 1024
ASYNCHRONOUS_LIMIT = 1024 * 1024
CREATE = "/2015-03-31/functions"


def text_of(size):
    return b'"' + b"x" * (size - 2) + b'"'


def invocation_too_large(door):
    answer = door.honest(body=text_of(SYNCHRONOUS_LIMIT + 1))
    equal((answer.status, answer.code), (413, "RequestEntityTooLargeException"), "status and class")
    equal(answer.message, f"{SYNCHRONOUS_LIMIT + 1} byte payload is too large for the RequestResponse invocation type "
                          f"(limit {SYNCHRONOUS_LIMIT} bytes)", "message")


def event_too_large(door):
    answer = door.honest(body=text_of(ASYNCHRONOUS_LIMIT + 1), headers={"X-Amz-Invocation-Type": "Event"})
    equal((answer.status, answer.code), (413, "RequestEntityTooLargeException"), "status and class")


def package_too_large(door):
    answer = door.honest(target=CREATE, body=b"x" * (CONTROL_LIMIT + 1))
    equal((answer.status, answer.code), (413, "RequestEntityTooLargeException"), f"status and class ({answer.body!r})")
    equal(answer.message, f"Request must be smaller than {CONTROL_LIMIT} bytes for the CreateFunction operation", "message")


def package_without_end(door):
    """Chunks, whose length nobody has announced, until the server has enough."""
    method, target, headers, _ = door.signed(target=CREATE, body=b"{}")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with Wire(door.address) as wire:
        wire.send(head(method, target, headers | {"Transfer-Encoding": "chunked"}))
        for _ in range(CONTROL_LIMIT // 0x100000 + 4):
            wire.send(chunk)
        answer = wire.answer()
    holds(answer is None or answer.status in (403, 413), f"a refusal wanted, {answer} seen")


def head_too_large(door):
    method, target, headers, body = door.signed()
    answer = door.ask(method, target, headers | {"X-Filler": "x" * (1 << 20)}, body)
    holds(answer is None or answer.status == 431, f"status 431 or an end wanted, {answer} seen")


def headers_too_many(door):
    method, target, headers, body = door.signed()
    answer = door.ask(method, target, headers | {f"X-Filler-{number}": "x" for number in range(1000)}, body)
    holds(answer is None or answer.status == 431, f"status 431 or an end wanted, {answer} seen")


def no_http(door):
    with Wire(door.address) as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(range(256)))
        answer = wire.answer()
    holds(answer is None or answer.status == 400, f"status 400 or an end wanted, {answer} seen")


def lengths_that_differ(door):
    """Two ideas of where a request ends are how one is smuggled behind another."""
    method, target, headers, body = door.signed()
    with Wire(door.address) as wire:
        wire.send(head(method, target, headers | {"Content-Length": "2", "content-length": "40"}) + body)
        answer = wire.answer()
    holds(answer is None or answer.status == 400, f"status 400 or an end wanted, {answer} seen")
    with Wire(door.address) as wire:
        wire.send(request(method, target, headers | {"Transfer-Encoding": "chunked"}, body))
        answer = wire.answer()
    holds(answer is None or answer.status in (400, 403), f"a refusal wanted, {answer} seen")


CHECKS = [invocation_too_large, event_too_large, package_too_large, package_without_end, head_too_large, headers_too_many, no_http,
          lengths_that_differ]
