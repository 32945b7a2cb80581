#!/usr/bin/env python3
"""The life of a function, lived through each client that people have, against `firesteel serve`.

    python3 conformance/lives/run.py --firesteel PATH --venv FOLDER --node FOLDER [--rust PATH] [--require-all]

A life is made, invoked, changed, published, aliased, layered, tagged, permitted, limited, given a URL and deleted
(`functions.py` to `endings.py`, in the order in which they are imported below), step by step: by boto3, by the SDK for
JavaScript and by the AWS CLI. The SDK for Rust has a life of its own (`rust/`), as what it gives is typed, and so has
`cargo lambda` (`cargo_lambda.py`). Each life has a server of its own, and needs it empty.

    --authenticated   the server knows one credential, and nobody else
    --endpoint URL    any Lambda-shaped endpoint, in the place of a server of ours

What is not given, or cannot run here, is reported as SKIPPED. Standard library only; the clients are installed
elsewhere, as `.ci/run` does.
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The server as a child, the report, and the environment of callers are those of the neighbouring suite.
sys.path.append(str(HERE.parent / "clients"))

# In the order of a life.
import functions, invocations, versions, layers, access, settings, urls, storage, endings  # noqa: E401, F401, I001
import cargo_lambda
import credentials
import rust_life
from client import clients
from report import Report
from server import ServerBroke
from stage import STEPS, Stage
from world import served


def live(report, args, name, make):
    names = [(f"{name}: {step.name}", step) for step in STEPS]
    if make is None:
        for full_name, _ in names:
            report.skip(full_name, "not installed where --venv and --node say")
        return
    if not any(report.wanted(full_name) for full_name, _ in names):
        return
    with served(args, args.authenticated) as world:
        client = make(world.endpoint, world.keys)
        try:
            stage = Stage(client, world)
            for full_name, step in names:
                if step.streams and not client.streams:
                    continue
                if why := step.not_for(stage):
                    report.skip(full_name, why)
                elif report.wanted(full_name):
                    report.check(full_name, step.play, stage)
                else:
                    quietly(step.play, stage)
        finally:
            client.close()


def quietly(play, stage):
    """For what it leaves to later steps; how it ends is not asked."""
    try:
        play(stage)
    except Exception:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", metavar="PATH", type=Path, help="the program")
    parser.add_argument("--endpoint", metavar="URL", help="of another server, in its place")
    parser.add_argument("--venv", metavar="FOLDER", type=Path, help="a venv with boto3 and the AWS CLI")
    parser.add_argument("--node", metavar="FOLDER", type=Path, help="a folder whose node_modules has @aws-sdk/client-lambda")
    parser.add_argument("--rust", metavar="PATH", type=Path, help="the built program of conformance/lives/rust")
    parser.add_argument("--cargo-lambda", metavar="PATH", type=Path, help="the program cargo-lambda")
    parser.add_argument("--rust-hello", metavar="PATH", type=Path, help="the built example rust-hello")
    parser.add_argument("--moto-server", metavar="PATH", type=Path, help="the program moto_server, for an S3 beside ours")
    parser.add_argument("--authenticated", action="store_true", help="lives are lived on a server that knows their keys")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only lives with a step that matches; of them all, told are these")
    parser.add_argument("--require-all", action="store_true", help="a skipped step is a failure")
    args = parser.parse_args()
    if not args.firesteel and not args.endpoint:
        parser.error("--firesteel or --endpoint")
    report = Report(args.only)
    try:
        for name, make in clients(args.venv, args.node):
            live(report, args, name, make)
            credentials.check(report, args, name, make, served)
        rust_life.check(report, args, served)
        cargo_lambda.check(report, args, served)
    except ServerBroke as broke:
        report.fail("the server", str(broke))
    print(report)
    return 1 if report.failed or args.require_all and report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
