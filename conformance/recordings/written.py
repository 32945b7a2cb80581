"""What functions have written, given to the CloudWatch Logs of `moto_server`: the files of our streams, line by line.

    DATA/logs/aws/lambda/NAME/YYYY/MM/DD/[VERSION]ID   lines of `time TAB text`   →   CreateLogStream, PutLogEvents
"""

import datetime
import http.client
import json
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "lives"))

import signature
from moto_server import KEYS

# Of one request, as the service has it.
EVENTS_AT_ONCE = 10_000


class Written:
    """Called before somebody reads; each line is carried once."""

    def __init__(self, data, moto, region):
        self.root = data / "logs"
        self.moto = moto
        self.region = region
        # How far each file has been carried.
        self.carried = {}
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            for file in sorted(path for path in self.root.rglob("*") if path.is_file() and path.suffix != ".1"):
                self._carry(file)

    def forget(self):
        """What moto has forgotten is not carried again."""
        with self.lock:
            for file in self.carried:
                self.carried[file] = file.stat().st_size if file.exists() else 0

    def _carry(self, file):
        whole = file.read_bytes()
        end = whole.rfind(b"\n") + 1
        begin = self.carried.get(file, 0)
        if end <= begin:
            return
        parts = file.relative_to(self.root).parts
        # The last four are the stream: year, month, day, version and id.
        group, stream = "/" + "/".join(parts[:-4]), "/".join(parts[-4:])
        if file not in self.carried:
            self._ask("CreateLogGroup", logGroupName=group)
            self._ask("CreateLogStream", logGroupName=group, logStreamName=stream)
        events = [event_of(line) for line in whole[begin:end].decode("utf-8", "replace").split("\n")[:-1]]
        # Empty lines are no events there.
        events = [event for event in events if event["message"] != "\n"]
        for first in range(0, len(events), EVENTS_AT_ONCE):
            self._ask("PutLogEvents", logGroupName=group, logStreamName=stream, logEvents=events[first:first + EVENTS_AT_ONCE])
        self.carried[file] = end

    def _ask(self, operation, **members):
        """Whether what is made is there already does not matter."""
        body = json.dumps(members).encode()
        headers = {"host": self.moto, "content-type": "application/x-amz-json-1.1", "x-amz-target": f"Logs_20140328.{operation}"}
        connection = http.client.HTTPConnection(self.moto)
        try:
            connection.request("POST", "/", body, signature.sign("POST", f"http://{self.moto}/", headers, body, KEYS, self.region, "logs"))
            connection.getresponse().read()
        finally:
            connection.close()


def event_of(line):
    time, _, text = line.partition("\t")
    at = datetime.datetime.fromisoformat(time)
    # As there, where an event is a line with its end.
    return {"timestamp": int(at.timestamp() * 1000), "message": text + "\n"}
