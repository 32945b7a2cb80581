# A Runtime API client that does what a test's script says and nothing else: no retries, no checks, no cleverness.
# Put in front of the script; NOTES is set above. On the C socket module, since a start is to be quick.
import os, sys, time
import _socket

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
BASE = "/2018-06-01/runtime/"
# Of this process, and of the environment it runs in.
ME = os.urandom(6).hex()
# Extensions are not told of it.
ENVIRONMENT = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "]").rsplit("]", 1)[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.id = headers.get("lambda-runtime-aws-request-id")

    def __str__(self):
        return "%d %s" % (self.status, self.body.decode().strip())


class Connection:
    def __init__(self):
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self.socket.connect((HOST, int(PORT)))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """One answer; ConnectionError when there is none."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = dict((name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in head[1:]))
        length = int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(int(head[0].split()[1]), headers, body)

    def call(self, method, path, body=b"", headers=()):
        if isinstance(body, str):
            body = body.encode()
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + HOST]
        if method == "POST":
            lines.append("Content-Length: %d" % len(body))
        self.send("\r\n".join(lines + list(headers) + ["", ""]).encode() + body)
        return self.receive()

    def close(self):
        self.socket.close()

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def _more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data


kept = Connection()


def next_event():
    return kept.call("GET", BASE + "invocation/next")


def respond(id, body, *headers):
    return kept.call("POST", BASE + "invocation/%s/response" % id, body, headers)


def report(id, body, *headers):
    return kept.call("POST", BASE + "invocation/%s/error" % id, body, headers)


def report_init(body, *headers):
    return kept.call("POST", BASE + "init/error", body, headers)


def register(name, events, *headers):
    """The extension's identifier, in the header that its other calls carry; None when it is refused, and why."""
    headers = ("Lambda-Extension-Name: " + name,) + headers
    answer = kept.call("POST", "/2020-01-01/extension/register", '{"events": [%s]}' % ",".join('"%s"' % e for e in events), headers)
    id = answer.headers.get("lambda-extension-identifier")
    return id and "Lambda-Extension-Identifier: " + id, answer


def extension_event(identifier):
    """Its type, and the whole of it."""
    answer = kept.call("GET", "/2020-01-01/extension/event/next", headers=(identifier,))
    text = answer.body.decode()
    return ("SHUTDOWN" if '"SHUTDOWN"' in text else "INVOKE"), text


def extension_report(identifier, phase, error_type):
    return kept.call("POST", "/2020-01-01/extension/%s/error" % phase, "{}", (identifier, "Lambda-Extension-Function-Error-Type: " + error_type))


class Stream:
    """A response whose pieces leave as they are written."""

    def __init__(self, id, *headers):
        lines = ["POST %sinvocation/%s/response HTTP/1.1" % (BASE, id), "Host: " + HOST, "Transfer-Encoding: chunked",
                 "Lambda-Runtime-Function-Response-Mode: streaming",
                 "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"]
        kept.send("\r\n".join(lines + list(headers) + ["", ""]).encode())

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        kept.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self, *trailers):
        kept.send("\r\n".join(["0"] + list(trailers) + ["", ""]).encode())
        return kept.receive()


def note(text):
    """For the test to read; outlives the environment."""
    file = os.open(NOTES + "/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (str(text) + "\n").encode())
    os.close(file)


def notes():
    try:
        return open(NOTES + "/notes").read().splitlines()
    except FileNotFoundError:
        return []


def wait_for_gate():
    """Until the test opens it."""
    while not os.path.exists(NOTES + "/gate"):
        time.sleep(0.002)


def serve(handler):
    while True:
        event = next_event()
        respond(event.id, handler(event))
