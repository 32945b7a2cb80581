"""Who may: one credential that may only invoke one function, and one that may do nothing."""

from door import INVOKE
from report import equal
from world import GUEST, STRANGER

DENIED = ("User: {user} is not authorized to perform: lambda:{action} on resource: {resource} because no identity-based policy allows the "
          "lambda:{action} action")
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:refused"


def keys(who):
    return {"key": who["AccessKeyId"], "secret": who["SecretAccessKey"]}


def denied(answer, user, action, resource):
    equal((answer.status, answer.code), (403, "AccessDeniedException"), f"status and class ({answer.body!r})")
    equal(answer.message, DENIED.format(user=user, action=action, resource=resource), "message")


def guest_invokes(door):
    equal(door.honest(**keys(GUEST)).status, 200, "status")


def guest_does_nothing_else(door):
    denied(door.honest("DELETE", "/2015-03-31/functions/refused", b"", **keys(GUEST)), GUEST["Arn"], "DeleteFunction", FUNCTION)
    denied(door.honest("GET", "/2015-03-31/functions", b"", **keys(GUEST)), GUEST["Arn"], "ListFunctions", "*")


def stranger_does_nothing(door):
    denied(door.honest(**keys(STRANGER)), STRANGER["Arn"], "InvokeFunction", FUNCTION)


def stranger_learns_nothing(door):
    """Whether a function is there is not told to who may not know."""
    target = INVOKE.replace("refused", "nobody")
    denied(door.honest(target=target, **keys(STRANGER)), STRANGER["Arn"], "InvokeFunction", FUNCTION.replace("refused", "nobody"))


CHECKS = [guest_invokes, guest_does_nothing_else, stranger_does_nothing, stranger_learns_nothing]
