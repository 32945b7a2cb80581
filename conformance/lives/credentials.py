"""Who may ask: a server that knows one credential, asked with it and without."""

from client import Refused
from report import Mismatch, equal, holds
from world import KEYS

# What is wrong with the keys, and the class of the refusal.
WRONG = [
    ("another secret", {"AWS_SECRET_ACCESS_KEY": "another"}, "InvalidSignatureException"),
    ("an unknown key", {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "UnrecognizedClientException"),
    ("a session token", {"AWS_SESSION_TOKEN": "of nobody's session"}, "UnrecognizedClientException"),
]


def check(report, args, name, make, served):
    """`served` gives a server that authenticates."""
    names = [f"{name}: asks with the right keys", *(f"{name}: asks with {what}" for what, _, _ in WRONG)]
    if not any(map(report.wanted, names)):
        return
    if make is None or args.endpoint:
        for each in names:
            report.skip(each, "the client is not installed, or the server not ours")
        return
    with served(args, authenticates=True) as world:
        report.check(names[0], right, make, world.endpoint)
        for what, keys, code in WRONG:
            report.check(f"{name}: asks with {what}", wrong, make, world.endpoint, KEYS | keys, code)


def right(make, endpoint):
    equal(asked(make, endpoint, KEYS), {"Functions": []}, "answer")


def wrong(make, endpoint, keys, code):
    try:
        answer = asked(make, endpoint, keys)
    except Refused as refused:
        equal(refused.code, code, f"code (of {refused.message!r})")
        holds(refused.status in (None, 403), f"status 403 wanted, {refused.status} seen")
        return
    raise Mismatch(f"{code} wanted, {answer} seen")


def asked(make, endpoint, keys):
    client = make(endpoint, keys)
    try:
        answer = client.ask("ListFunctions", {})
        return {"Functions": answer["Functions"]}
    finally:
        client.close()
