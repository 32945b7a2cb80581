"""Requests through the function URL of the function that is served."""

import http.client
from contextlib import contextmanager

from stage import FUNCTION

# Options of `serve` for the two invoke modes, and the line in which it says where the URL is.
BUFFERED = ("--url", FUNCTION)
RESPONSE_STREAM = ("--url-stream", FUNCTION)
LINE = rf"http://(127\.0\.0\.1:\d+)/ is the URL of {FUNCTION}"
LIMIT_S = 60


@contextmanager
def request(server, method, target, body=None, **headers):
    """The response with its body still to be read."""
    connection = http.client.HTTPConnection(server.wait_for_line(LINE)[1], timeout=LIMIT_S)
    try:
        connection.request(method, target, body, headers)
        yield connection.getresponse()
    finally:
        connection.close()
