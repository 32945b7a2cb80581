"""Does what the event says: the function that every kind of caller calls."""

import os
import sys
import time


class OrderError(Exception):
    pass


def lambda_handler(event, context):
    return globals()[event["do"]](event, context)


def greet(event, context):
    return {"message": f"Hello, {event['name']}!", "requestId": context.aws_request_id, "client": client()}


def client():
    return "awslambdaric" if "awslambdaric" in sys.modules else "firesteel"


def echo(event, _context):
    return event


def measure(event, _context):
    return {"characters": len(event["text"])}


def describe(_event, context):
    sent = context.client_context
    return {
        "arn": context.invoked_function_arn,
        "requestId": context.aws_request_id,
        "custom": sent.custom if sent else None,
        "app": sent.client.app_title if sent and sent.client else None,
    }


def nothing(_event, _context):
    return None


def looks_failed(_event, _context):
    return {"errorType": "OrderError", "errorMessage": "no failure, a result that looks like one"}


def log(event, _context):
    for number in range(event["lines"]):
        print(f"line {number} of {event['token']}")


def fail(_event, _context):
    raise OrderError("no such order: é")


def exit(event, _context):
    os._exit(event["status"])


def large(event, _context):
    return "x" * event["characters"]


def hang(event, _context):
    print(f"hanging {event['token']}", flush=True)
    while True:
        time.sleep(60)
