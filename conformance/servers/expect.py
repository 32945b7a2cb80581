"""Compares what was seen with what a scenario expects.

Expectations are the values themselves, with these wildcards:

| in a text | stands for |
|---|---|
| `<id>` | a UUID |
| `<time>` | an ISO time with milliseconds and `Z` |
| `<number>` | digits, maybe with a fraction |
| `<any>` | anything, nothing included |

As a whole value `NUMBER`, `TEXT` and `ANY` stand for any number, text or value. An object must have exactly the members
expected; one whose name ends in `?` may be missing.
"""

import re


class Mismatch(Exception):
    """What was seen is not what the contract says."""


class Kind:
    def __init__(self, name, accepts):
        self.name, self.accepts = name, accepts

    def __repr__(self):
        return self.name


NUMBER = Kind("NUMBER", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))
TEXT = Kind("TEXT", lambda value: isinstance(value, str))
ANY = Kind("ANY", lambda value: True)

WILDCARDS = {
    "<id>": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<number>": r"\d+(?:\.\d+)?",
    "<any>": r"(?s:.*)",
}


def pattern(text):
    parts = re.split("(" + "|".join(WILDCARDS) + ")", text)
    return "".join(WILDCARDS.get(part) or re.escape(part) for part in parts)


def difference(seen, wanted, where="it"):
    """Nothing, or the first place at which they differ."""
    if isinstance(wanted, Kind):
        return None if wanted.accepts(seen) else f"{where}: {wanted} wanted, {seen!r} seen"
    if isinstance(wanted, str) and isinstance(seen, str):
        return None if re.fullmatch(pattern(wanted), seen) else f"{where}:\n  wanted {wanted!r}\n  seen   {seen!r}"
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return object_difference(seen, wanted, where)
    if isinstance(wanted, (list, tuple)) and isinstance(seen, (list, tuple)):
        for at, (one, other) in enumerate(zip(seen, wanted)):
            if found := difference(one, other, f"{where}[{at}]"):
                return found
        if len(seen) != len(wanted):
            return f"{where}: {len(wanted)} wanted, {len(seen)} seen:\n  wanted {list(wanted)!r}\n  seen   {list(seen)!r}"
        return None
    same = seen == wanted and isinstance(seen, bool) == isinstance(wanted, bool)
    return None if same else f"{where}: {wanted!r} wanted, {seen!r} seen"


def object_difference(seen, wanted, where):
    left = dict(seen)
    for name, value in wanted.items():
        optional, name = name.endswith("?"), name.removesuffix("?")
        if name in left:
            if found := difference(left.pop(name), value, f"{where}.{name}"):
                return found
        elif not optional:
            return f"{where}: no member {name!r} in {seen!r}"
    return f"{where}: unexpected members {left!r}" if left else None


def like(seen, wanted, what="it"):
    if found := difference(seen, wanted, what):
        raise Mismatch(found)


def holds(condition, what):
    if not condition:
        raise Mismatch(what)


def between(seen, least, most, what):
    if not least <= seen <= most:
        raise Mismatch(f"{what}: from {least} to {most} wanted, {seen} seen")
