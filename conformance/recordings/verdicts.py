"""What became of each test, and the table of it.

    passes        as AWS
    differs       otherwise, for a reason that `differences.toml` gives
    fails         otherwise, and nobody has said why
    contradicts   it fails, and expects what AWS does not do
    beside        it asks for another AWS service, or for what this host has not
    excluded      no record of AWS: skipped by its authors, or about their own server
"""

import json
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = ["passes", "differs", "fails", "contradicts", "beside", "excluded"]
BEGIN, END = "<!-- recordings: begin -->", "<!-- recordings: end -->"


@dataclass
class Verdict:
    suite: str
    test: str
    kind: str
    why: str
    took_s: float


class Differences:
    """The tables of `differences.toml`, which says what is in them."""

    def __init__(self, file=HERE / "differences.toml"):
        self.known = tomllib.loads(file.read_text()).get("difference", [])
        self.met = set()

    def of(self, suite, test):
        for number, known in enumerate(self.known):
            for pattern in known["tests"]:
                if known["suite"] == suite and re.search(pattern, test):
                    self.met.add((number, pattern))
                    return known
        return None

    def unmet(self, suites):
        """What is said to differ, and does not."""
        return [pattern for number, known in enumerate(self.known) if known["suite"] in suites
                for pattern in known["tests"] if (number, pattern) not in self.met]


def judge(suite, line, differences):
    seen = json.loads(line)
    others = sorted(set(seen["services"]) - suite.beside - {"lambda"})

    def verdict(kind, why=""):
        return Verdict(suite.name, seen["test"], kind, why, seen["took_s"])
    if why := suite.excluded(seen["marks"]):
        return verdict("excluded", why)
    if seen["outcome"] == "skipped":
        return verdict("excluded", f"skipped: {seen['why']}")
    if seen["outcome"] == "passed" and not others:
        return verdict("passes")
    if others:
        return verdict("beside", f"{', '.join(others)}; {seen['outcome']}")
    if known := differences.of(suite.name, seen["test"]):
        return verdict(known["kind"], known["reason"])
    return verdict("fails", seen["why"])


def share(verdicts):
    """Of those that are about Lambda alone, and about AWS."""
    counted = Counter(verdict.kind for verdict in verdicts)
    alone = counted["passes"] + counted["differs"] + counted["fails"]
    return counted["passes"] / alone if alone else 1.0


def table(verdicts):
    lines = [f"| suite | {' | '.join(KINDS)} | passes of passes, differs, fails |", "|---" * (len(KINDS) + 2) + "|"]
    for suite in dict.fromkeys(verdict.suite for verdict in verdicts):
        of_suite = [verdict for verdict in verdicts if verdict.suite == suite]
        counted = Counter(verdict.kind for verdict in of_suite)
        lines.append(f"| {suite} | {' | '.join(str(counted[kind]) for kind in KINDS)} | {share(of_suite):.1%} |")
    return "\n".join(lines)


def reasons(verdicts):
    """Each reason with how many tests it covers."""
    counted = Counter((verdict.suite, verdict.kind, verdict.why) for verdict in verdicts if verdict.kind in ("differs", "contradicts"))
    return "\n".join(["| suite | kind | tests | because |", "|---|---|---|---|",
                      *(f"| {suite} | {kind} | {count} | {why} |" for (suite, kind, why), count in sorted(counted.items()))])


def update(verdicts, path):
    """Rewrites what is between the marks."""
    before, after = re.fullmatch(f"(.*?{BEGIN}\n).*({END}.*)", path.read_text(), re.S).groups()
    path.write_text(f"{before}{table(verdicts)}\n\n{reasons(verdicts)}\n{after}")
