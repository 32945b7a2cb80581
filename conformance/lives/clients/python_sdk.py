"""Asks through boto3: one JSON request a line on standard input, one JSON answer a line on standard output.

Run by the interpreter of a venv that has boto3, with the endpoint as its argument; with `LIVES_UNCHECKED` set, boto3 checks
no members. The protocol is described in
`client.py` of the folder above.
"""

import base64
import datetime
import json
import os
import re
import sys

import boto3
from botocore.config import Config
from botocore.eventstream import EventStream
from botocore.exceptions import ClientError
from botocore.response import StreamingBody


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def perform(client, request):
    operation, members = request["operation"], request["members"]
    if request["do"] == "wait":
        client.get_waiter(snake(operation)).wait(**members, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return {}
    if request["do"] == "pages":
        paging = {"PageSize": members.pop("MaxItems")}
        return list(client.get_paginator(snake(operation)).paginate(**members, PaginationConfig=paging))
    return getattr(client, snake(operation))(**members)


def refused(error):
    details, metadata = error.response["Error"], error.response["ResponseMetadata"]
    members = {name: value for name, value in error.response.items() if name not in ("Error", "ResponseMetadata", "message", "Message")}
    return {"code": details["Code"], "message": details["Message"], "caught_as": type(error).__name__,
            "status": metadata["HTTPStatusCode"], **{"Type": details.get("Type"), **members}}


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, StreamingBody):
        return plain(value.read())
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if name != "ResponseMetadata"}
    if isinstance(value, (list, EventStream)):
        return [plain(each) for each in value]
    return value


def blob_of(members):
    return base64.b64decode(members["$bytes"]) if "$bytes" in members else members


def main():
    # An answer is observed as it is, so nothing is tried again. Unchecked, the server gets what boto3 would refuse itself.
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120, parameter_validation="LIVES_UNCHECKED" not in os.environ)
    client = boto3.client("lambda", endpoint_url=sys.argv[1], config=config)
    for line in sys.stdin:
        try:
            seen = {"answer": plain(perform(client, json.loads(line, object_hook=blob_of)))}
        except ClientError as error:
            seen = {"refused": refused(error)}
        except Exception as error:
            seen = {"broken": f"{type(error).__name__}: {error}"}
        print(json.dumps(seen), flush=True)


main()
