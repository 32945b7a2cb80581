"""Initialise the function, then serve one event after the other.

    load the handler ──► GET next ──► handler(event, context) ──► POST response ─┐
          │ fails           ▲                    │ fails                           │
          ▼                 └────────────────────┴──► log, POST error ────────────┤
    log, POST init/error, exit 1                                                 └──► next

Called by `bootstrap.py`, once. Only `Exception` is the function's failure: `SystemExit`, `KeyboardInterrupt` and every other
`BaseException` end the process, as under AWS's client, and the platform reports the exit.
"""

import os
import sys

from . import failure, logs, payload
from .api import RuntimeApi
from .context import create
from .handler import resolve


def run(handler_name, api_address):
    logs.unbuffer()
    sink = logs.install()
    api = RuntimeApi(api_address)
    handler = _initialize(handler_name, api, sink)
    while True:
        invocation = api.next()
        logs.current = invocation
        _set_trace(invocation.trace_id)
        _invoke(handler, invocation, api, sink)


def _initialize(name, api, sink):
    try:
        return resolve(name)
    except Exception as error:
        failed = failure.describe(error, "")
    sink.error(failed.report)
    api.init_error(payload.encode(failed.report), failed.report["errorType"])
    sys.exit(1)


def _invoke(handler, invocation, api, sink):
    try:
        context = create(invocation)
        event = payload.decode(invocation.body, invocation.content_type)
        body, content_type = payload.encode_response(handler(event, context))
    except Exception as error:
        failed = failure.describe(error, invocation.request_id)
    else:
        api.respond(invocation, body, content_type)
        return
    sink.error(failed.report)
    api.fail(invocation, payload.encode(failed.report), failed.cause())


def _set_trace(trace_id):
    """Tracing libraries read the header of the running invocation from the environment."""
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
