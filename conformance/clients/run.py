#!/usr/bin/env python3
"""Real clients against `firesteel serve`: those who call functions, and those that functions are built on.

    python3 conformance/clients/run.py --firesteel PATH --venv FOLDER --node FOLDER [--require-all]

Callers are the AWS CLI, boto3 and the SDK for JavaScript: what they see of each success and failure is compared with
what AWS gives (`caller_checks.py`). Runtimes are AWS's published ones, the shell's and our managed ones: each serves
1 000 invocations to several clients at once, and every response is checked against its request (`runtimes.py`).

What is not given, or cannot run here, is reported as SKIPPED. Standard library only; the clients are installed
elsewhere, as `.ci/run` does.
"""

import argparse
import http.client
import re
import sys
import threading
from pathlib import Path

import caller
import caller_checks
import runtimes
from report import Report
from server import Server, ServerBroke

HERE = Path(__file__).resolve().parent
CALLED = HERE / "functions" / "python"


def check_callers(report, args):
    present = []
    for name, make in caller.callers(args.venv, args.node):
        if make is None:
            streaming = [] if name == "aws cli" else caller_checks.STREAMING
            for check, _ in caller_checks.CHECKS + streaming + caller_checks.WHILE_FULL:
                report.skip(f"{name}: {check}", "not installed where --venv and --node say")
        else:
            present.append(make())
    try:
        with Server(args.firesteel, {"calls": CALLED}) as server:
            run(report, present, server, caller_checks.CHECKS)
            run(report, [each for each in present if each.streams], server, caller_checks.STREAMING)
        check_while_full(report, args, present)
    except ServerBroke as broke:
        report.fail("callers: the server", str(broke))
    finally:
        for each in present:
            each.close()


def run(report, present, server, checks):
    for each in present:
        stage = caller_checks.Stage(each, server)
        for name, check in checks:
            report.check(f"{each.name}: {name}", check, stage)


def check_while_full(report, args, present):
    """The only environment there may be is busy, and stays so until the server is ended under it."""
    with Server(args.firesteel, {"calls": CALLED}, "--max-environments", "1", "--timeout", "900") as server:
        holder = threading.Thread(target=hold, args=(server,))
        holder.start()
        server.wait_for_line("hanging full")
        run(report, present, server, caller_checks.WHILE_FULL)
        server.close(kill=True)
        holder.join()


def hold(server):
    try:
        runtimes.post(server.endpoint, "calls", b'{"do": "hang", "token": "full"}')
    except (OSError, http.client.HTTPException):
        pass  # Nobody waits for this answer: the server ends before there is one.


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", required=True, metavar="PATH", type=Path, help="the program")
    parser.add_argument("--venv", metavar="FOLDER", type=Path, help="a venv with boto3 and the AWS CLI")
    parser.add_argument("--node", metavar="FOLDER", type=Path,
                        help="a folder whose node_modules has @aws-sdk/client-lambda and aws-lambda-ric")
    parser.add_argument("--awslambdaric", metavar="FOLDER", type=Path, help="where pip installed awslambdaric with --target")
    parser.add_argument("--rust-hello", metavar="PATH", type=Path, help="the built example rust-hello")
    parser.add_argument("--runtime", metavar="NAME=TARGET", action="append", default=[],
                        help="one more runtime; its function answers as the examples do (may be given again)")
    parser.add_argument("--invokes", metavar="N", type=int, default=1000, help="invocations of each runtime [1000]")
    parser.add_argument("--concurrency", metavar="N", type=int, default=4, help="clients at once [4]")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only checks whose name matches")
    parser.add_argument("--require-all", action="store_true", help="a skipped check is a failure")
    args = parser.parse_args()
    report = Report(args.only)
    check_callers(report, args)
    runtimes.check_runtimes(report, args)
    print(report)
    return 1 if report.failed or args.require_all and report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
