"""What AWS refuses, and in which words: facts of recordings, as rows.

    (what is wrong, operation, members, class, text)

Asked where there is the function `known`, with version 1, the alias `live` of it, the layer `known:1`, and nothing else. In
texts `…` stands for anything: AWS lists enumerations in an order of its own, and patterns change from model to model.
"""

ACCOUNT = "arn:aws:lambda:us-east-1:000000000000"
ARN = f"{ACCOUNT}:function:known"
NOBODY = f"{ACCOUNT}:function:nobody"
CONFIG = f"{ACCOUNT}:code-signing-config:csc-0123456789abcdef0"
MAPPING = "00000000-0000-4000-8000-000000000000"
ROLE = "arn:aws:iam::000000000000:role/words"

NOT_FOUND = "ResourceNotFoundException"
INVALID = "InvalidParameterValueException"
VALIDATION = "ValidationException"
CONFLICT = "ResourceConflictException"
STALE = "PreconditionFailedException"

GONE = "The resource you requested does not exist."
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
NO_FUNCTION = "The function doesn't exist."
LAYER = f"{ACCOUNT}:layer"
# One more than a function's name may have.
LONG = "a" * 65


# Texts of refusals that say nothing of a type, as those that a service behind Lambda has written.
UNTYPED = ["The Lambda code signing configuration …", "$LATEST is not supported for an alias …", "Specified ConcurrentExecutions …"]


def violation(value, member, constraint):
    return f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"


def pattern(value, member):
    return violation(f"'{value}'", member, "Member must satisfy regular expression pattern: …")


def without_config(arn):
    return f"The function {arn} doesn't have an EventInvokeConfig"


def permission(**members):
    return {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "FunctionName": "known"} | members


def layer_permission(**members):
    return {"LayerName": "known", "VersionNumber": 1, "StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"} | members


def creation(**members):
    return {"FunctionName": "new", "Role": ROLE, "Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": b""}} | members


