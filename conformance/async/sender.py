"""Sends events and remembers which were acknowledged."""

import http.client
import threading
import time

from killed import FUNCTION, LIMIT_S

PATH = f"/2015-03-31/functions/{FUNCTION}/invocations"
# Before a server that does not answer is asked again.
PAUSE_S = 0.02


class Sent:
    def __init__(self):
        self.acknowledged = []
        # The connection ended before an answer: it may have been taken or not.
        self.unanswered = []
        # Of those that were acknowledged.
        self.latencies_s = []


def senders(address, events, count, sent):
    """Sends events 0 to `events`, each once, until each is acknowledged or has been left unanswered."""
    numbers = iter(range(events))
    broken = []
    lock = threading.Lock()

    def send():
        connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
        try:
            while not broken:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                connection = deliver(connection, address, number, sent)
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def deliver(connection, address, number, sent):
    """One event; the connection to go on with."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        began = time.monotonic()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            # Nothing was sent: the server is down.
            connection.close()
            time.sleep(PAUSE_S)
            continue
        try:
            connection.request("POST", PATH, b'{"event": %d}' % number, {"X-Amz-Invocation-Type": "Event"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            sent.unanswered.append(number)
            connection.close()
            return http.client.HTTPConnection(address, timeout=LIMIT_S)
        if answer.status == 202:
            sent.acknowledged.append(number)
            sent.latencies_s.append(time.monotonic() - began)
            return connection
        # Too many, or not ready: nothing was taken, as it was said.
        if answer.status not in (429, 500, 503):
            raise RuntimeError(f"event {number}: {answer.status}")
        time.sleep(PAUSE_S)
    raise RuntimeError(f"event {number}: not taken within {LIMIT_S} s")


def quantile_ms(seconds, share):
    ordered = sorted(seconds)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 1) if ordered else None
