"""Events and results as JSON.

AWS's client encodes with a JSON library that knows more types than the standard one. What a function can see of it
is kept: `Decimal` is written as the number it is, named tuples and objects with `_asdict()` as objects, bytes inside a
value as UTF-8 text; a result that is itself bytes is sent as it is. Nearly every result has none of these: it is
recognised by a scan that runs at C speed and goes to the standard encoder. Called by `loop` and `failure`.
"""

import gc
import json
import os
import sys
from json.encoder import encode_basestring, encode_basestring_ascii

from .failure import Fault

# From 3.12 on AWS's runtimes send characters as they are; before, everything beyond ASCII is escaped.
ENSURE_ASCII = os.environ.get("AWS_EXECUTION_ENV") not in {"AWS_Lambda_python3.%d" % minor for minor in range(12, 16)}
_escape = encode_basestring_ascii if ENSURE_ASCII else encode_basestring
_encode_plain = json.JSONEncoder(ensure_ascii=ENSURE_ASCII).encode

CONTAINER_TYPES = {dict, list, tuple}
PLAIN_TYPES = CONTAINER_TYPES | {str, int, float, bool, type(None)}
# Deeper than any real value. Beyond, and for a value that holds itself, the standard encoder finds the fault.
SCAN_LEVELS = 1000


def decode(body, content_type):
    if content_type not in ("application/json", None):
        return body
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from None


def encode_response(result):
    """The body, and its content type."""
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return encode(result), "application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None


def encode(value):
    if _is_plain(value):
        return _encode_plain(value)
    return "".join(_write(value, set()))


def _is_plain(value):
    level = [value]
    for _ in range(SCAN_LEVELS):
        if not PLAIN_TYPES.issuperset(map(type, level)):
            return False
        # By identity, so that a value that holds itself twice does not double with every level.
        containers = {id(item): item for item in level if type(item) in CONTAINER_TYPES}
        if not containers:
            break
        # What they hold, keys included.
        level = gc.get_referents(*containers.values())
    return True


def _write(value, open_containers):
    if value is None or value is True or value is False:
        yield "null" if value is None else "true" if value else "false"
    elif isinstance(value, str):
        yield _escape(value)
    elif isinstance(value, bytes):
        yield _escape(value.decode("utf-8"))
    elif isinstance(value, int):
        yield int.__repr__(value)
    elif isinstance(value, float):
        yield _float(value)
    elif _is_decimal(value):
        yield "NaN" if value.is_nan() else str(value)
    else:
        yield from _write_container(value, open_containers)


def _write_container(value, open_containers):
    if id(value) in open_containers:
        raise ValueError("Circular reference detected")
    open_containers.add(id(value))
    as_dict = None if isinstance(value, (dict, list, type)) else getattr(value, "_asdict", None)
    if callable(as_dict):
        value_as_dict = as_dict()
        yield from _write_object(value_as_dict, open_containers)
    elif isinstance(value, dict):
        yield from _write_object(value, open_containers)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            yield separator
            yield from _write(item, open_containers)
            separator = ", "
        yield "]" if value else "[]"
    else:
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)
    open_containers.remove(id(value))


def _write_object(members, open_containers):
    separator = "{"
    for key, item in members.items():
        yield separator + _key(key) + ": "
        yield from _write(item, open_containers)
        separator = ", "
    yield "}" if members else "{}"


def _key(key):
    if isinstance(key, bytes):
        key = key.decode("utf-8")
    if isinstance(key, str):
        return _escape(key)
    if key is None or key is True or key is False:
        return '"null"' if key is None else '"true"' if key else '"false"'
    if isinstance(key, float):
        return '"%s"' % _float(key)
    if isinstance(key, int):
        return '"%s"' % int.__repr__(key)
    raise TypeError("keys must be str, int, float, bool or None, not %s" % type(key).__name__)


def _float(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def _is_decimal(value):
    """Without importing `decimal`: a value of its type can only exist once somebody has."""
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def _refuse_constant(name):
    raise ValueError("Expecting value")
