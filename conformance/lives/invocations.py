"""Invocations of every kind."""

import base64
import json
import re

from report import Mismatch, equal, holds
from stage import members, step


@step
def invoke(stage):
    answer, seen = stage.invoke({"text": "päivää"})
    members(answer, StatusCode=200, ExecutedVersion="$LATEST")
    holds(not answer.get("LogResult"), "a log that was not asked for")
    members(seen, release="first", arn=stage.arn, version="$LATEST", event={"text": "päivää"}, initialization="on-demand")


@step
def invoke_with_log(stage):
    answer, _ = stage.invoke({"do": "say", "line": "a line of the log"}, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    holds(re.search(r"(?s)START RequestId: .+\na line of the log\nEND RequestId: .+\nREPORT RequestId: ", log), f"log: {log!r}")


@step
def invoke_what_fails(stage):
    answer = stage.of_function("Invoke", Payload=b'{"do": "fail"}')
    members(answer, StatusCode=200, FunctionError="Unhandled", ExecutedVersion="$LATEST")
    members(json.loads(answer["Payload"]), errorType="ValueError", errorMessage="as it was told")


@step
def invoke_as_a_trial(stage):
    answer = stage.of_function("Invoke", InvocationType="DryRun", Payload=b"{}")
    equal(answer["StatusCode"], 204, "status")
    stage.unknown("Invoke", FunctionName="nobody", InvocationType="DryRun")


@step
def invoke_asynchronously(stage):
    answer = stage.of_function("Invoke", InvocationType="Event", Payload=b'{"do": "note", "token": "event"}')
    equal((answer["StatusCode"], answer.get("Payload") or b""), (202, b""), "status and payload")
    stage.until(lambda: [note for note in stage.notes() if note["token"] == "event"], "the event's note")


@step
def invoke_as_in_2014(stage):
    answer = stage.of_function("InvokeAsync", InvokeArgs=b'{"do": "note", "token": "legacy"}')
    equal(answer.get("Status"), 202, "status")
    stage.until(lambda: [note for note in stage.notes() if note["token"] == "legacy"], "the event's note")


@step
def invoke_with_what_is_no_json(stage):
    stage.refused("InvalidRequestContentException", 400, r"Could not parse request body into json: .+", "Invoke",
                  FunctionName=stage.function, Payload=b"{")


@step(streams=True)
def invoke_with_response_stream(stage):
    payload, end = streamed(stage, {"text": "streamed"})
    equal(json.loads(payload)["event"], {"text": "streamed"}, "event")
    holds(not end.get("ErrorCode"), f"an end without an error wanted, {end} seen")


@step(streams=True)
def stream_what_fails(stage):
    payload, end = streamed(stage, {"do": "fail"})
    equal((payload, end.get("ErrorCode")), (b"", "Unhandled"), "payload and error code")
    members(json.loads(end["ErrorDetails"]), errorType="ValueError", errorMessage="as it was told")


def streamed(stage, event):
    """The chunks put together, and the members of the stream's end."""
    answer = stage.of_function("InvokeWithResponseStream", Payload=json.dumps(event).encode())
    equal(answer["ExecutedVersion"], "$LATEST", "executed version")
    *chunks, end = answer["EventStream"]
    if "InvokeComplete" not in end:
        raise Mismatch(f"the stream ends with {end}")
    return b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks), end["InvokeComplete"]
