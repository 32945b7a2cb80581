"""Clients of the Lambda API behind one way of asking: the operation's name and its members, as the API spells them.

    ask(operation, members)    → the members of the answer, or `Refused`
    pages(operation, members)  → the answers of as many pages as there are
    wait(waiter, members)      until the client's own waiter is content

Blobs are `bytes` both ways. The SDKs run as processes of their own that take a JSON request a line, blobs in it as
`{"$bytes": BASE64}`; the AWS CLI is run once for each request.
"""

import base64
import json
import re
import subprocess
import tempfile
from pathlib import Path

from caller import environment
from report import Mismatch

HERE = Path(__file__).resolve().parent
LIMIT_S = 120


class Refused(Mismatch):
    """What the service did not do, as the client tells it. A member is None where the client does not show it."""

    def __init__(self, operation, code, message, caught_as=None, status=None, **members):
        super().__init__(f"{operation} is refused: {code}: {message}")
        self.code = code
        self.message = message
        self.caught_as = caught_as
        self.status = status
        self.members = members


class BrokenClient(Mismatch):
    """The client could make nothing of what it got, or of what it was asked."""


def with_blobs(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: with_blobs(member) for name, member in value.items()}
    return [with_blobs(each) for each in value] if isinstance(value, list) else value


def blob_of(members):
    return base64.b64decode(members["$bytes"]) if "$bytes" in members else members


class Sdk:
    """A process with an SDK in it."""

    typed = True
    streams = True

    def __init__(self, name, command, endpoint, keys, generic_class):
        self.name = name
        # What errors are caught as whose code the API's model does not have.
        self.generic_class = generic_class
        self.process = subprocess.Popen([*map(str, command), endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment(**keys))

    def ask(self, operation, members):
        return self._request(do="ask", operation=operation, members=members)

    def pages(self, operation, members):
        return self._request(do="pages", operation=operation, members=members)

    def wait(self, waiter, members):
        self._request(do="wait", operation=waiter, members=members)

    def _request(self, **request):
        self.process.stdin.write(json.dumps(with_blobs(request)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BrokenClient(f"{self.name} ended")
        seen = json.loads(line, object_hook=blob_of)
        if "broken" in seen:
            raise BrokenClient(seen["broken"])
        if "refused" in seen:
            raise Refused(request["operation"], **seen["refused"])
        return seen["answer"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(LIMIT_S)


class CommandLine:
    """`aws lambda OPERATION --cli-input-json`: what it prints is the answer. Blobs are files."""

    name = "aws cli"
    # It knows errors by their codes only, and has no operation that answers in events.
    typed = False
    streams = False
    REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation(?: \([^)]*\))?: (.*)", re.S)

    def __init__(self, program, endpoint, keys):
        self.program = program
        self.endpoint = endpoint
        self.keys = keys

    def ask(self, operation, members, *options):
        with tempfile.TemporaryDirectory(prefix="firesteel-lives-") as folder:
            members = dict(members)
            command = [kebab(operation), *self._blobs(operation, members, Path(folder)), *options]
            if operation in ("Invoke", "InvokeAsync"):
                command += typed(members)
            else:
                wanted = Path(folder) / "members"
                wanted.write_text(json.dumps(members))
                command += ["--cli-input-json", f"file://{wanted}"]
            response = Path(folder) / "response"
            answer = self._run([*command, *([str(response)] if operation == "Invoke" else [])])
            return answer | ({"Payload": response.read_bytes()} if operation == "Invoke" else {})

    def pages(self, operation, members):
        """It puts the pages together itself, and does not tell how many there were."""
        members = dict(members)
        return [self.ask(operation, {name: value for name, value in members.items() if name != "MaxItems"},
                         "--page-size", str(members["MaxItems"]))]

    def wait(self, waiter, members):
        self._run(["wait", kebab(waiter), *typed(members)])

    def _blobs(self, operation, members, folder):
        """Takes blobs out of the members: each is an option, which gives the name of a file."""
        option, blob = None, None
        if operation in ("CreateFunction", "PublishLayerVersion"):
            parent = "Code" if operation == "CreateFunction" else "Content"
            option, blob = "--zip-file", members.get(parent, {}).get("ZipFile")
            if blob is not None:
                del members[parent]
        elif operation == "UpdateFunctionCode":
            option, blob = "--zip-file", members.pop("ZipFile", None)
        elif operation == "Invoke":
            option, blob = "--payload", members.pop("Payload", None)
        elif operation == "InvokeAsync":
            option, blob = "--invoke-args", members.pop("InvokeArgs", None)
        if blob is None:
            return []
        (folder / "blob").write_bytes(blob)
        return [option, str(folder / "blob") if operation == "InvokeAsync" else f"fileb://{folder / 'blob'}"]

    def _run(self, command):
        keys = self.keys | {"AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}
        done = subprocess.run([str(self.program), "lambda", *command, "--endpoint-url", self.endpoint, "--output", "json"],
                              capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL, env=environment(**keys))
        if done.returncode == 0:
            return json.loads(done.stdout) if done.stdout.strip() else {}
        refused = self.REFUSED.search(done.stderr)
        if refused is None:
            raise BrokenClient(f"exit {done.returncode}: {done.stderr.strip()}")
        raise Refused(command[0], refused[1], re.sub(r"\n\nAdditional error details:.*", "", refused[2].strip(), flags=re.S))

    def close(self):
        pass


def kebab(name):
    """As the AWS CLI spells names: `GetFunctionUrlConfig` is `get-function-url-config`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def typed(members):
    """Members that are texts, as options."""
    return [part for name, value in members.items() for part in (f"--{kebab(name)}", value)]


def clients(venv, node):
    """Pairs of a name and a function that makes this client for an endpoint and keys, or None where it is not installed."""
    script = HERE / "clients"
    cli = boto3 = javascript = None
    if venv and (venv / "bin" / "aws").exists():
        cli = lambda endpoint, keys: CommandLine(venv / "bin" / "aws", endpoint, keys)
    if venv and next(venv.glob("lib/python*/site-packages/boto3"), None):
        boto3 = lambda endpoint, keys: Sdk("boto3", [venv / "bin" / "python", script / "python_sdk.py"], endpoint, keys,
                                           "ClientError")
    if node and (node / "node_modules" / "@aws-sdk" / "client-lambda").is_dir():
        command = ["node", script / "javascript_sdk.cjs", node.resolve()]
        javascript = lambda endpoint, keys: Sdk("javascript", command, endpoint, keys, "LambdaServiceException")
    return [("boto3", boto3), ("javascript", javascript), ("aws cli", cli)]
