"""`firesteel serve`, with a fresh data folder for every scenario."""

import os
import re
import sys

from adapters.process import ServerProcess

NAME = "function"
ACCOUNT = "123456789012"


class Firesteel:
    name = "firesteel"

    def __init__(self, program):
        self.program = program

    def inexpressible(self, _scenario):
        return None

    def start(self, scenario, code, layer, folder):
        return Running([str(self.program), "serve", *options(scenario, layer), *shown(folder), "--data", str(folder / "data"),
                        f"{NAME}={code}"], url=bool(scenario.url))


def options(scenario, layer):
    given = ["--listen", "127.0.0.1:0", "--account-id", ACCOUNT]
    given += ["--timeout", str(scenario.timeout), "--memory", str(scenario.memory)]
    # Callers wait for the environment, so that the next invocation meets the one that served the last.
    given += ["--max-environments", str(scenario.environments), "--wait-ms", "30000"]
    given += [f"--env={name}={value}" for name, value in scenario.environment.items()]
    if scenario.has_layer:
        given += ["--layer", str(layer)]
    if scenario.log_format != "text":
        given += ["--log-format", scenario.log_format]
    if scenario.application_log_level:
        given += ["--log-level", scenario.application_log_level]
    if scenario.system_log_level:
        given += ["--system-log-level", scenario.system_log_level]
    if scenario.initialization == "snap-start":
        given += ["--snap-start"]
    if scenario.initialization == "provisioned-concurrency":
        given += ["--provisioned", f"{NAME}=1"]
    if scenario.max_concurrency > 1:
        given += ["--max-concurrency", str(scenario.max_concurrency)]
    if scenario.url:
        given += ["--url-stream" if scenario.url == "RESPONSE_STREAM" else "--url", NAME]
    return given


def shown(folder):
    """What guests need of this machine: where they leave notes, and the Python that plays them."""
    python = os.path.realpath(sys.base_prefix)
    system = python.startswith("/usr/") or python == "/usr"
    return ["--mount", f"{folder / 'notes'}:rw", *([] if system else ["--mount", python])]


class Running:
    function = NAME
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"

    def __init__(self, command, url):
        self.server = ServerProcess(command)
        self.endpoint = self._address(r"http://(127\.0\.0\.1):(\d+)/2015-03-31/functions/")
        if url:
            self.url_endpoint = self._address(r"http://(127\.0\.0\.1):(\d+)/ is the URL of")

    def _address(self, pattern):
        def said():
            return next((match for match in map(re.compile(pattern).search, self.server.lines) if match), None)
        host, port = self.server.wait_for(said, "firesteel listens").groups()
        return host, int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.kill()

    def log(self):
        return [line for line in self.server.lines if not line.startswith("firesteel: ")]

    def raw_log(self):
        return list(self.server.lines)

    def stop(self):
        self.server.stop()
