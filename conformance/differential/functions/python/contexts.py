"""Handlers that report on the context object, the process and the environment."""
import logging
import os
import sys


def attributes(event, context):
    remaining = context.get_remaining_time_in_millis()
    return {
        "public": sorted(name for name in dir(context) if not name.startswith("_")),
        "aws_request_id": context.aws_request_id,
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "invoked_function_arn": context.invoked_function_arn,
        "tenant_id": context.tenant_id,
        "remaining": [type(remaining).__name__, remaining > 1000000],
        "class": type(context).__name__,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }


def text(event, context):
    return [repr(context), str(context), repr(context.identity), repr(context.client_context)]


def past_deadline(event, context):
    return context.get_remaining_time_in_millis()


def client(event, context):
    found = context.client_context
    return {
        "custom": found.custom,
        "env": found.env,
        "client": found.client and [found.client.installation_id, found.client.app_title, found.client.app_version_name,
                                    found.client.app_version_code, found.client.app_package_name],
        "repr": repr(found),
        "types": [type(found).__name__, type(found.client).__name__],
        "w3c": context.w3c() if hasattr(context, "w3c") else None,
    }


def identity(event, context):
    return [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id, type(context.identity).__name__]


def identity_absent(event, context):
    return context.identity.cognito_identity_id


def log(event, context):
    context.log("through the context\n")
    context.log(42)
    logging.getLogger().handlers.clear()
    context.log("no handler\n")


def process(event, context):
    return {
        "cwd": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "path0": sys.path[0] == os.environ["LAMBDA_TASK_ROOT"],
        "private": sorted(name for name in os.environ if name.startswith("_")),
        "main": "__main__" in sys.modules,
        "handlers": [type(handler).__name__ for handler in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "stdout": [sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.isatty()],
        "argv": len(sys.argv) > 0,
    }


def environment(event, context):
    return dict(sorted(os.environ.items()))
