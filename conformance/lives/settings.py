"""Concurrency, asynchronous settings, and the rest of what a function is told."""

from report import equal, holds
from stage import matches, members, step, UUID

QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"


@step
def reserve_no_concurrency(stage):
    equal(stage.of_function("PutFunctionConcurrency", ReservedConcurrentExecutions=0)["ReservedConcurrentExecutions"], 0, "reserved")
    refusal = stage.refused("TooManyRequestsException", 429, r"Rate Exceeded\.", "Invoke", FunctionName=stage.function, Payload=b"{}")
    if stage.client.typed:
        equal(refusal.members.get("Reason"), "ReservedFunctionConcurrentInvocationLimitExceeded", "reason")


@step
def reserve_concurrency(stage):
    stage.of_function("PutFunctionConcurrency", ReservedConcurrentExecutions=5)
    equal(stage.of_function("GetFunctionConcurrency")["ReservedConcurrentExecutions"], 5, "reserved")
    equal(stage.of_function("GetFunction")["Concurrency"], {"ReservedConcurrentExecutions": 5}, "concurrency of the function")
    stage.described()
    limits = stage.ask("GetAccountSettings")["AccountLimit"]
    equal(limits["ConcurrentExecutions"] - limits["UnreservedConcurrentExecutions"], 5, "what others may not use")


@step
def reserve_too_much(stage):
    stage.refused("InvalidParameterValueException", 400, r"Specified ReservedConcurrentExecutions for function decreases account's "
                  r"UnreservedConcurrentExecution below its minimum value of \[\d+\]\.", "PutFunctionConcurrency", kind=None,
                  FunctionName=stage.function, ReservedConcurrentExecutions=10_000_000)


@step
def reserve_nothing(stage):
    stage.of_function("DeleteFunctionConcurrency")
    holds("ReservedConcurrentExecutions" not in stage.of_function("GetFunctionConcurrency"), "nothing is reserved")


@step
def provision_concurrency(stage):
    asked = stage.of_function("PutProvisionedConcurrencyConfig", Qualifier="live", ProvisionedConcurrentExecutions=1)
    members(asked, RequestedProvisionedConcurrentExecutions=1, Status="IN_PROGRESS")

    def ready():
        seen = stage.of_function("GetProvisionedConcurrencyConfig", Qualifier="live")
        holds(seen["Status"] != "FAILED", f"provisioning failed: {seen}")
        return seen["Status"] == "READY" and seen
    seen = stage.until(ready, "READY")
    members(seen, AllocatedProvisionedConcurrentExecutions=1, AvailableProvisionedConcurrentExecutions=1)
    equal(stage.described(Qualifier="live")["initialization"], "provisioned-concurrency", "initialization")
    equal(stage.described(Qualifier="1")["initialization"], "on-demand", "initialization of another version")


@step
def list_provisioned_concurrency(stage):
    listed = stage.of_function("ListProvisionedConcurrencyConfigs")["ProvisionedConcurrencyConfigs"]
    equal([config["FunctionArn"] for config in listed], [f"{stage.arn}:live"], "configurations")


@step
def provision_concurrency_where_it_cannot_be(stage):
    stage.refused("InvalidParameterValueException", 400, r"Provisioned Concurrency Configs cannot be applied to unpublished function "
                  r"versions\.", "PutProvisionedConcurrencyConfig", FunctionName=stage.function, Qualifier="$LATEST",
                  ProvisionedConcurrentExecutions=1)
    stage.refused("ResourceConflictException", 409, r"Version is pointed by a Provisioned Concurrency alias",
                  "PutProvisionedConcurrencyConfig", FunctionName=stage.function, Qualifier="2", ProvisionedConcurrentExecutions=1)


@step
def provision_no_more(stage):
    stage.of_function("DeleteProvisionedConcurrencyConfig", Qualifier="live")
    stage.refused("ProvisionedConcurrencyConfigNotFoundException", 404, "No Provisioned Concurrency Config found for this function",
                  "GetProvisionedConcurrencyConfig", FunctionName=stage.function, Qualifier="live")


