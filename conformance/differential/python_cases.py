"""The rows for Python: every behaviour of AWS's `awslambdaric` that a caller or a reader of the logs can see."""

import json
import signal

from case import Accepted, Case
from scripted_api import DROP, event

JSON_LOGS = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}

VALUES = ("null true int float text unicode control nested keys nan decimal decimal-infinity decimal-key namedtuple asdict bytes "
          "bytes-inside bytes-inside-broken bytearray enum ordered dict-subclass set set-inside opaque complex tuple-key tuple-key-slow "
          "class generator big html").split()

FAILURES = ("plain custom empty no_arguments key_error multi_line chained during_handling deep recursion library from_lambda compiled "
            "bad_str latin os_exit keyboard_interrupt base_exception cancelled huge in_thread assertion unicode_line surrogate").split()

AT_IMPORT = ("import_missing import_name_missing syntax_error indentation_error raises_at_import raises_at_import_ascii "
             "key_error_at_import exits_at_import exits_clean_at_import interrupts_at_import base_exception_at_import os_exit_at_import "
             "imports_syntax_error second_of_circle latin_source bom dynamic_broken").split()

BAD_EVENTS = {
    "empty": b"", "spaces": b"  ", "open-object": b"{", "open-list": b"[1", "bare-word": b"nope", "two-values": b"1 2",
    "not-utf8": b'"\xff"', "nan": b"NaN", "control": b'"\x01"', "trailing-comma": b"[1,]",
}

CLIENT_CONTEXT = {
    "client": {"installation_id": "i", "app_title": "t", "app_version_name": "n", "app_version_code": "c", "app_package_name": "p"},
    "custom": {"k": "v"}, "env": {"locale": "en"},
}


# The front door lets only JSON in, so that a caller meets these words in no other way than through a broken platform.
def parser_words(*versions):
    return tuple(
        Accepted(aspect, r"(Unable to unmarshal input: )[^\"\n\r]*?(?=\"|Traceback|\r)", r"\1<parser>",
                 "wording of the JSON parser: the standard library's, not simplejson's", *versions)
        for aspect in ("requests", "stdout"))


NEWER, OLDER = ((3, 12), (3, 99)), ((3, 0), (3, 12))
PARSER_WORDS = {name: parser_words() for name in ("open-object", "open-list", "two-values", "nan", "control")}
PARSER_WORDS["trailing-comma"] = parser_words(OLDER)
DEPTH = (
    Accepted("requests", r'(\{"label": "recursion"[^}]*\}(, )?)+|repeated \d+ more', "<frames>", "our client's own stack is shallower, the recursion ends later"),
    Accepted("stdout", r"repeated \d+ more", "<frames>", "our client's own stack is shallower, the recursion ends later"),
)

ERROR_CLASS = (Accepted("stderr", r"[\w.]*Error: (Request to Lambda Runtime)", r"\1", "name of the client's own exception class"),)
POLLING_THREAD = (Accepted("stderr", r"Traceback.*", "<traceback>", "from 3.12 on AWS's client polls in a thread, whose frames show when the platform fails", NEWER),)
LATIN_1 = (Accepted("requests", r"h(é|\\xe9)", "h<e>", "from 3.12 on AWS's client sends init errors as Latin-1, which is not JSON; ours sends UTF-8", NEWER),)
ENCODER_DEPTH = tuple(
    Accepted(aspect, r"exceeded while (encoding a JSON object|calling a Python object)", "exceeded",
             "which C function of the encoder meets the recursion limit first", NEWER)
    for aspect in ("requests", "stdout"))


def client_context(value):
    return (event(Lambda_Runtime_Client_Context=json.dumps(value)),)


