"""A hostile guest: each invocation makes one attempt to get at what is not its own.

    {"try": "mount_tmpfs"}                      -> {"try": ..., "outcome": "refused", "detail": "EPERM"}
    {"try": "read_files", "paths": ["/etc/shadow"]} -> ...
    {"try": "list"}                             -> {"try": "list", "attempts": [{"name", "needs", "about"}, ...]}

Outcomes:
    refused     the kernel did not do it; the detail names the errno
    contained   it was done, to what belongs to this environment alone; the detail says how far it came
    succeeded   something outside was reached: a hole

What an attempt does to others cannot be seen from within. Whether "contained" is true is for the test to find out, which also
measures the neighbours meanwhile.

For sandboxes only: on a bare machine some of these end it. Standard library only.
"""

import exhaustion
import files
import ipc
import kernel
import network
import privileges
import processes

ATTEMPTS = {}
for module in (files, processes, privileges, network, exhaustion, ipc):
    for name, attempt in module.ATTEMPTS.items():
        assert name not in ATTEMPTS, name
        ATTEMPTS[name] = attempt


def handler(event, context):
    name = event["try"]
    if name == "list":
        about = [{"name": name, "needs": attempt.needs, "about": attempt.about} for name, attempt in ATTEMPTS.items()]
        return {"try": name, "attempts": about}
    outcome, detail = kernel.outcome_of(ATTEMPTS[name], event)
    return {"try": name, "outcome": outcome, "detail": detail}


lambda_handler = handler
