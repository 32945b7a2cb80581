"""The rows for Node.js: every behaviour of AWS's `aws-lambda-ric` that a caller or a reader of the logs can see.

Up to Node.js 22 the reference is the package's 3.x line, from 24 on its 4.x line; rows for one of them say so.
"""

import json
import signal

from case import Accepted, Case
from scripted_api import DROP, event

JSON_LOGS = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
CLASSIC, MODERN = {"until": (22, 99)}, {"since": (24,)}

VALUES = ("null undefined true number nan text empty unicode surrogate control nested date buffer map tojson circular bigint function "
          "symbol error big proxy").split()
FAILURES = ("plain sync custom subclass text number object nothing undef lookalike noStack noPrototype badGetter circular withCause "
            "aggregate multiLine del unicode deep recursion json late exitAfterTimer abort rejection rejectionText uncaught "
            "uncaughtText emitter never").split()
CALLBACKS = ("value nothing error errorText errorFalsy twice errorThenValue later waits waitsNot continues exits exitsWaiting throws circular "
             "circularNow asyncCallback never neverTimer contextCallback").split()
CONTEXT_METHODS = "succeed fail failNothing done doneError succeedTwice asyncSucceed rejectsAfter valueReturned throwUndefined bare".split()
SENT_AGAIN = (
    Accepted("requests", r"(POST \S+/response\n  content-type: application/json\n  \{\}\n)\1", r"\1",
             "a post that got no answer on a kept connection is sent again: ours cannot see before that the connection is closed"),
)
NATIVE_ERROR = (Accepted("stderr", r"^.*(Failed to get next invocation, error -?\d+).*$", r"\1",
                         "an error made by a native addon has no stack, so Node.js prints it another way", ((24,), (999,))),)
DYING = (Accepted("requests", r"^GET /2018-06-01/runtime/invocation/next$", "",
                  "the process dies while it asks for its first event; whether the request has left is chance", ((24,), (999,)), by_chance=True),)
FAILING_STREAMS = "failsAtOnce failsLater failsText notAsync throwsSync typedLate".split()
AT_LOAD = ("require_missing import_missing import_name_missing syntax_error syntax_error_esm throws throws_esm throws_text rejects_esm exits "
           "requires_esm").split()
STREAMS = ("plain typed typedLate ended empty prelude preludeOnly piped bytes object big failsAtOnce failsLater failsText returns notAsync "
           "throwsSync threeArguments surface finishListener").split()
LOGS = "levels formats errors circular direct untouched thenFail afterAnswer".split()

CLIENT_CONTEXT = json.dumps({"client": {"installation_id": "i"}, "custom": {"k": "v"}, "env": {"locale": "en"}})

