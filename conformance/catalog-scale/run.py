#!/usr/bin/env python3
"""What a full catalog costs: 10 000 functions and 50 000 versions, against a catalog with a page of functions.

    python3 conformance/catalog-scale/run.py --firesteel PATH [--functions 10000] [--versions 5]

A server of its own is asked for pages of functions, for one function, and for invocations of a warm one, each a few thousand
times; then the catalog is filled, through the API as well, and the same is asked again. The 99th percentile may be twice
what it was. The server is then started anew on its data, which may take 200 ms to the first answer. Standard library only.
"""

import argparse
import base64
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The report, a server on a folder of its own, and its packages are those of the neighbouring suites.
sys.path += [str(HERE.parent / "clients"), str(HERE.parent / "lives"), str(HERE.parent / "async")]

from killed import FUNCTION, LIMIT_S, Killed
from report import Report, holds
from sender import quantile_ms
from stage import ROLE, RUNTIME, zipped
from world import shown

FUNCTIONS = "/2015-03-31/functions"
WORKERS = 8
# Times a start is measured.
STARTS = 5
# Functions of a page: as many as there are before, so that pages are alike.
PAGE = 50
# Below this nobody can tell a difference of two, and a busy machine makes it.
NOISE_MS = 0.5


class Asking:
    """One connection, kept."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=LIMIT_S)

    def __call__(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body).encode() if body is not None else None)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None


def measured(server, rounds):
    """The 99th percentiles, in ms, of what is asked: each kind in turn, so that a busy moment meets all."""
    ask = Asking(server.address)
    kinds = {
        "list": lambda: ask("GET", f"{FUNCTIONS}?MaxItems={PAGE}"),
        "get": lambda: ask("GET", f"{FUNCTIONS}/{FUNCTION}"),
        "versions": lambda: ask("GET", f"{FUNCTIONS}/{FUNCTION}/versions"),
        "invoke": lambda: ask("POST", f"{FUNCTIONS}/{FUNCTION}/invocations", {"event": 0}),
    }
    seconds = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, perform in kinds.items():
            began = time.perf_counter()
            perform()
            seconds[kind].append(time.perf_counter() - began)
    for kind, taken in seconds.items():
        print(f"    {kind:<8} p50 {quantile_ms(taken, 0.5)} ms, p99 {quantile_ms(taken, 0.99)} ms", flush=True)
    return {kind: quantile_ms(taken, 0.99) for kind, taken in seconds.items()}


def fill(server, first, functions, versions):
    """Made by several callers at once; a function's versions one after the other."""
    numbers, lock, broken = iter(range(first, functions)), threading.Lock(), []
    package = base64.b64encode(zipped({"app.py": "def handler(event, _context):\n    return event\n"})).decode()

    def make():
        ask = Asking(server.address)
        try:
            while not broken:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                make_function(ask, f"function-{number:05}", package, versions)
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=make) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def make_function(ask, name, package, versions):
    ask("POST", FUNCTIONS, {"FunctionName": name, "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": package}})
    for version in range(versions):
        # A version is of what has changed only; and an update ends before the next begins.
        until_settled(ask, name)
        ask("PUT", f"{FUNCTIONS}/{name}/configuration", {"Description": f"version {version + 1}"})
        until_settled(ask, name)
        ask("POST", f"{FUNCTIONS}/{name}/versions", {})


def until_settled(ask, name):
    while True:
        seen = ask("GET", f"{FUNCTIONS}/{name}/configuration")
        if seen["State"] == "Active" and seen["LastUpdateStatus"] == "Successful":
            return
        time.sleep(0.001)


def compare(report, args):
    with tempfile.TemporaryDirectory(prefix="firesteel-scale-") as folder:
        folder = Path(folder).resolve()
        notes = folder / "notes" / "notes"
        notes.parent.mkdir()
        for path, mode in ((folder, 0o755), (notes.parent, 0o777)):
            path.chmod(mode)
        notes.touch()
        notes.chmod(0o666)
        with Killed(args.firesteel, folder / "data", "--mount", f"{notes.parent}:rw", *shown(), "--no-log-files") as server:
            server.create(notes)
            fill(server, 1, PAGE, 1)
            first_ms = started_ms(server)
            print(f"{PAGE} functions:", flush=True)
            measured(server, args.rounds // 4)
            few = measured(server, args.rounds)
            began = time.monotonic()
            fill(server, PAGE, args.functions, args.versions)
            print(f"{args.functions} functions and {args.functions * args.versions} versions, made in {time.monotonic() - began:.0f} s; "
                  f"{size_mib(folder / 'data'):.0f} MiB on disk:", flush=True)
            many = measured(server, args.rounds)
            for kind, before in few.items():
                report.check(f"{kind}: p99 {before} ms, then {many[kind]} ms",
                             lambda before=before, after=many[kind]: holds(after <= max(2 * before, before + NOISE_MS), "more than twice"))
            start_ms = started_ms(server)
            report.check(f"start: {start_ms} ms, {first_ms} ms before", lambda: holds(start_ms <= args.start_ms, f"more than {args.start_ms} ms"))
            server.stop()


def started_ms(server):
    """From the command to the first answer, in the middle of a few."""
    server.starts_s.clear()
    for _ in range(STARTS):
        server.stop()
        server.start()
    return quantile_ms(server.starts_s, 0.5)


def size_mib(folder):
    """What is taken: images of `/tmp` are mostly holes."""
    return sum(os.lstat(os.path.join(where, name)).st_blocks for where, _, names in os.walk(folder) for name in names) / 2048


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", required=True, metavar="PATH", type=Path, help="the program; a release build, for figures that mean anything")
    parser.add_argument("--functions", metavar="N", type=int, default=10_000, help="[10000]")
    parser.add_argument("--versions", metavar="N", type=int, default=5, help="of each function [5]")
    parser.add_argument("--rounds", metavar="N", type=int, default=2000, help="how often each is asked [2000]")
    parser.add_argument("--start-ms", metavar="MS", type=int, default=200, help="most that a start may take [200]")
    args = parser.parse_args()
    report = Report(None)
    compare(report, args)
    print(report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
