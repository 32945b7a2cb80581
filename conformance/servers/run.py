#!/usr/bin/env python3
"""The execution contract, scenario by scenario, against servers that claim to keep it.

    python3 conformance/servers/run.py --server firesteel --server rie [--rie PATH] [--update COMPATIBILITY.md]

A scenario (`scenarios/*.toml`, explained in `scenario.py`) is a rule, a scripted runtime, scripted extensions, and a
caller that says what must come of it. Each gets a fresh server. What a server cannot be made to set up is counted as
not expressible, never left out. Servers are started in `adapters/`: Firesteel; AWS's Runtime Interface Emulator, whose
program is in the wheel of `aws-sam-cli`; or any Lambda-shaped endpoint, with functions that `--pack` writes for it.

Exit code 1 if Firesteel fails a scenario or, without it, any server does. Standard library only.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import package
import results
import scenario as scenarios
from adapters.endpoint import Endpoint, function_name
from adapters.firesteel import Firesteel
from adapters.rie import Rie
from expect import Mismatch
from results import Result
from stage import Stage

ROOT = Path(__file__).resolve().parents[2]


def play(scenario, adapter, work):
    began = time.monotonic()
    reason = adapter.inexpressible(scenario)
    if reason:
        return Result(scenario, adapter.name, "inexpressible", reason, 0)
    # Not below /tmp, which a function may have to itself. Guests may run as other users.
    folder = Path(tempfile.mkdtemp(dir=work))
    folder.chmod(0o777)
    try:
        verdict, why = judge(scenario, adapter, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(scenario, adapter.name, verdict, why, time.monotonic() - began)


def judge(scenario, adapter, folder):
    notes = folder / "notes"
    notes.mkdir(mode=0o777)
    notes.chmod(0o777)
    # Each environment is another user.
    (notes / "notes").touch()
    (notes / "notes").chmod(0o666)
    stage = server = None
    try:
        code, layer = package.write(scenario, folder, notes)
        with adapter.start(scenario, code, layer, folder) as server:
            stage = Stage(scenario, server, adapter.notes_of(scenario) if isinstance(adapter, Endpoint) else notes)
            stage.play()
        return "passed", ""
    except Exception as error:
        what = str(error) if isinstance(error, Mismatch) else "".join(traceback.format_exception_only(error)).strip()
        return "failed", results.explain(what, stage.failed_at(error) if stage else "", stage, server)


def run(selected, adapters, jobs, shown):
    work = ROOT / "target" / "conformance-servers"
    work.mkdir(parents=True, exist_ok=True)
    found = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(play, scenario, adapter, work) for scenario in selected for adapter in adapters]
        for each in waiting:
            result = each.result()
            found.append(result)
            results.show(result, shown)
    return found


def pack(selected, folder, endpoint):
    folder.mkdir(parents=True, exist_ok=True)
    for scenario in selected:
        if endpoint.inexpressible(scenario) is None:
            with tempfile.TemporaryDirectory() as work:
                code, _ = package.write(scenario, Path(work), endpoint.notes_of(scenario), package.ELSEWHERE)
                shutil.copytree(code, folder / function_name(scenario), dirs_exist_ok=True)


def adapters_of(args):
    for name in args.server or ["firesteel"]:
        if name == "firesteel":
            yield Firesteel(args.program)
        elif name == "endpoint":
            yield Endpoint(args.endpoint, args.arn_prefix, args.shared)
        else:
            rie = Rie(args.rie)
            if why := rie.broken():
                print(f"SKIPPED rie: {why}; its results stay as they are", flush=True)
                continue
            yield rie


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", action="append", choices=["firesteel", "rie", "endpoint"], help="may be given again [firesteel]")
    parser.add_argument("--program", metavar="PATH", type=Path, default=ROOT / "target/debug/firesteel", help="firesteel")
    parser.add_argument("--rie", metavar="PATH", type=Path, default=ROOT / "target/ci/aws-lambda-rie", help="the emulator")
    parser.add_argument("--endpoint", metavar="URL", help="of the server `endpoint`")
    parser.add_argument("--arn-prefix", metavar="ARN", default="arn:aws:lambda:us-east-1:000000000000",
                        help="of the functions there, up to the account [%(default)s]")
    parser.add_argument("--shared", metavar="FOLDER", type=Path, help="an absolute path, where functions there leave notes")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, help="only scenarios whose `area: name` matches")
    parser.add_argument("-j", "--jobs", metavar="N", type=int, default=2, help="scenarios at a time [2]")
    parser.add_argument("--quiet-rie", action="store_true", help="why the emulator fails a scenario is not printed")
    parser.add_argument("--json", metavar="FILE", type=Path, help="results for machines")
    parser.add_argument("--update", metavar="FILE", type=Path, help="rewrites the marked section of COMPATIBILITY.md")
    parser.add_argument("--pack", metavar="FOLDER", type=Path, help="only writes the functions for an endpoint")
    args = parser.parse_args()
    if args.endpoint is None and "endpoint" in (args.server or []):
        parser.error("--server endpoint needs --endpoint URL")
    if args.only and args.update:
        parser.error("--update needs all scenarios")

    selected = scenarios.read_all(args.only)
    if args.pack:
        pack(selected, args.pack, Endpoint(shared=args.shared))
        return 0
    adapters = list(adapters_of(args))
    found = run(selected, adapters, args.jobs, {adapter.name for adapter in adapters} - ({"rie"} if args.quiet_rie else set()))
    print(results.table(found))
    if args.json:
        results.write_json(found, args.json)
    if args.update:
        results.update(found, args.update)
    judged = [adapter.name for adapter in adapters]
    judged = ["firesteel"] if "firesteel" in judged else judged
    return 1 if any(result.verdict == "failed" and result.server in judged for result in found) else 0


if __name__ == "__main__":
    sys.exit(main())
