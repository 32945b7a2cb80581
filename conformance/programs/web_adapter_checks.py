"""AWS's Lambda Web Adapter, as it is published, in front of an ordinary web server (`functions/web`).

It is an external extension and the runtime's client in one. The layer has it in `extensions`, and a wrapper that starts
the web server in place of the managed runtime that the function asks for.
"""

import base64
import json
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import function_url
from report import equal, holds
from stage import FUNCTION, FUNCTIONS, LAYERS, extension_layer, free_port, invoke, served
from stream_caller import stream_callers
from streaming_checks import NULS

# Any managed runtime would do: its interpreter is not started.
RUNTIME = f"python3.{sys.version_info.minor}"
EXTENSION_LINE = "EXTENSION\tName: lambda-adapter\tState: Ready\tEvents: []"


def http_event(method, target, body=None, binary=False):
    """A request as a function URL gives it to its function, payload format 2.0."""
    path, _, query = target.partition("?")
    event = {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {"host": "example.org", "content-type": "text/plain", "x-asked-by": "the check"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": "example.org", "domainPrefix": "abc",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "check"},
            "requestId": str(uuid.uuid4()), "routeKey": "$default", "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000", "timeEpoch": 1795262400000,
        },
        "isBase64Encoded": binary,
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if binary else body.decode()
    return event


class Adapter:
    def __init__(self, args, scratch):
        self.args = args
        self.layer = extension_layer(scratch, args.web_adapter)
        shutil.copy(LAYERS / "web-adapter" / "bootstrap", self.layer)

    def served(self, mode, *options):
        return served(self.args, FUNCTIONS / "web", "--runtime", RUNTIME, "--handler", "run.sh", *options,
                      layers=[self.layer], AWS_LAMBDA_EXEC_WRAPPER="/opt/bootstrap", PORT=free_port(),
                      AWS_LWA_INVOKE_MODE=mode)


def buffered(adapter):
    with adapter.served("buffered") as (server, _):
        for number in range(100):
            body, _ = invoke(server, http_event("POST", f"/orders?number={number}", b"text of any language: \xe4\xb8\x96"))
            answer = json.loads(body)
            equal(answer["statusCode"], 200, "status")
            seen = json.loads(answer["body"])
            equal((seen["method"], seen["target"]), ("POST", f"/orders?number={number}"), "request line")
            equal((seen["body"], seen["headers"]["x-asked-by"]), ("text of any language: 世", "the check"), "body and header")
        answer = json.loads(invoke(server, http_event("GET", "/binary"))[0])
        equal(answer["isBase64Encoded"], True, "binary body")
        equal(base64.b64decode(answer["body"]), bytes(range(256)), "binary body")
        answer = json.loads(invoke(server, http_event("GET", "/crumbs"))[0])
        equal(answer["cookies"], ["a=1", "b=2; Path=/"], "cookies")
        equal(json.loads(invoke(server, http_event("GET", "/nowhere"))[0])["statusCode"], 404, "status of no page")
    holds(any(EXTENSION_LINE in line for line in server.lines), f"no line EXTENSION:\n{server.tail()}")
    return "100 requests"


def event_that_is_not_http(adapter):
    """Posted to a path of the web server's own; its answer is the function's as it is."""
    with adapter.served("buffered") as (server, _):
        seen = json.loads(invoke(server, {"Records": [{"eventSource": "aws:sqs"}]})[0])
        equal((seen["target"], json.loads(seen["body"])), ("/events", {"Records": [{"eventSource": "aws:sqs"}]}), "request")


def streaming(adapter, caller):
    with adapter.served("response_stream") as (server, rendezvous):
        sign = uuid.uuid4().hex
        event = json.dumps(http_event("GET", f"/slow?sign={sign}")).encode()
        stream = caller.call(event, endpoint=server.endpoint, function=FUNCTION)
        prelude, _, body = stream.read_until(b"first").partition(NULS)
        prelude = json.loads(prelude)
        equal((prelude["statusCode"], prelude["headers"]["x-told-by"], prelude["cookies"]), (201, "web", ["a=1"]), "prelude")
        equal(body, b"first", "body before the sign")
        rendezvous.give(sign)
        equal(stream.rest(), b"second", "body after the sign")
        equal(stream.complete, {}, "end")


def function_url_buffered(adapter):
    with adapter.served("buffered", *function_url.BUFFERED) as (server, _):
        with function_url.request(server, "POST", "/orders?a=1&a=2", b"hello", **{"Content-Type": "text/plain"}) as response:
            seen = json.loads(response.read())
            equal((response.status, seen["target"], seen["body"]), (200, "/orders?a=1&a=2", "hello"), "request")
        with function_url.request(server, "GET", "/binary") as response:
            equal((response.status, response.read()), (200, bytes(range(256))), "binary body")
        with function_url.request(server, "GET", "/crumbs") as response:
            equal(response.headers.get_all("set-cookie"), ["a=1", "b=2; Path=/"], "cookies")


def function_url_streaming(adapter):
    with adapter.served("response_stream", *function_url.RESPONSE_STREAM) as (server, rendezvous):
        sign = uuid.uuid4().hex
        with function_url.request(server, "GET", f"/slow?sign={sign}") as response:
            seen = (response.status, response.getheader("x-told-by"), response.headers.get_all("set-cookie"))
            equal(seen, (201, "web", ["a=1"]), "status, header and cookies")
            equal(response.read(5), b"first", "body before the sign")
            rendezvous.give(sign)
            equal(response.read(), b"second", "body after the sign")


def check_web_adapter(report, args):
    name = "web adapter"
    if not args.web_adapter.is_file():
        report.skip(name, f"no {args.web_adapter}; conformance/programs/build makes it")
        return
    with tempfile.TemporaryDirectory(prefix="firesteel-programs-") as scratch:
        adapter = Adapter(args, Path(scratch).resolve() / "layer")
        for check in (buffered, event_that_is_not_http, function_url_buffered, function_url_streaming):
            report.check(f"{name}: {check.__name__.replace('_', ' ')}", check, adapter)
        for caller_name, make in stream_callers(args.venv, args.node):
            if make is None:
                report.skip(f"{name}: streaming, {caller_name}", "not installed where --venv and --node say")
                continue
            caller = make()
            try:
                report.check(f"{name}: streaming, {caller_name}", streaming, adapter, caller)
            finally:
                caller.close()
