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
import time
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
# What leaves a function that is not yet as it was asked to be.
WRITES = re.compile(r"POST /2015-03-31/functions/?|PUT /2015-03-31/functions/[^/]+/(?:code|configuration)/?")
# Between two neighbours only.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "proxy-connection", "te", "upgrade"}


def scope_of(path, host, authorization):
    """Service and region; what nobody signed is Lambda's if it looks like it, as calls of function URLs do."""
    signed = SIGNED_FOR.search(authorization or "") or SIGNED_FOR.search(unquote(urlsplit(path).query).replace("X-Amz-Credential", "Credential"))
    if signed:
        return signed["service"], signed["region"]
    return "lambda" if DATED.match(path) or ".lambda-url." in host else "unsigned", None


def settle(backend, answer):
    """Waits until the function that the answer describes has become what it will be."""
    try:
        path = f"/2015-03-31/functions/{json.loads(answer)['FunctionName']}/configuration"
    except (ValueError, KeyError, TypeError):
        return  # A refusal.
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(backend, timeout=LIMIT_S)
        connection.request("GET", path)
        seen = json.loads(connection.getresponse().read())
        connection.close()
        if seen.get("State") != "Pending" and seen.get("LastUpdateStatus") != "InProgress":
            return
        time.sleep(0.01)


class Proxy(ThreadingHTTPServer):
    """A context: listens inside, on a port of the system's choice. `judged` are `Regions`, or what is in their place;
    `settles` says that what is made and changed is waited for, for tests whose authors know only of servers that are at once
    done."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, judged, moto, region, settles):
        super().__init__(("127.0.0.1", 0), Handler)
        self.judged = judged
        self.moto = moto
        # Of what nobody signed.
        self.region = region
        self.settles = settles
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

    def backend_of(self, path, headers):
        service, region = scope_of(path, headers.get("Host", ""), headers.get("Authorization"))
        with self.lock:
            self.called.add(service)
        if service == "lambda":
            return self.judged.address(region or self.region)
        if service == "logs":
            self.judged.carry_logs()
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
            self.server.judged.forget()
            return self.relay(self.server.moto, body)
        backend = self.server.backend_of(self.path, self.headers)
        if self.server.settles and WRITES.fullmatch(f"{self.command} {urlsplit(self.path).path}"):
            return self.relay(backend, body, lambda answer: settle(backend, answer))
        return self.relay(backend, body)

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

    def relay(self, backend, body, before=lambda answer: None):
        """`before` is called with an answer's bytes before they go on."""
        connection = http.client.HTTPConnection(backend, timeout=LIMIT_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    connection.putheader(name, value)
            if body or self.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            try:
                connection.endheaders(body or None)
            except (BrokenPipeError, ConnectionResetError):
                pass  # What it no longer reads it may have answered.
            self.pass_on(connection.getresponse(), before)
        except (OSError, http.client.HTTPException) as error:
            self.reply(502, f"{backend}: {type(error).__name__}: {error}".encode())
        finally:
            connection.close()

    def pass_on(self, response, before):
        """As it comes: what is streamed is not waited for, but for what is of a known length."""
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
        if not chunked:
            data = response.read()
            before(data)
            self.wfile.write(data)
            return
        while data := response.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def reply(self, status, body):
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
