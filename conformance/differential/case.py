"""One row of the comparison: a function, what it is asked, and what may differ.

`python_cases.py` and `nodejs_cases.py` are the tables; `run.py` runs each row under both clients.
"""

from dataclasses import dataclass, field

from scripted_api import event


@dataclass(frozen=True)
class Accepted:
    """A difference that is meant: `pattern` is replaced in both clients' `aspect` before comparing.

    An acceptance that changes nothing in the outcome is itself a failure, so that this list cannot outlive its reasons.
    """

    aspect: str  # "requests", "stdout", "stderr" or "exit"
    pattern: str
    replacement: str
    reason: str
    # Only some interpreters, as a (lowest, highest) pair of versions; everywhere when None.
    versions: tuple = None
    # The two sides are sometimes equal, depending on who is faster.
    by_chance: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    handler: str
    events: tuple = (event(),)
    env: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    accept: tuple = ()
    # Lowest and highest interpreter version the row makes sense for.
    since: tuple = (0,)
    until: tuple = (999,)
    # Sent once the runtime waits in its last `next`, instead of ending it with SIGKILL.
    final_signal: int = None
    # Give the runtime a pipe as `_LAMBDA_TELEMETRY_LOG_FD` and compare the frames written to it.
    telemetry_fd: bool = False
    # What AWS's client is not asked: `requests` of ours must contain this text.
    ours_only: str = None


@dataclass
class Outcome:
    requests: list
    stdout: str
    stderr: str
    exit: str

    def aspect(self, name):
        value = getattr(self, name)
        return "\n".join(value) if isinstance(value, list) else value
