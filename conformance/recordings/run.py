#!/usr/bin/env python3
"""Other projects' suites for Lambda, run from outside against `firesteel serve`.

    python3 conformance/recordings/run.py --firesteel PATH --moto-server PATH \\
        [--localstack CHECKOUT --localstack-python PATH] [--moto CHECKOUT --moto-python PATH]

LocalStack's tests compare with what was recorded from AWS itself, moto's with what its authors know of it. Neither is
part of this project: each is given as a checkout, with the interpreter of a venv that has what its tests import (README.md).
They talk to one endpoint (`proxy.py`), behind which Lambda is ours and all other services are `moto_server`; a pytest
plugin (`observer.py`) writes down what became of each test. What differs from AWS for a reason stands in
`differences.toml`; anything else that fails is a failure here.

Exit code 1 for such a failure, or for a difference that is listed and is none. Standard library only.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The server as a child, and moto_server as another, are those of neighbouring suites.
sys.path += [str(HERE.parent / "clients"), str(HERE.parent / "lives")]

import verdicts
from moto_server import Moto
from proxy import Proxy
from regions import Itself, Regions
from suites import suites


def play(suite, args, differences):
    """Runs one suite on a server of its own; its verdicts."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firesteel-recordings-"))).resolve()
        moto = stack.enter_context(Moto(args.moto_server, suite.account))
        if args.judged:
            judged = Itself(moto.address if args.judged == "moto" else args.judged)
        else:
            judged = stack.enter_context(Regions(args.firesteel, suite.account, moto, [*suite.options, *args.option]))
        proxy = stack.enter_context(Proxy(judged, moto.address, suite.region, suite.settles))
        results = scratch / "results"
        results.touch()
        folder = suite.folder(scratch)
        environment = suite.environment(proxy.address) | {
            "PYTHONPATH": str(HERE), "RECORDINGS_PROXY": proxy.address, "RECORDINGS_RESULTS": str(results),
            "RECORDINGS_LIMIT_S": str(args.limit_s)}
        command = [str(suite.python), "-m", "pytest", "-p", "observer", "-q", "--tb=short", "-p", "no:cacheprovider"]
        command += ["-k", args.select] if args.select else []
        ran = subprocess.run([*command, *(args.tests or suite.tests)], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                             capture_output=not args.verbose, text=True)
        found = [verdicts.judge(suite, line, differences) for line in results.read_text().splitlines()]
        # Failed tests are looked at by themselves; whatever else ends pytest is a broken run.
        if ran.returncode not in (0, 1) or not found:
            sys.exit(f"{suite.name}: pytest ended with {ran.returncode}\n{ran.stdout or ''}{ran.stderr or ''}")
        return found


def show(found):
    for verdict in found:
        if verdict.kind == "fails":
            print(f"FAILED   {verdict.suite}: {verdict.test}", *verdict.why.splitlines(), sep="\n    ")
        else:
            print(f"{verdict.kind:<8} {verdict.suite}: {verdict.test}{f': {verdict.why}' if verdict.why else ''}")
    print(verdicts.table(found), "", verdicts.reasons(found), sep="\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", metavar="PATH", type=Path, help="the program")
    parser.add_argument("--option", action="append", default=[], metavar="OPTION", help="one more of `serve` (may be given again)")
    parser.add_argument("--judged", metavar="HOST:PORT", help="another server in its place; `moto` for moto_server's own Lambda")
    parser.add_argument("--moto-server", required=True, metavar="PATH", type=Path, help="the program moto_server")
    parser.add_argument("--localstack", metavar="CHECKOUT", type=Path, help="of localstack/localstack")
    parser.add_argument("--localstack-python", metavar="PATH", type=Path, help="the interpreter of its venv")
    parser.add_argument("--moto", metavar="CHECKOUT", type=Path, help="of getmoto/moto")
    parser.add_argument("--moto-python", metavar="PATH", type=Path, help="the interpreter of its venv")
    parser.add_argument("--select", metavar="EXPRESSION", help="only these tests, as pytest's -k")
    parser.add_argument("--tests", metavar="PATH", action="append", help="only this file of the suite, or test (may be given again)")
    parser.add_argument("--limit-s", metavar="S", type=int, default=60, help="a test that takes longer has failed [60]")
    parser.add_argument("--verbose", action="store_true", help="pytest's own output too")
    parser.add_argument("--json", metavar="FILE", type=Path, help="verdicts for machines")
    parser.add_argument("--update", metavar="FILE", type=Path, help="rewrites the marked section of COMPATIBILITY.md")
    args = parser.parse_args()
    if not args.firesteel and not args.judged:
        parser.error("--firesteel or --judged")
    if args.update and (args.select or args.tests):
        parser.error("--update needs all tests")
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    differences = verdicts.Differences()
    played = list(suites(args))
    if not played:
        parser.error("--localstack or --moto")
    found = []
    for suite in played:
        found += play(suite, args, differences)
    show(found)
    if args.json:
        args.json.write_text(json.dumps([vars(verdict) for verdict in found], indent=1) + "\n")
    if args.update:
        verdicts.update(found, args.update)
    unmet = [] if args.select or args.tests else differences.unmet({suite.name for suite in played})
    for pattern in unmet:
        print(f"FAILED   differences.toml: {pattern} differs no more")
    return 1 if unmet or any(verdict.kind == "fails" for verdict in found) else 0


if __name__ == "__main__":
    sys.exit(main())
