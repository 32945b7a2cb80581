"""An ordinary web server that knows nothing of Lambda: it listens on `PORT`."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer(b"ready")
        elif url.path == "/binary":
            self.answer(bytes(range(256)), "application/octet-stream")
        elif url.path == "/slow":
            self.stream(parse_qs(url.query)["sign"][0])
        elif url.path == "/crumbs":
            self.answer(b"crumbs", cookies=["a=1", "b=2; Path=/"])
        else:
            self.answer(b"no such page", status=404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {"method": self.command, "target": self.path, "body": body.decode(),
                "headers": {name.lower(): value for name, value in self.headers.items()}}
        self.answer(json.dumps(seen).encode(), "application/json")

    def answer(self, body, content_type="text/plain", status=200, cookies=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, sign):
        """The second half only once the reader has asked for it."""
        self.send_response(201)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Told-By", "web")
        self.send_header("Set-Cookie", "a=1")
        self.end_headers()
        self.chunk(b"first")
        urllib.request.urlopen(f"http://{os.environ['RENDEZVOUS']}/{sign}").close()
        self.chunk(b"second")
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
