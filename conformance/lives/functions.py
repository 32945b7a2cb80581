"""Functions: made, read, listed, changed."""

from report import Mismatch, equal, holds
from stage import ROLE, RUNTIME, UUID, downloaded, matches, members, package, sha256, step

FIRST, SECOND = package("first"), package("second")
# Its directory is there, which is where the AWS CLI looks; what the directory points to is not.
BROKEN = bytes(64) + FIRST[64:]


@step
def create_function(stage):
    made = stage.of_function("CreateFunction", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": FIRST},
                             Description="a life", Environment={"Variables": {"NOTES": str(stage.notes_file)}},
                             Timeout=10, Tags={"of": "lives"})
    members(made, FunctionName=stage.function, FunctionArn=stage.arn, Version="$LATEST", State="Pending",
            StateReasonCode="Creating", StateReason="The function is being created.", Runtime=RUNTIME, Role=ROLE,
            Handler="app.handler", Description="a life", Timeout=10, MemorySize=128, CodeSize=len(FIRST),
            CodeSha256=sha256(FIRST), PackageType="Zip", Architectures=["x86_64"], EphemeralStorage={"Size": 512},
            TracingConfig={"Mode": "PassThrough"}, SnapStart={"ApplyOn": "None", "OptimizationStatus": "Off"},
            LoggingConfig={"LogFormat": "Text", "LogGroup": f"/aws/lambda/{stage.function}"},
            Environment={"Variables": {"NOTES": str(stage.notes_file)}})
    matches(made["RevisionId"], UUID, "revision id")
    matches(made["LastModified"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", "last modified")
    stage.kept["created"] = made


@step
def wait_until_it_is_active(stage):
    stage.wait("FunctionActiveV2")
    seen = stage.of_function("GetFunctionConfiguration")
    members(seen, State="Active", LastUpdateStatus="Successful", CodeSha256=sha256(FIRST))
    holds("StateReason" not in seen or seen["StateReason"] is None, "an active function needs no reason")
    holds(seen["RevisionId"] != stage.kept["created"]["RevisionId"], "the revision changes as it becomes active")


@step
def get_function(stage):
    seen = stage.of_function("GetFunction")
    members(seen["Configuration"], FunctionName=stage.function, FunctionArn=stage.arn, State="Active")
    members(seen, Tags={"of": "lives"})
    equal(seen["Code"]["RepositoryType"], "S3", "repository type")
    equal(downloaded(seen["Code"]["Location"]), FIRST, "what is at the code's location")


@step
def get_function_by_arn(stage):
    for name in (stage.arn, f"000000000000:function:{stage.function}", f"{stage.function}:$LATEST"):
        equal(stage.ask("GetFunctionConfiguration", FunctionName=name)["FunctionName"], stage.function, f"name of {name}")


@step
def create_it_twice(stage):
    stage.refused("ResourceConflictException", 409, f"Function already exist: {stage.function}", "CreateFunction",
                  FunctionName=stage.function, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": FIRST})


# What CreateFunction must refuse: what is other than in a right request, the class, and AWS's words.
REFUSED_FUNCTIONS = [
    ("runtime nobody has", {"Runtime": "python1.0"}, "InvalidParameterValueException",
     r"Value python1\.0 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \[.+\] or be a valid ARN"),
    ("role that is none", {"Role": "nobody"}, "ValidationException",
     r"1 validation error detected: Value 'nobody' at 'role' failed to satisfy constraint: "
     r"Member must satisfy regular expression pattern: .+"),
    ("package that cannot be opened", {"Code": {"ZipFile": BROKEN}}, "InvalidParameterValueException",
     r"Could not unzip uploaded file\. Please check your file, then try to upload again\."),
    ("handler that is none", {"Handler": "two words"}, "ValidationException",
     r"1 validation error detected: Value 'two words' at 'handler' failed to satisfy constraint: "
     r"Member must satisfy regular expression pattern: .+"),
    ("reserved variable", {"Environment": {"Variables": {"AWS_REGION": "mars"}}}, "InvalidParameterValueException",
     r"Lambda was unable to configure your environment variables because the environment variables you have provided "
     r"contains reserved keys that are currently not supported for modification\. Reserved keys used in this request: AWS_REGION"),
    ("layer that is not there", {"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:nowhere:1"]},
     "InvalidParameterValueException", r"Layer version arn:aws:lambda:us-east-1:000000000000:layer:nowhere:1 does not exist\."),
]


@step
def create_what_may_not_be(stage):
    right = {"FunctionName": "refused", "Runtime": RUNTIME, "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": FIRST}}
    for what, wrong, code, message in REFUSED_FUNCTIONS:
        modelled = code != "ValidationException"
        try:
            stage.refused(code, 400, message, "CreateFunction", modelled=modelled, kind="User" if modelled else None, **right | wrong)
        except Mismatch as mismatch:
            raise Mismatch(f"{what}: {mismatch}") from mismatch
    stage.unknown("GetFunction", FunctionName="refused")


@step
def unknown_function(stage):
    message = r"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody"
    for operation in ("GetFunction", "GetFunctionConfiguration", "DeleteFunction"):
        stage.unknown(operation, message, FunctionName="nobody")
    stage.unknown("Invoke", rf"{message}:\$LATEST", FunctionName="nobody")


@step
def list_functions_page_by_page(stage):
    names = [f"listed-{number}" for number in range(4)]
    for name in names:
        stage.ask("CreateFunction", FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": FIRST})
    pages = stage.client.pages("ListFunctions", {"MaxItems": 2})
    seen = [function["FunctionName"] for page in pages for function in page["Functions"]]
    equal(sorted(seen), sorted([stage.function, *names]), "functions")
    if stage.client.typed:
        equal([len(page["Functions"]) for page in pages], [2, 2, 1], "functions of each page")
    for name in names:
        stage.client.wait("FunctionActiveV2", {"FunctionName": name})
        stage.ask("DeleteFunction", FunctionName=name)


@step
def update_configuration(stage):
    before = stage.of_function("GetFunctionConfiguration")
    changed = stage.of_function("UpdateFunctionConfiguration", Timeout=20, MemorySize=256, Description="changed",
                                Environment={"Variables": {"NOTES": str(stage.notes_file), "GREETING": "hyvää päivää"}})
    members(changed, Timeout=20, MemorySize=256, Description="changed", LastUpdateStatus="InProgress",
            CodeSha256=before["CodeSha256"])
    holds(changed["RevisionId"] != before["RevisionId"], "the revision changes")
    stage.wait("FunctionUpdatedV2")
    members(stage.of_function("GetFunctionConfiguration"), LastUpdateStatus="Successful", Timeout=20, MemorySize=256)
    seen = stage.described()
    equal((seen["greeting"], str(seen["memory"])), ("hyvää päivää", "256"), "variable and memory")


@step
def update_of_an_old_revision(stage):
    stage.refused("PreconditionFailedException", 412, r"The Revision Id provided does not match the latest Revision Id\. "
                  r"Call the GetFunction/GetAlias API to retrieve the latest Revision Id", "UpdateFunctionConfiguration",
                  FunctionName=stage.function, Description="too late", RevisionId=stage.kept["created"]["RevisionId"])


@step
def update_code_as_a_trial(stage):
    tried = stage.of_function("UpdateFunctionCode", ZipFile=SECOND, DryRun=True)
    members(tried, CodeSha256=sha256(SECOND), CodeSize=len(SECOND))
    members(stage.of_function("GetFunctionConfiguration"), CodeSha256=sha256(FIRST))
    equal(stage.described()["release"], "first", "release")
