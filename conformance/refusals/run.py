#!/usr/bin/env python3
"""What must not get through the door of a `firesteel serve` that knows its callers.

    python3 conformance/refusals/run.py --firesteel PATH --venv FOLDER [--require-all]

    signatures.py   unsigned, wrongly signed, altered, replayed, expired requests
    permissions.py  requests of who may not
    sizes.py        requests that are too large, or are none
    slowness.py     requests that never end

Over raw sockets, with signatures that botocore makes. Each refusal is compared with that of AWS's front end; at the end the
function must have run for honest callers only. Standard library only; botocore is in the venv, as `.ci/run` makes it.
"""

import argparse
import base64
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The server as a child, the report, its world and its packages are those of neighbouring suites.
sys.path += [str(HERE.parent / "clients"), str(HERE.parent / "lives")]

import permissions
import signatures
import sizes
import slowness
from door import Door, Signer
from report import Report, equal
from stage import ROLE, RUNTIME, zipped
from world import KEYS, served

# Notes each of its runs.
FUNCTION = """
import os

def handler(event, _context):
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND)
    os.write(file, b"ran\\n")
    os.close(file)
"""


def create(door, notes):
    body = {"FunctionName": "refused", "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Timeout": 10,
            "Environment": {"Variables": {"NOTES": str(notes)}},
            "Code": {"ZipFile": base64.b64encode(zipped({"app.py": FUNCTION})).decode()}}
    answer = door.honest(target="/2015-03-31/functions", body=json.dumps(body).encode())
    equal(answer.status, 201, f"status of CreateFunction ({answer.body!r})")
    while json.loads(door.honest("GET", "/2015-03-31/functions/refused/configuration", b"").body)["State"] == "Pending":
        pass


def check(report, door, notes):
    create(door, notes)

    def runs():
        return notes.read_text().count("ran")

    def honest():
        equal(door.honest().status, 200, "status")
        equal(runs(), 1, "runs of the function")
    report.check("honest: it runs", honest)
    for name, make, code, message in signatures.REFUSED:
        report.check(f"signature: {name}", signatures.refused, door, make, code, message)
    report.check("honest: it ran for nobody else", lambda: equal(runs(), 1, "runs of the function"))
    for each, group in [*((check, "signature") for check in signatures.CHECKS), *((check, "permission") for check in permissions.CHECKS),
                        *((check, "size") for check in sizes.CHECKS), *((check, "slow") for check in slowness.CHECKS)]:
        report.check(f"{group}: {each.__name__.replace('_', ' ')}", each, door)
    slowness.at_once(report, door)
    report.check("honest: after all that", lambda: equal(door.honest().status, 200, "status"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", required=True, metavar="PATH", type=Path, help="the program")
    parser.add_argument("--venv", metavar="FOLDER", type=Path, help="a venv with botocore")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only checks whose name matches")
    parser.add_argument("--require-all", action="store_true", help="a skipped check is a failure")
    parser.set_defaults(endpoint=None, moto_server=None)
    args = parser.parse_args()
    report = Report(args.only)
    python = args.venv / "bin" / "python" if args.venv else None
    if python is None or not next(args.venv.glob("lib/python*/site-packages/botocore"), None):
        report.skip("refusals", "no botocore where --venv says")
    else:
        with served(args, authenticates=True) as world, Signer(python, KEYS) as signer:
            check(report, Door(signer, world.endpoint), world.notes)
    print(report)
    return 1 if report.failed or args.require_all and report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
