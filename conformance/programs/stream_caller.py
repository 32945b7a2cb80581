"""Callers that read a response as it arrives: boto3 and the SDK for JavaScript, behind one way of asking.

Each runs as a process of its own that takes a JSON request a line (`endpoint`, `function`, `payload`, `log_type`; the
payload in base64) and answers with a line for each event of the stream, the moment it has it: `{"chunk": BASE64}`, then
`{"complete": {…}}` with the members of `InvokeComplete`; or `{"broken": TEXT}` if the SDK raised something.
"""

import base64
import json
import subprocess
from pathlib import Path

from caller import environment
from report import Mismatch, holds

HERE = Path(__file__).resolve().parent
LIMIT_S = 60


class StreamCaller:
    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())

    def call(self, payload, **request):
        """The stream of one invocation. It must be read to its end before the next call."""
        request["payload"] = base64.b64encode(payload).decode()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Stream(self)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(LIMIT_S)


class Stream:
    def __init__(self, caller):
        self.caller = caller
        self.complete = None

    def chunks(self):
        while self.complete is None:
            line = self.caller.process.stdout.readline()
            if not line:
                raise Mismatch(f"{self.caller.name} ended")
            event = json.loads(line)
            if "broken" in event:
                raise Mismatch(event["broken"])
            if "complete" in event:
                self.complete = event["complete"]
                return
            yield base64.b64decode(event["chunk"])

    def read_until(self, wanted):
        """What has come once it ends with `wanted`; where chunks are cut means nothing."""
        seen = b""
        for chunk in self.chunks():
            seen += chunk
            if seen.endswith(wanted):
                return seen
        holds(False, f"{wanted!r} wanted before the end, {seen!r} seen, then {self.complete}")

    def rest(self):
        return b"".join(self.chunks())


def stream_callers(venv, node):
    """Pairs of a name and a function that makes this caller, or None where the host does not have it."""
    boto3 = javascript = None
    if next(venv.glob("lib/python*/site-packages/boto3"), None):
        boto3 = lambda: StreamCaller("boto3", [venv / "bin" / "python", HERE / "callers" / "python_sdk_stream.py"])
    if (node / "node_modules" / "@aws-sdk" / "client-lambda").is_dir():
        javascript = lambda: StreamCaller("javascript", ["node", HERE / "callers" / "javascript_sdk_stream.cjs", node.resolve()])
    return [("boto3", boto3), ("javascript", javascript)]
