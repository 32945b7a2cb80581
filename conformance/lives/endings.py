"""The end of a life: everything is deleted, and gone."""

from functions import FIRST
from report import equal
from stage import ROLE, RUNTIME, step


@step
def delete_a_version(stage):
    stage.of_function("DeleteFunction", Qualifier="1")
    listed = stage.of_function("ListVersionsByFunction")["Versions"]
    equal([version["Version"] for version in listed], ["$LATEST", "2"], "versions")
    stage.unknown("GetFunction", f"Function not found: {stage.arn}:1", FunctionName=stage.function, Qualifier="1")
    stage.refused("InvalidParameterValueException", 400, r"\$LATEST version cannot be deleted without deleting the function\.",
                  "DeleteFunction", FunctionName=stage.function, Qualifier="$LATEST")


@step
def delete_the_alias(stage):
    stage.of_function("DeleteAlias", Name="live")
    stage.unknown("Invoke", f"Function not found: {stage.arn}:live", FunctionName=stage.function, Qualifier="live")


@step
def delete_the_function(stage):
    stage.of_function("DeleteFunction")
    message = f"Function not found: {stage.arn}"
    for operation in ("GetFunction", "DeleteFunction", "ListVersionsByFunction"):
        stage.unknown(operation, message, FunctionName=stage.function)
    stage.unknown("Invoke", rf"{message}:\$LATEST", FunctionName=stage.function)
    stage.unknown("ListTags", message, Resource=stage.arn)


@step
def everything_is_gone(stage):
    for layer in ("lower", "upper"):
        for version in stage.ask("ListLayerVersions", LayerName=layer)["LayerVersions"]:
            stage.ask("DeleteLayerVersion", LayerName=layer, VersionNumber=version["Version"])
    for operation, member in (("ListFunctions", "Functions"), ("ListLayers", "Layers"), ("ListEventSourceMappings", "EventSourceMappings"),
                              ("ListCodeSigningConfigs", "CodeSigningConfigs")):
        equal(stage.ask(operation)[member], [], member)
    equal(stage.ask("GetAccountSettings")["AccountUsage"], {"TotalCodeSize": 0, "FunctionCount": 0}, "usage")


@step
def a_name_can_be_used_again(stage):
    """Numbers of versions cannot: they go on where they were."""
    made = stage.of_function("CreateFunction", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": FIRST}, Publish=True)
    equal((made["Version"], made["FunctionArn"]), ("3", stage.arn), "version and ARN")
    stage.wait("FunctionActiveV2")
    stage.of_function("DeleteFunction")
