"""Any server that speaks the Lambda API, with the functions deployed by its user.

    run.py --pack FOLDER [--shared FOLDER]
    run.py --server endpoint --endpoint http://HOST:PORT [--arn-prefix arn:aws:lambda:REGION:ACCOUNT] [--shared FOLDER]

The first writes a folder with a `bootstrap` for every scenario that can be played so, to be deployed freshly under the
folder's name with a timeout of five seconds and `python3` on the PATH. Guests leave notes for the caller in the shared
folder, which they must see at the same path; without one, scenarios with notes or gates are not expressible. Nor are
those with a layer, with settings, or that look at the server's log or end.
"""

import re
import urllib.parse

OF_GUESTS = ("note(", "notes(", "noted(", "wait_for(", "first_time(")
OF_THE_SERVER = ("stop(", "logged(", "reports(", "log()", "json_log(", "kill(", "server.")


def function_name(scenario):
    words = re.sub(r"[^a-z0-9]+", "-", scenario.full_name.lower()).strip("-")
    return words[:64].rstrip("-")


class Endpoint:
    name = "endpoint"

    def __init__(self, url=None, arn_prefix=None, shared=None):
        self.url, self.arn_prefix, self.shared = url, arn_prefix, shared

    def inexpressible(self, scenario):
        if scenario.has_layer:
            return "needs a layer"
        if scenario.timeout != 5 or scenario.memory != 128 or scenario.environment or scenario.log_format != "text" or scenario.url:
            return "needs settings of the function"
        if scenario.initialization != "on-demand" or scenario.max_concurrency > 1 or scenario.environments > 1:
            return "needs settings of the server"
        if any(word in scenario.caller for word in OF_THE_SERVER):
            return "looks at the server itself"
        if self.shared is None and any(word in script for word in OF_GUESTS for script in (scenario.caller, scenario.runtime)):
            return "needs a folder that guests and caller share"
        return None

    def notes_of(self, scenario):
        return None if self.shared is None else self.shared / function_name(scenario)

    def start(self, scenario, _code, _layer, _folder):
        if notes := self.notes_of(scenario):
            notes.mkdir(parents=True, exist_ok=True)
            notes.chmod(0o777)
            for left_over in notes.iterdir():
                left_over.unlink()
        return Running(urllib.parse.urlsplit(self.url), self.arn_prefix, function_name(scenario))


class Running:
    def __init__(self, url, arn_prefix, function):
        self.endpoint = (url.hostname, url.port or 80)
        self.function = function
        self.arn = f"{arn_prefix}:function:{function}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def raw_log(self):
        return ["(its log is not ours to read)"]
