"""Greets event["name"] and logs one line."""

import json
import logging

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def lambda_handler(event, context):
    name = event.get("name", "world")
    logger.info(json.dumps({"greeting": name, "remaining_ms": context.get_remaining_time_in_millis()}))
    return {"message": f"Hello, {name}!", "requestId": context.aws_request_id}
