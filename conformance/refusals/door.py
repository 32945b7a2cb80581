"""The server's door: asks with honest and with dishonest signatures, over raw sockets."""

import base64
import json
import subprocess
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from caller import environment
from wire import Wire, request

HERE = Path(__file__).resolve().parent
INVOKE = "/2015-03-31/functions/refused/invocations"


class Signer:
    """A context: botocore in a process of its own."""

    def __init__(self, python, keys):
        self.keys = keys
        self.process = subprocess.Popen([str(python), str(HERE / "signer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def sign(self, method, url, headers=None, body=b"", key=None, secret=None, token=None, region="us-east-1", service="lambda",
             age_s=0, presigned_for_s=0):
        """Headers and target of the signed request."""
        wanted = {"method": method, "url": url, "headers": headers or {}, "body": base64.b64encode(body).decode(),
                  "key": key or self.keys["AWS_ACCESS_KEY_ID"], "secret": secret or self.keys["AWS_SECRET_ACCESS_KEY"], "token": token,
                  "region": region, "service": service, "age_s": age_s, "presigned_for_s": presigned_for_s}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        signed = json.loads(self.process.stdout.readline())
        parts = urlsplit(signed["url"])
        return signed["headers"], parts.path + (f"?{parts.query}" if parts.query else "")


class Door:
    def __init__(self, signer, endpoint):
        self.signer = signer
        self.endpoint = endpoint
        self.address = endpoint.removeprefix("http://")

    def signed(self, method="POST", target=INVOKE, body=b"{}", **how):
        """The parts of a request: method, target, headers, body. As SDKs do it says, unsigned, which attempt of which call it is:
        two calls in one second have one signature."""
        headers, target = self.signer.sign(method, self.endpoint + target, body=body, **how)
        attempt = {"amz-sdk-invocation-id": str(uuid.uuid4()), "amz-sdk-request": "attempt=1"}
        return method, target, {"Host": self.address, **headers, **attempt}, body

    def ask(self, *parts):
        with Wire(self.address) as wire:
            wire.send(request(*parts))
            return wire.answer()

    def honest(self, method="POST", target=INVOKE, body=b"{}", **how):
        return self.ask(*self.signed(method, target, body, **how))
