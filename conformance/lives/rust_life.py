"""The life that is lived in Rust: the program in `rust/` tells each step in a line, which is read here."""

import re
import subprocess

from caller import environment
from stage import RUNTIME, package

# A step's outcome, its name, and why it failed.
TOLD = re.compile(r"(ok|FAILED) +([^:]+)(?:: (.*))?")
LIMIT_S = 300


def check(report, args, served):
    if args.rust is None or not args.rust.is_file():
        report.skip("rust: a life", "not built where --rust says")
        return
    if not report.wanted("rust: a life"):
        return
    with served(args) as world:
        folder = world.notes.parent
        for release in ("first", "second"):
            (folder / f"{release}.zip").write_bytes(package(release))
        done = subprocess.run([str(args.rust), world.endpoint, str(folder), RUNTIME], capture_output=True, text=True,
                              timeout=LIMIT_S, stdin=subprocess.DEVNULL, env=environment(**world.keys))
    steps = [told.groups() for told in map(TOLD.fullmatch, done.stdout.splitlines()) if told]
    for outcome, name, why in steps:
        if outcome == "ok":
            report.check(f"rust: {name}", lambda: None)
        else:
            report.fail(f"rust: {name}", why)
    if done.returncode != 0 or not steps:
        report.fail("rust: the program", f"exit {done.returncode} after {len(steps)} steps: {done.stderr.strip()}")
