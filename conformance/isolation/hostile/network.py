"""Attempts over sockets. Only to the addresses in the event, and to the environment's own loopback."""

import errno
import os
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

from kernel import Escaped, attempts, each

ATTEMPTS, attempt = attempts()

SECONDS = 2


def runtime_api():
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    return host, int(port)


def split(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@attempt("addresses")
def connect(event):
    """Connects to addresses, each "host:port": the host's loopback, the server's API, another's Runtime API, metadata."""
    def reach(address):
        with socket.create_connection(split(address), timeout=event.get("seconds", SECONDS)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            try:
                heard = connection.recv(200)
            except OSError:
                heard = b""
        return f"connected, heard {heard[:80]!r}"
    return each(event["addresses"], reach)


@attempt("addresses")
def send_datagrams(event):
    """Sends a datagram to each address and waits for an answer."""
    def ask(address):
        host, port = split(address)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(event.get("seconds", SECONDS))
            asking.connect((host, port))
            asking.send(b"hostile")
            return f"answered {asking.recv(200)[:80]!r}"
    return each(event["addresses"], ask)


@attempt("names")
def connect_abstract(event):
    """Connects to abstract unix sockets by name: they are of a network namespace, no file guards them."""
    def reach(name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect("\0" + name)
        return "connected"
    return each(event["names"], reach)


@attempt("paths")
def connect_unix(event):
    """Connects to unix sockets by path."""
    def reach(path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(path)
        return "connected"
    return each(event["paths"], reach)


@attempt()
def see_abstract(event):
    """Lists the unix sockets that it can see."""
    with open("/proc/net/unix") as file:
        return [line.split()[-1] for line in file if "@" in line or "/" in line]


@attempt()
def scan_loopback(event):
    """Connects to every port of its loopback: only the Runtime API is there."""
    own = runtime_api()[1]

    def is_open(port):
        with socket.socket() as connection:
            connection.settimeout(SECONDS)
            # A port may connect to itself where it is given out as the near end.
            return connection.connect_ex(("127.0.0.1", port)) == 0 and connection.getsockname()[1] != port
    with ThreadPoolExecutor(8) as pool:
        found = [port for port, hit in zip(range(1, 65536), pool.map(is_open, range(1, 65536))) if hit]
    others = [port for port in found if port != own]
    if others:
        raise Escaped(f"ports {others[:50]}")
    return f"only {found}"


@attempt()
def see_network(event):
    """Interfaces, routes and sockets that it can see."""
    seen = {"interfaces": [name for _, name in socket.if_nameindex()]}
    for name in ("route", "tcp", "udp", "arp"):
        try:
            with open("/proc/net/" + name) as file:
                seen[name] = len(file.readlines()) - 1
        except OSError as error:
            seen[name] = errno.errorcode.get(error.errno)
    return seen


@attempt()
def raw_sockets(event):
    """Raw and packet sockets, by which one hears and forges what others send."""
    ways = {"raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
            "raw icmp": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            "raw 6": (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP),
            "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0x0300),
            "packet datagram": (socket.AF_PACKET, socket.SOCK_DGRAM, 0x0300)}
    return each(ways, lambda name: socket.socket(*ways[name]).close() or "opened")


@attempt()
def other_families(event):
    """Sockets of every other family: virtual machines, the kernel's cryptography, netlink, Bluetooth."""
    known = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
    ways = [(family, kind, 0) for family in range(64) if family not in known for kind in kinds]
    ways += [(socket.AF_NETLINK, socket.SOCK_RAW, protocol) for protocol in range(1, 32)]
    return each(ways, lambda way: socket.socket(*way).close() or "opened")


@attempt()
def change_network(event):
    """Adds an address to its loopback by netlink."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        address = struct.pack("BBBBi", socket.AF_INET, 8, 0, 0, 1) + struct.pack("HH4s", 8, 2, socket.inet_aton("10.9.8.7"))
        netlink.send(struct.pack("IHHII", 16 + len(address), 20, 0x605, 1, 0) + address)
        answer = -struct.unpack_from("i", netlink.recv(4096), 16)[0]
    if answer:
        raise OSError(answer, "netlink")
    return "an address was added"


@attempt()
def take_the_runtime_api(event):
    """Listens where the Runtime API does."""
    def listen(way):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, way, 1)
            listener.bind(runtime_api())
            listener.listen()
        return "listening"
    return each([socket.SO_REUSEADDR, socket.SO_REUSEPORT], listen)


@attempt("name")
def listen_abstract(event):
    """Leaves a listener on an abstract unix socket, for a neighbour to find."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("\0" + event["name"])
    listener.listen()
    KEPT.append(listener)
    return "listening"


# Sockets that outlive the invocation that made them.
KEPT = []


@attempt("port")
def listen_everywhere(event):
    """Leaves a listener on all its addresses, for the host or a neighbour to find."""
    listener = socket.create_server(("0.0.0.0", event["port"]))
    KEPT.append(listener)
    return f"listening on {listener.getsockname()}"


@attempt("connections", "seconds")
def hold_the_runtime_api(event):
    """Opens many connections to the Runtime API, says half a request on each, and holds them."""
    held, refused = [], None
    try:
        for _ in range(event["connections"]):
            connection = socket.create_connection(runtime_api(), timeout=SECONDS)
            connection.sendall(b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nContent-Le")
            held.append(connection)
    except OSError as error:
        refused = str(error)
    time.sleep(event.get("seconds", 0))
    for connection in held:
        connection.close()
    return f"{len(held)} connections were held; refused with {refused}"


@attempt("requests", "connections")
def hammer_the_runtime_api(event):
    """Makes many requests that the Runtime API does not serve, over several connections at a time."""
    request = event.get("request", "GET /2018-06-01/runtime/hostile HTTP/1.1\r\nHost: x\r\n\r\n").encode()

    def hammer(count):
        statuses = {}
        connection = None
        for _ in range(count):
            try:
                if connection is None:
                    connection = socket.create_connection(runtime_api(), timeout=SECONDS)
                connection.sendall(request)
                heard = connection.recv(65536)
                status = heard[9:12].decode(errors="replace") or "closed"
            except OSError as error:
                heard, status = b"", type(error).__name__
            if not heard:
                connection = None
            statuses[status] = statuses.get(status, 0) + 1
        return statuses
    connections = event["connections"]
    total = {}
    started = time.monotonic()
    with ThreadPoolExecutor(connections) as pool:
        for statuses in pool.map(hammer, [event["requests"] // connections] * connections):
            for status, count in statuses.items():
                total[status] = total.get(status, 0) + count
    return {"answers": total, "seconds": round(time.monotonic() - started, 3)}
