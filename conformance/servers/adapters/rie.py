"""AWS's Runtime Interface Emulator, as its container images run it: the first process of a PID namespace of its own, in a
mount namespace in which `/opt` is the scenario's layer.

Nothing outside the namespaces changes, and all in them ends with them.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from adapters.process import ServerProcess

NAME = "function"
# The emulator's, which cannot be changed.
ACCOUNT = "012345678912"
OWN_LINES = re.compile(r"\d\d \w{3} \d{4} [\d:,]+ \[\w+\] \(rapid\) ")
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
MOUNT = 'mount --bind "$1" /opt && shift && exec "$@"'


class Rie:
    name = "rie"

    def __init__(self, program):
        self.program = program

    def broken(self):
        """Why it cannot be run here, if it cannot."""
        if not Path(self.program).is_file():
            return f"no {self.program}"
        if shutil.which("unshare") is None or subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode:
            return "no mount namespace: this needs root"
        return None

    def inexpressible(self, scenario):
        """The emulator takes a function's name, memory and timeout, and nothing else."""
        if scenario.log_format != "text" or scenario.application_log_level or scenario.system_log_level:
            return "no log format or level"
        if scenario.initialization != "on-demand":
            return f"no {scenario.initialization}"
        if scenario.max_concurrency > 1:
            return "no concurrency within an environment"
        if scenario.url:
            return "no function URLs"
        return None

    def start(self, scenario, code, layer, folder):
        api, endpoint = free_port(), free_port()
        command = [*NAMESPACES, "sh", "-c", MOUNT, "sh", str(layer), str(self.program), "--runtime-api-address", f"127.0.0.1:{api}",
                   "--runtime-interface-emulator-address", f"127.0.0.1:{endpoint}", str(code / "bootstrap")]
        env = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": NAME,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(scenario.timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(scenario.memory),
            "AWS_REGION": "us-east-1",
            **scenario.environment,
        }
        return Running(ServerProcess(command, env, code), ("127.0.0.1", endpoint))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    function = NAME
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"

    def __init__(self, server, endpoint):
        self.server, self.endpoint = server, endpoint
        self.server.wait_for(self._listens, "the emulator listens")

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(self.endpoint) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.kill()

    def log(self):
        return [line for line in self.server.lines if not OWN_LINES.match(line)]

    def raw_log(self):
        return list(self.server.lines)

    def stop(self):
        # `unshare` does not pass signals on: its only child is meant.
        pid = self.server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        self.server.process.wait(15)
        self.server.reader.join(1)
