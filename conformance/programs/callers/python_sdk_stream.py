"""Reads streams through boto3's `invoke_with_response_stream`. Run by the interpreter of a venv that has boto3; the
protocol is described in `stream_caller.py` of the folder above.
"""

import base64
import json
import sys

import boto3
from botocore.config import Config

MEMBERS = {"FunctionName": "function", "LogType": "log_type"}


def tell(line):
    print(json.dumps(line), flush=True)


def read(client, request):
    members = {member: request[name] for member, name in MEMBERS.items() if name in request}
    answer = client.invoke_with_response_stream(Payload=base64.b64decode(request["payload"]), **members)
    complete = None
    for event in answer["EventStream"]:
        if "PayloadChunk" in event:
            tell({"chunk": base64.b64encode(event["PayloadChunk"]["Payload"]).decode()})
        else:
            complete = event["InvokeComplete"]
    # Only once the stream is over, so that an end that does not come is noticed.
    tell({"broken": "no InvokeComplete"} if complete is None else {"complete": complete})


def main():
    # An answer is observed as it is, so nothing is tried again.
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            read(boto3.client("lambda", endpoint_url=request["endpoint"], config=config), request)
        except Exception as error:
            tell({"broken": f"{type(error).__name__}: {error}"})


main()
