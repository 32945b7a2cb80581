"""One endpoint for all of AWS: Lambda is the server that is judged, everything else is `moto_server`.

    test ── proxy ──┬── lambda      the server that is judged
                    └── all others  moto_server; for `logs` it is first given what the functions have written

Which service a request is for is said in what it is signed with. What each test has asked for is kept until it is
asked about, which is how it is known whether a test is about Lambda alone.
"""

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

# A guard against hanging: longer than the longest function that is called.
LIMIT_S = 120
# Where the observer asks, and takes, the names of the services that have been called.
CALLED = "/_recordings/called"
# Where moto's tests have everything forgotten.
RESET = "/moto-api/reset"
SIGNED_FOR = re.compile(r"Credential=[^/,\s]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
# Paths of the Lambda API begin with the date of a version of it.
DATED = re.compile(r"/20\d\d-\d\d-\d\d/")
# Between two neighbours only.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "proxy-connection", "te", "upgrade"}


def service_of(path, authorization):
    signed = SIGNED_FOR.search(authorization or "") or SIGNED_FOR.search(unquote(urlsplit(path).query).replace("X-Amz-Credential", "Credential"))
    if signed:
        return signed["service"]
    return "lambda" if DATED.match(path) else "unsigned"


class Proxy(ThreadingHTTPServer):
    """A context: listens inside, on a port of the system's choice. `judged` and `moto` are `host:port`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, judged, moto, logs=None, forget=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.judged = judged
        self.moto = moto
        # Gives moto what functions have written, before somebody reads it.
        self.logs = logs or (lambda: None)
        # Makes the judged server as new.
        self.forget = forget or (lambda: None)
        self.called = set()
        self.lock = threading.Lock()
        self.address = "127.0.0.1:%d" % self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def take_called(self):
        with self.lock:
            called, self.called = self.called, set()
        return sorted(called)

    def backend_of(self, path, authorization):
        service = service_of(path, authorization)
        with self.lock:
            self.called.add(service)
        if service == "lambda":
            return self.judged
        if service == "logs":
            self.logs()
        return self.moto

    def handle_error(self, _request, _client_address):
        """A client that went away is none of ours."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Writes are few and whole.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.read_body()
        if self.path == CALLED:
            return self.reply(200, json.dumps(self.server.take_called()).encode())
        if self.path == RESET:
            self.server.forget()
            return self.relay(self.server.moto, body)
        return self.relay(self.server.backend_of(self.path, self.headers.get("Authorization")), body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = answer

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def relay(self, backend, body):
        connection = http.client.HTTPConnection(backend, timeout=LIMIT_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    connection.putheader(name, value)
            if body or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            self.pass_on(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            self.reply(502, f"{backend}: {type(error).__name__}: {error}".encode())
        finally:
            connection.close()

    def pass_on(self, response):
        """As it comes: what is streamed is not waited for."""
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        chunked = not bodiless and response.getheader("Content-Length") is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bodiless:
            return
        while data := response.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def reply(self, status, body):
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
