"""A pytest plugin that is loaded into the suites: writes down, one JSON object a line, what became of each test.

    {"test", "outcome": passed | failed | skipped, "why", "services", "marks", "took_s"}

What they skip of their comparisons, for what their own server does not do, is compared.

`RECORDINGS_RESULTS` says into which file, `RECORDINGS_PROXY` where the proxy is, `RECORDINGS_LIMIT_S` how long a test
may take. It imports nothing of ours: it runs in the suite's interpreter.
"""

import importlib
import json
import os
import signal
import socket
import time
import urllib.request

import pytest

LIMIT_S = int(os.environ["RECORDINGS_LIMIT_S"])
CALLED = f"http://{os.environ['RECORDINGS_PROXY']}/_recordings/called"
# Enough to see what differs.
SHOWN = 4000


def give_up(*_):
    """What pytest itself fails tests with is caught by no test that tries again whatever happens."""
    pytest.fail(f"longer than {LIMIT_S} s")


def called():
    with urllib.request.urlopen(CALLED) as answer:
        return json.load(answer)


def resolve(host, *arguments, **options):
    """Names below `localhost` are this machine, as RFC 6761 has it and not every resolver."""
    return RESOLVE("127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *arguments, **options)


RESOLVE, socket.getaddrinfo = socket.getaddrinfo, resolve


def pytest_configure(config):
    signal.signal(signal.SIGALRM, give_up)
    config.stash[RESULTS] = open(os.environ["RECORDINGS_RESULTS"], "a")


RESULTS = pytest.StashKey()
REPORTS = pytest.StashKey()


def pytest_sessionstart():
    """moto's tests name a runtime in one place, which may be newer than what is here."""
    if runtime := os.environ.get("RECORDINGS_RUNTIME"):
        importlib.import_module("tests.test_awslambda.utilities").PYTHON_VERSION = runtime


def pytest_collection_modifyitems(items):
    """LocalStack marks what its own server answers otherwise than AWS: here it counts."""
    for item in items:
        for node in item.listchain():
            node.own_markers = [mark for mark in node.own_markers if mark.name != "skip_snapshot_verify"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    made = yield
    item.stash.setdefault(REPORTS, []).append(made.get_result())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    called()
    item.stash[REPORTS] = []
    began = time.monotonic()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    outcome, why = judge(item.stash[REPORTS])
    line = {"test": item.nodeid, "outcome": outcome, "why": why[-SHOWN:], "services": called(),
            "marks": sorted({mark.name for mark in item.iter_markers()}), "took_s": round(time.monotonic() - began, 2)}
    item.config.stash[RESULTS].write(json.dumps(line) + "\n")
    item.config.stash[RESULTS].flush()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    # Once more and again, for clean-ups that hang as well.
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, LIMIT_S)
    yield


def judge(reports):
    """What was seen first counts; a failed clean-up fails nothing, as nothing is compared in it."""
    for report in reports:
        if report.when != "teardown" and report.outcome != "passed":
            if hasattr(report, "wasxfail"):
                return "skipped", f"expected to fail: {report.wasxfail}"
            if report.outcome == "skipped":
                return "skipped", str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            return "failed", str(report.longrepr)
    return "passed", ""
