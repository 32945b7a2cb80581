"""A scripted Runtime API: the platform's half of one run of one runtime client.

    Script (events, answers) ──► ScriptedApi(port) ◄── HTTP ── the runtime under test
                                     │
                                     └──► calls: what the runtime asked for, in order

`run.py` makes one per run. It hands out the events in order, answers every post as the script says
(202 unless told otherwise) and holds the `next` that comes after the last event, which is how `run.py` knows that the
runtime is done. It reads HTTP by hand, since trailers and broken connections are part of what is compared. It refuses
nothing: judging is not its work.
"""

import json
import socket
import threading
from dataclasses import dataclass, field

PREFIX = "/2018-06-01/runtime/"
DROP = "drop"  # an answer: read the request, then close the connection without a word


@dataclass
class Event:
    body: bytes = b"{}"
    headers: dict = field(default_factory=dict)


@dataclass
class Call:
    method: str
    path: str
    headers: dict
    body: bytes
    trailers: dict


def request_id(index):
    return f"00000000-0000-4000-8000-{index:012d}"


class ScriptedApi:
    def __init__(self, events, answers=None):
        self.events = list(events)
        self.answers = {kind: list(todo) for kind, todo in (answers or {}).items()}
        self.calls = []
        self.delivered = 0
        self.exhausted = threading.Event()
        self._lock = threading.Lock()
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # A plain close would leave the thread in accept() holding the port.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                connection.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")
        try:
            while True:
                call = read_call(reader)
                if call is None or not self._answer(connection, call):
                    break
        except (OSError, ValueError):
            pass
        finally:
            reader.close()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _answer(self, connection, call):
        with self._lock:
            self.calls.append(call)
        kind = call.path[len(PREFIX):] if call.path.startswith(PREFIX) else call.path
        kind = kind.rsplit("/", 1)[-1] if kind.startswith("invocation/") else kind
        todo = self.answers.get(kind)
        scripted = todo.pop(0) if todo else None
        if scripted == DROP:
            return False
        if scripted is not None:
            status, body = scripted
            send(connection, status, {"Content-Type": "application/json"}, body)
        elif kind == "next":
            if self.delivered == len(self.events):
                self.exhausted.set()
                return True  # held: nothing is ever answered
            self.delivered += 1
            event = self.events[self.delivered - 1]
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": request_id(self.delivered),
                "Lambda-Runtime-Deadline-Ms": "4102444800000",
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:sample",
                "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            }
            headers.update(event.headers)
            send(connection, 200, {name: value for name, value in headers.items() if value is not None}, event.body)
        else:
            send(connection, 202, {"Content-Type": "application/json"}, b'{"status":"OK"}\n')
        return True


def send(connection, status, headers, body):
    head = f"HTTP/1.1 {status} Scripted\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head += f"Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode("utf-8") + body)


def read_call(reader):
    request_line = reader.readline()
    if not request_line:
        return None
    method, path, _version = request_line.decode("latin-1").split(" ", 2)
    headers = read_fields(reader)
    trailers = {}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = int(reader.readline().split(b";")[0], 16)
            if size == 0:
                trailers = read_fields(reader)
                break
            body += reader.read(size)
            reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", "0")))
    return Call(method, path, headers, body, trailers)


def read_fields(reader):
    fields = {}
    while True:
        line = reader.readline()
        if line in (b"\r\n", b"\n", b""):
            return fields
        name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
        name, value = name.strip().lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value


def event(value=None, **headers):
    """An event with a JSON body; header names come with underscores: `Lambda_Runtime_Trace_Id=None` leaves one out."""
    body = value if isinstance(value, bytes) else json.dumps({} if value is None else value, ensure_ascii=False).encode()
    return Event(body, {name.replace("_", "-"): header for name, header in headers.items()})
