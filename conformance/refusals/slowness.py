"""Callers that are slow on purpose: each loses its connection, and no one else notices."""

import socket
import threading
import time

from report import equal, holds
from wire import LIMIT_S, Wire, head

# How many hold a connection at a time, and how long an honest caller may take meanwhile.
CROWD = 400
HONEST_S = 2
# Between two bytes of who dribbles.
PAUSE_S = 0.5


def dribbled_head(door):
    """A byte at a time, for ever; says after how long the server had enough."""
    began = time.monotonic()
    line = head(*door.signed()[:3]) + b"X-Filler: "
    with Wire(door.address) as wire:
        wire.socket.settimeout(PAUSE_S)
        for position in range(int(LIMIT_S / PAUSE_S)):
            wire.send(line[position:position + 1] or b"x")
            if ended(wire.socket):
                return f"ended after {time.monotonic() - began:.0f} s"
    holds(False, f"still served after {LIMIT_S} s")


def silent(door):
    """Connects, and says nothing."""
    began = time.monotonic()
    with Wire(door.address) as wire:
        equal(wire.answer(), None, "answer to nothing")
    return f"ended after {time.monotonic() - began:.0f} s"


def body_that_stops(door):
    """Half of a body, and no more: answered with a refusal, or not at all."""
    method, target, headers, _ = door.signed(body=b"x" * 1000)
    began = time.monotonic()
    with Wire(door.address) as wire:
        wire.send(head(method, target, headers | {"Content-Length": "1000"}) + b"x" * 500)
        answer = wire.answer()
    holds(answer is None or answer.status in (400, 408), f"status 408 or an end wanted, {answer} seen")
    return f"ended after {time.monotonic() - began:.0f} s"


def crowd(door):
    """Many at once who never finish their heads, and an honest caller beside them."""
    began = b"POST /2015-03-31/functions/refused/invocations HTTP/1.1\r\nHost: x\r\n"
    held = [socket.create_connection(tuple(door.address.split(":"))) for _ in range(CROWD)]
    try:
        for each in held:
            each.sendall(began)
        slowest_s = 0
        for _ in range(5):
            asked = time.monotonic()
            equal(door.honest().status, 200, "status of the honest caller")
            slowest_s = max(slowest_s, time.monotonic() - asked)
        holds(slowest_s < HONEST_S, f"an honest caller waited {slowest_s:.1f} s")
        return f"{CROWD} connections held, an honest caller waits {slowest_s * 1000:.0f} ms at most"
    finally:
        for each in held:
            each.close()


def ended(connection):
    try:
        return connection.recv(1 << 16) == b"" or ended(connection)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def at_once(report, door):
    """They wait for the server's patience to end: together, not one after the other."""
    outcomes = {}

    def play(check):
        try:
            note = check(door)
            outcomes[check] = lambda: note
        except Exception as error:
            def raise_it(error=error):
                raise error
            outcomes[check] = raise_it
    players = [threading.Thread(target=play, args=(check,)) for check in (dribbled_head, silent, body_that_stops)]
    for each in players:
        each.start()
    for each in players:
        each.join()
    for check, outcome in outcomes.items():
        report.check(f"slow: {check.__name__.replace('_', ' ')}", outcome)


CHECKS = [crowd]