CASES = [
    *(Case(f"value {name}", "values.handler", (event({"value": name}),)) for name in VALUES),
    Case("value surrogate", "values.handler", (event({"value": "surrogate"}),)),
    Case("value unicode, ascii only", "values.handler", (event({"value": "unicode"}),), env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"}),
    Case("value decimal, ascii only", "values.handler", (event({"value": "decimal"}),), env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"}),
    Case("value unicode, no execution environment", "values.handler", (event({"value": "unicode"}),), env={"AWS_EXECUTION_ENV": ""}),
    Case("value circular", "values.circular"),
    Case("value circular, slow", "values.circular_slow"),
    Case("value deep", "values.deep", accept=ENCODER_DEPTH),
    Case("value none", "values.no_return"),
    Case("value coroutine", "values.coroutine"),
    Case("handler instance", "values.instance"),
    Case("handler not callable", "values.not_callable"),
    Case("handler one argument", "values.one_argument"),
    Case("event echo", "values.echo", tuple(event(value) for value in (
        None, "text", [1, 2.5, None, True], {"a": {"b": "h\u00e9 \u2028 \U0001F600"}}, 12345678901234567890, 1e100, b'"\\ud83d\\ude00"'))),
    Case("event bom", "values.echo", (event(b"\xef\xbb\xbf[1]"),)),
    Case("event duplicate keys", "values.echo", (event(b'{"a":1,"a":2}'),)),
    *(Case(f"event bad: {name}", "values.echo", (event(body),), accept=PARSER_WORDS.get(name, ())) for name, body in BAD_EVENTS.items()),
    Case("event of another content type", "values.describe", (event(b"a=b&\xff", Content_Type="application/x-www-form-urlencoded"),)),
    Case("event with charset", "values.describe", (event({"a": 1}, Content_Type="application/json; charset=utf-8"),)),
    # AWS's client dies of a null pointer here.
    Case("event without content type", "values.describe", (event({"a": 1}, Content_Type=None),), ours_only="dict"),
    Case("event big", "values.echo", (event("x" * 5_000_000), event(1))),

    *(Case(f"error {name}", f"errors.{name}", accept=DEPTH if name == "recursion" else ()) for name in FAILURES),
    Case("error group", "errors.group", since=(3, 11)),
    Case("error note", "errors.note", since=(3, 11)),
    Case("error latin, ascii only", "errors.latin", env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"}),
    Case("error then fine", "errors.two_step", (event({"fail": True}), event(), event({"fail": True}))),
    *(Case(f"error sys.exit {code!r}", "errors.sys_exit", (event({"code": code}),)) for code in (None, 0, 5, "text")),
    *(Case(f"error {name}, JSON", f"errors.{name}", env=JSON_LOGS) for name in ("plain", "multi_line", "latin", "empty")),

    *(Case(f"import {name}", f"{name}.handler", accept=LATIN_1 if name == "raises_at_import" else ()) for name in AT_IMPORT),
    *(Case(f"import {name}, JSON", f"{name}.handler", env=JSON_LOGS) for name in ("import_missing", "syntax_error", "raises_at_import_ascii")),
    Case("import dynamic", "dynamic.dynamic"),
    Case("import dynamic missing", "dynamic.other"),
    Case("handler name without dot", "values"),
    Case("handler name with empty parts", ".handler"),
    Case("handler name ending in a dot", "values."),
    Case("handler missing", "values.no_such_handler"),
    Case("handler module missing", "no_such_module.handler"),
    Case("handler module is built in", "sys.exit"),
    Case("handler module is built in, dotted", "time.sub.handler"),
    Case("handler in a package, dots", "package.inner.module.handler"),
    Case("handler in a package, slashes", "package/inner/module.handler"),
    Case("handler in folders", "path/to/module.handler"),
    Case("handler absolute", "/values.handler"),
    Case("handler relative", "./values.handler"),
    Case("handler shadows the library", "colorsys.handler"),

    Case("context attributes", "contexts.attributes"),
    Case("context attributes, tenant", "contexts.attributes", (event(Lambda_Runtime_Aws_Tenant_Id="tenant-1"), event())),
    Case("context attributes, no trace", "contexts.attributes", (event(), event(Lambda_Runtime_Trace_Id=None), event())),
    Case("context attributes, no arn", "contexts.attributes", (event(Lambda_Runtime_Invoked_Function_Arn=None),)),
    Case("context text", "contexts.text", (event(), *client_context(CLIENT_CONTEXT))),
    Case("context deadline passed", "contexts.past_deadline", (event(Lambda_Runtime_Deadline_Ms="1000"),)),
    Case("context client", "contexts.client", client_context(CLIENT_CONTEXT)),
    Case("context client, custom only", "contexts.client", client_context({"custom": {"k": [1]}})),
    Case("context client, empty", "contexts.client", client_context({})),
    Case("context client, w3c", "contexts.client", client_context({"custom": 1, "w3c": {"traceparent": "00-1", "tracestate": 5, "other": "x"}})),
    Case("context client, not JSON", "contexts.client", (event(Lambda_Runtime_Client_Context="{nope"),)),
    Case("context client, a list", "contexts.client", client_context([1])),
    Case("context client, unicode", "contexts.client", (event(Lambda_Runtime_Client_Context='{"custom":"h\u00e9"}'),)),
    Case("context identity", "contexts.identity", (event(Lambda_Runtime_Cognito_Identity='{"cognitoIdentityId":"id","cognitoIdentityPoolId":"pool"}'),
                                                   event(Lambda_Runtime_Cognito_Identity='{"cognitoIdentityId":"id"}'))),
    Case("context identity absent", "contexts.identity"),
    Case("context identity attribute absent", "contexts.identity_absent"),
    Case("context log", "contexts.log"),
    Case("context log, JSON", "contexts.log", env=JSON_LOGS),
    Case("process", "contexts.process"),
    Case("process, JSON", "contexts.process", env=JSON_LOGS),

    *(Case(f"log {name}", f"logs.{name}") for name in (
        "printing partial raw levels defaults multi_line exception extra stack broken_format basic_config basic_config_forced own_formatter "
        "warning captured_warning then_fail replaced_stdout").split()),
    *(Case(f"log {name}, JSON", f"logs.{name}", env=JSON_LOGS) for name in
      "printing levels defaults multi_line exception extra stack broken_format basic_config captured_warning then_fail".split()),
    Case("log JSON, lower case", "logs.defaults", env={"AWS_LAMBDA_LOG_FORMAT": "json"}),
    Case("log format unknown", "logs.defaults", env={"AWS_LAMBDA_LOG_FORMAT": "yaml"}),
    *(Case(f"log level {level}, JSON", "logs.defaults", env={**JSON_LOGS, "AWS_LAMBDA_LOG_LEVEL": level})
      for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "nonsense", "debug")),
    *(Case(f"log level {level}, text", "logs.defaults", env={"AWS_LAMBDA_LOG_LEVEL": level}) for level in ("DEBUG", "ERROR")),
    Case("log tenant, JSON", "logs.defaults", (event(Lambda_Runtime_Aws_Tenant_Id="tenant-1"),), env=JSON_LOGS),
    Case("log frames", "logs.then_fail", telemetry_fd=True),
    Case("log frames, multi-line", "logs.multi_line", telemetry_fd=True),
    Case("log frames, level", "logs.levels", env={"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, telemetry_fd=True),
    Case("log frames, JSON", "logs.levels", env=JSON_LOGS, telemetry_fd=True),
    Case("log frames, JSON error", "logs.then_fail", env=JSON_LOGS, telemetry_fd=True),

    Case("invocation id echoed", "errors.two_step", (event(Lambda_Runtime_Invocation_Id="attempt-1"),
                                                     event({"fail": True}, Lambda_Runtime_Invocation_Id="attempt-2"), event())),
    *(Case(f"api response answered {status}", "values.echo", (event(), event()), answers={"response": [(status, b'{"errorMessage":"m"}')]})
      for status in (200, 400, 403, 410, 413, 500)),
    *(Case(f"api error answered {status}", "errors.plain", (event(), event()), answers={"error": [(status, b"{}")]}) for status in (403, 500)),
    *(Case(f"api next answered {status}", "values.echo", answers={"next": [(status, b"{}")]}, accept=POLLING_THREAD) for status in (403, 500)),
    *(Case(f"api init error answered {status}", "import_missing.handler", answers={"init/error": [(status, b"{}")]}, accept=ERROR_CLASS) for status in (403, 500)),
    Case("api drops the first next", "values.echo", answers={"next": [DROP]}, accept=POLLING_THREAD),
    Case("api drops a later next", "values.echo", (event(), event()), answers={"next": [None, DROP]}),
    Case("api drops a response", "values.echo", (event(), event()), answers={"response": [DROP]}),
    Case("layers in an emulated /opt", "uses_layer.handler", env={"_FIRESTEEL_OPT": "{task}/opt"}, ours_only='"site-packages"'),
    Case("private variable is gone", "contexts.process", env={"_FIRESTEEL_OPT": "{task}/opt"}, ours_only=r'"private": \["_HANDLER", "_X_AMZN_TRACE_ID"\]'),
    Case("signal while waiting", "signals.handler", final_signal=signal.SIGTERM, since=(3, 12)),
    Case("default SIGTERM", "values.echo", final_signal=signal.SIGTERM),
]
