"""`moto_server`, from PyPI: a stand-in for the AWS services beside Lambda."""

import http.client
import os
import socket
import subprocess
import time
from urllib.parse import urlsplit

import signature

LIMIT_S = 30
# It looks at no secrets.
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


class MotoBroke(Exception):
    """It did not start, or refuses what S3 would not."""


class Moto:
    """A context: it listens inside, for `account`."""

    def __init__(self, program, account="000000000000"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.endpoint = f"http://{self.address}"
        self.process = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", self.address.split(":")[1]],
                                        env=os.environ | {"MOTO_ACCOUNT_ID": account}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.address.split(":")[1]))).close()
                return self
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise MotoBroke(f"moto_server does not listen, exit {self.process.poll()}") from None
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def put(self, bucket, key, data):
        """An object, in a bucket that is made if need be."""
        self._request("PUT", f"/{bucket}", b"")
        self._request("PUT", f"/{bucket}/{key}", data)

    def _request(self, method, path, body):
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT_S)
        try:
            url = urlsplit(self.endpoint)
            connection.request(method, path, body, signature.sign(method, f"{url.scheme}://{url.netloc}{path}",
                                                                  {"host": url.netloc}, body, KEYS, service="s3"))
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 409):
                raise MotoBroke(f"{method} {path}: {answer.status}")
        finally:
            connection.close()
