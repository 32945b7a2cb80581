"""A server that is a child of the suite: its output read as it comes, its end asked for and, if need be, forced."""

import os
import signal
import subprocess
import threading
import time

from expect import Mismatch

LIMIT_S = 15


class ServerProcess:
    def __init__(self, command, env=None, cwd=None):
        # A session of its own: it can be ended with all it started, and the terminal's Ctrl-C reaches only the suite.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=env, cwd=cwd, start_new_session=True)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))

    def wait_for(self, condition, what):
        deadline = time.monotonic() + LIMIT_S
        while not (found := condition()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                output = "\n".join(self.lines)
                self.kill()
                raise Mismatch(f"{what}: not within {LIMIT_S} s, or the server ended:\n{output}")
            time.sleep(0.005)
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise Mismatch(f"the server has not ended {LIMIT_S} s after SIGTERM") from late
        # All that was written before the end is to be read.
        self.reader.join(1)

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.reader.join(1)
