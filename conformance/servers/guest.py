# The guest's side of a scenario: a runtime or an extension that does what the scenario's script says and nothing else, over
# raw sockets: no retries, no checks. `package.py` puts it in front of every script, with WHO (`runtime` or the extension's
# name), FOLDER (where notes and gates are) and SCRIPT set above.
import base64, json, os, signal, socket, sys, threading, time, uuid

HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
RUNTIME, EXTENSION = "/2018-06-01/runtime", "/2020-01-01/extension"
STREAMING = "Lambda-Runtime-Function-Response-Mode: streaming"
# Of this process, and of this start of the function: both change when it is started anew.
ME = os.urandom(6).hex()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.id = headers.get("lambda-runtime-aws-request-id")

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return ("%d %s" % (self.status, self.body.decode("utf-8", "backslashreplace"))).strip()


class Connection:
    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)))
        # Parts of a body are to leave when they are written.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def begin(self, method, path, headers=(), body=b""):
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + HOST]
        if method != "GET" and not any(line.startswith(("Transfer-Encoding:", "Content-Length:")) for line in headers):
            lines.append("Content-Length: %d" % len(body))
        self.send("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    def call(self, method, path, body=b"", headers=()):
        self.begin(method, path, headers, body.encode() if isinstance(body, str) else body)
        return self.receive()

    def receive(self):
        """One answer; ConnectionError when there is none."""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = dict((name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in head[1:]))
        return Answer(int(head[0].split()[1]), headers, self.body(headers))

    def body(self, headers):
        if headers.get("transfer-encoding") != "chunked":
            return self.exactly(int(headers.get("content-length", "0")))
        body = b""
        while (size := int(self.until(b"\r\n"), 16)):
            body += self.exactly(size)
            self.exactly(2)
        self.until(b"\r\n")
        return body

    def close(self):
        self.socket.close()

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data


kept = Connection()


# What the caller may read.

def note(value):
    """Strings stay, answers become `<status> <body>`, all else is JSON."""
    line = json.dumps({"who": WHO, "at": time.time(), "note": str(value) if isinstance(value, Answer) else value})
    file = os.open(FOLDER + "/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(file, (line + "\n").encode())
    os.close(file)


def notes():
    """Of this guest, over all its starts."""
    try:
        lines = [json.loads(line) for line in open(FOLDER + "/notes")]
    except FileNotFoundError:
        return []
    return [line["note"] for line in lines if line["who"] == WHO]


def wait_for(gate):
    """Until the caller opens it."""
    while not os.path.exists(FOLDER + "/" + gate):
        time.sleep(0.002)


def first_time():
    """Whether this guest has never been here before, in any of its starts."""
    seen = "been here" in notes()
    note("been here")
    return not seen


def now_ms():
    return time.time() * 1000


# The runtime.

def next_event():
    return kept.call("GET", RUNTIME + "/invocation/next")


def respond(id, body, *headers):
    return kept.call("POST", RUNTIME + "/invocation/%s/response" % id, body, headers)


def report(id, body, *headers):
    return kept.call("POST", RUNTIME + "/invocation/%s/error" % id, body, headers)


def report_init(body, *headers):
    return kept.call("POST", RUNTIME + "/init/error", body, headers)


def serve(handler):
    while True:
        event = next_event()
        if event.status != 200:
            sys.exit("next: %s" % event)
        respond(event.id, handler(event))


class Stream:
    """A streamed response, on a connection of its own."""

    def __init__(self, id, *headers, trailers=False):
        self.connection = Connection()
        headers = (STREAMING, "Transfer-Encoding: chunked", *headers)
        if trailers:
            headers += ("Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",)
        self.connection.begin("POST", RUNTIME + "/invocation/%s/response" % id, headers)

    def write(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.connection.send(b"0\r\n\r\n")
        return self.connection.receive()

    def fail(self, error_type, body):
        body = base64.b64encode(body.encode()).decode()
        names = "Lambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n\r\n"
        self.connection.send(("0\r\n" + names % (error_type, body)).encode())
        return self.connection.receive()


# The extension; an internal one is a runtime that calls these.

identifier = None


def register(*events, name=None, body=None, headers=()):
    global identifier
    headers = ["Lambda-Extension-Name: " + (name or WHO), *headers]
    answer = Connection().call("POST", EXTENSION + "/register", body or json.dumps({"events": events}), headers)
    identifier = answer.headers.get("lambda-extension-identifier", identifier)
    return answer


def as_extension(method, path, body=b"", *headers, id=None):
    """A connection of its own: what blocks is in nobody's way."""
    return Connection().call(method, path, body, ["Lambda-Extension-Identifier: " + (id or identifier), *headers])


def next_extension_event():
    return as_extension("GET", EXTENSION + "/event/next")


def extension_error(phase, error_type="Extension.Test", body="{}"):
    headers = ["Lambda-Extension-Function-Error-Type: " + error_type] if error_type else []
    return as_extension("POST", EXTENSION + "/%s/error" % phase, body, *headers)


def attend(*events, on_invoke=None, **registration):
    """An ordinary extension: notes every event, leaves at SHUTDOWN."""
    register(*events, **registration)
    while True:
        event = next_extension_event().json()
        note(event)
        if event["eventType"] == "SHUTDOWN":
            os._exit(0)
        if on_invoke:
            on_invoke(event)


# The subscriber.

def subscription(port, *types, protocol="HTTP", schema="2022-12-13", timeout_ms=25, **more):
    destination = {"protocol": protocol}
    destination.update({"port": port} if protocol == "TCP" else {"URI": "http://sandbox.localdomain:%d/events" % port})
    buffering = {"timeoutMs": timeout_ms, "maxBytes": 262144, "maxItems": 1000}
    return {"schemaVersion": schema, "types": types, "destination": destination, "buffering": buffering, **more}


def subscribe(body, path="/2022-07-01/telemetry", **more):
    return as_extension("PUT", path, body if isinstance(body, str) else json.dumps(body), **more)


def listen(protocol="HTTP", answer=lambda body: 200):
    """Notes what comes to the port that it returns, batch by batch. `answer` says with which status, when it has decided."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    serve = http_listener if protocol == "HTTP" else tcp_listener

    def accept():
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=serve, args=(peer, answer), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def http_listener(peer, answer):
    connection = Connection.__new__(Connection)
    connection.socket, connection.buffer = peer, b""
    try:
        while True:
            first, *lines = connection.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            headers = dict((name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in lines))
            body = connection.body(headers)
            status = answer(body)
            if status == 200:
                note({"request": first, "headers": headers, "batch": json.loads(body)})
            connection.send("HTTP/1.1 %d Decided\r\nContent-Length: 0\r\n\r\n" % status)
    except OSError:
        pass


def tcp_listener(peer, answer):
    with peer.makefile("rb") as lines:
        for line in lines:
            if answer(line) == 200:
                note({"batch": [json.loads(line)]})


def linger():
    """Stays to the end, and then for what the last invocation and the end of the runtime have left to deliver."""
    while next_extension_event().json()["eventType"] != "SHUTDOWN":
        pass
    time.sleep(0.3)
    os._exit(0)


def observe(*types, protocol="HTTP", events=("SHUTDOWN",), **more):
    """An extension that subscribes to these types."""
    register(*events)
    note(subscribe(subscription(listen(protocol), *types, protocol=protocol, **more)))
    linger()


try:
    exec(compile(SCRIPT, WHO, "exec"))
except ConnectionError:
    # The server went first.
    sys.exit(1)
