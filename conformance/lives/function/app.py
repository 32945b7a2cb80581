"""What lives the life: does what the event says. `RELEASE` tells one package from another."""

import json
import os
import time
from pathlib import Path

RELEASE = Path(__file__).with_name("release.txt").read_text()


def handler(event, context):
    return globals()[event.get("do", "describe")](event, context)


def describe(event, context):
    return {
        "release": RELEASE,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "event": event,
        "greeting": os.environ.get("GREETING"),
        "initialization": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "memory": context.memory_limit_in_mb,
    }


def read(event, _context):
    return Path(event["path"]).read_text()


def say(event, _context):
    print(event["line"])


def fail(_event, _context):
    raise ValueError("as it was told")


def note(event, context):
    """Leaves a line where the suite reads it: an asynchronous caller sees nothing of the function otherwise."""
    line = json.dumps({"id": context.aws_request_id, "token": event["token"], "at": time.time()})
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND)
    os.write(file, (line + "\n").encode())
    os.close(file)
    if event.get("fails"):
        raise ValueError("noted, then failed")


def web(event, _context):
    return {
        "statusCode": 203,
        "headers": {"x-release": RELEASE, "content-type": "application/json"},
        "cookies": ["tasted=1"],
        "body": json.dumps({"method": event["requestContext"]["http"]["method"], "path": event["rawPath"],
                            "query": event.get("queryStringParameters"), "body": event.get("body"),
                            "authorizer": event["requestContext"].get("authorizer")}),
    }


def url(event, context):
    """The handler of the function behind a URL."""
    return web(event, context)
