#!/usr/bin/env python3
"""Asynchronous events while `firesteel serve` is killed, again and again, on the same data folder.

    python3 conformance/async/run.py --firesteel PATH [--events 100000] [--kill-every-s 3]

Senders invoke a function with type Event. What is answered with 202 must run, whatever happens to the server afterwards; what
is not answered may. The function notes each event it is given. When all are sent the killing ends, and then:

    lost        acknowledged, and never noted: must be none
    repeated    noted more than once: no more than were under way when the server was killed

Standard library only.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Its packages, and what functions see of this machine, are those of the neighbouring suites.
sys.path += [str(HERE.parent / "clients"), str(HERE.parent / "lives")]

from killed import Killed
from report import Report, equal, holds
from sender import Sent, quantile_ms, senders
from world import shown

# As long as this nothing more is noted: then nothing more comes.
QUIET_S = 60


def notes_of(file):
    """How often each event was noted. A line that a kill has cut is none."""
    return Counter(int(line) for line in file.read_text().split("\n") if line.isdecimal())


def killing(server, args, over):
    """Kills and starts until it is over; each time after another while, so that no moment is spared."""
    chance = random.Random(args.seed)
    while not over.wait(chance.uniform(0.5, 1.5) * args.kill_every_s):
        server.kill()
        server.start()


def drain(server, notes, acknowledged):
    """Waits until all acknowledged events are noted, or none has been for a while; and then until the last are finished."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        noted = notes_of(notes)
        if all(noted[event] for event in acknowledged):
            break
        if sum(noted.values()) != seen:
            seen, since = sum(noted.values()), time.monotonic()
        time.sleep(0.2)
    # Stopped in order: what still runs is finished.
    server.stop()
    return notes_of(notes)


def suffer(report, args):
    with tempfile.TemporaryDirectory(prefix="firesteel-async-") as folder:
        folder = Path(folder).resolve()
        notes = folder / "notes" / "notes"
        notes.parent.mkdir()
        for path, mode in ((folder, 0o755), (notes.parent, 0o777)):
            path.chmod(mode)
        notes.touch()
        notes.chmod(0o666)
        options = ["--mount", f"{notes.parent}:rw", *shown(), "--max-environments", str(args.environments), "--no-log-files"]
        with Killed(args.firesteel, folder / "data", *options) as server:
            server.create(notes)
            over, sent = threading.Event(), Sent()
            killer = threading.Thread(target=killing, args=(server, args, over))
            began = time.monotonic()
            killer.start()
            try:
                senders(server.address, args.events, args.senders, sent)
            finally:
                over.set()
                killer.join()
            took_s = time.monotonic() - began
            noted = drain(server, notes, sent.acknowledged)
    tell(report, args, server, sent, noted, took_s)


def tell(report, args, server, sent, noted, took_s):
    lost = [event for event in sent.acknowledged if not noted[event]]
    repeated = sum(count - 1 for count in noted.values())
    # Each environment may have been at one when the server was killed, and may have had one finished whose end was not yet on disk.
    under_way = 2 * args.environments * server.kills
    unanswered = sum(noted[event] > 0 for event in sent.unanswered)
    print(f"{len(sent.acknowledged)} acknowledged in {took_s:.0f} s ({len(sent.acknowledged) / took_s:.0f}/s), 202 after "
          f"{quantile_ms(sent.latencies_s, 0.5)} ms (p50), {quantile_ms(sent.latencies_s, 0.99)} ms (p99); "
          f"{len(sent.unanswered)} unanswered, {unanswered} of which ran all the same")
    print(f"{server.kills} kills; {args.environments} environments; started again after {quantile_ms(server.starts_s, 0.5)} ms (p50), "
          f"{quantile_ms(server.starts_s, 1)} ms (longest)")
    report.check("killed often enough to mean something", lambda: holds(server.kills >= args.least_kills, f"{server.kills} kills"))
    report.check(f"{len(lost)} lost of {len(sent.acknowledged)}", lambda: equal(lost[:20], [], "lost"))
    report.check(f"{repeated} repeated, {under_way} may have been under way at the kills",
                 lambda: holds(repeated <= under_way, f"{repeated} repeated"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--firesteel", required=True, metavar="PATH", type=Path, help="the program")
    parser.add_argument("--events", metavar="N", type=int, default=100_000, help="[100000]")
    parser.add_argument("--senders", metavar="N", type=int, default=16, help="at once [16]")
    parser.add_argument("--environments", metavar="N", type=int, default=8, help="at a time [8]")
    parser.add_argument("--kill-every-s", metavar="S", type=float, default=3, help="on average [3]")
    parser.add_argument("--least-kills", metavar="N", type=int, default=3, help="fewer prove nothing [3]")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the moments of the kills [1]")
    args = parser.parse_args()
    report = Report(None)
    suffer(report, args)
    print(report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
