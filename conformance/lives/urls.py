"""Function URLs: plain HTTP, preflight, signed calls, streams."""

import http.client
import json
from urllib.parse import urlsplit

import signature
from report import equal, holds
from stage import members, step

CORS = {"AllowOrigins": ["https://shop.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["x-token"],
        "MaxAge": 300, "AllowCredentials": True}
PUBLIC = {"StatementId": "public", "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}


def call(url, method, target, body=None, headers=None, keys=None):
    """The answer and its body. Its host name needs no resolver: who listens is this machine."""
    parts = urlsplit(url)
    headers = {"host": parts.netloc, **(headers or {})}
    if keys:
        headers = signature.sign(method, f"{parts.scheme}://{parts.netloc}{target}", headers, (body or "").encode(), keys)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=60)
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


@step
def create_function_url(stage):
    stage.of_function("UpdateFunctionConfiguration", Handler="app.url", Layers=[])
    stage.wait("FunctionUpdatedV2")
    made = stage.of_function("CreateFunctionUrlConfig", AuthType="NONE", Cors=CORS)
    members(made, AuthType="NONE", FunctionArn=stage.arn, Cors=CORS)
    stage.kept["url"] = made["FunctionUrl"]
    members(stage.of_function("GetFunctionUrlConfig"), FunctionUrl=made["FunctionUrl"], AuthType="NONE", InvokeMode="BUFFERED")
    listed = stage.of_function("ListFunctionUrlConfigs")["FunctionUrlConfigs"]
    equal([config["FunctionUrl"] for config in listed], [made["FunctionUrl"]], "URLs")


@step
def create_function_url_twice(stage):
    stage.refused("ResourceConflictException", 409, r"Failed to create function url config for \[functionArn = .+\]\. "
                  r"Error message:  FunctionUrlConfig exists for this Lambda function", "CreateFunctionUrlConfig",
                  FunctionName=stage.function, AuthType="NONE")


@step
def call_a_url_that_nobody_may_call(stage):
    answer, body = call(stage.kept["url"], "GET", "/")
    equal(answer.status, 403, "status")
    holds(json.loads(body)["Message"].startswith("Forbidden."), f"body: {body}")


@step
def call_a_url(stage):
    stage.of_function("AddPermission", **PUBLIC)
    stage.of_function("AddPermission", StatementId="public-invoke", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
    answer, body = call(stage.kept["url"], "POST", "/orders/7?size=big&size=red", "päivää".encode(), {"content-type": "text/plain; charset=utf-8"})
    equal((answer.status, answer.headers["x-release"], answer.headers["set-cookie"]), (203, "second", "tasted=1"), "status and headers")
    equal(json.loads(body), {"method": "POST", "path": "/orders/7", "query": {"size": "big,red"}, "body": "päivää", "authorizer": None}, "body")


@step
def preflight(stage):
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST", "access-control-request-headers": "x-token"}
    answer, _ = call(stage.kept["url"], "OPTIONS", "/orders", headers=asked)
    equal(answer.status, 200, "status")
    for name, value in (("origin", "https://shop.example"), ("headers", "x-token"), ("credentials", "true")):
        equal(answer.headers[f"access-control-allow-{name}"], value, f"allowed {name}")
    equal(answer.headers["access-control-max-age"], "300", "max age")
    holds("POST" in answer.headers["access-control-allow-methods"], "POST is allowed")
    answer, _ = call(stage.kept["url"], "OPTIONS", "/orders", headers=asked | {"origin": "https://elsewhere.example"})
    equal(answer.headers["access-control-allow-origin"], None, "origin allowed from elsewhere")


@step
def call_a_url_from_another_origin(stage):
    answer, _ = call(stage.kept["url"], "GET", "/", headers={"origin": "https://shop.example"})
    equal((answer.status, answer.headers["access-control-allow-origin"]), (203, "https://shop.example"), "status and allowed origin")


@step
def sign_a_call_of_a_url(stage):
    members(stage.of_function("UpdateFunctionUrlConfig", AuthType="AWS_IAM"), AuthType="AWS_IAM", Cors=CORS)
    answer, body = call(stage.kept["url"], "GET", "/")
    equal(answer.status, 403, "status without a signature")
    holds(json.loads(body)["Message"].startswith("Forbidden"), f"body: {body}")
    answer, body = call(stage.kept["url"], "GET", "/signed", keys=stage.keys)
    equal(answer.status, 203, f"status with a signature ({body!r})")
    equal(json.loads(body)["authorizer"]["iam"]["accessKey"], stage.keys["AWS_ACCESS_KEY_ID"], "access key the function sees")
    wrong = stage.keys | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    if stage.authenticates:
        equal(call(stage.kept["url"], "GET", "/signed", keys=wrong)[0].status, 403, "status with a wrong signature")


@step
def url_that_streams(stage):
    members(stage.of_function("UpdateFunctionUrlConfig", AuthType="NONE", InvokeMode="RESPONSE_STREAM"), InvokeMode="RESPONSE_STREAM")
    answer, body = call(stage.kept["url"], "GET", "/streamed")
    equal(answer.status, 200, f"status ({body!r})")
    equal(json.loads(json.loads(body)["body"])["path"], "/streamed", "path")


@step
def delete_function_url(stage):
    stage.of_function("DeleteFunctionUrlConfig")
    stage.unknown("GetFunctionUrlConfig", r"The resource you requested does not exist\.", FunctionName=stage.function)
    answer, _ = call(stage.kept["url"], "GET", "/")
    equal(answer.status, 403, "status of a call of what has been deleted")
    for statement in ("public", "public-invoke"):
        stage.of_function("RemovePermission", StatementId=statement)
