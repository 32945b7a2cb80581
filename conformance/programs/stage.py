"""What every check here needs: a function that is served, with its layers, and a rendezvous for what it has to say."""

import json
import shutil
import socket
from contextlib import contextmanager
from pathlib import Path

from rendezvous import Rendezvous
from report import equal
from runtimes import post
from server import Server

HERE = Path(__file__).resolve().parent
FUNCTIONS = HERE / "functions"
LAYERS = HERE / "layers"
FUNCTION = "program"


@contextmanager
def served(args, target, *options, layers=(), timeout_s=10, environments=1, **variables):
    """A server and a rendezvous, which functions reach on this machine's loopback. One environment at a time, as these
    programs listen on fixed ports of it."""
    with Rendezvous() as rendezvous:
        options += ("--network", "host", "--timeout", str(timeout_s), "--max-environments", str(environments), "--wait-ms", "20000")
        for layer in layers:
            options += ("--layer", str(layer))
        for name, value in {"RENDEZVOUS": rendezvous.address, **variables}.items():
            options += ("--env", f"{name}={value}")
        with Server(args.program, {FUNCTION: target}, *options) as server:
            yield server, rendezvous


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def extension_layer(folder, program):
    """A layer with one external extension."""
    (folder / "extensions").mkdir(parents=True)
    shutil.copy(program, folder / "extensions")
    return folder


def invoke(server, event):
    """One buffered invocation that must succeed; the bytes of its response, and its request id."""
    response, body = post(server.endpoint, FUNCTION, json.dumps(event).encode())
    seen = (response.status, response.headers.get("X-Amz-Function-Error"))
    equal(seen, (200, None), f"status and function error ({body!r}; the server's last lines:\n{server.tail()})")
    return body, response.headers["x-amzn-RequestId"]
