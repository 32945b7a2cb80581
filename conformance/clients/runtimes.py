"""Runtimes: functions on AWS's published runtime clients and on others, each under load.

Every function here answers `{"name": NAME}` with `{"message": "Hello, NAME!", "requestId": ID}`, so that a response can
be checked against its request, and the id in it against the one that the caller got.
"""

import http.client
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from report import Mismatch, equal, holds
from server import Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FUNCTIONS = HERE / "functions"
# A guard against hanging, not a measure.
LIMIT_S = 120
# Enough to see a pattern in what went wrong.
SHOWN = 5


def post(endpoint, function, event, connection=None):
    """One invocation; the connection is the caller's to keep."""
    own = connection or http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=LIMIT_S)
    try:
        own.request("POST", f"/2015-03-31/functions/{function}/invocations", event)
        response = own.getresponse()
        return response, response.read()
    finally:
        if connection is None:
            own.close()


def greet(server, name, client, connection):
    event = json.dumps({"name": name, "do": "greet"}).encode()
    response, body = post(server.endpoint, "hello", event, connection)
    equal((response.status, response.headers.get("X-Amz-Function-Error")), (200, None), f"status and function error of {name} ({body!r})")
    seen = json.loads(body)
    equal(seen.get("message"), f"Hello, {name}!", "message")
    equal(seen.get("requestId"), response.headers["x-amzn-RequestId"], f"request id of {name}")
    equal(seen.get("client"), client or seen.get("client"), "client that ran the function")


def invoke_many(server, client, invokes, concurrency):
    """Returns seconds taken. Whatever goes wrong is collected, so that a pattern shows."""
    wrong = []

    def one_after_another(worker):
        connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=LIMIT_S)
        for number in range(worker, invokes, concurrency):
            try:
                greet(server, f"guest {number}", client, connection)
            except (Mismatch, OSError, http.client.HTTPException, ValueError) as error:
                wrong.append(f"invocation {number}: {type(error).__name__}: {error}")
                connection.close()
        connection.close()

    workers = [threading.Thread(target=one_after_another, args=(worker,)) for worker in range(concurrency)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took_s = time.monotonic() - began
    holds(not wrong, "\n".join([f"{len(wrong)} of {invokes} wrong", *wrong[:SHOWN], "the server's last lines:", server.tail()]))
    return took_s


def run_unchanged(args, target, client, *options):
    with Server(args.firesteel, {"hello": target}, *options) as server:
        took_s = invoke_many(server, client, args.invokes, args.concurrency)
    # After the server's end, so that every line has been written.
    for line in ("START RequestId: ", "END RequestId: ", "REPORT RequestId: "):
        equal(sum(line in each for each in server.lines), args.invokes, f"lines with {line}")
    # May be more than the clients: a client has its response before the runtime has asked for the next event.
    starts = sum("INIT_START" in each for each in server.lines)
    return f"{args.invokes} invocations, {args.concurrency} at once, {args.invokes / took_s:.0f}/s, {starts} environments"


def with_awslambdaric(packages, folder):
    """A function's folder as `pip install --target` leaves it."""
    shutil.copytree(packages, folder, symlinks=True)
    shutil.copy(FUNCTIONS / "python" / "lambda_function.py", folder)
    return folder


def with_aws_lambda_ric(node, folder, function=FUNCTIONS / "nodejs"):
    """A function's folder as `npm install` leaves it; what the client was built with stays behind."""
    shutil.copytree(function, folder)
    shutil.copytree(node / "node_modules" / "aws-lambda-ric", folder / "node_modules" / "aws-lambda-ric", symlinks=True,
                    ignore=shutil.ignore_patterns("deps", "build"))
    return folder


def targets(args, scratch):
    """Name, target or None, which runtime client the function must find itself on, and options of `serve`."""
    packages, node, rust = args.awslambdaric, args.node, args.rust_hello
    has_python_client = packages and (packages / "awslambdaric").is_dir()
    has_node_client = node and (node / "node_modules" / "aws-lambda-ric").is_dir()
    yield "lambda_runtime", rust if rust and rust.is_file() else None, None
    # Its native part is for the interpreter that installed it.
    python = ["--runtime", next((args.venv / "lib").glob("python3.*")).name] if args.venv else []
    yield "awslambdaric", with_awslambdaric(packages, scratch / "awslambdaric") if has_python_client else None, "awslambdaric", *python
    yield "aws-lambda-ric", with_aws_lambda_ric(node, scratch / "aws-lambda-ric") if has_node_client else None, "aws-lambda-ric"
    yield "shell", ROOT / "examples" / "bash-runtime" if shutil.which("curl") else None, None
    yield "managed python", FUNCTIONS / "python", "firesteel"
    yield "managed nodejs", FUNCTIONS / "nodejs" if shutil.which("node") else None, "firesteel"
    for added in args.runtime:
        name, _, target = added.partition("=")
        yield name, Path(target), None


def check_runtimes(report, args):
    with tempfile.TemporaryDirectory(prefix="firesteel-clients-") as scratch:
        for name, target, client, *options in targets(args, Path(scratch).resolve()):
            name = f"runtime {name}: {args.invokes} invocations"
            if target is None:
                report.skip(name, "what it needs is not here")
            else:
                report.check(name, run_unchanged, args, target, client, *options)
