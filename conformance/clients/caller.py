"""Callers: the AWS CLI and two SDKs, behind one way of asking.

A request is a dictionary with `endpoint`, `function` and, each if wanted, `payload` (bytes), `invocation_type`,
`log_type`, `qualifier` and `client_context` (as the caller sends it, base64), and `stream` for InvokeWithResponseStream.
What a caller's user then has is an `Answer`, a `Streamed` or a `Refusal`. The SDKs run as processes of their own that take a JSON request a line, binary members as
base64; the AWS CLI is run once for each call.
"""

import base64
import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_S = 120


@dataclass
class Answer:
    status: int
    payload: bytes
    function_error: str | None
    executed_version: str | None
    log_result: str | None
    request_id: str | None

    @property
    def json(self):
        return json.loads(self.payload)

    @property
    def log(self):
        return base64.b64decode(self.log_result, validate=True)


@dataclass
class Streamed:
    """What came in the events of a stream: the chunks put together, and the members of its end."""

    status: int
    payload: bytes
    executed_version: str | None
    content_type: str | None
    error_code: str | None
    error_details: str | None
    log_result: str | None
    request_id: str | None

    @property
    def log(self):
        return base64.b64decode(self.log_result, validate=True)


@dataclass
class Refusal:
    """A member is None where this caller does not show it."""

    caught_as: str | None
    code: str
    message: str
    status: int | None = None
    type: str | None = None
    reason: str | None = None
    retry_after: str | None = None
    request_id: str | None = None


class BrokenCaller(Exception):
    """The caller could make nothing of what it got."""


def environment(**more):
    """Nothing of the user's own configuration; keys are needed to sign, and not looked at."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1",
        "NODE_NO_WARNINGS": "1", **more,
    }


class Sdk:
    """`generic_class` is what errors are caught as whose code the API's model does not have."""

    shows_everything = True
    streams = True

    def __init__(self, name, command, generic_class):
        self.name = name
        self.generic_class = generic_class
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())

    def call(self, **request):
        if "payload" in request:
            request["payload"] = base64.b64encode(request["payload"]).decode()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BrokenCaller(f"{self.name} ended")
        seen = json.loads(line)
        if "broken" in seen:
            raise BrokenCaller(seen["broken"])
        if "error" not in seen:
            kind = Streamed if request.get("stream") else Answer
            return kind(**{**seen, "payload": base64.b64decode(seen["payload"])})
        error = seen["error"]
        return Refusal(error.pop("class"), **error)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(LIMIT_S)


class CommandLine:
    """`aws lambda invoke`: prints the answer's members as JSON, and writes the payload to a file."""

    name = "aws cli"
    shows_everything = False
    # It leaves out operations that answer in events.
    streams = False
    OPTIONS = {"function": "--function-name", "invocation_type": "--invocation-type", "log_type": "--log-type",
               "qualifier": "--qualifier", "client_context": "--client-context"}
    REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the Invoke operation(?: \([^)]*\))?: (.*)", re.S)

    def __init__(self, program):
        self.program = program

    def call(self, endpoint, payload=None, **request):
        with tempfile.TemporaryDirectory(prefix="firesteel-clients-") as folder:
            response, event = Path(folder) / "response", Path(folder) / "event"
            command = [self.program, "lambda", "invoke", "--endpoint-url", endpoint, "--output", "json"]
            for name, value in request.items():
                command += [self.OPTIONS[name], value]
            if payload is not None:
                event.write_bytes(payload)
                command += ["--payload", f"fileb://{event}"]
            done = subprocess.run([*command, str(response)], capture_output=True, text=True, timeout=LIMIT_S,
                                  stdin=subprocess.DEVNULL, env=environment(AWS_MAX_ATTEMPTS="1", AWS_PAGER=""))
            if done.returncode == 0:
                seen = json.loads(done.stdout)
                return Answer(seen["StatusCode"], response.read_bytes(), seen.get("FunctionError"),
                              seen.get("ExecutedVersion"), seen.get("LogResult"), None)
        refused = self.REFUSED.search(done.stderr)
        if refused is None:
            raise BrokenCaller(f"exit {done.returncode}: {done.stderr.strip()}")
        message = re.sub(r"\n\nAdditional error details:.*", "", refused[2].strip(), flags=re.S)
        return Refusal(None, refused[1], message)

    def close(self):
        pass


def callers(venv, node):
    """Pairs of a name and a function that makes this caller, or None where the host does not have it."""
    script = HERE / "callers"
    cli = boto3 = javascript = None
    if venv and (venv / "bin" / "aws").exists():
        cli = lambda: CommandLine(venv / "bin" / "aws")
    if venv and next(venv.glob("lib/python*/site-packages/boto3"), None):
        boto3 = lambda: Sdk("boto3", [venv / "bin" / "python", script / "python_sdk.py"], "ClientError")
    if node and (node / "node_modules" / "@aws-sdk" / "client-lambda").is_dir():
        command = ["node", script / "javascript_sdk.cjs", node.resolve()]
        javascript = lambda: Sdk("javascript", command, "LambdaServiceException")
    return [("aws cli", cli), ("boto3", boto3), ("javascript", javascript)]
