"""What a life is lived in: a server, the keys to it, a file for what functions note, an S3 beside it."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import moto_server
from moto_server import Moto
from server import Server

KEYS = {"AWS_ACCESS_KEY_ID": "AKIALIVES", "AWS_SECRET_ACCESS_KEY": "lives/secret"}
GUEST = {"AccessKeyId": "AKIAGUEST", "SecretAccessKey": "guest/secret", "Arn": "arn:aws:iam::000000000000:user/guest"}
STRANGER = {"AccessKeyId": "AKIASTRANGER", "SecretAccessKey": "stranger/secret", "Arn": "arn:aws:iam::000000000000:user/stranger"}


@dataclass
class World:
    endpoint: str
    keys: dict
    # Functions append to it.
    notes: Path
    # With `put`, or None where there is no S3.
    storage: Moto | None
    # Whether the server looks at signatures.
    authenticates: bool


@contextmanager
def served(args, authenticates=False):
    """A server of its own, with nothing in it."""
    with tempfile.TemporaryDirectory(prefix="firesteel-lives-") as folder:
        folder = Path(folder).resolve()
        notes = folder / "notes" / "notes"
        notes.parent.mkdir()
        # Each environment is another user.
        for path, mode in ((folder, 0o755), (notes.parent, 0o777)):
            path.chmod(mode)
        notes.touch()
        notes.chmod(0o666)
        if args.endpoint:
            yield World(args.endpoint, KEYS, notes, None, False)
            return
        options = ["--mount", f"{notes.parent}:rw", *shown()]
        if authenticates:
            options += ["--credentials", str(credentials(folder / "credentials.json"))]
        if args.moto_server is None:
            with Server(args.firesteel, {}, *options) as server:
                yield World(server.endpoint, KEYS, notes, None, authenticates)
            return
        with Moto(args.moto_server) as moto, beside(moto, args.firesteel, *options) as server:
            yield World(server.endpoint, KEYS, notes, moto, authenticates)


def beside(moto, program, *options):
    """A server that finds the other services there."""
    return Server(program, {}, *options, "--aws-endpoint", moto.endpoint, **moto_server.KEYS)


def shown():
    """The Python of this suite, where functions would not see it."""
    python = os.path.realpath(sys.base_prefix)
    return [] if python == "/usr" or python.startswith("/usr/") else ["--mount", python]


def credentials(file):
    """Alice may do everything, the guest may invoke one function, the stranger nothing."""
    alice = {"AccessKeyId": KEYS["AWS_ACCESS_KEY_ID"], "SecretAccessKey": KEYS["AWS_SECRET_ACCESS_KEY"],
             "Arn": "arn:aws:iam::000000000000:user/alice", "Policy": allowing("lambda:*", "*")}
    guest = GUEST | {"Policy": allowing("lambda:InvokeFunction", "arn:aws:lambda:*:*:function:refused")}
    # The file is its owner's alone, or is not read.
    file.touch(0o600)
    file.write_text(json.dumps({"Credentials": [alice, guest, STRANGER]}))
    return file


def allowing(action, resource):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