FUNCTIONS = [
    (f"{operation}: no such function", operation, {"FunctionName": "nobody"}, NOT_FOUND, f"Function not found: {NOBODY}")
    for operation in ("GetFunction", "GetFunctionConfiguration", "DeleteFunction", "GetFunctionConcurrency", "GetFunctionCodeSigningConfig",
                      "ListVersionsByFunction", "ListProvisionedConcurrencyConfigs")
] + [
    ("Invoke: no such function", "Invoke", {"FunctionName": "nobody"}, NOT_FOUND, f"Function not found: {NOBODY}:$LATEST"),
    ("Invoke: a name that no function can have", "Invoke", {"FunctionName": LONG}, NOT_FOUND, f"Function not found: {ACCOUNT}:function:{LONG}:$LATEST"),
    ("Invoke: a qualifier that no version can have", "Invoke", {"FunctionName": "known", "Qualifier": "$latest"}, NOT_FOUND,
     f"Function not found: {ARN}:$latest"),
] + [
    (f"{operation}: a name that no function can have", operation, {"FunctionName": LONG}, NOT_FOUND, f"Function not found: {ACCOUNT}:function:{LONG}")
    for operation in ("GetFunction", "DeleteFunction")
] + [
    (f"{operation}: name and qualifier", operation, {"FunctionName": "no!name", "Qualifier": "no!qualifier"}, VALIDATION,
     "2 validation errors detected: Value 'no!name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
     r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)"
     r"(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?; "
     "Value 'no!qualifier' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: "
     r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+")
    for operation in ("GetFunction", "DeleteFunction", "Invoke")
] + [
    (f"{operation}: no such version", operation, {"FunctionName": "known", "Qualifier": "7"}, NOT_FOUND, f"Function not found: {ARN}:7")
    for operation in ("GetFunction", "GetFunctionConfiguration", "Invoke")
] + [
    (f"{operation}: two qualifiers", operation, {"FunctionName": "known:1", "Qualifier": "$LATEST"}, INVALID, MISMATCH)
    for operation in ("GetFunction", "GetFunctionConfiguration", "DeleteFunction", "Invoke")
] + [
    (f"{operation}: of another region", operation, {"FunctionName": ARN.replace("us-east-1", "eu-west-1")}, NOT_FOUND,
     "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')")
    for operation in ("GetFunction", "GetFunctionConfiguration", "GetFunctionUrlConfig", "GetFunctionCodeSigningConfig",
                      "GetFunctionEventInvokeConfig", "GetFunctionConcurrency", "DeleteFunction", "Invoke")
] + [
    ("$LATEST is deleted alone", "DeleteFunction", {"FunctionName": "known", "Qualifier": "$LATEST"}, INVALID,
     "$LATEST version cannot be deleted without deleting the function."),
    ("a name that is none", "GetFunction", {"FunctionName": "no:function:name"}, VALIDATION, pattern("no:function:name", "functionName")),
    ("a name that is too long", "CreateFunction", creation(FunctionName="a" * 65), INVALID,
     violation(f"'{'a' * 65}'", "functionName", "Member must have length less than or equal to 64")),
    ("a role that is none", "CreateFunction", creation(Role="r1"), VALIDATION, pattern("r1", "role")),
    ("a runtime that is none", "CreateFunction", creation(Runtime="PYTHON3.9"), INVALID,
     "Value PYTHON3.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: […] or be a valid ARN"),
    ("two architectures", "CreateFunction", creation(Architectures=["x86_64", "arm64"]), VALIDATION,
     violation("'[x86_64, arm64]'", "architectures", "Member must have length less than or equal to 1")),
    ("an architecture that is none", "CreateFunction", creation(Architectures=["X86_64"]), VALIDATION,
     violation("'[X86_64]'", "architectures", "Member must satisfy constraint: [Member must satisfy enum value set: […], Member must not be null]")),
    ("a package that is none", "CreateFunction", creation(Code={"ZipFile": b"no zip"}), INVALID,
     "Could not unzip uploaded file. Please check your file, then try to upload again."),
    ("variables that are too large", "CreateFunction", creation(Environment={"Variables": {"LARGE": "x" * 4096}}), INVALID,
     'Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. '
     f'String measured: {{"LARGE":"{"x" * 4096}"}}'),
    ("SnapStart that is none", "CreateFunction", creation(SnapStart={"ApplyOn": "Sometimes"}), VALIDATION,
     violation("'Sometimes'", "snapStart.applyOn", "Member must satisfy enum value set: […]")),
    ("too many tags", "CreateFunction", creation(Tags={f"k{number}": "v" for number in range(51)}), INVALID,
     "Number of tags exceeds resource tag limit."),
    ("an image for a zip", "UpdateFunctionCode", {"FunctionName": "known", "ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:b"}, INVALID,
     "Please don't provide ImageUri when updating a function with packageType Zip."),
    ("an old revision", "UpdateFunctionConfiguration", {"FunctionName": "known", "RevisionId": MAPPING, "Description": "late"}, STALE,
     "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"),
    ("versions of a kind that is none", "ListFunctions", {"FunctionVersion": "SOME"}, VALIDATION,
     violation("'SOME'", "functionVersion", "Member must satisfy enum value set: [ALL]")),
    ("another's function", "CreateFunction", creation(FunctionName="known"), CONFLICT, "Function already exist: known"),
]

