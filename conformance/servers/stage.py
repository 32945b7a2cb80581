"""What a scenario's `caller` has at hand: the calls, what they were answered, what the guests noted, what was logged."""

import base64
import http.client
import json
import os
import signal
import time
import traceback
import urllib.parse
from pathlib import Path

import expect
from answers import LIMIT_S, Later, Reply, Stream, lower
from expect import Mismatch, difference, like

PATIENCE_S = 5
INVOKE = "/2015-03-31/functions/{}/invocations"
STREAM = "/2021-11-15/functions/{}/response-streaming-invocations"


class Stage:
    def __init__(self, scenario, server, folder):
        self.scenario, self.server, self.folder = scenario, server, folder
        self.function, self.arn = server.function, server.arn
        self.stopped = False

    def play(self):
        names = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        names |= {name: getattr(expect, name) for name in ("like", "holds", "between", "Mismatch", "ANY", "NUMBER", "TEXT")}
        names |= {"json": json, "base64": base64, "time": time, "http": http}
        exec(compile(self.scenario.caller, self.scenario.full_name, "exec"), names)

    def failed_at(self, error):
        """The line of the scenario that failed."""
        lines = self.scenario.caller.splitlines()
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename == self.scenario.full_name:
                return lines[frame.lineno - 1].strip()
        return ""

    # Calls.

    def call(self, method, path, body=b"", headers=None, endpoint=None):
        connection = http.client.HTTPConnection(*(endpoint or self.server.endpoint), timeout=LIMIT_S)
        began = time.monotonic()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, lower(response.headers), response.read(), time.monotonic() - began)
        finally:
            connection.close()

    def invoke(self, event="{}", headers=None, name=None, qualifier=None):
        path = INVOKE.format(urllib.parse.quote(name or self.function, safe=""))
        if qualifier is not None:
            path += "?" + urllib.parse.urlencode({"Qualifier": qualifier})
        return self.call("POST", path, event.encode() if isinstance(event, str) else event, headers)

    def invoke_with_log(self, event="{}"):
        reply = self.invoke(event, {"X-Amz-Log-Type": "Tail"})
        return reply, reply.log_tail()

    def invoke_later(self, *arguments, **more):
        return Later(lambda: self.invoke(*arguments, **more))

    def stream(self, event="{}", headers=None):
        connection = http.client.HTTPConnection(*self.server.endpoint, timeout=LIMIT_S)
        connection.request("POST", STREAM.format(self.function), event.encode(), headers or {})
        response = connection.getresponse()
        if response.status != 200:
            raise Mismatch(f"200 wanted, {Reply(response.status, lower(response.headers), response.read(), 0)!r} seen")
        like(response.headers["Content-Type"], "application/vnd.amazon.eventstream", "content type")
        return Stream(connection, response)

    def url(self, method="GET", path="/", body=b"", headers=None):
        """A call of the function's URL, read whole."""
        return self.call(method, path, body, headers, self.server.url_endpoint)

    def open_url(self, path="/"):
        """Likewise, to be read as it comes."""
        connection = http.client.HTTPConnection(*self.server.url_endpoint, timeout=LIMIT_S)
        connection.request("GET", path)
        return connection.getresponse()

    # What guests noted, and what tells them to go on.

    def open_gate(self, name="gate"):
        (self.folder / name).touch()

    def records(self):
        return [] if self.folder is None else read_notes(self.folder / "notes")

    def notes(self, who="runtime"):
        return [record["note"] for record in self.records() if record["who"] == who]

    def noted_at(self, note, who="runtime"):
        """Unix time of the first note like this."""
        for record in self.records():
            if record["who"] == who and difference(record["note"], note) is None:
                return record["at"]
        raise Mismatch(f"{who} did not note {note!r} but {self.notes(who)!r}")

    def noted(self, *wanted, who="runtime"):
        """Exactly these are noted, now or soon."""
        self.eventually(lambda: len(self.notes(who)) >= len(wanted))
        like(self.notes(who), wanted, f"notes of {who}")

    def notes_when(self, enough, who="runtime"):
        """The notes, as soon as they satisfy this."""
        if not self.eventually(lambda: enough(self.notes(who))):
            raise Mismatch(f"notes of {who}, after {PATIENCE_S} s: {self.notes(who)!r}")
        return self.notes(who)

    def subscribed(self, who):
        """The subscription was accepted."""
        answer = self.notes_when(lambda notes: notes, who)[0]
        like(answer, '200 "OK"', "answer to the subscription")

    def events(self, who, until=None):
        """What a subscriber was sent. With `until`, an event of that type must be there: since nothing is delivered to
        an environment that is frozen between invocations, it may come only while the server ends."""
        def received():
            return [event for note in self.notes(who) if isinstance(note, dict) and "batch" in note for event in note["batch"]]

        def there():
            return any(event["type"] == until for event in received())
        if until and not self.eventually(there, 0.3):
            self.stop()
            if not there():
                raise Mismatch(f"no {until} at {who}: {received()!r}")
        return received()

    def event(self, who, kind):
        """The only event of its type."""
        found = [event for event in self.events(who, kind) if event["type"] == kind]
        like(len(found), 1, f"number of {kind}")
        return found[0]

    # What was logged.

    def log(self):
        return "\n".join(self.server.log())

    def logged(self, line, times=1):
        """Lines like this, now or soon."""
        def found():
            return [seen for seen in self.server.log() if difference(seen, line) is None]
        self.eventually(lambda: len(found()) >= times)
        if len(found()) != times:
            raise Mismatch(f"{times} lines like {line!r} wanted, {len(found())} in the log:\n{self.log()}")
        return found()[0] if times else None

    def reports(self, times=1):
        """Numbers of so many REPORT lines, by name: times in milliseconds, sizes in MB."""
        def found():
            return [line for line in self.server.log() if line.startswith("REPORT RequestId: ")]
        self.eventually(lambda: len(found()) >= times)
        like(len(found()), times, "number of REPORT lines")
        return [dict(numbers(line)) for line in found()]

    def json_log(self, until="platform.report"):
        """The log as JSON objects, once one of this type is there."""
        def lines():
            return [json.loads(line) for line in self.server.log() if line.startswith("{")]
        if not self.eventually(lambda: any(line.get("type") == until for line in lines())):
            raise Mismatch(f"no {until} in the log:\n{self.log()}")
        return lines()

    # What is done to guests from outside.

    def kill(self, who="runtime"):
        """SIGKILL to a guest, frozen or not; returns when it is no more."""
        program = "/bootstrap" if who == "runtime" else f"/extensions/{who}"
        # Behind its interpreter; further on it would be an argument of the server.
        pids = [pid for pid in descendants(self.server.server.process.pid) if any(part.endswith(program) for part in command_line(pid)[:3])]
        expect.holds(pids, f"no process of {who}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        gone = self.eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        expect.holds(gone, f"{who} does not end")
        # That the server has been told by whoever reaped it cannot be seen from outside.
        time.sleep(0.2)

    # The end, and waiting.

    def stop(self):
        """The server is asked to end, as by SIGTERM, and has."""
        if not self.stopped:
            self.stopped = True
            self.server.stop()

    def eventually(self, condition, patience_s=PATIENCE_S):
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


def numbers(report):
    for part in report.split("\t")[1:]:
        if ": " in part and part.split(" ")[-1] in ("ms", "MB"):
            yield number(part)


def number(part):
    name, value = part.split(": ")
    return name, float(value.split()[0])


def descendants(pid):
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def command_line(pid):
    """Nothing of a process that has ended."""
    try:
        return [part.decode("utf-8", "replace") for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if part]
    except OSError:
        return []


def read_notes(path):
    if not path.exists():
        return []
    # The last line may be on its way.
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
