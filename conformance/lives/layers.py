"""Layers: published, read, shown to functions at /opt, shared by their policy, deleted."""

import json

from report import equal
from stage import RUNTIME, UUID, downloaded, matches, members, sha256, step, zipped

LOWER = zipped({"shared/both.txt": "lower", "shared/lower.txt": "only lower"})
UPPER = zipped({"shared/both.txt": "upper"})
LAYER_ARN = "arn:aws:lambda:us-east-1:000000000000:layer"


@step
def publish_layers(stage):
    made = stage.ask("PublishLayerVersion", LayerName="lower", Description="below", Content={"ZipFile": LOWER},
                     CompatibleRuntimes=[RUNTIME], CompatibleArchitectures=["x86_64"], LicenseInfo="MIT")
    members(made, LayerArn=f"{LAYER_ARN}:lower", LayerVersionArn=f"{LAYER_ARN}:lower:1", Version=1, Description="below",
            CompatibleRuntimes=[RUNTIME], CompatibleArchitectures=["x86_64"], LicenseInfo="MIT")
    members(made["Content"], CodeSha256=sha256(LOWER), CodeSize=len(LOWER))
    members(stage.ask("PublishLayerVersion", LayerName="upper", Content={"ZipFile": UPPER}), Version=1)
    members(stage.ask("PublishLayerVersion", LayerName="upper", Content={"ZipFile": UPPER}), Version=2)


@step
def get_layer_version(stage):
    for seen in (stage.ask("GetLayerVersion", LayerName="lower", VersionNumber=1),
                 stage.ask("GetLayerVersionByArn", Arn=f"{LAYER_ARN}:lower:1")):
        members(seen, LayerVersionArn=f"{LAYER_ARN}:lower:1", Version=1, Description="below")
    equal(downloaded(seen["Content"]["Location"]), LOWER, "what is at the layer's location")
    stage.unknown("GetLayerVersion", r"The resource you requested does not exist\.", LayerName="upper", VersionNumber=3)


@step
def list_layers(stage):
    listed = {layer["LayerName"]: layer["LatestMatchingVersion"]["Version"] for layer in stage.ask("ListLayers")["Layers"]}
    equal(listed, {"lower": 1, "upper": 2}, "layers and their latest versions")
    listed = stage.ask("ListLayers", CompatibleRuntime=RUNTIME)["Layers"]
    equal([layer["LayerName"] for layer in listed], ["lower"], f"layers for {RUNTIME}")
    pages = stage.client.pages("ListLayerVersions", {"LayerName": "upper", "MaxItems": 1})
    equal([version["Version"] for page in pages for version in page["LayerVersions"]], [2, 1], "versions of a layer")


@step
def attach_layers(stage):
    arns = [f"{LAYER_ARN}:lower:1", f"{LAYER_ARN}:upper:2"]
    changed = stage.of_function("UpdateFunctionConfiguration", Layers=arns)
    equal([layer["Arn"] for layer in changed["Layers"]], arns, "layers")
    stage.wait("FunctionUpdatedV2")
    for name, content in (("lower", "only lower"), ("both", "upper")):
        _, seen = stage.invoke({"do": "read", "path": f"/opt/shared/{name}.txt"})
        equal(seen, content, f"content of {name}.txt")


@step
def attach_layers_the_other_way_round(stage):
    stage.of_function("UpdateFunctionConfiguration", Layers=[f"{LAYER_ARN}:upper:2", f"{LAYER_ARN}:lower:1"])
    stage.wait("FunctionUpdatedV2")
    equal(stage.invoke({"do": "read", "path": "/opt/shared/both.txt"})[1], "lower", "content of both.txt")


@step
def attach_layers_that_may_not_be(stage):
    stage.refused("InvalidParameterValueException", 400, r"Two different versions of the same layer are not allowed to be referenced "
                  rf"in the same function\. {LAYER_ARN}:upper:1 and {LAYER_ARN}:upper:2 are versions of the same layer\.",
                  "UpdateFunctionConfiguration", FunctionName=stage.function, Layers=[f"{LAYER_ARN}:upper:1", f"{LAYER_ARN}:upper:2"])


@step
def share_a_layer(stage):
    layer = {"LayerName": "lower", "VersionNumber": 1}
    added = stage.ask("AddLayerVersionPermission", **layer, StatementId="everyone", Action="lambda:GetLayerVersion", Principal="*")
    matches(added["RevisionId"], UUID, "revision id")
    members(json.loads(added["Statement"]), Sid="everyone", Effect="Allow", Principal="*", Action="lambda:GetLayerVersion",
            Resource=f"{LAYER_ARN}:lower:1")
    policy = stage.ask("GetLayerVersionPolicy", **layer)
    equal([statement["Sid"] for statement in json.loads(policy["Policy"])["Statement"]], ["everyone"], "statements")
    stage.refused("ResourceConflictException", 409, r"The statement id \(everyone\) provided already exists\. Please provide a new "
                  r"statement id, or remove the existing statement\.", "AddLayerVersionPermission", **layer, StatementId="everyone",
                  Action="lambda:GetLayerVersion", Principal="*")
    stage.ask("RemoveLayerVersionPermission", **layer, StatementId="everyone", RevisionId=policy["RevisionId"])
    stage.unknown("GetLayerVersionPolicy", r"No policy is associated with the given resource\.", **layer)


@step
def delete_a_layer_that_is_in_use(stage):
    """The function keeps what it has."""
    stage.ask("DeleteLayerVersion", LayerName="lower", VersionNumber=1)
    stage.unknown("GetLayerVersion", r"The resource you requested does not exist\.", LayerName="lower", VersionNumber=1)
    equal(stage.invoke({"do": "read", "path": "/opt/shared/lower.txt"})[1], "only lower", "content of lower.txt")


@step
def a_layer_version_number_is_never_given_again(stage):
    members(stage.ask("PublishLayerVersion", LayerName="lower", Content={"ZipFile": LOWER}), Version=2)
