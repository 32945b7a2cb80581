"""What callers must see: each check is a function of a caller and the stage it calls on.

Expected are the shapes of the service: statuses, classes, spellings and texts of the public model and of recordings.
Python's error payloads are the managed runtime's. The functions called are in `functions/python`.
"""

import base64
import json
import re
import uuid

from report import equal, holds

SYNCHRONOUS_LIMIT = 6 * 1024 * 1024
ASYNCHRONOUS_LIMIT = 1024 * 1024
RESPONSE_LIMIT = SYNCHRONOUS_LIMIT + 100
ARN = "arn:aws:lambda:us-east-1:000000000000:function:calls"
NAMED_ID = re.compile(r"RequestId: ([0-9a-f-]{36}) Error: (.*)", re.S)

CHECKS = []
STREAMING = []
WHILE_FULL = []


def check(function, table=CHECKS):
    table.append((function.__name__.replace("_", " "), function))
    return function


class Stage:
    """A caller, the server it calls, and the function there."""

    def __init__(self, caller, server):
        self.caller = caller
        self.server = server

    def call(self, do=None, function="calls", raw=None, more=None, **request):
        if do is not None:
            raw = json.dumps({"do": do, **(more or {})}).encode()
        if raw is not None:
            request["payload"] = raw
        return self.caller.call(endpoint=self.server.endpoint, function=function, **request)

    def answered(self, *arguments, **request):
        answer = self.call(*arguments, **request)
        holds(hasattr(answer, "payload"), f"an answer wanted, {answer} seen")
        return answer

    def succeeded(self, *arguments, **request):
        answer = self.answered(*arguments, **request)
        equal((answer.status, answer.function_error), (200, None), "status and function error")
        equal(answer.executed_version, "$LATEST", "executed version")
        return answer

    def failed(self, *arguments, **request):
        """Failures of functions are successes of the call."""
        answer = self.answered(*arguments, **request)
        equal((answer.status, answer.function_error), (200, "Unhandled"), "status and function error")
        equal(answer.executed_version, "$LATEST", "executed version")
        return answer

    def streamed(self, *arguments, **request):
        answer = self.answered(*arguments, stream=True, **request)
        equal((answer.status, answer.executed_version), (200, "$LATEST"), "status and executed version")
        equal(answer.content_type, "application/vnd.amazon.eventstream", "content type")
        return answer

    def refused(self, code, status, message, *arguments, kind="User", modelled=True, **request):
        """`message` is a pattern. `kind` is the error's member `Type`."""
        refusal = self.call(*arguments, **request)
        holds(hasattr(refusal, "code"), f"{code} wanted, {refusal} seen")
        equal(refusal.code, code, "code")
        holds(re.fullmatch(message, refusal.message, re.S), f"message: {message!r} wanted, {refusal.message!r} seen")
        if self.caller.shows_everything:
            equal(refusal.status, status, "status")
            equal(refusal.caught_as, code if modelled else self.caller.generic_class, "class it is caught as")
            equal(refusal.type, kind if modelled else refusal.type, "member Type")
            uuid.UUID(refusal.request_id)
        return refusal


@check
def success(stage):
    answer = stage.succeeded("greet", more={"name": "Ada"})
    equal(answer.json["message"], "Hello, Ada!", "message")
    if stage.caller.shows_everything:
        equal(answer.request_id, answer.json["requestId"], "request id of the answer and of the context")
    equal(answer.log_result, None, "log result that was not asked for")


@check
def result_of_none_is_null(stage):
    equal(stage.succeeded("nothing").payload, b"null", "payload")


@check
def result_that_looks_like_an_error_is_none(stage):
    equal(stage.succeeded("looks_failed").json["errorType"], "OrderError", "errorType")


@check
def text_of_any_language_comes_back(stage):
    text = "héllo, 世界, 🙂, \u0000, \u2028"
    equal(stage.succeeded("echo", more={"text": text}).json["text"], text, "text")


@check
def log_tail(stage):
    answer = stage.succeeded("log", log_type="Tail", more={"lines": 2, "token": "tail"})
    pattern = (r"(?:INIT_START [^\n]*\n)?START RequestId: ([0-9a-f-]{36}) Version: \$LATEST\n"
               r"line 0 of tail\nline 1 of tail\nEND RequestId: \1\n"
               r"REPORT RequestId: \1\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
               r"Max Memory Used: \d+ MB\t(?:Init Duration: [\d.]+ ms\t)?\n")
    log = answer.log.decode()
    holds(re.fullmatch(pattern, log), f"log: {log!r}")


