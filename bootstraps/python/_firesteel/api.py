"""The Runtime API, client side, on one kept connection.

    next() ──► Invocation        respond(invocation, …) / fail(invocation, …)        init_error(…)

Called by `loop` only. HTTP/1.1 by hand, and on the interpreter's `_socket` (the C half of `socket`): importing `http.client`, or even
`socket` with its enums, would take longer than the rest of this runtime, at every cold start. There is no timeout: `next` waits as long as the platform likes, frozen time
included. A refused post is fatal, as with AWS's client: the platform then starts a fresh environment.
"""

import _socket
import io
import sys
import time

BASE = "/2018-06-01/runtime/"
# Above this the platform's proxies refuse the header; the error itself must still get through.
CAUSE_LIMIT_BYTES = 1024 * 1024


class Invocation:
    """One event, as delivered: what the headers of `next` say."""

    def __init__(self, headers, body):
        self.body = body
        self.content_type = headers.get("content-type")
        self.request_id = headers.get("lambda-runtime-aws-request-id")
        # Set by newer platforms, to be sent back with the answer to exactly this attempt.
        self.invocation_id = headers.get("lambda-runtime-invocation-id")
        self.deadline_ms = int(headers.get("lambda-runtime-deadline-ms") or 0)
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.trace_id = headers.get("lambda-runtime-trace-id")
        self.client_context = headers.get("lambda-runtime-client-context")
        self.cognito_identity = headers.get("lambda-runtime-cognito-identity")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")


class RuntimeApi:
    def __init__(self, address):
        self._address = address
        self._common = "Host: %s\r\nUser-Agent: firesteel-python/%d.%d.%d\r\n" % ((address,) + sys.version_info[:3])
        self._socket = None
        self._reader = None

    def next(self):
        try:
            status, headers, body = self._exchange("GET", "invocation/next", "", b"")
        except OSError:
            _log("Failed to get next invocation. No Response from endpoint")
            raise RuntimeError("Failed to get next") from None
        if not 200 <= status < 300:
            _log("Failed to get next invocation. Http Response code: %d" % status)
            raise RuntimeError("Failed to get next")
        if "lambda-runtime-aws-request-id" not in headers:
            _log("Failed to find header lambda-runtime-aws-request-id in response")
            raise RuntimeError("Failed to get next")
        return Invocation(headers, body)

    def respond(self, invocation, body, content_type):
        headers = "Content-Type: %s\r\n" % content_type
        self._post_outcome(invocation, "response", headers, body, "Failed to post invocation response")

    def fail(self, invocation, body, cause):
        headers = "Content-Type: application/json\r\n"
        if len(cause.encode("utf-8")) < CAUSE_LIMIT_BYTES:
            headers += "Lambda-Runtime-Function-XRay-Error-Cause: %s\r\n" % cause
        self._post_outcome(invocation, "error", headers, body, "Failed to post invocation error")

    def init_error(self, body, error_type):
        headers = "Lambda-Runtime-Function-Error-Type: %s\r\n" % error_type
        status, _, answer = self._exchange("POST", "init/error", headers, body.encode("utf-8"))
        if status != 202:
            raise RuntimeError("Request to Lambda Runtime '%sinit/error' endpoint failed. Reason: '%d'. Response body: '%s'"
                                  % (BASE, status, answer))

    def _post_outcome(self, invocation, outcome, headers, body, complaint):
        if invocation.invocation_id:
            headers += "Lambda-Runtime-Invocation-Id: %s\r\n" % invocation.invocation_id
        path = "invocation/%s/%s" % (invocation.request_id, outcome)
        body = body if isinstance(body, bytes) else body.encode("utf-8")
        try:
            status, _, answer = self._exchange("POST", path, headers, body)
        except OSError:
            raise RuntimeError(complaint) from None
        if not 200 <= status < 300:
            # The same words for a response and an error: users know this line from AWS's logs.
            _log("Failed to post handler success response. Http response code: %d. %s" % (status, answer.decode("utf-8", "replace")))
            raise RuntimeError(complaint)

    def _exchange(self, method, path, headers, body):
        if method == "POST":
            headers += "Content-Length: %d\r\n" % len(body)
        head = ("%s %s%s HTTP/1.1\r\n%s%s\r\n" % (method, BASE, path, self._common, headers)).encode("utf-8")
        kept = self._socket is not None and not self._peer_has_closed()
        if not kept:
            self._connect()
        try:
            self._send(head, body)
            return self._read_answer()
        except OSError:
            self._close()
            # A kept connection may have been lost unnoticed. Asking for the next event again is harmless; a post may
            # have arrived and is not repeated.
            if not kept or method != "GET":
                raise
        self._connect()
        self._send(head, body)
        return self._read_answer()

    def _connect(self):
        self._close()
        host, _, port = self._address.rpartition(":")
        # As bytes: a text would first load the codec for international host names.
        family, kind, protocol, _, address = _socket.getaddrinfo(host.strip("[]").encode("ascii"), int(port), 0, _socket.SOCK_STREAM)[0]
        self._socket = _socket.socket(family, kind, protocol)
        self._socket.connect(address)
        self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._reader = io.open(self._socket.fileno(), "rb", closefd=False)

    def _close(self):
        if self._socket is not None:
            if self._reader is not None:
                self._reader.close()
            self._socket.close()
            self._socket = self._reader = None

    def _peer_has_closed(self):
        """Between two exchanges nothing can be readable but the end of the connection."""
        try:
            self._socket.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _send(self, head, body):
        # One segment for head and body; a big body is not copied for it.
        if len(body) < 65536:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)

    def _read_answer(self):
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("connection closed before an answer")
        status = int(line.split(None, 2)[1])
        headers = self._read_headers()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(iter(self._read_chunk, b""))
            self._read_headers()
        else:
            body = self._read_exactly(int(headers.get("content-length") or 0))
        if headers.get("connection", "").lower() == "close":
            self._close()
        return status, headers, body

    def _read_headers(self):
        headers = {}
        while True:
            line = self._reader.readline()
            if line in (b"\r\n", b"\n"):
                return headers
            if not line:
                raise ConnectionError("connection closed within an answer")
            name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
            headers[name.strip().lower()] = value.strip()

    def _read_chunk(self):
        size = int(self._reader.readline().split(b";")[0], 16)
        chunk = self._read_exactly(size)
        if size:
            self._reader.readline()
        return chunk

    def _read_exactly(self, size):
        body = self._reader.read(size)
        if len(body) < size:
            raise ConnectionError("connection closed within an answer")
        return body


def _log(message):
    """As AWS's client words it; on the descriptor, whatever the function has made of `sys.stdout`."""
    sys.__stdout__.write("[ERROR] [%d] LAMBDA_RUNTIME %s\n" % (time.time() * 1000, message))
    sys.__stdout__.flush()
