"""Tags, the resource policy, and code signing: what is written beside a function."""

import json

from report import equal, holds
from stage import UUID, matches, members, step

STATEMENT = {"StatementId": "bucket", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
             "SourceArn": "arn:aws:s3:::pictures", "SourceAccount": "000000000000"}
PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/lives"


@step
def tag(stage):
    stage.ask("TagResource", Resource=stage.arn, Tags={"team": "blue", "tier": "2"})
    equal(stage.ask("ListTags", Resource=stage.arn)["Tags"], {"of": "lives", "team": "blue", "tier": "2"}, "tags")
    stage.ask("UntagResource", Resource=stage.arn, TagKeys=["of", "tier"])
    equal(stage.of_function("GetFunction")["Tags"], {"team": "blue"}, "tags of the function")


@step
def tag_a_version(stage):
    stage.refused("InvalidParameterValueException", 400, r"Tags on function aliases and versions are not supported\. Please specify "
                  r"a function ARN\.", "TagResource", Resource=f"{stage.arn}:1", Tags={"team": "blue"})


@step
def permit(stage):
    added = stage.of_function("AddPermission", **STATEMENT)
    members(json.loads(added["Statement"]), Sid="bucket", Effect="Allow", Action="lambda:InvokeFunction", Resource=stage.arn,
            Principal={"Service": "s3.amazonaws.com"},
            Condition={"StringEquals": {"AWS:SourceAccount": "000000000000"}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::pictures"}})
    policy = stage.of_function("GetPolicy")
    matches(policy["RevisionId"], UUID, "revision id")
    document = json.loads(policy["Policy"])
    members(document, Version="2012-10-17", Id="default")
    equal([statement["Sid"] for statement in document["Statement"]], ["bucket"], "statements")
    stage.kept["policy"] = policy["RevisionId"]


@step
def permit_it_twice(stage):
    stage.refused("ResourceConflictException", 409, r"The statement id \(bucket\) provided already exists\. Please provide a new "
                  r"statement id, or remove the existing statement\.", "AddPermission", FunctionName=stage.function, **STATEMENT)


@step
def permit_an_alias(stage):
    added = stage.of_function("AddPermission", **STATEMENT, Qualifier="live")
    equal(json.loads(added["Statement"])["Resource"], f"{stage.arn}:live", "resource")
    stage.of_function("RemovePermission", StatementId="bucket", Qualifier="live")


@step
def permit_no_more(stage):
    stage.unknown("RemovePermission", r"Statement nothing is not found in resource policy\.", FunctionName=stage.function,
                  StatementId="nothing")
    stage.of_function("RemovePermission", StatementId="bucket", RevisionId=stage.kept["policy"])
    stage.unknown("GetPolicy", r"The resource you requested does not exist\.", FunctionName=stage.function)


@step
def sign_code(stage):
    made = stage.ask("CreateCodeSigningConfig", AllowedPublishers={"SigningProfileVersionArns": [PROFILE]},
                     Description="who may publish")["CodeSigningConfig"]
    arn = made["CodeSigningConfigArn"]
    matches(arn, r"arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-[0-9a-z]{17}", "ARN")
    members(made, Description="who may publish", CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"})
    changed = stage.ask("UpdateCodeSigningConfig", CodeSigningConfigArn=arn, Description="who might")["CodeSigningConfig"]
    members(changed, Description="who might", AllowedPublishers={"SigningProfileVersionArns": [PROFILE]})
    members(stage.ask("GetCodeSigningConfig", CodeSigningConfigArn=arn)["CodeSigningConfig"], Description="who might")
    listed = stage.ask("ListCodeSigningConfigs")["CodeSigningConfigs"]
    equal([config["CodeSigningConfigArn"] for config in listed], [arn], "configurations")

    members(stage.of_function("PutFunctionCodeSigningConfig", CodeSigningConfigArn=arn), CodeSigningConfigArn=arn)
    members(stage.of_function("GetFunctionCodeSigningConfig"), CodeSigningConfigArn=arn, FunctionName=stage.function)
    equal(stage.ask("ListFunctionsByCodeSigningConfig", CodeSigningConfigArn=arn)["FunctionArns"], [stage.arn], "functions")
    stage.of_function("DeleteFunctionCodeSigningConfig")
    holds(not stage.of_function("GetFunctionCodeSigningConfig").get("CodeSigningConfigArn"), "no configuration is left")
    stage.ask("DeleteCodeSigningConfig", CodeSigningConfigArn=arn)
    stage.unknown("GetCodeSigningConfig", rf"The Lambda code signing configuration {arn} can not be found\.", CodeSigningConfigArn=arn,
                  kind=None)
