"""Handlers that answer with one value each: what goes through the JSON encoder."""
import collections
import decimal
import enum
import math
import sys

Point = collections.namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class Name(str, enum.Enum):
    A = "a"


class Loud(dict):
    pass


class Record:
    def _asdict(self):
        return {"kind": "record"}


class Opaque:
    pass


VALUES = {
    "null": None,
    "true": True,
    "int": 10 ** 30,
    "float": [0.1, 1e22, -0.0, 1.5],
    "text": "plain",
    "unicode": "h\u00e9llo \u2028 \x7f \U0001F600 </script>",
    "control": "\x00\x1f\t\"\\",
    "nested": {"a": [1, {"b": [[], {}, ()]}], "c": ("t", "u")},
    "keys": {1: "int", 1.5: "float", None: "none", False: "bool", "s": "str"},
    "nan": [math.nan, math.inf, -math.inf],
    "decimal": {"price": decimal.Decimal("1.10"), "big": decimal.Decimal("1E+30"), "nan": decimal.Decimal("NaN"), "keep": ["\u00e9", 1, 1.5, None, True]},
    "decimal-infinity": decimal.Decimal("Infinity"),
    "decimal-key": {decimal.Decimal("1"): 1},
    "namedtuple": {"p": Point(1, "\u00e9"), "list": [Point(1, 2)]},
    "asdict": [Record()],
    "bytes": b"raw \x00\xff",
    "bytes-inside": {"a": b"caf\xc3\xa9", b"k": 1},
    "bytes-inside-broken": {"a": b"\xff"},
    "bytearray": bytearray(b"x"),
    "enum": {"c": Colour.RED, "n": Name.A, Colour.RED: 1, Name.A: 2},
    "ordered": collections.OrderedDict(z=1, a=2),
    "dict-subclass": Loud(a=1),
    "set": {1},
    "set-inside": {"a": [decimal.Decimal(1), {1}]},
    "opaque": {"a": Opaque()},
    "complex": 1j,
    "tuple-key": {(1, 2): 3},
    "tuple-key-slow": {"a": b"x", "b": {(1, 2): 3}},
    "class": Opaque,
    "generator": (x for x in [1]),
    "surrogate": "\ud800",
    "big": "x" * (3 * 1024 * 1024),
    "html": "<a href='x'>&amp;</a>",
}


def handler(event, context):
    return VALUES[event["value"]]


def circular(event, context):
    value = []
    value.append(value)
    return value


def circular_slow(event, context):
    value = {"d": decimal.Decimal(1)}
    value["self"] = value
    return value


def deep(event, context):
    value = []
    for _ in range(sys.getrecursionlimit() * 300):
        value = [value]
    return value


def echo(event, context):
    return event


def describe(event, context):
    return [type(event).__name__, repr(event)]


def no_return(event, context):
    pass


async def coroutine(event, context):
    return 1


class Callable:
    def __call__(self, event, context):
        return "called"


instance = Callable()
not_callable = 3


def one_argument(event):
    return event
