"""Where the function's words go.

    print, sys.stdout.write ──► unbuffered stdout
    logging                 ──► root handler ──► formatter (text or JSON) ──► sink ──► stdout, or framed records on a descriptor
    uncaught errors         ──► sink.error()  ────────────────────────────────┘

Installed by `loop` before the function is loaded. Writing is never put off: whatever was written before the response was
posted must be in the log before it. Class and attribute names that functions can reach from `logging.getLogger().handlers`
are AWS's.
"""

import json
import logging
import os
import sys
import time

NO_BREAK_SPACE = "\u00a0"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
FRAME_TEXT, FRAME_JSON = 0xA55A0003, 0xA55A0002


class NoInvocation:
    """Stands for the init phase, which has neither id nor tenant."""

    request_id = None
    tenant_id = None


# The invocation being served; set by `loop`, read for every record.
current = NoInvocation


class Unbuffered:
    """A stream that flushes after every write; anything else is the stream's own."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, text):
        self._stream.write(text)
        self._stream.flush()

    def writelines(self, lines):
        self._stream.writelines(lines)
        self._stream.flush()


def unbuffer():
    sys.stdout = Unbuffered(sys.stdout)
    sys.stderr = Unbuffered(sys.stderr)


def install():
    """Set up the root logger; returns the sink."""
    as_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")
    level = "DEBUG" if level == "TRACE" else level.upper()
    descriptor = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    sink = StandardSink(as_json) if descriptor is None else FramedSink(as_json, int(descriptor))

    logging.Formatter.converter = time.gmtime
    if as_json or level:
        handler = LambdaLoggerHandlerWithFrameType(sink)
    else:
        handler = LambdaLoggerHandler(sink)
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", TIME_FORMAT))
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    if level in logging._nameToLevel:  # the public accessor exists only from 3.11 on
        root.setLevel(level)
    root.addHandler(handler)
    return sink


class LambdaLoggerFilter(logging.Filter):
    """Refuses nothing; it gives every record the invocation it belongs to, for formatters to use."""

    def filter(self, record):
        record.aws_request_id = current.request_id or ""
        record.tenant_id = current.tenant_id
        return True


class LambdaLoggerHandler(logging.Handler):
    def __init__(self, sink):
        super().__init__()
        self.log_sink = sink

    def emit(self, record):
        self.log_sink.log(self.format(record))


class LambdaLoggerHandlerWithFrameType(LambdaLoggerHandler):
    """Used as soon as levels matter to the platform: each frame then carries its record's level."""

    def emit(self, record):
        base = FRAME_JSON if isinstance(self.formatter, JsonFormatter) else FRAME_TEXT
        self.log_sink.log(self.format(record), _frame_type(base, _level(record)))


class JsonFormatter(logging.Formatter):
    # `taskName` (3.12+) is left out on purpose: AWS's client writes it like any attribute of the user's.
    STANDARD = set(vars(logging.makeLogRecord({}))) - {"taskName"} | {"aws_request_id", "tenant_id"}
    # Values that are not JSON become their text, so that no record is lost.
    encode = staticmethod(json.JSONEncoder(ensure_ascii=False, default=str).encode)

    def format(self, record):
        message = record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage()
        entry = {
            "timestamp": self.formatTime(record, TIME_FORMAT + "Z"),
            "level": logging.getLevelName(_level(record)),
            "message": message,
            "logger": record.name,
            **self._error(record),
            "requestId": getattr(record, "aws_request_id", None),
        }
        if record.exc_info:
            entry["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        entry["tenantId"] = getattr(record, "tenant_id", None)
        for name, value in vars(record).items():
            if name not in self.STANDARD:
                entry.setdefault(name, value)
        return self.encode({name: value for name, value in entry.items() if value is not None}) + "\n"

    @staticmethod
    def _error(record):
        if not record.exc_info:
            return {}
        import traceback

        error_type, error, trace = record.exc_info
        return {
            "stackTrace": traceback.format_tb(trace),
            "errorType": error_type.__name__,
            "errorMessage": str(error),
        }


def _level(record):
    """The standard level at or below the record's."""
    return min(50, max(0, record.levelno)) // 10 * 10


def _frame_type(base, level):
    # DEBUG … CRITICAL are 2 … 6 in bits 2 to 4; no level at all is 0.
    return base | (level // 10 + 1 << 2 if level else 0)


class StandardSink:
    """Lines on stdout. The lines of one error are parted by CR and indented by NO-BREAK SPACE, so that they stay one log event."""

    def __init__(self, as_json):
        self._as_json = as_json

    def log(self, text, frame_type=FRAME_TEXT):
        # Not a stream kept from the start: functions replace `sys.stdout`.
        sys.stdout.write(text)

    def error(self, report):
        self.log(_error_as_json(report) + "\n" if self._as_json else "\r".join(_error_as_lines(report)) + "\n")


class FramedSink:
    """Whole records on a descriptor of the platform's: type, length, time in microseconds, text; big-endian."""

    def __init__(self, as_json, descriptor):
        self._as_json = as_json
        self._file = os.fdopen(descriptor, "wb", 0)

    def log(self, text, frame_type=FRAME_TEXT):
        message = text.encode("utf-8")
        self._file.write(frame_type.to_bytes(4, "big") + len(message).to_bytes(4, "big")
                         + (time.time_ns() // 1000).to_bytes(8, "big") + message)

    def error(self, report):
        if self._as_json:
            self.log(_error_as_json(report), _frame_type(FRAME_JSON, logging.ERROR))
        else:
            self.log("\n".join(_error_as_lines(report)), _frame_type(FRAME_TEXT, logging.ERROR))


def _error_as_json(report):
    from . import payload

    return payload.encode({"timestamp": time.strftime(TIME_FORMAT + "Z", time.gmtime()), "level": "ERROR", **report})


def _error_as_lines(report):
    headline = ": ".join(part for part in (report["errorType"], report["errorMessage"]) if part)
    lines = ["[ERROR] " + headline if headline else "[ERROR]", "Traceback (most recent call last):"]
    for element in report["stackTrace"]:
        for line in element.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(text)) + text)
    return lines