VERSIONS = [
    ("another hash", "PublishVersion", {"FunctionName": "known", "CodeSha256": "another"}, INVALID,
     "CodeSHA256 (another) is different from current CodeSHA256 in $LATEST (…). Please try again with the CodeSHA256 in $LATEST."),
    ("an old revision to publish", "PublishVersion", {"FunctionName": "known", "RevisionId": MAPPING}, STALE,
     "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"),
    ("an alias twice", "CreateAlias", {"FunctionName": "known", "Name": "live", "FunctionVersion": "1"}, CONFLICT, f"Alias already exists: {ARN}:live"),
    ("an alias of digits", "CreateAlias", {"FunctionName": "known", "Name": "2024", "FunctionVersion": "1"}, VALIDATION, pattern("2024", "name")),
    ("an alias of no version", "CreateAlias", {"FunctionName": "known", "Name": "new", "FunctionVersion": "7"}, NOT_FOUND, f"Function not found: {ARN}:7"),
    ("an alias of no function", "CreateAlias", {"FunctionName": "nobody", "Name": "new", "FunctionVersion": "1"}, NOT_FOUND,
     f"Function not found: {NOBODY}:1"),
    ("an alias that is not there", "GetAlias", {"FunctionName": "known", "Name": "gone"}, NOT_FOUND, f"Cannot find alias arn: {ARN}:gone"),
    ("an update of an alias that is not there", "UpdateAlias", {"FunctionName": "known", "Name": "gone"}, NOT_FOUND, f"Alias not found: {ARN}:gone"),
    ("an invocation of an alias that is not there", "Invoke", {"FunctionName": "known", "Qualifier": "gone"}, NOT_FOUND,
     f"Function not found: {ARN}:gone"),
] + [
    (what, "UpdateAlias", {"FunctionName": "known", "Name": "live", "FunctionVersion": version,
                           "RoutingConfig": {"AdditionalVersionWeights": weights}}, code, text)
    for what, version, weights, code, text in [
        ("two more versions", "1", {"2": 0.1, "3": 0.1}, INVALID, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("a weight above one", "1", {"2": 2.0}, VALIDATION,
         violation("'{2=2.0}'", "routingConfig.additionalVersionWeights", "Map value must satisfy constraint: […]")),
        ("a weight below nought", "1", {"2": -1.0}, VALIDATION,
         violation("'{2=-1.0}'", "routingConfig.additionalVersionWeights", "Map value must satisfy constraint: […]")),
        ("a weight for $LATEST", "1", {"$LATEST": 0.5}, VALIDATION,
         violation("'{$LATEST=0.5}'", "routingConfig.additionalVersionWeights", "Map keys must satisfy constraint: […]")),
        ("a version twice", "1", {"1": 0.5}, INVALID, "Invalid function version 1. Function version 1 is already included in routing configuration."),
        ("a version that is not there", "1", {"7": 0.5}, NOT_FOUND, f"Function not found: {ARN}:7"),
        ("$LATEST with a weight beside it", "$LATEST", {"1": 0.5}, INVALID, "$LATEST is not supported for an alias pointing to more than 1 version"),
    ]
]

LAYERS = [
    ("a layer that is not there", "GetLayerVersion", {"LayerName": "gone", "VersionNumber": 1}, NOT_FOUND, GONE),
    ("a layer version that is not there", "GetLayerVersion", {"LayerName": "known", "VersionNumber": 2}, NOT_FOUND, GONE),
    ("layer version 0", "GetLayerVersion", {"LayerName": "known", "VersionNumber": 0}, INVALID, "Layer Version Cannot be less than 1"),
    ("layer version -1", "GetLayerVersion", {"LayerName": "known", "VersionNumber": -1}, INVALID, "Layer Version Cannot be less than 1"),
    ("deletion of layer version -1", "DeleteLayerVersion", {"LayerName": "known", "VersionNumber": -1}, INVALID, "Layer Version Cannot be less than 1"),
    ("an ARN of no version", "GetLayerVersionByArn", {"Arn": f"{LAYER}:known"}, VALIDATION, pattern(f"{LAYER}:known", "arn")),
    ("an ARN of a version that is not there", "GetLayerVersionByArn", {"Arn": f"{LAYER}:known:7"}, NOT_FOUND, GONE),
    ("layers for a runtime that is none", "ListLayers", {"CompatibleRuntime": "basic"}, VALIDATION,
     violation("'basic'", "compatibleRuntime", "Member must satisfy enum value set: […]")),
    ("layers for an architecture that is none", "ListLayers", {"CompatibleArchitecture": "z80"}, VALIDATION,
     violation("'z80'", "compatibleArchitecture", "Member must satisfy enum value set: […]")),
    ("two violations", "PublishLayerVersion", {"LayerName": "new", "Content": {"ZipFile": b""}, "CompatibleRuntimes": ["basic"],
                                               "CompatibleArchitectures": ["z80"]}, VALIDATION,
     "2 validation errors detected: Value '[basic]' at 'compatibleRuntimes' failed to satisfy constraint: …; "
     "Value '[z80]' at 'compatibleArchitectures' failed to satisfy constraint: …"),
    ("a layer of no policy", "GetLayerVersionPolicy", {"LayerName": "known", "VersionNumber": 1}, NOT_FOUND,
     "No policy is associated with the given resource."),
    ("an action that is none", "AddLayerVersionPermission", layer_permission(Action="*"), VALIDATION,
     violation("'*'", "action", "Member must satisfy regular expression pattern: lambda:GetLayerVersion")),
    ("a policy for no layer", "AddLayerVersionPermission", layer_permission(LayerName="gone"), NOT_FOUND,
     f"Layer version {LAYER}:gone:1 does not exist."),
    ("a policy for no layer version", "GetLayerVersionPolicy", {"LayerName": "known", "VersionNumber": 7}, NOT_FOUND,
     f"Layer version {LAYER}:known:7 does not exist."),
] + [
    (what, "UpdateFunctionConfiguration", {"FunctionName": "known", "Layers": layers}, code, text)
    for what, layers, code, text in [
        ("a layer twice", [f"{LAYER}:known:1"] * 2, INVALID, "Two different versions of the same layer are not allowed to be referenced in the "
         f"same function. {LAYER}:known:1 and {LAYER}:known:1 are versions of the same layer."),
        ("a layer that is gone", [f"{LAYER}:gone:1"], INVALID, f"Layer version {LAYER}:gone:1 does not exist."),
        ("a layer without its version", [f"{LAYER}:known"], VALIDATION,
         violation(f"'[{LAYER}:known]'", "layers", "Member must satisfy constraint: […]")),
        ("a layer of another region", [f"{LAYER}:known:1".replace("us-east-1", "eu-west-1")], INVALID,
         "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."),
        ("six layers", [f"{LAYER}:known{number}:1" for number in range(6)], INVALID, "Cannot reference more than 5 layers."),
    ]
]

POLICIES = [
    ("a statement id that is none", "AddPermission", permission(StatementId="example.com"), VALIDATION, pattern("example.com", "statementId")),
    ("two qualifiers", "AddPermission", permission(FunctionName="known:live", Qualifier="42"), INVALID, MISMATCH),
    ("a policy for $LATEST", "AddPermission", permission(Qualifier="$LATEST"), INVALID, "We currently do not support adding policies for $LATEST."),
    ("a principal that is none", "AddPermission", permission(Principal="invalid.nonaws.com"), INVALID,
     "The provided principal was invalid. Please check the principal and try again."),
    ("a policy for no function", "AddPermission", permission(FunctionName="nobody"), NOT_FOUND, f"Function not found: {NOBODY}"),
    ("a policy for no alias", "AddPermission", permission(FunctionName="known:gone"), NOT_FOUND, f"Cannot find alias arn: {ARN}:gone"),
    ("a policy for no version", "AddPermission", permission(Qualifier="42"), NOT_FOUND, f"Function not found: {ARN}:42"),
    ("a qualifier that is none", "AddPermission", permission(Qualifier="what-?-is"), VALIDATION, pattern("what-?-is", "qualifier")),
    ("no policy", "GetPolicy", {"FunctionName": "known"}, NOT_FOUND, GONE),
    ("no policy of a function that is not there", "GetPolicy", {"FunctionName": "nobody"}, NOT_FOUND, GONE),
    ("nothing to remove", "RemovePermission", {"FunctionName": "known", "StatementId": "s3"}, NOT_FOUND,
     "No policy is associated with the given resource."),
    ("nobody's to remove", "RemovePermission", {"FunctionName": "nobody", "StatementId": "s3"}, NOT_FOUND, f"No policy found for: {NOBODY}"),
    ("tags of no function", "TagResource", {"Resource": NOBODY, "Tags": {"a": "b"}}, NOT_FOUND, f"Function not found: {NOBODY}"),
    ("tags of no capacity provider", "TagResource", {"Resource": f"{ACCOUNT}:capacity-provider:nobody", "Tags": {"a": "b"}}, NOT_FOUND,
     f"Capacity provider not found: {ACCOUNT}:capacity-provider:nobody"),
    ("tags of a version", "TagResource", {"Resource": f"{ARN}:1", "Tags": {"a": "b"}}, INVALID,
     "Tags on function aliases and versions are not supported. Please specify a function ARN."),
    ("no tags", "TagResource", {"Resource": ARN, "Tags": {}}, INVALID, "An error occurred and the request cannot be processed."),
    ("no keys", "UntagResource", {"Resource": ARN, "TagKeys": []}, VALIDATION, violation("null", "tagKeys", "Member must not be null")),
    ("tags of no resource", "ListTags", {"Resource": f"{ACCOUNT}:something:else"}, VALIDATION, pattern(f"{ACCOUNT}:something:else", "resource")),
    ("tags of no mapping", "ListTags", {"Resource": f"{ACCOUNT}:event-source-mapping:{MAPPING}"}, NOT_FOUND,
     f"Event source mapping not found: {ACCOUNT}:event-source-mapping:{MAPPING}"),
] + [
    (f"{operation}: no such configuration", operation, {"CodeSigningConfigArn": CONFIG}, NOT_FOUND,
     f"The Lambda code signing configuration {CONFIG} can not be found.")
    for operation in ("GetCodeSigningConfig", "UpdateCodeSigningConfig", "DeleteCodeSigningConfig", "ListFunctionsByCodeSigningConfig")
] + [
    ("a configuration that is not there", "PutFunctionCodeSigningConfig", {"FunctionName": "known", "CodeSigningConfigArn": CONFIG},
     "CodeSigningConfigNotFoundException",
     f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {CONFIG}."),
]

CONCURRENCY = [
    ("concurrency of nobody", "PutFunctionConcurrency", {"FunctionName": "nobody", "ReservedConcurrentExecutions": 1}, NOT_FOUND,
     f"Function not found: {NOBODY}:$LATEST"),
    ("concurrency of a version", "PutFunctionConcurrency", {"FunctionName": f"{ARN}:1", "ReservedConcurrentExecutions": 1}, INVALID,
     "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a "
     "function name or an unqualified function ARN."),
    ("nothing provisioned", "GetProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "1"},
     "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function"),
    ("none provisioned", "PutProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "1", "ProvisionedConcurrentExecutions": 0},
     VALIDATION, violation("'0'", "provisionedConcurrentExecutions", "Member must have value greater than or equal to 1")),
    ("$LATEST provisioned", "PutProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1},
     INVALID, "Provisioned Concurrency Configs cannot be applied to unpublished function versions."),
    ("what $LATEST has provisioned", "GetProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "$LATEST"}, INVALID,
     "The function resource provided must be an alias or a published version."),
    ("what an alias that is gone has provisioned", "GetProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "gone"}, NOT_FOUND,
     f"Cannot find alias arn: {ARN}:gone"),
    ("what a version that is gone has provisioned", "DeleteProvisionedConcurrencyConfig", {"FunctionName": "known", "Qualifier": "10"}, NOT_FOUND,
     f"Function not found: {ARN}:10"),
    ("more provisioned than there is", "PutProvisionedConcurrencyConfig",
     {"FunctionName": "known", "Qualifier": "1", "ProvisionedConcurrentExecutions": 100_000}, INVALID,
     "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency […]."),
    ("recursion that is none", "PutFunctionRecursionConfig", {"FunctionName": "known", "RecursiveLoop": "Sometimes"}, VALIDATION,
     violation("'Sometimes'", "recursiveLoop", "Member must satisfy enum value set: […]")),
]

EVENTS = [
    ("settings of nobody", "PutFunctionEventInvokeConfig", {"FunctionName": "nobody", "MaximumRetryAttempts": 1}, NOT_FOUND, NO_FUNCTION),
    ("settings of an alias that is gone", "PutFunctionEventInvokeConfig", {"FunctionName": "known", "Qualifier": "gone", "MaximumRetryAttempts": 1},
     NOT_FOUND, NO_FUNCTION),
    ("no settings", "PutFunctionEventInvokeConfig", {"FunctionName": "known"}, INVALID,
     "You must specify at least one of error handling or destination setting."),
    ("two qualifiers of settings", "PutFunctionEventInvokeConfig", {"FunctionName": f"{ARN}:live", "Qualifier": "1", "MaximumRetryAttempts": 1},
     INVALID, MISMATCH),
    ("settings that are not there", "GetFunctionEventInvokeConfig", {"FunctionName": "known"}, NOT_FOUND, without_config(f"{ARN}:$LATEST")),
    ("settings of a version that are not there", "GetFunctionEventInvokeConfig", {"FunctionName": "known", "Qualifier": "1221"}, NOT_FOUND,
     without_config(f"{ARN}:1221")),
    ("settings that cannot be deleted", "DeleteFunctionEventInvokeConfig", {"FunctionName": "nobody"}, NOT_FOUND, without_config(f"{NOBODY}:$LATEST")),
    ("settings that cannot be changed", "UpdateFunctionEventInvokeConfig", {"FunctionName": "known", "MaximumRetryAttempts": 0}, NOT_FOUND,
     without_config(f"{ARN}:$LATEST")),
    ("all settings of nobody", "ListFunctionEventInvokeConfigs", {"FunctionName": "nobody"}, NOT_FOUND, NO_FUNCTION),
] + [
    (what, "PutFunctionEventInvokeConfig", {"FunctionName": "known", "DestinationConfig": {which: {"Destination": destination}}}, code, text)
    for what, which, destination, code, text in [
        ("a destination that is gone", "OnSuccess", NOBODY, INVALID, f"The destination ARN {NOBODY} is invalid."),
        ("itself as its destination", "OnSuccess", ARN, INVALID, "You can't specify the function as a destination for itself."),
        ("a destination that takes nothing", "OnSuccess", ARN.replace("lambda", "iam"), INVALID,
         f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={ARN.replace('lambda', 'iam')}), onFailure=null) is invalid."),
        ("a destination that is none", "OnFailure", ARN.replace("lambda", "_-/!lambda"), VALIDATION,
         pattern(ARN.replace("lambda", "_-/!lambda"), "destinationConfig.onFailure.destination")),
    ]
] + [
    (f"{operation}: no such mapping", operation, {"UUID": MAPPING}, NOT_FOUND, GONE)
    for operation in ("GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping")
] + [
    ("a mapping of no source", "CreateEventSourceMapping", {"FunctionName": "known"}, INVALID, "Unrecognized event source."),
    ("a mapping to nobody", "CreateEventSourceMapping", {"FunctionName": "nobody", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q"}, INVALID,
     "Function does not exist"),
    ("a mapping that begins nowhere", "CreateEventSourceMapping",
     {"FunctionName": "known", "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}, INVALID,
     violation("null", "startingPosition", "Member must not be null.")),
]

URLS = [
    (f"{operation}: {what}", operation, {"FunctionName": name, "AuthType": "NONE"} | qualifier, code, text)
    for operation in ("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig")
    for what, name, qualifier, code, text in [
        ("no such function", "nobody", {}, NOT_FOUND, "Function does not exist"),
        ("no such alias", "known", {"Qualifier": "gone"}, NOT_FOUND, "Function does not exist"),
        ("a version", "known", {"Qualifier": "1"}, VALIDATION, pattern("1", "qualifier")),
        ("$LATEST", "known", {"Qualifier": "$LATEST"}, VALIDATION, pattern("$LATEST", "qualifier")),
        ("two qualifiers", f"{ARN}:live", {"Qualifier": "gone"}, INVALID, MISMATCH),
    ]
] + [
    (f"{operation}: {what}", operation, {"FunctionName": name} | qualifier, code, text)
    for operation in ("GetFunctionUrlConfig", "DeleteFunctionUrlConfig")
    for what, name, qualifier, code, text in [
        ("no such function", "nobody", {}, NOT_FOUND, GONE),
        ("no URL", "known", {}, NOT_FOUND, GONE),
        ("a version", "known", {"Qualifier": "1"}, VALIDATION, pattern("1", "qualifier")),
        ("$LATEST", "known", {"Qualifier": "$LATEST"}, VALIDATION, pattern("$LATEST", "qualifier")),
        ("two qualifiers", f"{ARN}:live", {"Qualifier": "gone"}, INVALID, MISMATCH),
    ]
] + [
    ("URLs of nobody", "ListFunctionUrlConfigs", {"FunctionName": "nobody"}, NOT_FOUND, "Function does not exist"),
    ("a mode that is none", "CreateFunctionUrlConfig", {"FunctionName": "known", "AuthType": "NONE", "InvokeMode": "UNKNOWN"}, VALIDATION,
     violation("'UNKNOWN'", "invokeMode", "Member must satisfy enum value set: […]")),
]

AREAS = {"functions": FUNCTIONS, "versions": VERSIONS, "layers": LAYERS, "policies": POLICIES, "concurrency": CONCURRENCY, "events": EVENTS,
         "urls": URLS}
