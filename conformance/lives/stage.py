"""A client on its stage: what it asks, and what must come of it; and the life as a list of steps.

Steps are functions of the stage, in the order of the files that `run.py` imports; a later step uses what an earlier
one has made. What a step is told by a client that does not show it (`typed`, `streams`) it does not look at.
"""

import base64
import hashlib
import io
import json
import re
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

from client import Refused
from report import Mismatch, equal, holds

HERE = Path(__file__).resolve().parent
APP = (HERE / "function" / "app.py").read_text()
RUNTIME = f"python3.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/lives"
# A guard against hanging, not a measure.
LIMIT_S = 60
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

STEPS = []


def step(function=None, *, streams=False, storage=False):
    """`streams`: for clients that take answers in events. `storage`: where there is an S3 beside the server."""
    def put(function):
        STEPS.append(Step(function.__name__.replace("_", " "), function, streams, storage))
        return function
    return put(function) if function else put


class Step:
    def __init__(self, name, play, streams, storage):
        self.name = name
        self.play = play
        self.streams = streams
        self.storage = storage

    def not_for(self, stage):
        """Why this stage cannot play it, or None."""
        if self.storage and stage.storage is None:
            return "no S3 beside the server: --moto-server"
        return None


class Stage:
    def __init__(self, client, world):
        self.client = client
        self.keys = world.keys
        self.notes_file = world.notes
        self.storage = world.storage
        self.authenticates = world.authenticates
        self.function = "life"
        # What steps leave for later ones: revision ids, hashes, ARNs.
        self.kept = {}

    @property
    def arn(self):
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function}"

    def ask(self, operation, **members):
        return self.client.ask(operation, members)

    def of_function(self, operation, **members):
        return self.ask(operation, FunctionName=self.function, **members)

    def wait(self, waiter, **members):
        self.client.wait(waiter, {"FunctionName": self.function, **members})

    def invoke(self, event, **members):
        """The answer, and what the function returned."""
        members = {"FunctionName": self.function, "Payload": json.dumps(event).encode(), **members}
        answer = self.client.ask("Invoke", members)
        equal(answer.get("FunctionError"), None, f"function error ({answer.get('Payload')!r})")
        return answer, json.loads(answer["Payload"])

    def described(self, **members):
        """What an invocation sees of its function."""
        return self.invoke({}, **members)[1]

    def refused(self, code, status, message, operation, kind="User", modelled=True, **members):
        """The refusal that must come. `message` is a pattern; `kind` is the error's member `Type`."""
        try:
            answer = self.client.ask(operation, members)
        except Refused as refusal:
            equal(refusal.code, code, f"code (of {refusal.message!r})")
            holds(re.fullmatch(message, refusal.message, re.S), f"message: {message!r} wanted, {refusal.message!r} seen")
            if self.client.typed:
                equal(refusal.status, status, "status")
                equal(refusal.caught_as, code if modelled else self.client.generic_class, "class it is caught as")
                equal(refusal.members.get("Type"), kind, "member Type")
            return refusal
        raise Mismatch(f"{code} wanted, {answer} seen")

    def unknown(self, operation, message=r".+", **members):
        """A refusal to know what is asked about."""
        return self.refused("ResourceNotFoundException", 404, message, operation, **members)

    def notes(self):
        return [json.loads(line) for line in self.notes_file.read_text().splitlines()]

    def until(self, condition, what):
        """What the condition gives, once it is something."""
        deadline = time.monotonic() + LIMIT_S
        while not (seen := condition()):
            holds(time.monotonic() < deadline, f"{what}: not within {LIMIT_S} s")
            time.sleep(0.02)
        return seen


def package(release):
    """A zip of the function; the same release gives the same bytes."""
    return zipped({"app.py": APP, "release.txt": release})


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            # Modes are kept, and a function is not the owner of its code.
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def downloaded(location):
    """As anybody gets it who has the location: nothing is signed."""
    try:
        with urllib.request.urlopen(location, timeout=LIMIT_S) as answer:
            return answer.read()
    except OSError as error:
        raise Mismatch(f"{location}: {error}") from error


def sha256(data):
    """As the API tells hashes."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def members(seen, **wanted):
    """These members as they are wanted; others may be there."""
    for name, value in wanted.items():
        equal(seen.get(name), value, f"member {name}")


def matches(text, pattern, what):
    holds(isinstance(text, str) and re.fullmatch(pattern, text), f"{what}: {pattern!r} wanted, {text!r} seen")