@check
def log_tail_is_the_last_4096_bytes(stage):
    log = stage.succeeded("log", log_type="Tail", more={"lines": 1000, "token": "long"}).log
    equal(len(log), 4096, "bytes of log")
    holds(b"\nREPORT RequestId: " in log, f"log: {log[-300:]!r}")


@check
def log_tail_of_a_failure(stage):
    log = stage.failed("fail", log_type="Tail").log
    holds(b"OrderError" in log and b"\nREPORT RequestId: " in log, f"log: {log!r}")


@check
def error_of_the_handler(stage):
    error = stage.failed("fail").json
    equal((error["errorType"], error["errorMessage"]), ("OrderError", "no such order: é"), "type and message")
    equal(sorted(error), ["errorMessage", "errorType", "requestId", "stackTrace"], "members")
    holds(error["stackTrace"] and all(isinstance(frame, str) for frame in error["stackTrace"]), f"trace: {error['stackTrace']}")


def platform_error(answer, error_type, text):
    error = answer.json
    equal(list(error), ["errorType", "errorMessage"], "members in order")
    equal(error["errorType"], error_type, "errorType")
    named = NAMED_ID.fullmatch(error["errorMessage"])
    holds(named and named[2] == text, f"errorMessage: {error['errorMessage']!r}")
    if answer.request_id is not None:
        equal(named[1], answer.request_id, "request id in the message")


@check
def timeout(stage):
    platform_error(stage.failed("hang", more={"token": "timeout"}), "Sandbox.Timedout", "Task timed out after 3.00 seconds")


@check
def exit_with_a_status(stage):
    platform_error(stage.failed("exit", more={"status": 7}), "Runtime.ExitError", "Runtime exited with error: exit status 7")


@check
def exit_without_a_reason(stage):
    platform_error(stage.failed("exit", more={"status": 0}), "Runtime.ExitError", "Runtime exited without providing a reason")


@check
def response_too_large(stage):
    error = stage.failed("large", more={"characters": RESPONSE_LIMIT}).json
    equal(error, {"errorMessage": f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes).",
                  "errorType": "Function.ResponseSizeTooLarge"}, "payload")


@check
def largest_response(stage):
    # With its quotation marks the text has as many bytes as are allowed.
    equal(len(stage.succeeded("large", more={"characters": RESPONSE_LIMIT - 2}).payload), RESPONSE_LIMIT, "bytes")


@check
def largest_event(stage):
    event = json.dumps({"do": "measure", "text": ""}).encode()
    text = b"x" * (SYNCHRONOUS_LIMIT - len(event))
    answer = stage.succeeded(raw=event.replace(b'""', b'"' + text + b'"'))
    equal(answer.json, {"characters": len(text)}, "payload")


@check
def event_too_large(stage):
    # In recordings the class is spelled so; the model has another spelling, so nobody has a class for it.
    size = SYNCHRONOUS_LIMIT + 1
    stage.refused("RequestEntityTooLargeException", 413,
                  rf"{size} byte payload is too large for the RequestResponse invocation type \(limit {SYNCHRONOUS_LIMIT} bytes\)",
                  raw=b'"' + b"x" * (size - 2) + b'"', modelled=False)


@check
def event_too_large_for_the_queue(stage):
    size = ASYNCHRONOUS_LIMIT + 1
    stage.refused("RequestEntityTooLargeException", 413,
                  rf"{size} byte payload is too large for the Event invocation type \(limit {ASYNCHRONOUS_LIMIT} bytes\)",
                  raw=b'"' + b"x" * (size - 2) + b'"', invocation_type="Event", modelled=False)


@check
def event_is_not_json(stage):
    stage.refused("InvalidRequestContentException", 400,
                  r"Could not parse request body into json: Could not parse payload into json: .+", raw=b'{"do": greet}')


@check
def asynchronous(stage):
    token = uuid.uuid4().hex
    answer = stage.answered("log", invocation_type="Event", more={"lines": 1, "token": token})
    equal((answer.status, answer.payload), (202, b""), "status and payload")
    equal((answer.function_error, answer.executed_version, answer.log_result), (None, None, None), "other members")
    stage.server.wait_for_line(f"line 0 of {token}")


@check
def dry_run(stage):
    answer = stage.answered("exit", invocation_type="DryRun", more={"status": 1})
    equal((answer.status, answer.payload), (204, b""), "status and payload")
    equal((answer.function_error, answer.executed_version), (None, None), "other members")


@check
def dry_run_of_an_unknown_function(stage):
    stage.refused("ResourceNotFoundException", 404, r"Function not found: .+:function:nobody:\$LATEST", "greet", function="nobody",
                  invocation_type="DryRun")


@check
def unknown_function(stage):
    stage.refused("ResourceNotFoundException", 404,
                  r"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:\$LATEST", "greet", function="nobody")


