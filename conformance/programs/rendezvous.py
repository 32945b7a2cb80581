"""Where checks and the programs they run meet: a small HTTP server on loopback, its address in `RENDEZVOUS`.

    program                      check
    POST /NAME what it saw  ──►  told(NAME), wait_told(NAME, …)
    GET /SIGN, which waits  ◄──  give(SIGN)

A function that waits for a sign in the middle of its response shows that the first half was not held back: the check
gives the sign once it has read that half.
"""

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from report import Mismatch

# A guard against hanging, not a measure.
LIMIT_S = 30


class Rendezvous:
    """A context: the server listens inside. Whoever still waits when it is left is sent away."""

    def __enter__(self):
        self.changed = threading.Condition()
        self.said = defaultdict(list)
        self.signs = set()
        self.left = False
        meeting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                self.answer(200 if meeting._wait_for_sign(self.path[1:]) else 503)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with meeting.changed:
                    meeting.said[self.path[1:]].append(body)
                    meeting.changed.notify_all()
                self.answer(200)

            def answer(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_reason):
        with self.changed:
            self.left = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def _wait_for_sign(self, sign):
        with self.changed:
            self.changed.wait_for(lambda: sign in self.signs or self.left, LIMIT_S)
            return sign in self.signs

    def give(self, sign):
        with self.changed:
            self.signs.add(sign)
            self.changed.notify_all()

    def told(self, name):
        with self.changed:
            return list(self.said[name])

    def told_json(self, name):
        return [json.loads(body) for body in self.told(name)]

    def wait_told(self, name, times):
        with self.changed:
            self.changed.wait_for(lambda: len(self.said[name]) >= times, LIMIT_S)
            if len(self.said[name]) < times:
                raise Mismatch(f"{name}: {times} wanted within {LIMIT_S} s, told {len(self.said[name])} times")
