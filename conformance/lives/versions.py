"""Versions and aliases: what is published stays as it was, and names point to it."""

import re

from functions import FIRST, SECOND
from report import equal, holds
from stage import matches, members, sha256, step, UUID


@step
def publish_version(stage):
    published = stage.of_function("PublishVersion", Description="the first")
    members(published, Version="1", FunctionArn=f"{stage.arn}:1", CodeSha256=sha256(FIRST), Description="the first")
    stage.wait("PublishedVersionActive", Qualifier="1")
    members(stage.of_function("GetFunctionConfiguration", Qualifier="1"), State="Active", Version="1")


@step
def publish_what_has_not_changed(stage):
    members(stage.of_function("PublishVersion", Description="the first"), Version="1", FunctionArn=f"{stage.arn}:1")


@step
def publish_another_code_than_is_there(stage):
    stage.refused("InvalidParameterValueException", 400,
                  re.escape(f"CodeSHA256 ({sha256(SECOND)}) is different from current CodeSHA256 in $LATEST ({sha256(FIRST)}). "
                            "Please try again with the CodeSHA256 in $LATEST."),
                  "PublishVersion", FunctionName=stage.function, CodeSha256=sha256(SECOND))


@step
def update_code(stage):
    changed = stage.of_function("UpdateFunctionCode", ZipFile=SECOND)
    members(changed, CodeSha256=sha256(SECOND), CodeSize=len(SECOND), LastUpdateStatus="InProgress", Version="$LATEST")
    stage.wait("FunctionUpdatedV2")
    equal(stage.described()["release"], "second", "release of $LATEST")


@step
def update_code_and_publish(stage):
    changed = stage.of_function("UpdateFunctionCode", ZipFile=SECOND, Publish=True)
    members(changed, Version="2", FunctionArn=f"{stage.arn}:2")
    stage.wait("PublishedVersionActive", Qualifier="2")


@step
def invoke_a_version(stage):
    for qualifier, release in (("1", "first"), ("2", "second"), ("$LATEST", "second")):
        answer, seen = stage.invoke({}, Qualifier=qualifier)
        equal(answer["ExecutedVersion"], qualifier, "executed version")
        members(seen, release=release, version=qualifier, arn=f"{stage.arn}:{qualifier}")
    answer, _ = stage.invoke({}, FunctionName=f"{stage.function}:1")
    equal(answer["ExecutedVersion"], "1", "executed version of a qualified name")


@step
def invoke_a_version_that_is_not_there(stage):
    stage.unknown("Invoke", f"Function not found: {stage.arn}:7", FunctionName=stage.function, Qualifier="7")


@step
def list_versions(stage):
    listed = stage.of_function("ListVersionsByFunction")["Versions"]
    equal([version["Version"] for version in listed], ["$LATEST", "1", "2"], "versions")
    listed = stage.ask("ListFunctions", FunctionVersion="ALL")["Functions"]
    equal(sorted(function["Version"] for function in listed), ["$LATEST", "1", "2"], "versions of all functions")


@step
def create_alias(stage):
    made = stage.of_function("CreateAlias", Name="live", FunctionVersion="1", Description="what callers use")
    members(made, Name="live", AliasArn=f"{stage.arn}:live", FunctionVersion="1", Description="what callers use")
    matches(made["RevisionId"], UUID, "revision id")
    members(stage.of_function("GetAlias", Name="live"), AliasArn=f"{stage.arn}:live", FunctionVersion="1")
    stage.refused("ResourceConflictException", 409, f"Alias already exists: {stage.arn}:live", "CreateAlias",
                  FunctionName=stage.function, Name="live", FunctionVersion="1")


@step
def invoke_an_alias(stage):
    answer, seen = stage.invoke({}, Qualifier="live")
    equal(answer["ExecutedVersion"], "1", "executed version")
    members(seen, release="first", version="1", arn=f"{stage.arn}:live")


@step
def route_an_alias_to_two_versions(stage):
    changed = stage.of_function("UpdateAlias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    members(changed, FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})

    ran = set()

    def seen_both():
        ran.update(stage.invoke({}, Qualifier="live")[0]["ExecutedVersion"] for _ in range(4))
        return len(ran) == 2
    # That one of two is never drawn has the odds of a broken machine long before the limit.
    stage.until(seen_both, "both versions of the alias")
    equal(ran, {"1", "2"}, "executed versions")
    members(stage.of_function("UpdateAlias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}}), FunctionVersion="1")
    equal({stage.invoke({}, Qualifier="live")[0]["ExecutedVersion"] for _ in range(8)}, {"2"}, "executed versions, all weight on 2")


@step
def point_an_alias_elsewhere(stage):
    changed = stage.of_function("UpdateAlias", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    members(changed, FunctionVersion="2")
    holds(not changed.get("RoutingConfig"), f"no routing wanted, {changed.get('RoutingConfig')} seen")
    equal(stage.invoke({}, Qualifier="live")[0]["ExecutedVersion"], "2", "executed version")


@step
def list_aliases(stage):
    stage.of_function("CreateAlias", Name="past", FunctionVersion="1")
    names = lambda **members: sorted(alias["Name"] for alias in stage.of_function("ListAliases", **members)["Aliases"])
    equal(names(), ["live", "past"], "aliases")
    equal(names(FunctionVersion="1"), ["past"], "aliases of version 1")
    stage.of_function("DeleteAlias", Name="past")
    equal(names(), ["live"], "aliases once one is deleted")
    stage.unknown("GetAlias", f"Cannot find alias arn: {stage.arn}:past", FunctionName=stage.function, Name="past")


@step
def alias_that_may_not_be(stage):
    wrong = {"FunctionName": stage.function, "Name": "wrong", "FunctionVersion": "1"}
    stage.refused("InvalidParameterValueException", 400, r"Invalid function version 1\. Function version 1 is already included in "
                  r"routing configuration\.", "CreateAlias", **wrong, RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
    stage.unknown("CreateAlias", f"Function not found: {stage.arn}:9", **wrong | {"FunctionVersion": "9"})
    stage.refused("ValidationException", 400, r"1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: "
                  r"Member must satisfy regular expression pattern: .+", "CreateAlias", kind=None, modelled=False,
                  **wrong | {"Name": "2024"})