@check
def unknown_function_asynchronously(stage):
    stage.refused("ResourceNotFoundException", 404, r"Function not found: .+:function:nobody:\$LATEST", "greet", function="nobody",
                  invocation_type="Event")


@check
def unknown_version(stage):
    stage.refused("ResourceNotFoundException", 404, f"Function not found: {ARN}:7", "greet", qualifier="7")


@check
def malformed_name(stage):
    stage.refused("ValidationException", 400,
                  "1 validation error detected: Value 'two words' at 'functionName' failed to satisfy constraint: .+",
                  "greet", function="two words", modelled=False)


@check
def without_a_qualifier(stage):
    equal(stage.succeeded("describe").json["arn"], ARN, "arn of the context")


@check
def qualifier(stage):
    equal(stage.succeeded("describe", qualifier="$LATEST").json["arn"], f"{ARN}:$LATEST", "arn of the context")


@check
def qualifier_in_the_name(stage):
    equal(stage.succeeded("describe", function="calls:$LATEST").json["arn"], f"{ARN}:$LATEST", "arn of the context")


@check
def qualifiers_that_differ(stage):
    stage.refused("InvalidParameterValueException", 400,
                  "The derived qualifier from the function name does not match the specified qualifier.",
                  "describe", function="calls:1", qualifier="$LATEST")


@check
def arn(stage):
    for name in (ARN, "000000000000:function:calls"):
        equal(stage.succeeded("describe", function=name).json["arn"], ARN, f"arn of the context, called {name}")


@check
def arn_of_another_region(stage):
    stage.refused("ResourceNotFoundException", 404, r"Functions from 'eu-west-1' are not reachable in this region \('us-east-1'\)",
                  "describe", function=ARN.replace("us-east-1", "eu-west-1"))


@check
def client_context(stage):
    context = {"client": {"app_title": "till"}, "custom": {"key": "välue"}, "env": {"locale": "fi"}}
    sent = base64.b64encode(json.dumps(context).encode()).decode()
    seen = stage.succeeded("describe", client_context=sent).json
    equal((seen["custom"], seen["app"]), (context["custom"], "till"), "client context")


def check_streaming(function):
    return check(function, STREAMING)


@check_streaming
def streamed_success(stage):
    answer = stage.streamed("greet", more={"name": "Ada"})
    result = json.loads(answer.payload)
    equal((result["message"], result["requestId"]), ("Hello, Ada!", answer.request_id), "message and request id")
    equal((answer.error_code, answer.error_details, answer.log_result), (None, None, None), "members of the end")


@check_streaming
def streamed_response_of_many_chunks(stage):
    answer = stage.streamed("large", more={"characters": 1_000_000})
    equal(answer.payload, b'"' + b"x" * 1_000_000 + b'"', "payload")


@check_streaming
def streamed_log_tail(stage):
    log = stage.streamed("log", log_type="Tail", more={"lines": 2, "token": "streamed"}).log
    holds(b"line 1 of streamed\n" in log and b"\nREPORT RequestId: " in log, f"log: {log!r}")


@check_streaming
def streamed_error_of_the_handler(stage):
    answer = stage.streamed("fail")
    equal((answer.payload, answer.error_code), (b"", "Unhandled"), "payload and error code")
    error = json.loads(answer.error_details)
    equal((error["errorType"], error["errorMessage"]), ("OrderError", "no such order: é"), "type and message")


@check_streaming
def streamed_timeout(stage):
    answer = stage.streamed("hang", more={"token": "streamed timeout"})
    error = json.loads(answer.error_details)
    equal(answer.error_code, "Unhandled", "error code")
    equal(error["errorMessage"], f"RequestId: {answer.request_id} Error: Task timed out after 3.00 seconds", "message")


@check_streaming
def streamed_event_that_is_not_json(stage):
    stage.refused("InvalidRequestContentException", 400, "Could not parse request body into json: .+", raw=b"{", stream=True)


@check_streaming
def streaming_an_unknown_function(stage):
    stage.refused("ResourceNotFoundException", 404, r"Function not found: .+:function:nobody:\$LATEST", "greet", function="nobody",
                  stream=True)


def check_while_full(function):
    return check(function, WHILE_FULL)


@check_while_full
def throttled(stage):
    refusal = stage.refused("TooManyRequestsException", 429, "Rate Exceeded.", "greet", more={"name": "Ada"})
    if stage.caller.shows_everything:
        equal(refusal.reason, "ConcurrentInvocationLimitExceeded", "reason")
        holds(int(refusal.retry_after) >= 1, f"retry after {refusal.retry_after}")


@check_while_full
def not_throttled_when_dry(stage):
    equal(stage.answered("greet", invocation_type="DryRun").status, 204, "status")
