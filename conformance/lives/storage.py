"""Code that lies in S3, or in any store that speaks as S3 does."""

import re

from functions import FIRST, SECOND
from report import equal
from stage import ROLE, RUNTIME, members, sha256, step


@step(storage=True)
def create_function_from_a_bucket(stage):
    stage.storage.put("packages", "first.zip", FIRST)
    made = stage.ask("CreateFunction", FunctionName="stored", Runtime=RUNTIME, Role=ROLE, Handler="app.handler",
                     Code={"S3Bucket": "packages", "S3Key": "first.zip"})
    members(made, CodeSha256=sha256(FIRST), CodeSize=len(FIRST))
    stage.client.wait("FunctionActiveV2", {"FunctionName": "stored"})
    equal(stage.described(FunctionName="stored")["release"], "first", "release")


@step(storage=True)
def update_code_from_a_bucket(stage):
    stage.storage.put("packages", "second.zip", SECOND)
    members(stage.ask("UpdateFunctionCode", FunctionName="stored", S3Bucket="packages", S3Key="second.zip"), CodeSha256=sha256(SECOND))
    stage.client.wait("FunctionUpdatedV2", {"FunctionName": "stored"})
    equal(stage.described(FunctionName="stored")["release"], "second", "release")


@step(storage=True)
def code_that_is_in_no_bucket(stage):
    for where, said in (({"S3Bucket": "packages", "S3Key": "none.zip"}, "NoSuchKey. S3 Error Message: The specified key does not exist."),
                        ({"S3Bucket": "nowhere", "S3Key": "none.zip"}, "NoSuchBucket. S3 Error Message: The specified bucket does not exist")):
        stage.refused("InvalidParameterValueException", 400, re.escape(f"Error occurred while GetObject. S3 Error Code: {said}"),
                      "UpdateFunctionCode", FunctionName="stored", **where)
    stage.ask("DeleteFunction", FunctionName="stored")
