"""`firesteel serve` on one data folder and one port, however often it is killed and started."""

import base64
import http.client
import json
import signal
import socket
import subprocess
import time

from stage import ROLE, RUNTIME, zipped

LIMIT_S = 60
FUNCTION = "noter"
# One write a note: other environments append to the same file.
CODE = """
import os

file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND)

def handler(event, _context):
    os.write(file, b"%d\\n" % event["event"])
"""


class ServerBroke(Exception):
    """It does not listen, or does not do what it must for this suite to mean anything."""


class Killed:
    """A context: the server runs inside, between `start` and `kill`."""

    def __init__(self, program, data, *options):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.command = [str(program), "serve", "--listen", self.address, "--data", str(data), *options]
        self.output = data.with_name("output")
        self.process = None
        self.kills = 0
        # How long each start took, from the command to the first answer.
        self.starts_s = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def start(self):
        began = time.monotonic()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output,
                                            start_new_session=True)
        while True:
            try:
                self.ask("GET", "/2015-03-31/functions")
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > LIMIT_S:
                    raise ServerBroke(f"no answer, exit {self.process.poll()}:\n{self.tail()}") from None
                time.sleep(0.005)
        self.starts_s.append(time.monotonic() - began)

    def kill(self):
        """As a power failure: nothing is asked, nothing is finished."""
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT_S)

    def create(self, notes):
        body = {"FunctionName": FUNCTION, "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Timeout": 30,
                "Environment": {"Variables": {"NOTES": str(notes)}},
                "Code": {"ZipFile": base64.b64encode(zipped({"app.py": CODE})).decode()}}
        status, answer = self.ask("POST", "/2015-03-31/functions", json.dumps(body).encode())
        if status != 201:
            raise ServerBroke(f"CreateFunction: {status} {answer}")
        while json.loads(self.ask("GET", f"/2015-03-31/functions/{FUNCTION}/configuration")[1])["State"] == "Pending":
            time.sleep(0.01)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def tail(self):
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-20:])
