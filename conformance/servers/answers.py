"""What a caller is answered: whole, frame by frame, or later."""

import base64
import json
import threading

import event_stream
import expect
from expect import Mismatch, like

LIMIT_S = 40


class Reply:
    """What a caller was answered."""

    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]!r}"

    @property
    def text(self):
        return self.body.decode("utf-8", "backslashreplace")

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Mismatch(f"not JSON: {self!r}") from error

    def header(self, name, wanted):
        like(self.headers.get(name.lower()), wanted, f"header {name}")
        return self

    def succeeds(self, body=expect.ANY):
        """Objects and lists are compared as JSON, texts byte by byte."""
        return self._answered(None, body)

    def answers(self, body):
        """Likewise, of whatever kind the answer is: for rules of the runtime's side."""
        like(self.json() if isinstance(body, (dict, list)) else self.text, body, "body")
        return self

    def fails(self, body):
        """As `succeeds`, of a function that failed."""
        return self._answered("Unhandled", body)

    def fails_by_platform(self, error_type, text):
        """The error that the platform finds, with the invocation's id."""
        reply = self.fails({"errorType": error_type, "errorMessage": f"RequestId: <id> Error: {text}"})
        if "x-amzn-requestid" in self.headers:
            like(self.json()["errorMessage"].split()[1], self.headers["x-amzn-requestid"], "id in the message")
        return reply

    def _answered(self, function_error, body):
        if (self.status, self.headers.get("x-amz-function-error")) != (200, function_error):
            raise Mismatch(f"200 and X-Amz-Function-Error: {function_error} wanted, {self!r} seen")
        seen = self.json() if isinstance(body, (dict, list)) else self.text
        like(seen, body, "body")
        return self

    def refused(self, status, error, body):
        seen = (self.status, self.headers.get("x-amzn-errortype"))
        if seen != (status, error):
            raise Mismatch(f"{status} {error} wanted, {self!r} seen")
        like(self.json(), body, "body")
        return self

    def log_tail(self):
        tail = self.headers.get("x-amz-log-result")
        if tail is None:
            raise Mismatch(f"no X-Amz-Log-Result in {self!r}")
        return base64.b64decode(tail).decode("utf-8", "replace")


class Stream:
    """The answer of InvokeWithResponseStream, frame by frame."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response
        self.headers = lower(response.headers)
        self.complete = None

    def chunk(self):
        """The next payload; None after the last one, when `complete` is there."""
        frame = event_stream.read_frame(self._read)
        if frame is None:
            raise Mismatch("the stream ends without InvokeComplete")
        headers, payload = frame
        if headers == {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}:
            return payload
        complete = {":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json"}
        like(headers, complete, "headers of the frame")
        self.complete = json.loads(payload)
        expect.holds(not self._read(1), "the stream goes on after InvokeComplete")
        return None

    def _read(self, size):
        return self.response.read(size)

    def until(self, length):
        """Reads chunks up to so many bytes."""
        data = b""
        while len(data) < length:
            chunk = self.chunk()
            if chunk is None:
                raise Mismatch(f"complete after {data!r}: {self.complete}")
            data += chunk
        return data

    def rest(self):
        data = b""
        while (chunk := self.chunk()) is not None:
            data += chunk
        return data

    def ends(self, body, complete):
        """What is left, and how it ends."""
        like(self.rest().decode("utf-8", "replace"), body, "rest of the stream")
        like(self.complete, complete, "InvokeComplete")

    def close(self):
        self.response.close()
        self.connection.close()


class Later:
    """A call on its way."""

    def __init__(self, function):
        self.thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self.thread.start()

    def _run(self, function):
        self.value = self.error = None
        try:
            self.value = function()
        except BaseException as error:
            self.error = error

    def result(self):
        self.thread.join(LIMIT_S)
        if self.thread.is_alive():
            raise Mismatch(f"no answer within {LIMIT_S} s")
        if self.error:
            raise self.error
        return self.value

    @property
    def answered(self):
        return not self.thread.is_alive()


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}
