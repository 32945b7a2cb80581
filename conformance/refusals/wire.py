"""Requests as bytes on a socket, and whatever comes back."""

import http.client
import json
import socket
from dataclasses import dataclass

# Longer than the server bears with anybody who is slow.
LIMIT_S = 120


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self):
        """The error's class, without what some services put after it."""
        return (self.headers.get("x-amzn-ErrorType") or "").split(":")[0]

    @property
    def message(self):
        seen = json.loads(self.body)
        return seen.get("message", seen.get("Message"))


class Wire:
    """A context: one connection to the server."""

    def __init__(self, address, limit_s=LIMIT_S):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=limit_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """What the server no longer reads is not needed for its answer."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self):
        """None where the connection ends without one."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            return Answer(response.status, response.headers, response.read())
        except (http.client.BadStatusLine, ConnectionResetError):
            return None
        finally:
            response.close()


def head(method, target, headers):
    return "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]).encode()


def request(method, target, headers, body=b""):
    if body or method != "GET":
        headers = headers | {"Content-Length": str(len(body))}
    return head(method, target, headers) + body
