"""What a failure becomes: the error object for the caller and the cause for X-Ray.

    exception ──► describe() ──► Failed.report   {"errorMessage", "errorType", "requestId", "stackTrace"}
                                Failed.cause()  JSON for the X-Ray header, made only when it is sent

`Fault` is a failure that the runtime finds itself (no such handler, bad JSON): it has a `Runtime.` type and no frames.
Used by `loop`; raised by `handler`, `payload` and `context`.
"""

import os
import traceback

OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Fault(Exception):
    def __init__(self, error_type, message, stack_trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.stack_trace = list(stack_trace)


class Failed:
    def __init__(self, report, cause_type, frames):
        self.report = report
        self._cause_type = cause_type
        self._frames = frames

    def cause(self):
        from . import payload

        return payload.encode({
            "working_directory": os.getcwd(),
            "exceptions": [{
                "message": self.report["errorMessage"],
                "type": self._cause_type,
                "stack": [{"label": name, "path": path, "line": line} for path, line, name, _ in self._frames],
            }],
            "paths": list({path: None for path, _, _, _ in self._frames}),
        })


def describe(error, request_id):
    if isinstance(error, Fault):
        return Failed(_report(error.message, error.error_type, request_id, error.stack_trace), "LambdaValidationError", [])
    frames = _user_frames(error.__traceback__)
    error_type = type(error).__name__
    return Failed(_report(str(error), error_type, request_id, traceback.format_list(frames)), error_type, frames)


def _report(message, error_type, request_id, stack_trace):
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": stack_trace}


def _user_frames(trace):
    """All frames but the leading ones, which are ours. Plain tuples: the markers of Python 3.11+ are not part of the contract."""
    frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(trace)]
    for index, (path, _, _, _) in enumerate(frames):
        if not path.startswith(OWN_FOLDER):
            return frames[index:]
    return frames
