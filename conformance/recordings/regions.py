"""The servers that are judged: one for each region that is asked, as each region of AWS has its own functions."""

import threading
from contextlib import ExitStack
from pathlib import Path

from everything import forget_everything
from world import beside, shown
from written import Written


class Regions:
    """A context: servers are started when somebody first asks for their region, and end with it."""

    def __init__(self, program, account, moto, options):
        self.program = program
        self.account = account
        self.moto = moto
        self.options = options
        self.servers = {}
        self.lock = threading.Lock()
        self.stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def address(self, region):
        with self.lock:
            if region not in self.servers:
                server = self.stack.enter_context(beside(self.moto, self.program, "--region", region, "--account-id", self.account,
                                                         *shown(), *self.options))
                written = Written(Path(server.folder.name) / "data", self.moto.address, region)
                self.servers[region] = (server.endpoint.removeprefix("http://"), written)
            return self.servers[region][0]

    def carry_logs(self):
        for _, written in list(self.servers.values()):
            written()

    def forget(self):
        """All are as new."""
        for region, (address, written) in list(self.servers.items()):
            forget_everything(address, region)
            written.forget()


class Itself:
    """In their place `moto_server`'s own Lambda, or any other server: to see what the suites say of it."""

    def __init__(self, address):
        self.judged = address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def address(self, _region):
        return self.judged

    def carry_logs(self):
        pass

    def forget(self):
        pass
