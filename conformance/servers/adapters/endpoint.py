"""Any server that speaks the Lambda API, with the functions deployed by its user.

    run.py --pack FOLDER            writes a package for every scenario that can be run so
    run.py --server endpoint --endpoint http://HOST:PORT --arn-prefix arn:aws:lambda:REGION:ACCOUNT

Each package is a folder with a `bootstrap`, to be deployed under the folder's name with a timeout of five seconds and
`python3` on the PATH. Guests and caller share no folder there, so notes travel in the log, of which a caller sees the
tail: scenarios with extensions, gates, settings or the server's end are left out.
"""

import base64
import json
import re
import urllib.parse

HIDDEN = ("wait_for(", "first_time(", "notes()")
OF_THE_SERVER = ("stop(", "open_gate(", "logged(", "reports(", "log()", "json_log(", "kill(")


def function_name(scenario):
    words = re.sub(r"[^a-z0-9]+", "-", scenario.full_name.lower()).strip("-")
    return words[:64].rstrip("-")


class Endpoint:
    name = "endpoint"

    def __init__(self, url, arn_prefix):
        self.url, self.arn_prefix = url, arn_prefix

    def inexpressible(self, scenario):
        if scenario.has_layer:
            return "needs a layer"
        if scenario.timeout != 5 or scenario.memory != 128 or scenario.environment or scenario.log_format != "text" or scenario.url:
            return "needs settings of the function"
        if scenario.initialization != "on-demand" or scenario.max_concurrency > 1 or scenario.environments > 1:
            return "needs settings of the server"
        if any(word in script for word in HIDDEN for script in scenario.scripts()):
            return "needs a folder that guests and caller share"
        if any(word in scenario.caller for word in OF_THE_SERVER):
            return "needs the server's log or end"
        return None

    def start(self, scenario, _code, _layer, _folder):
        return Running(urllib.parse.urlsplit(self.url), self.arn_prefix, function_name(scenario))


class Running:
    def __init__(self, url, arn_prefix, function):
        self.endpoint = (url.hostname, url.port or 80)
        self.function = function
        self.arn = f"{arn_prefix}:function:{function}"
        self.tails = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def keep_tail(self, headers):
        if tail := headers.get("x-amz-log-result"):
            self.tails += base64.b64decode(tail).decode("utf-8", "replace").splitlines()

    def notes(self):
        return [json.loads(line.removeprefix("NOTE ")) for line in self.tails if line.startswith("NOTE {")]

    def log(self):
        return self.tails

    def raw_log(self):
        return self.tails

    def stop(self):
        raise NotImplementedError("a server of others is not ended")
