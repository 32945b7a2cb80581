"""Calls through boto3: one JSON request a line on standard input, one JSON observation a line on standard output.

Run by the interpreter of a venv that has boto3. The protocol is described in `caller.py` of the folder above.
"""

import base64
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

MEMBERS = {"FunctionName": "function", "InvocationType": "invocation_type", "LogType": "log_type",
           "Qualifier": "qualifier", "ClientContext": "client_context"}


def observe(client, request):
    members = {member: request[name] for member, name in MEMBERS.items() if name in request}
    if "payload" in request:
        members["Payload"] = base64.b64decode(request["payload"])
    try:
        if request.get("stream"):
            return streamed(client.invoke_with_response_stream(**members))
        answer = client.invoke(**members)
    except ClientError as error:
        details, metadata = error.response["Error"], error.response["ResponseMetadata"]
        return {"error": {
            # The generic class if the API's model does not have the code.
            "class": type(error).__name__,
            "code": details["Code"],
            "message": details["Message"],
            "status": metadata["HTTPStatusCode"],
            "type": error.response.get("Type") or details.get("Type"),
            "reason": error.response.get("Reason"),
            "retry_after": error.response.get("retryAfterSeconds"),
            "request_id": metadata.get("RequestId"),
        }}
    return {
        "status": answer["StatusCode"],
        "payload": base64.b64encode(answer["Payload"].read()).decode(),
        "function_error": answer.get("FunctionError"),
        "executed_version": answer.get("ExecutedVersion"),
        "log_result": answer.get("LogResult"),
        "request_id": answer["ResponseMetadata"]["RequestId"],
    }


def streamed(answer):
    payload, end = b"", None
    for event in answer["EventStream"]:
        if end is not None:
            return {"broken": f"after the end: {event}"}
        if "PayloadChunk" in event:
            payload += event["PayloadChunk"]["Payload"]
        else:
            end = event["InvokeComplete"]
    if end is None:
        return {"broken": "no end"}
    return {
        "status": answer["StatusCode"],
        "payload": base64.b64encode(payload).decode(),
        "executed_version": answer.get("ExecutedVersion"),
        "content_type": answer.get("ResponseStreamContentType"),
        "error_code": end.get("ErrorCode"),
        "error_details": end.get("ErrorDetails"),
        "log_result": end.get("LogResult"),
        "request_id": answer["ResponseMetadata"]["RequestId"],
    }


def main():
    # An answer is observed as it is, so nothing is tried again.
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
    clients = {}
    for line in sys.stdin:
        request = json.loads(line)
        endpoint = request["endpoint"]
        if endpoint not in clients:
            clients[endpoint] = boto3.client("lambda", endpoint_url=endpoint, config=config)
        print(json.dumps(observe(clients[endpoint], request)), flush=True)


main()
