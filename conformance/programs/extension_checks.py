"""External extensions, ours and on AWS's crate: what they are told of two invocations and of the end.

Each check serves `functions/plain` with a layer that has one extension, and reads at the rendezvous what reached it.
"""

import json
import tempfile
from pathlib import Path

from report import equal, holds
from stage import FUNCTION, FUNCTIONS, LAYERS, extension_layer, free_port, invoke, served

PLATFORM = ["platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.extension",
            "platform.telemetrySubscription", "platform.start", "platform.runtimeDone", "platform.report"]
# As the crate's type for the Logs API names its variants. It knows no others, and gives up a batch with another in it.
LOGS = ["PlatformLogsSubscription", "PlatformExtension", "PlatformStart", "PlatformRuntimeDone", "PlatformReport",
        "PlatformEnd", "Function"]


def two_invocations(args, layer, subscription, **variables):
    """Returns the rendezvous and the request ids, after everything has ended in order."""
    with served(args, FUNCTIONS / "plain", layers=[layer], **variables) as (server, rendezvous):
        ids = []
        for name in ("first", "second"):
            body, request_id = invoke(server, {"name": name})
            equal(json.loads(body), {"name": name, "requestId": request_id}, "response")
            ids.append(request_id)
        # Inside, so that the rendezvous still listens while the extension is told of the end.
        server.close()
    lines = "\n".join(server.lines)
    extension = next((layer / "extensions").iterdir()).name
    holds(f"EXTENSION\tName: {extension}\tState: Ready\tEvents: [INVOKE, SHUTDOWN]" in lines, f"no line EXTENSION:\n{lines}")
    if subscription:
        holds(f"{subscription}\tName: {extension}\tState: Subscribed\tTypes: [" in lines, f"no line {subscription}:\n{lines}")
    holds("Error parsing" not in lines, f"the crate could not read what it was sent:\n{lines}")
    return rendezvous, ids


def check_events(rendezvous, ids):
    events = rendezvous.told_json("event")
    equal([event["eventType"] for event in events], ["INVOKE", "INVOKE", "SHUTDOWN"], "events")
    equal([event["requestId"] for event in events[:2]], ids, "request ids")
    for event in events[:2]:
        holds(event["invokedFunctionArn"].endswith(f":function:{FUNCTION}"), f"arn: {event}")
    equal(events[2]["shutdownReason"], "spindown", "reason of the end")
    holds(events[0]["deadlineMs"] <= events[1]["deadlineMs"], f"deadlines: {events}")


def check_telemetry(telemetry, ids):
    told = [(event["type"], subject(event)) for event in telemetry]
    kinds = {kind for kind, _ in told}
    for kind in PLATFORM:
        holds(kind in kinds, f"no {kind} in {sorted(kinds)}")
    for name, request_id in zip(("first", "second"), ids):
        in_order = [("platform.start", request_id), ("function", f"handling {name}"), ("platform.runtimeDone", request_id),
                    ("platform.report", request_id)]
        equal([each for each in told if each in in_order], in_order, f"events of the {name} invocation")
    holds(("extension", "subscribed") in told, f"no line of the extension's own in {told}")


def subject(event):
    """What tells an event from others of its type: the invocation that it is of, or the line that was written."""
    record = event["record"]
    return record.get("requestId") if isinstance(record, dict) else record.rstrip("\n")


def shell(args, layer):
    rendezvous, ids = two_invocations(args, layer, None)
    check_events(rendezvous, ids)
    registered = rendezvous.told_json("registered")
    wanted = {"functionName": FUNCTION, "functionVersion": "$LATEST", "handler": "lambda_function.lambda_handler",
              "accountId": "000000000000"}
    equal(registered, [wanted], "answer to the registration")


def telemetry(args, layer):
    rendezvous, ids = two_invocations(args, layer, "TELEMETRY", SUBSCRIBER_PORT=free_port())
    check_events(rendezvous, ids)
    told = [event for batch in rendezvous.told_json("telemetry") for event in batch]
    check_telemetry(told, ids)
    return f"{len(told)} events in {len(rendezvous.told('telemetry'))} batches"


def logs(args, layer):
    rendezvous, ids = two_invocations(args, layer, "LOGS", SUBSCRIBER_PORT=free_port())
    records = [line for batch in rendezvous.told("logs") for line in batch.decode().splitlines()]
    for kind in LOGS:
        holds(any(record.startswith(kind) for record in records), f"no {kind} in {records}")
    for request_id in ids:
        for kind in ("PlatformStart", "PlatformRuntimeDone", "PlatformReport", "PlatformEnd"):
            holds(any(record.startswith(kind) and request_id in record for record in records),
                  f"no {kind} of {request_id} in {records}")
    return f"{len(records)} records in {len(rendezvous.told('logs'))} batches"


def check_extensions(report, args):
    report.check("extension in shell", shell, args, LAYERS / "shell")
    report.check("extension in Python, Telemetry API", telemetry, args, LAYERS / "python")
    for name, check, program in [
        ("extension on lambda-extension, Telemetry API", telemetry, args.rust / "rust-telemetry"),
        ("extension on lambda-extension, Logs API", logs, args.rust / "rust-logs"),
    ]:
        if not program.is_file():
            report.skip(name, f"no {program}; conformance/programs/build makes it")
            continue
        with tempfile.TemporaryDirectory(prefix="firesteel-programs-") as scratch:
            report.check(name, check, args, extension_layer(Path(scratch).resolve(), program))
