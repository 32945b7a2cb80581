"""The second argument of every handler.

Class names and `repr` are AWS's: functions print the context, and libraries look at it. Made by `loop` per invocation.
"""

import json
import logging
import os
import sys
import time

from .failure import Fault

W3C_FIELDS = ("traceparent", "tracestate", "baggage")


def create(invocation):
    client_context = _parse(invocation.client_context, "Client Context")
    identity = _parse(invocation.cognito_identity, "Cognito Identity")
    return LambdaContext(invocation, client_context, identity)


def _parse(text, name):
    if not text:
        return None
    try:
        return json.loads(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error)) from None


class _Described:
    """Attributes listed in `__slots__` (or `_shown`), and a `repr` that names them in that order."""

    __slots__ = ()

    def __repr__(self):
        shown = getattr(self, "_shown", None) or self.__slots__
        return "%s([%s])" % (type(self).__name__, ",".join("%s=%s" % (name, getattr(self, name)) for name in shown))


class CognitoIdentity(_Described):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, ids):
        self.cognito_identity_id = ids.get("cognitoIdentityId")
        self.cognito_identity_pool_id = ids.get("cognitoIdentityPoolId")


class Client(_Described):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, fields):
        for name in self.__slots__:
            setattr(self, name, fields.get(name))


class ClientContext(_Described):
    __slots__ = ("custom", "env", "client")

    def __init__(self, fields):
        client = fields.get("client")
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        self.client = None if client is None else Client(client)


class LambdaContext(_Described):
    _shown = ("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb", "function_version",
              "invoked_function_arn", "client_context", "identity", "tenant_id")

    def __init__(self, invocation, client_context, identity):
        self.aws_request_id = invocation.request_id
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = invocation.invoked_function_arn
        self.tenant_id = invocation.tenant_id
        self._w3c = _take_w3c(client_context)
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = CognitoIdentity({} if identity is None else identity)
        self._deadline_ms = invocation.deadline_ms

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self):
        """The trace context that came with the invocation."""
        return dict(self._w3c)

    def log(self, message):
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(str(message))
                return
        sys.stdout.write(str(message))


def _take_w3c(client_context):
    """Takes `w3c` out of the client context: functions reach it through `LambdaContext.w3c()` only."""
    if not isinstance(client_context, dict):
        return {}
    fields = client_context.pop("w3c", None)
    if not isinstance(fields, dict):
        return {}
    return {name: fields[name] for name in W3C_FIELDS if isinstance(fields.get(name), str)}
