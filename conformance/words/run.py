#!/usr/bin/env python3
"""AWS's words: what it refuses, with which class and in which text, asked of `firesteel serve`.

    python3 conformance/words/run.py --firesteel PATH --venv FOLDER [--only REGEX] [--require-all]

`table.py` has a row for each refusal that was recorded from AWS. All are asked through boto3, without the checks that it
makes itself, of one server; none of them may change anything. Standard library only; boto3 is in the venv.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The server as a child, the report, and the client are those of neighbouring suites.
sys.path += [str(HERE.parent / "clients"), str(HERE.parent / "lives")]

import table
from client import Refused, clients
from report import Mismatch, Report, equal, holds
from stage import RUNTIME, zipped
from world import served

STATUS = {table.NOT_FOUND: 404, "CodeSigningConfigNotFoundException": 404, "ProvisionedConcurrencyConfigNotFoundException": 404,
          table.INVALID: 400, table.VALIDATION: 400, table.CONFLICT: 409, table.STALE: 412}
PACKAGE = zipped({"app.py": "def handler(event, context):\n    return event\n"})


def prepare(client):
    """What the table takes as given."""
    client.ask("CreateFunction", {"FunctionName": "known", "Role": table.ROLE, "Runtime": RUNTIME, "Handler": "app.handler",
                                  "Code": {"ZipFile": PACKAGE}})
    client.wait("FunctionActiveV2", {"FunctionName": "known"})
    client.ask("PublishVersion", {"FunctionName": "known"})
    client.ask("CreateAlias", {"FunctionName": "known", "Name": "live", "FunctionVersion": "1"})
    client.ask("PublishLayerVersion", {"LayerName": "known", "Content": {"ZipFile": PACKAGE}})


def refused(client, operation, members, code, text):
    if members.get("Code") == {"ZipFile": b""}:
        members = members | {"Code": {"ZipFile": PACKAGE}}
    try:
        answer = client.ask(operation, members)
    except Refused as refusal:
        equal((refusal.code, refusal.status), (code, STATUS[code]), f"class and status (of {refusal.message!r})")
        holds(fits(refusal.message, text), f"text:\n{text}\nwanted,\n{refusal.message}\nseen")
        untyped = code == table.VALIDATION or any(fits(text, each) for each in table.UNTYPED)
        equal(refusal.members.get("Type"), None if untyped else "User", "member Type")
        return
    raise Mismatch(f"{code} wanted, {answer} seen")


def fits(text, wanted):
    return re.fullmatch(".+".join(map(re.escape, wanted.split("…"))), text, re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", metavar="PATH", type=Path, help="the program")
    parser.add_argument("--endpoint", metavar="URL", help="of another server, in its place")
    parser.add_argument("--venv", metavar="FOLDER", type=Path, help="a venv with boto3")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only rows whose `area: what is wrong` matches")
    parser.add_argument("--require-all", action="store_true", help="a skipped check is a failure")
    parser.set_defaults(moto_server=None)
    args = parser.parse_args()
    report = Report(args.only)
    make = dict(clients(args.venv, None))["boto3"]
    rows = [(f"{area}: {what}", *row) for area, found in table.AREAS.items() for what, *row in found]
    if twice := [name for name, count in Counter(name for name, *_ in rows).items() if count > 1]:
        parser.error(f"rows of the same name: {twice}")
    if make is None:
        report.skip("words", "no boto3 where --venv says")
    else:
        with served(args) as world:
            client = make(world.endpoint, world.keys | {"LIVES_UNCHECKED": "1"})
            try:
                prepare(client)
                for name, *row in rows:
                    report.check(name, refused, client, *row)
            finally:
                client.close()
    print(report)
    return 1 if report.failed or args.require_all and report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
