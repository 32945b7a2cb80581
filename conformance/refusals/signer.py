"""Signs with botocore: one JSON request a line on standard input, its headers and its URL a line on standard output.

    {"method", "url", "headers", "body" (base64), "key", "secret", "token", "region", "service", "age_s", "presigned_for_s"}

`age_s` sets the clock back (or, below 0, ahead). Run by the interpreter of a venv that has botocore.
"""

import base64
import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = botocore.auth.get_current_datetime


def sign(wanted):
    age = datetime.timedelta(seconds=wanted["age_s"])
    botocore.auth.get_current_datetime = lambda *arguments, **options: NOW(*arguments, **options) - age
    keys = Credentials(wanted["key"], wanted["secret"], wanted["token"])
    scope = (keys, wanted["service"], wanted["region"])
    request = AWSRequest(wanted["method"], wanted["url"], wanted["headers"], base64.b64decode(wanted["body"]))
    if wanted["presigned_for_s"]:
        botocore.auth.SigV4QueryAuth(*scope, expires=wanted["presigned_for_s"]).add_auth(request)
    else:
        botocore.auth.SigV4Auth(*scope).add_auth(request)
    return {"headers": dict(request.headers.items()), "url": request.url}


for line in sys.stdin:
    print(json.dumps(sign(json.loads(line))), flush=True)