CASES = [
    *(Case(f"value {name}", "values.handler", (event({"value": name}),)) for name in VALUES),
    Case("value sync", "values.sync", (event({"value": "text"}),)),
    Case("value sync circular", "values.sync", (event({"value": "circular"}),)),
    Case("value thenable", "values.thenable"),
    Case("event echo", "values.echo", tuple(event(value) for value in (
        None, "text", [1, 2.5, None, True], {"a": {"b": "h\u00e9 \u2028 \U0001F600"}}, 12345678901234567890, b'"\\ud83d\\ude00"'))),
    Case("event big", "values.echo", (event("x" * 5_000_000), event(1))),
    *(Case(f"event bad {name}", "values.echo", (event(body), event(1))) for name, body in
      {"empty": b"", "open": b"{", "word": b"nope"}.items()),
    Case("event of another content type", "values.echo", (event({"a": 1}, Content_Type="text/plain"),)),

    *(Case(f"error {name}", f"errors.{name}", (event(), event())) for name in FAILURES),
    *(Case(f"error exit {code!r}", "errors.exit", (event({"code": code}),)) for code in (0, 5)),
    # AWS's client cannot send its own header and leaves the invocation without an answer.
    Case("error huge", "errors.huge", ours_only='/error\\n  content-type: application/json\\n  \\{"errorType":"Error","errorMessage":"mmm'),
    Case("error then fine", "errors.twoStep", (event({"fail": True}), event(), event({"fail": True}))),
    *(Case(f"error {name}, JSON", f"errors.{name}", env=JSON_LOGS) for name in
      ("plain", "custom", "text", "circular", "withCause", "rejection", "uncaught", "noStack")),

    *(Case(f"callback {name}", f"callbacks.{name}", (event({"n": 1}), event({"n": 2}))) for name in CALLBACKS),
    # From 24 on a timer throws while the runtime waits; whether the test sees that is chance.
    Case("context method succeedLater", "callbacks.succeedLater", (event(), event()), **CLASSIC),
    *(Case(f"context method {name}", f"callbacks.{name}", (event(), event())) for name in CONTEXT_METHODS),

    *(Case(f"load {name}", f"{name}.handler") for name in AT_LOAD),
    *(Case(f"load {name}, JSON", f"{name}.handler", env=JSON_LOGS) for name in ("require_missing", "syntax_error", "throws_esm")),
    # AWS's client reports the init error and asks for the next event at the same time; which one is served first is chance.
    Case("load unhandled", "unhandled.handler", ours_only="init/error.*Runtime.UnhandledPromiseRejection", **CLASSIC),
    Case("load unhandled", "unhandled.handler", accept=DYING, **MODERN),
    Case("load timer_throws", "timer_throws.handler"),
    *(Case(f"load {handler}", handler) for handler in (
        "common.handler", "esm/app.handler", "esm/inner/app.handler", "directory.handler", "sub/folder/app.handler", "function_module.handler",
        "bare.handler", "top_level_await.handler", "callbacks.bare", "values.nested.deeper.handler", "values.inDefault",
        "values.default.inDefault", "package/app.handler", "counter.handler", "interval.handler")),
    Case("load from NODE_PATH", "uses_layer.handler", env={"NODE_PATH": "{task}/layer/node_modules"}),
    Case("load handler from NODE_PATH", "handler-in-layer.handler", env={"NODE_PATH": "{task}/layer/node_modules"}),
    *(Case(f"handler name {handler}", handler) for handler in (
        "values", "values.missing", "values.none", "values.notFunction", "values.nested.missing.handler", "no_such_module.handler",
        "../values.handler", "sub/no_such.handler", "values.", ".handler", "./values.echo", "values.handler.extra")),
    Case("handler name with absolute path", "/tmp/no_such_folder/app.handler"),

    Case("context attributes", "contexts.attributes"),
    Case("context attributes, everything", "contexts.attributes", (event(
        Lambda_Runtime_Aws_Tenant_Id="tenant-1", Lambda_Runtime_Client_Context=CLIENT_CONTEXT,
        Lambda_Runtime_Cognito_Identity='{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}'), event())),
    Case("context attributes, no trace", "contexts.attributes", (event(), event(Lambda_Runtime_Trace_Id=None), event())),
    Case("context printed", "contexts.printed"),
    Case("context past deadline", "contexts.past", (event(Lambda_Runtime_Deadline_Ms="1000"),)),
    Case("context client", "contexts.client", (event(Lambda_Runtime_Client_Context='{"custom":"h\u00e9"}'),)),
    Case("context client, not JSON", "contexts.client", (event(Lambda_Runtime_Client_Context="{nope"), event())),
    Case("context identity, not JSON", "contexts.client", (event(Lambda_Runtime_Cognito_Identity="{nope"), event())),
    Case("environment", "contexts.environment"),
    Case("environment without awslambda", "contexts.environment", env={"AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA": "1"}),
    Case("invoke store", "contexts.store", (event(), event())),

    *(Case(f"log {name}", f"logs.{name}") for name in LOGS),
    *(Case(f"log {name}, JSON", f"logs.{name}", env=JSON_LOGS) for name in LOGS),
    *(Case(f"log level {level}", "logs.levels", env={"AWS_LAMBDA_LOG_LEVEL": level}) for level in ("TRACE", "debug", "WARN", "FATAL", "nonsense")),
    *(Case(f"log level {level}, JSON", "logs.levels", env={**JSON_LOGS, "AWS_LAMBDA_LOG_LEVEL": level}) for level in ("TRACE", "INFO", "warn", "ERROR", "FATAL", "nonsense")),
    Case("log JSON, lower case", "logs.levels", env={"AWS_LAMBDA_LOG_FORMAT": "json"}),
    Case("log tenant, JSON", "logs.levels", (event(Lambda_Runtime_Aws_Tenant_Id="tenant-1"),), env=JSON_LOGS),
    Case("log frames", "logs.levels", telemetry_fd=True),
    Case("log frames, JSON", "logs.thenFail", env=JSON_LOGS, telemetry_fd=True),
    Case("log frames, multi-line", "logs.formats", telemetry_fd=True),

    *(Case(f"stream {name}", f"streams.{name}", (event(), event())) for name in STREAMS if name not in FAILING_STREAMS),
    *(Case(f"stream {name}", f"streams.{name}", (event(), event()), **CLASSIC) for name in FAILING_STREAMS),
    # From 24 on AWS's client does not wait for its own failed stream before it asks for the next event; ours does.
    *(Case(f"stream {name}", f"streams.{name}", (event(), event()), **MODERN,
           ours_only="(next\nPOST [^\n]*/response\n.*){2}next$") for name in FAILING_STREAMS),
    # AWS's client stumbles over an import it lacks (ReferenceError); 4.x has it.
    Case("stream of another kind", "streams_other.handler", ours_only="Runtime.MalformedStreamingHandler", **CLASSIC),
    Case("stream of another kind", "streams_other.handler", **MODERN),

    *(Case(f"api response answered {status}", "values.echo", (event(), event()), answers={"response": [(status, b'{"errorMessage":"m"}')]})
      for status in (200, 400, 403, 410, 413, 500)),
    *(Case(f"api error answered {status}", "errors.plain", (event(), event()), answers={"error": [(status, b"{}")]}) for status in (403, 500)),
    *(Case(f"api next answered {status}", "values.echo", answers={"next": [(status, b"{}")]}, accept=NATIVE_ERROR) for status in (403, 500)),
    Case("api later next answered 500", "values.echo", (event(), event()), answers={"next": [None, (500, b"{}")]}, accept=NATIVE_ERROR),
    *(Case(f"api init error answered {status}", "require_missing.handler", answers={"init/error": [(status, b"{}")]}) for status in (403, 500)),
    Case("api drops the first next", "values.echo", answers={"next": [DROP]}, accept=NATIVE_ERROR),
    Case("api drops a later next", "values.echo", (event(), event()), answers={"next": [None, DROP]}, **CLASSIC),
    # The 4.x client polls from changing threads, each with its own connection, and never reconnects.
    Case("api drops a later next", "values.echo", (event(), event()), answers={"next": [None, DROP]}, ours_only="next\n.*next\n.*next\n.*next$", **MODERN),
    Case("api drops a response", "values.echo", (event(), event()), answers={"response": [DROP]}, accept=SENT_AGAIN),
    Case("default SIGTERM", "values.echo", final_signal=signal.SIGTERM),
    Case("invocation id echoed", "errors.twoStep", (event(Lambda_Runtime_Invocation_Id="attempt-1"),),
         ours_only="lambda-runtime-invocation-id: attempt-1"),
    Case("invocation id echoed with an error", "errors.twoStep", (event({"fail": True}, Lambda_Runtime_Invocation_Id="attempt-1"),),
         ours_only="lambda-runtime-invocation-id: attempt-1"),
    Case("invocation id echoed with a stream", "streams.plain", (event(Lambda_Runtime_Invocation_Id="attempt-1"),),
         ours_only="lambda-runtime-invocation-id: attempt-1"),
]
