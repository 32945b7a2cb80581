"""Counts and prints what was found, one line a check."""

import traceback


class Mismatch(Exception):
    """What was seen is not what AWS gives."""


def equal(seen, wanted, what):
    if seen != wanted:
        raise Mismatch(f"{what}: {wanted!r} wanted, {seen!r} seen")


def holds(condition, what):
    if not condition:
        raise Mismatch(what)


class Report:
    def __init__(self, only):
        self.only = only
        self.passed = self.failed = self.skipped = 0

    def wanted(self, name):
        return self.only is None or self.only.search(name)

    def check(self, name, function, *arguments):
        """Runs one check; what it returns is a note for its line."""
        if not self.wanted(name):
            return
        try:
            note = function(*arguments)
        except Mismatch as mismatch:
            self.fail(name, str(mismatch))
        except Exception:
            self.fail(name, traceback.format_exc())
        else:
            self.passed += 1
            print(f"ok       {name}{f'  ({note})' if note else ''}", flush=True)

    def fail(self, name, why):
        self.failed += 1
        print(f"FAILED   {name}", *why.rstrip().splitlines(), sep="\n    ", flush=True)

    def skip(self, name, why):
        if self.wanted(name):
            self.skipped += 1
            print(f"SKIPPED  {name}: {why}", flush=True)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
