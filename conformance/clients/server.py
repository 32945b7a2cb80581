"""`firesteel serve` as a child: started on a port of the system's choice, its output read, ended in order."""

import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

LIMIT_S = 60


class ServerBroke(Exception):
    """It did not start, or did not end as it should; the message has its output."""


class Server:
    """A context: the server runs inside, and has ended with everything it started when it is left."""

    def __init__(self, program, targets, *options, **variables):
        """`variables` go into the server's own environment."""
        self.folder = tempfile.TemporaryDirectory(prefix="firesteel-clients-")
        command = [str(program), "serve", "--listen", "127.0.0.1:0", "--data", str(Path(self.folder.name) / "data"), *options]
        command += [f"{name}={target}" for name, target in targets.items()]
        # A session of its own, so that the terminal's Ctrl-C reaches it through this suite only.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, errors="replace", start_new_session=True, env=os.environ | variables)
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for_line(self, pattern):
        """The first line that matches, of those already written or to come."""
        def found():
            return next((match for match in map(re.compile(pattern).search, self.lines) if match), None)
        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, LIMIT_S)
            match = found()
        if match is None:
            raise ServerBroke(f"no line like {pattern!r} within {LIMIT_S} s:\n{self.tail()}")
        return match

    def tail(self):
        return "\n".join(self.lines[-20:])

    def __enter__(self):
        try:
            self.endpoint = self.wait_for_line(r"(http://127\.0\.0\.1:\d+)/2015-03-31/functions/")[1]
        except ServerBroke:
            self.close(kill=True)
            raise
        return self

    def __exit__(self, kind, _error, _trace):
        self.close(kill=kind is not None)

    def close(self, kill=False):
        """Drains; `kill` does not wait for what still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if kill:
                self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = f"none, killed after {LIMIT_S} s"
        # The pipe is open for as long as anything the server started holds it.
        self.reader.join(LIMIT_S)
        left_over = self.reader.is_alive()
        if not left_over:
            self.process.stderr.close()
        self.folder.cleanup()
        if not kill and status != 0:
            raise ServerBroke(f"exit {status} after SIGTERM:\n{self.tail()}")
        if left_over:
            raise ServerBroke("something the server started outlives it")
