"""Signature Version 4 of one request, from its description: what a caller of a function URL needs."""

import datetime
import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


def sign(method, url, headers, body, keys, region="us-east-1", service="lambda"):
    """The headers, and those that sign them. `keys` has the names of the environment variables of AWS's clients."""
    parts = urlsplit(url)
    time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {**{name.lower(): value for name, value in headers.items()}, "x-amz-date": time,
               "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
    signed = ";".join(sorted(headers))
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(parse_qsl(parts.query, True)))
    canonical = "\n".join([method, quote(parts.path, safe="/-_.~") or "/", query,
                           *(f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)), "", signed,
                           headers["x-amz-content-sha256"]])
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([ALGORITHM, time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    proof = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{keys['AWS_ACCESS_KEY_ID']}/{scope}"
    return headers | {"authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={proof}"}
