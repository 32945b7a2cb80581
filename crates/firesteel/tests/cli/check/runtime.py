# A runtime that keeps every rule, and breaks the one that FAULT names: the line above sets it. Nothing of guest.py is in
# it, which knows as much of HTTP as the other tests need and would fail here.
import base64, io, json, os, socket, sys, threading, time

HOST = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/"


class Lost(Exception):
    """The connection was closed before an answer began."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        if FAULT == "connection.header-names":
            return dict(self.headers).get(name)
        return next((value for given, value in self.headers if given.lower() == name.lower()), None)


class Connection:
    """One kept connection, opened anew when it is needed."""

    def __init__(self):
        self.socket = None

    def open(self):
        host, port = HOST.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.reader = self.socket.makefile("rb")

    def close(self):
        if self.socket:
            self.reader.close()
            self.socket.close()
        self.socket = None

    def call(self, method, path, body=None, headers=(), limit_s=None):
        lines = ["%s %s%s HTTP/1.1" % (method, BASE, path)]
        if FAULT != "connection.http":
            lines.append("Host: " + HOST)
        lines += ["%s: %s" % header for header in headers]
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        message = "\r\n".join(lines + ["", ""]).encode() + (body or b"")
        return self.send([message], limit_s)

    def send(self, messages, limit_s=None):
        try:
            return self.send_once(messages, limit_s)
        except (Lost, ConnectionError):
            if FAULT == "connection.lost":
                raise
            self.close()
            return self.send_once(messages, limit_s)

    def send_once(self, messages, limit_s):
        if not self.socket:
            self.open()
        self.socket.settimeout(limit_s)
        for message in messages:
            self.socket.sendall(message)
        return self.receive()

    def line(self):
        line = self.reader.readline()
        if not line:
            raise Lost()
        return line.decode("latin-1").rstrip("\r\n")

    def receive(self):
        if FAULT == "connection.pieces":
            return self.receive_in_one_read()
        return self.receive_whole()

    def receive_whole(self):
        status = int(self.line().split()[1])
        headers = []
        while line := self.line():
            name, value = line.split(":", 1)
            headers.append((name, value.strip()))
        answer = Answer(status, headers, b"")
        if (of(headers, "transfer-encoding") or "") == "chunked" and FAULT != "connection.chunked":
            while size := int(self.line(), 16):
                answer.body += self.reader.read(size)
                self.line()
            self.line()
        else:
            length = int(of(headers, "content-length") or 0)
            if FAULT == "payload.large-event":
                length = min(length, 1 << 20)
            answer.body = self.reader.read(length)
        if of(headers, "connection") == "close":
            if FAULT == "connection.close":
                sys.exit("the connection was closed")
            self.close()
        return answer

    def receive_in_one_read(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise Lost()
        if b"\r\n\r\n" not in data:
            sys.exit("no whole head in one read")
        self.reader = io.BufferedReader(Replay(data, self.socket))
        return self.receive_whole()


class Replay(io.RawIOBase):
    """What was read, and then the socket."""

    def __init__(self, data, socket):
        self.data, self.socket = data, socket

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.data:
            return self.socket.recv_into(buffer)
        count = min(len(buffer), len(self.data))
        buffer[:count], self.data = self.data[:count], self.data[count:]
        return count


def of(headers, name):
    return next((value for given, value in headers if given.lower() == name), None)


class Failed(Exception):
    pass


def context(event):
    def told(name):
        return event.header(name)

    identity, client = told("Lambda-Runtime-Cognito-Identity"), told("Lambda-Runtime-Client-Context")
    if FAULT == "context.identity":
        identity = KEPT.setdefault("identity", identity)
    if FAULT == "context.client-context":
        client = KEPT.setdefault("client", client)
    deadline = told("Lambda-Runtime-Deadline-Ms")
    return {
        "request_id": KEPT["id"] if FAULT == "context.request-id" else told("Lambda-Runtime-Aws-Request-Id"),
        "deadline_ms": int(deadline) % (1 << 32) if FAULT == "context.deadline" else int(deadline),
        "function_arn": told("Lambda-Runtime-Invoked-Function-Arn")[:45]
        if FAULT == "context.function-arn" else told("Lambda-Runtime-Invoked-Function-Arn"),
        "trace_id": os.environ.get("_X_AMZN_TRACE_ID"),
        "client_context": client and json.loads(client),
        "identity": identity and json.loads(identity),
    }


KEPT = {}


def play(event, body):
    asked = json.loads(body)
    action = asked.get("firesteel-check")
    if FAULT == "no check handler":
        return asked
    if action == "echo":
        return asked["value"]
    if action == "sleep":
        time.sleep(asked["ms"] / 1000)
        if FAULT == "concurrency.no-cross-talk":
            # The last event that came in, whoever's it was.
            return KEPT["last"]["value"]
        return asked["value"]
    if action == "fail":
        raise Failed(asked["message"])
    if action == "size":
        return "x" * asked["bytes"]
    if action == "context":
        return context(event)
    if action in ("stream", "stream-fail"):
        return asked
    return {"firesteel-check": "not played"}


def streams(result):
    return isinstance(result, dict) and str(result.get("firesteel-check")).startswith("stream")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(connection, path, asked, headers):
    lines = ["POST %s%s/response HTTP/1.1" % (BASE, path), "Host: " + HOST]
    lines += ["%s: %s" % header for header in headers]
    lines += [
        "Lambda-Runtime-Function-Response-Mode: streaming",
        "Transfer-Encoding: chunked",
        "Trailer: Lambda-Runtime-Function-Error-Type",
        "Trailer: Lambda-Runtime-Function-Error-Body",
    ]

    def messages():
        yield "\r\n".join(lines + ["", ""]).encode()
        gathered = b""
        for number, part in enumerate(asked["parts"]):
            if number:
                time.sleep(asked["pause_ms"] / 1000)
            if FAULT == "stream.body" and number == 1 and asked["firesteel-check"] == "stream":
                continue
            if FAULT == "stream.at-once":
                gathered += part.encode()
            else:
                yield chunk(part.encode())
        if gathered:
            yield chunk(gathered)
        if asked["firesteel-check"] == "stream-fail" and FAULT != "stream.error":
            body = json.dumps({"errorMessage": asked["message"], "errorType": "Function.Failed"}).encode()
            yield b"0\r\nLambda-Runtime-Function-Error-Type: Function.Failed\r\n"
            yield b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(body) + b"\r\n\r\n"
        else:
            yield b"0\r\n\r\n"

    connection.send(messages())
    if FAULT == "stream.goes-on" and asked["firesteel-check"] == "stream-fail":
        sys.exit("after a failed stream")


def serve(lock):
    connection = Connection()
    while True:
        is_alone = "AWS_LAMBDA_MAX_CONCURRENCY" not in os.environ
        limit_s = 1.0 if FAULT == "connection.patience" and is_alone else None
        try:
            event = connection.call("GET", "invocation/next", limit_s=limit_s)
        except socket.timeout:
            connection.close()
            continue
        with lock:
            handle(connection, event)


def handle(connection, event):
    id = event.header("Lambda-Runtime-Aws-Request-Id")
    KEPT.setdefault("id", id)
    KEPT["events"] = KEPT.get("events", 0) + 1
    if FAULT == "invocation.thousand" and KEPT["events"] > 20:
        sys.exit("worn out")
    trace = event.header("Lambda-Runtime-Trace-Id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    elif FAULT != "context.trace":
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    path = "invocation/" + str(id)
    if FAULT == "invocation.answer":
        path = "invocation/" + KEPT["id"]
    headers = []
    attempt = event.header("Lambda-Runtime-Invocation-Id")
    if attempt and FAULT != "invocation.id-echo":
        headers.append(("Lambda-Runtime-Invocation-Id", attempt))
    try:
        body = event.body
        if FAULT == "payload.binary" and b"\\u0000" in body:
            body = body.replace(b"\\u0000", b"")
        KEPT["last"] = json.loads(body)
        result = play(event, body)
    except Failed as failed:
        report = {"errorMessage": str(failed), "errorType": "Function.Failed", "stackTrace": []}
        if FAULT == "error.shape":
            report = {"message": str(failed)}
        if FAULT != "error.type-header":
            headers.append(("Lambda-Runtime-Function-Error-Type", "Function.Failed"))
        end = "/response" if FAULT == "error.report" else "/error"
        answer = connection.call("POST", path + end, json.dumps(report).encode(), headers)
        if FAULT == "error.goes-on":
            sys.exit("after an error")
    except (ValueError, KeyError) as error:
        report = {"errorMessage": str(error), "errorType": "Runtime.UnmarshalError"}
        answer = connection.call("POST", path + "/error", json.dumps(report).encode(), headers)
    else:
        if FAULT != "no check handler" and streams(result):
            return stream(connection, path, result, headers)
        if FAULT == "payload.values":
            result = result or None
        text = json.dumps(result, ensure_ascii=False).encode()
        if FAULT == "payload.unicode":
            text = text.decode().encode("latin-1", "replace").decode("latin-1").encode()
        if FAULT == "payload.large-response":
            text = text[: (6 << 20) - 1]
        answer = connection.call("POST", path + "/response", text, headers)
    if answer.status == 413 and FAULT == "payload.too-large":
        sys.exit("refused")
    if answer.status == 500 and FAULT != "connection.broken-platform":
        sys.exit("the platform is broken")


class NoLock:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def main():
    if os.environ["_HANDLER"].startswith("firesteel-check-no-such-file"):
        if FAULT == "init.error":
            sys.exit("no such file")
        report = {"errorMessage": "no such file", "errorType": "Runtime.ImportModuleError"}
        if FAULT == "init.error-shape":
            report = "no such file"
        Connection().call("POST", "init/error", json.dumps(report).encode())
        if FAULT != "init.error-exit":
            sys.exit(1)
    if FAULT == "init.next":
        sys.exit("not today")
    if FAULT == "shutdown.sigterm":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
        Connection().call("GET", "restore/next")
        if FAULT == "restore.next":
            sys.exit("restored, and no idea what to do")
    loops = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", 1))
    if FAULT == "concurrency.limit" and loops > 1:
        loops += 1
    lock = threading.Lock() if FAULT == "concurrency.at-once" else NoLock()

    def end_with_any():
        # As a thread that fails does not end its process by itself.
        try:
            serve(lock)
        except BaseException as error:
            if not isinstance(error, SystemExit) or error.code:
                print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)

    threads = [threading.Thread(target=end_with_any) for _ in range(loops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