@step
def settle_asynchronous_invocation(stage):
    put = stage.of_function("PutFunctionEventInvokeConfig", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=120)
    members(put, FunctionArn=f"{stage.arn}:$LATEST", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=120)
    changed = stage.of_function("UpdateFunctionEventInvokeConfig", MaximumEventAgeInSeconds=60)
    members(changed, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    members(stage.of_function("GetFunctionEventInvokeConfig"), MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    listed = stage.of_function("ListFunctionEventInvokeConfigs")["FunctionEventInvokeConfigs"]
    equal([config["FunctionArn"] for config in listed], [f"{stage.arn}:$LATEST"], "configurations")


@step
def fail_asynchronously_without_retries(stage):
    """The second event is there to be waited for: had the first been tried again at once, that would have been seen."""
    stage.of_function("Invoke", InvocationType="Event", Payload=b'{"do": "note", "token": "once", "fails": true}')
    stage.until(lambda: [note for note in stage.notes() if note["token"] == "once"], "the failing event's note")
    stage.of_function("Invoke", InvocationType="Event", Payload=b'{"do": "note", "token": "after"}')
    stage.until(lambda: [note for note in stage.notes() if note["token"] == "after"], "the next event's note")
    equal(sum(note["token"] == "once" for note in stage.notes()), 1, "runs of the failing event")


@step
def forget_asynchronous_settings(stage):
    stage.of_function("DeleteFunctionEventInvokeConfig")
    stage.unknown("GetFunctionEventInvokeConfig", rf"The function {stage.arn}:\$LATEST doesn't have an EventInvokeConfig",
                  FunctionName=stage.function)
    stage.refused("InvalidParameterValueException", 400, "You must specify at least one of error handling or destination setting.",
                  "PutFunctionEventInvokeConfig", FunctionName=stage.function)


@step
def settle_recursion(stage):
    equal(stage.of_function("GetFunctionRecursionConfig")["RecursiveLoop"], "Terminate", "recursive loop")
    equal(stage.of_function("PutFunctionRecursionConfig", RecursiveLoop="Allow")["RecursiveLoop"], "Allow", "recursive loop put")
    equal(stage.of_function("GetFunctionRecursionConfig")["RecursiveLoop"], "Allow", "recursive loop got")


@step
def settle_runtime_management(stage):
    members(stage.of_function("GetRuntimeManagementConfig"), UpdateRuntimeOn="Auto")
    members(stage.of_function("PutRuntimeManagementConfig", UpdateRuntimeOn="FunctionUpdate"), UpdateRuntimeOn="FunctionUpdate")
    members(stage.of_function("GetRuntimeManagementConfig"), UpdateRuntimeOn="FunctionUpdate")


@step
def map_an_event_source(stage):
    """Kept and shown, with no poller behind it."""
    made = stage.of_function("CreateEventSourceMapping", EventSourceArn=QUEUE, BatchSize=5, Enabled=False)
    members(made, EventSourceArn=QUEUE, BatchSize=5, FunctionArn=stage.arn)
    matches(made["UUID"], UUID, "UUID")
    mapping = {"UUID": made["UUID"]}

    def disabled():
        return stage.ask("GetEventSourceMapping", **mapping)["State"] == "Disabled"
    stage.until(disabled, "state Disabled")
    listed = stage.of_function("ListEventSourceMappings")["EventSourceMappings"]
    equal([each["UUID"] for each in listed], [made["UUID"]], "mappings")
    members(stage.ask("UpdateEventSourceMapping", **mapping, BatchSize=6), BatchSize=6)
    stage.until(disabled, "state Disabled")
    members(stage.ask("DeleteEventSourceMapping", **mapping), UUID=made["UUID"], State="Deleting")

    def gone():
        return not stage.of_function("ListEventSourceMappings")["EventSourceMappings"]
    stage.until(gone, "the mapping's end")


@step
def account_settings(stage):
    seen = stage.ask("GetAccountSettings")
    members(seen["AccountLimit"], TotalCodeSize=80530636800, CodeSizeUnzipped=262144000, CodeSizeZipped=52428800)
    equal(seen["AccountUsage"]["FunctionCount"], 1, "functions")
    holds(seen["AccountUsage"]["TotalCodeSize"] > 0, "code takes room")
