"""Signatures that are none, or another request's: refused with 403, in the words of AWS's front end."""

import time

from door import INVOKE
from report import equal, holds
from stage import matches

MISMATCH = (r"(?s)The request signature we calculated does not match the signature you provided\. Check your AWS Secret Access Key and "
            r"signing method\. Consult the service documentation for details\..*")
INVALID_TOKEN = r"The security token included in the request is invalid\."


def altered(parts, method=None, target=None, body=None, without=(), **headers):
    """A signed request, changed after it was signed."""
    was_method, was_target, was_headers, was_body = parts
    kept = {name: value for name, value in was_headers.items() if name.lower() not in without}
    return (method or was_method, target or was_target, kept | {name.replace("_", "-"): value for name, value in headers.items()},
            was_body if body is None else body)


def unsigned(door):
    return altered(door.signed(), without=("authorization", "x-amz-date"))


def not_aws(door):
    return altered(door.signed(), without=("authorization",), Authorization="Bearer abc")


def without_signature(door):
    method, target, headers, body = door.signed()
    return method, target, headers | {"Authorization": headers["Authorization"].split(", Signature=")[0]}, body


def unsigned_host(door):
    """The signature itself is right: it is of a request whose host nobody has signed."""
    method, target, headers, body = door.signed()
    return method, target, headers | {"Authorization": headers["Authorization"].replace("host;", "")}, body


def unsigned_payload(door):
    return door.signed(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})


def smuggled_header(door):
    """What steers an invocation counts only when it is signed."""
    return altered(door.signed(), X_Amz_Invocation_Type="Event")


# A name, the request, and class and text of the refusal.
REFUSED = [
    ("unsigned", unsigned, "MissingAuthenticationTokenException", r"Missing Authentication Token"),
    ("signed with something else than AWS's signature", not_aws, "(?:MissingAuthenticationToken|IncompleteSignature)Exception", r"(?s).+"),
    ("without its signature", without_signature, "IncompleteSignatureException", r"(?s)Authorization header requires 'Signature' parameter\..+"),
    ("with another secret", lambda door: door.signed(secret="another"), "InvalidSignatureException", MISMATCH),
    ("with an unknown key", lambda door: door.signed(key="AKIANOBODY"), "UnrecognizedClientException", INVALID_TOKEN),
    ("with a token of no session", lambda door: door.signed(token="nobody's"), "UnrecognizedClientException", INVALID_TOKEN),
    ("another body than was signed", lambda door: altered(door.signed(), body=b'{"a":1}'), "InvalidSignatureException", MISMATCH),
    ("another path than was signed", lambda door: altered(door.signed(), target=INVOKE.replace("refused", "other")),
     "InvalidSignatureException", MISMATCH),
    ("another query than was signed", lambda door: altered(door.signed(), target=f"{INVOKE}?Qualifier=1"), "InvalidSignatureException", MISMATCH),
    ("another method than was signed", lambda door: altered(door.signed(), method="PUT"), "InvalidSignatureException", MISMATCH),
    ("another date than was signed", lambda door: altered(door.signed(), X_Amz_Date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 7))),
     "InvalidSignatureException", MISMATCH),
    ("a header that nobody signed", smuggled_header, "InvalidSignatureException", r"(?s).+"),
    ("a host that nobody signed", unsigned_host, "InvalidSignatureException", r"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization\."),
    ("a body that nobody signed", unsigned_payload, "InvalidSignatureException", r"(?s).+"),
    ("signed for another region", lambda door: door.signed(region="eu-west-1"), "InvalidSignatureException",
     r"Credential should be scoped to a valid region.*"),
    ("signed for another service", lambda door: door.signed(service="s3"), "InvalidSignatureException",
     r"Credential should be scoped to correct service: 'lambda'\.\s*"),
    ("expired", lambda door: door.signed(age_s=20 * 60), "InvalidSignatureException",
     r"Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)"),
    ("of the future", lambda door: door.signed(age_s=-20 * 60), "InvalidSignatureException",
     r"Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(\d{8}T\d{6}Z \+ 5 min\.\)"),
    ("presigned, and expired", lambda door: door.signed(age_s=600, presigned_for_s=60), "InvalidSignatureException", r"Signature expired: .+"),
    ("presigned, and for another path", lambda door: altered(door.signed(presigned_for_s=60), target=INVOKE),
     "MissingAuthenticationTokenException", r"Missing Authentication Token"),
]


def refused(door, make, code, message):
    answer = door.ask(*make(door))
    holds(answer is not None, "an answer wanted, the connection ended")
    equal(answer.status, 403, f"status ({answer.body!r})")
    matches(answer.code, code, "class")
    matches(answer.message, message, "message")


def replayed(door):
    """A request that changed something does nothing twice."""
    parts = door.signed(body=b'{"replayed": true}')
    equal(door.ask(*parts).status, 200, "status of the first")
    again = door.ask(*parts)
    equal((again.status, again.code), (403, "InvalidSignatureException"), f"status and class of the second ({again.body!r})")


def read_twice(door):
    """A request that changes nothing may be sent again, as on AWS."""
    parts = door.signed("GET", "/2015-03-31/functions", b"")
    equal([door.ask(*parts).status for _ in range(2)], [200, 200], "statuses")


def presigned(door):
    method, target, headers, body = door.signed(body=b"", presigned_for_s=60)
    equal(door.ask(method, target, headers, body).status, 200, "status")


CHECKS = [replayed, read_twice, presigned]
