"""The check handler in Python: does what `firesteel check` asks of it. See conformance/runtimes/README.md."""

import os
import time


class CheckError(Exception):
    """What `fail` fails with."""


def lambda_handler(event, context):
    action = event.get("firesteel-check")
    if action == "echo":
        return event["value"]
    if action == "fail":
        raise CheckError(event["message"])
    if action == "size":
        return "x" * event["bytes"]
    if action == "sleep":
        time.sleep(event["ms"] / 1000)
        return event["value"]
    if action == "context":
        return described(context)
    return {"firesteel-check": "not played"}


def described(context):
    client, identity = context.client_context, context.identity
    return {
        "request_id": context.aws_request_id,
        "deadline_ms": time.time() * 1000 + context.get_remaining_time_in_millis(),
        "function_arn": context.invoked_function_arn,
        "trace_id": os.environ.get("_X_AMZN_TRACE_ID"),
        "client_context": client and {"custom": client.custom},
        "identity": identity and [identity.cognito_identity_id, identity.cognito_identity_pool_id],
    }
