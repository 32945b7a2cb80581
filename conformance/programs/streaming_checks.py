"""Streaming functions under callers that stream, a caller that does not, and plain HTTP.

The functions write `first`, wait for a sign, and write `second`. The sign is given once `first` has been read: a platform
that holds bytes back runs into the function's timeout.
"""

import json
import tempfile
import uuid
from pathlib import Path

import function_url
from report import equal, holds
from runtimes import with_aws_lambda_ric
from stage import FUNCTION, FUNCTIONS, invoke, served
from stream_caller import stream_callers

NULS = b"\0" * 8
# The published Rust runtime writes what should be trailers into the body.
RUST_FAILURE = b"Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\nLambda-Runtime-Function-Error-Body: "


class Function:
    """A streaming function; `options` are those of `serve`. `told_by`, `status` and `cookies` are what its prelude for
    HTTP says; one without a prelude has no `told_by`.
    """

    def __init__(self, told_by, target, status, cookies, *options):
        self.told_by = told_by
        self.target = target
        self.status = status
        self.cookies = cookies
        self.options = options

    def check_prelude(self, written):
        if self.told_by is None:
            return written
        prelude, _, body = written.partition(NULS)
        prelude = json.loads(prelude)
        equal(prelude["statusCode"], self.status, "status code of the prelude")
        equal(prelude["cookies"], self.cookies, "cookies of the prelude")
        equal(prelude["headers"]["x-told-by"], self.told_by, "header of the prelude")
        return body


def begin(server, caller, **event):
    """The stream up to its middle, and the sign that its second half waits for."""
    sign = uuid.uuid4().hex
    payload = json.dumps({"sign": sign, **event}).encode()
    stream = caller.call(payload, endpoint=server.endpoint, function=FUNCTION, log_type="Tail")
    return stream, stream.read_until(b"first"), sign


def first_half_is_not_held_back(function, server, rendezvous, caller):
    for _ in range(3):
        stream, written, sign = begin(server, caller)
        equal(function.check_prelude(written), b"first", "body before the sign")
        rendezvous.give(sign)
        equal(stream.rest(), b"second", "body after the sign")
        equal((stream.complete.get("ErrorCode"), stream.complete.get("ErrorDetails")), (None, None), "error at the end")
        holds(stream.complete.get("LogResult"), f"no log at the end: {stream.complete}")


def failure_in_the_middle(function, server, rendezvous, caller):
    stream, _, sign = begin(server, caller, fail=True)
    rendezvous.give(sign)
    rest = stream.rest()
    if function.told_by == "rust-stream":
        holds(rest.startswith(RUST_FAILURE), f"body after the sign: {rest!r}")
        equal(stream.complete.get("ErrorCode"), None, "error at the end")
    else:
        equal(rest, b"", "body after the sign")
        equal(stream.complete.get("ErrorCode"), "OrderError", "error at the end")
        equal(json.loads(stream.complete["ErrorDetails"])["errorMessage"], "no such order: é", "its details")


def timeout_in_the_middle(function, server, rendezvous, caller):
    stream, written, _sign = begin(server, caller)
    equal(function.check_prelude(written), b"first", "body before the sign")
    equal(stream.rest(), b"", "body after it, which was not given")
    holds("timed out" in stream.complete.get("ErrorDetails", "").lower()
          or "timedout" in stream.complete.get("ErrorCode", "").lower(), f"end: {stream.complete}")


def collected(function, server, rendezvous):
    """For a caller that does not stream, a hundred times."""
    rendezvous.give("now")
    for _ in range(100):
        body, _ = invoke(server, {"sign": "now"})
        equal(function.check_prelude(body), b"firstsecond", "body")


def through_a_function_url(args, function):
    with served(args, function.target, *function.options, *function_url.RESPONSE_STREAM) as (server, rendezvous):
        sign = uuid.uuid4().hex
        with function_url.request(server, "GET", f"/?sign={sign}") as response:
            seen = (response.status, response.getheader("x-told-by"), response.headers.get_all("set-cookie"))
            equal(seen, (function.status, function.told_by, function.cookies), "status, header and cookies")
            equal(response.read(5), b"first", "body before the sign")
            rendezvous.give(sign)
            equal(response.read(), b"second", "body after the sign")


def ends_in_order(args, function):
    """The runtime registered an internal extension, so it gets a signal that it can catch."""
    with served(args, function.target, *function.options) as (server, rendezvous):
        rendezvous.give("now")
        invoke(server, {"sign": "now"})
        server.close()
        equal(rendezvous.told("shutdown"), [b"in order"], "what the runtime told at its end")


def streaming_functions(args, scratch):
    """Name, and the function or None where what it needs is not here."""
    node = 201, ["a=1", "b=2; Path=/"], "--handler", "index.handler"
    yield "nodejs managed", Function("nodejs-stream", FUNCTIONS / "nodejs-stream", *node)
    published = rust = None
    if (args.node / "node_modules" / "aws-lambda-ric").is_dir():
        target = with_aws_lambda_ric(args.node, scratch / "aws-lambda-ric", FUNCTIONS / "nodejs-stream")
        published = Function("nodejs-stream", target, *node)
    yield "nodejs on aws-lambda-ric", published
    if (args.rust / "rust-stream").is_file():
        rust = Function("rust-stream", args.rust / "rust-stream", 200, ["a=1"])
    yield "lambda_runtime", rust
    yield "shell, which does not say that it streams", Function(None, FUNCTIONS / "shell-stream", 200, None)


def check_streaming(report, args):
    callers = [(name, make and make()) for name, make in stream_callers(args.venv, args.node)]
    try:
        with tempfile.TemporaryDirectory(prefix="firesteel-programs-") as scratch:
            for name, function in streaming_functions(args, Path(scratch).resolve()):
                check_function(report, args, f"streaming, {name}", function, callers)
    finally:
        for _, caller in callers:
            if caller:
                caller.close()


def check_function(report, args, name, function, callers):
    if function is None:
        report.skip(name, "what it needs is not here; conformance/programs/build and .ci/run make it")
        return
    for caller_name, caller in callers:
        if caller is None:
            report.skip(f"{name}, {caller_name}", "not installed where --venv and --node say")
            continue
        for check in (first_half_is_not_held_back, failure_in_the_middle, timeout_in_the_middle):
            if check is failure_in_the_middle and function.told_by is None:
                continue  # curl sends no trailers, so it has no way to tell.
            timeout_s = 2 if check is timeout_in_the_middle else 10
            report.check(f"{name}, {caller_name}: {check.__name__.replace('_', ' ')}", with_server, args, function,
                         timeout_s, check, caller)
    report.check(f"{name}: collected for a caller that does not stream", with_server, args, function, 10, collected)
    report.check(f"{name}: through a function URL", through_a_function_url, args, function)
    if function.told_by == "rust-stream":
        report.check(f"{name}: ends in order", ends_in_order, args, function)


def with_server(args, function, timeout_s, check, *caller):
    with served(args, function.target, *function.options, timeout_s=timeout_s) as (server, rendezvous):
        return check(function, server, rendezvous, *caller)
