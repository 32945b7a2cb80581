//! Messages, most of them as the service was recorded to give them; and that no request, however odd, is too much.

use super::super::shapes::OPERATIONS;
use super::super::{request, routing, serialization};
use super::*;
use proptest::prelude::*;
use serde_json::json;

const ROLE: &str = "arn:aws:iam::111122223333:role/r";
const LAYER: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)";

const NAME: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";

fn input(operation: OperationId) -> &'static [Member] {
    OPERATIONS.iter().find(|entry| entry.id == operation).unwrap().input.unwrap()
}

/// Members as they come from a body, a path and all else.
fn refusal(operation: OperationId, given: &Value) -> Option<ApiError> {
    let Value::Object(given) = given else { panic!("requests are objects") };
    validate(operation, input(operation), given).err()
}

fn check(operation: OperationId, given: &Value, expected: &str) {
    let refusal = refusal(operation, given).map(|error| (error.class(), error.to_string()));
    let expected = expected.to_owned();
    assert_eq!(refusal, Some(("ValidationException", expected)), "{given}");
}

/// A `CreateFunction` with these members besides.
fn function(members: Value) -> Value {
    let mut given =
        json!({"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": ""}, "Runtime": "python3.12"});
    let (Value::Object(all), Value::Object(members)) = (&mut given, members) else { panic!("two objects") };
    all.extend(members);
    given
}

#[test]
fn one_member_that_falls_short() {
    use OperationId as O;
    let one = |text: &str| format!("1 validation error detected: {text}");
    for (operation, given, expected) in [
        // Recorded, from here to the next comment.
        (
            O::CreateFunction,
            function(json!({"Role": "r1"})),
            r"Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"FunctionName": "invalid:function:name"})),
            r"Value 'invalid:function:name' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Architectures": ["X86_64"]})),
            "Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Architectures": ["x86_64", "arm64"]})),
            "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Layers": ["arn:aws:lambda:eu-west-1:111122223333:layer:l"]})),
            format!("Value '[arn:aws:lambda:eu-west-1:111122223333:layer:l]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: {LAYER}, Member must not be null]"),
        ),
        (
            O::CreateFunction,
            function(json!({"VpcConfig": {"SubnetIds": ["bad"]}})),
            "Value '[bad]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*]".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"SnapStart": {"ApplyOn": "invalidOption"}})),
            "Value 'invalidOption' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: [PublishedVersions, None]".to_owned(),
        ),
        (
            O::CreateFunction,
            json!({"FunctionName": "f", "Role": ROLE}),
            "Value null at 'code' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Code": {"S3Bucket": "%%B%%-1", "S3Key": "k"}})),
            r"Value '%%B%%-1' at 'code.s3Bucket' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9A-Za-z\.\-_]*(?<!\.)".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"KMSKeyArn": "key"})),
            r"Value 'key' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Environment": {"Variables": {"a": "secret"}}})),
            "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]".to_owned(),
        ),
        (
            O::CreateFunction,
            function(json!({"Timeout": 1200})),
            "Value '1200' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900".to_owned(),
        ),
        (
            O::UpdateFunctionConfiguration,
            json!({"FunctionName": "f", "MemorySize": 5_555_555}),
            "Value '5555555' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240".to_owned(),
        ),
        (
            O::CreateAlias,
            json!({"FunctionName": "f", "Name": "2024", "FunctionVersion": "1"}),
            "Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)".to_owned(),
        ),
        (
            O::CreateAlias,
            json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}}}),
            "Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]".to_owned(),
        ),
        (
            O::CreateAlias,
            json!({"FunctionName": "f", "Name": "a", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}}),
            "Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]".to_owned(),
        ),
        (
            O::CreateFunctionUrlConfig,
            json!({"FunctionName": "f", "Qualifier": "1", "AuthType": "NONE"}),
            r"Value '1' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)".to_owned(),
        ),
        (
            O::CreateFunctionUrlConfig,
            json!({"FunctionName": "f", "AuthType": "NONE", "InvokeMode": "UNKNOWN"}),
            "Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]".to_owned(),
        ),
        (
            O::CreateEventSourceMapping,
            json!({"FunctionName": "f", "StartingPosition": "invalid"}),
            "Value 'invalid' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]".to_owned(),
        ),
        (
            O::Invoke,
            json!({"FunctionName": "f", "InvocationType": "dry_run"}),
            "Value 'dry_run' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [DryRun, RequestResponse, Event]".to_owned(),
        ),
        (
            O::Invoke,
            json!({"FunctionName": "my-function!"}),
            format!("Value 'my-function!' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: {NAME}"),
        ),
        (
            O::Invoke,
            json!({"FunctionName": "my-function", "Qualifier": "invalid!"}),
            r"Value 'invalid!' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".to_owned(),
        ),
        (
            O::PutProvisionedConcurrencyConfig,
            json!({"FunctionName": "f", "Qualifier": "1", "ProvisionedConcurrentExecutions": 0}),
            "Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1".to_owned(),
        ),
        (
            O::PutFunctionRecursionConfig,
            json!({"FunctionName": "f", "RecursiveLoop": "InvalidValue"}),
            "Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: Member must satisfy enum value set: [Terminate, Allow]".to_owned(),
        ),
        (
            O::PutFunctionEventInvokeConfig,
            json!({"FunctionName": "f", "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:_-/!lambda:f"}}}),
            r"Value 'arn:aws:_-/!lambda:f' at 'destinationConfig.onFailure.destination' failed to satisfy constraint: Member must satisfy regular expression pattern: $|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)".to_owned(),
        ),
        (
            O::UntagResource,
            json!({"Resource": "arn:aws:lambda:eu-west-1:111122223333:function:f"}),
            "Value null at 'tagKeys' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            O::TagResource,
            json!({"Resource": "arn:aws:lambda:eu-west-1:111122223333:function:f", "Tags": {"Creator": "a,b"}}),
            r"Value '{Creator=a,b}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)]".to_owned(),
        ),
        (
            O::ListFunctions,
            json!({"FunctionVersion": "invalid"}),
            "Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]".to_owned(),
        ),
        (
            O::GetLayerVersionByArn,
            json!({"Arn": "arn:aws:lambda:eu-west-1:111122223333:layer:l"}),
            format!("Value 'arn:aws:lambda:eu-west-1:111122223333:layer:l' at 'arn' failed to satisfy constraint: Member must satisfy regular expression pattern: {LAYER}"),
        ),
        (
            O::ListLayers,
            json!({"CompatibleRuntime": "runtimedoesnotexist"}),
            format!("Value 'runtimedoesnotexist' at 'compatibleRuntime' failed to satisfy constraint: Member must satisfy enum value set: {KNOWN_RUNTIMES}"),
        ),
        // Not recorded: members of structures in lists, by the rule that AWS's other services show.
        (
            O::CreateFunction,
            function(json!({"FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:eu-west-1:111122223333:access-point/fsap-0123456789abcdef0", "LocalMountPath": "/tmp"}]})),
            "Value '/tmp' at 'fileSystemConfigs.1.member.localMountPath' failed to satisfy constraint: Member must satisfy regular expression pattern: /mnt/[a-zA-Z0-9-_.]+".to_owned(),
        ),
    ] {
        check(operation, &given, &one(&expected));
    }
}

#[test]
fn all_that_falls_short_is_told_at_once() {
    // Recorded.
    let given = json!({
        "LayerName": "l",
        "Content": {"ZipFile": ""},
        "CompatibleRuntimes": ["invalidruntime", "invalidruntime2", "nodejs20.x"],
        "CompatibleArchitectures": ["invalidarch", "x86_64"],
    });
    let expected = format!(
        "2 validation errors detected: \
         Value '[invalidruntime, invalidruntime2, nodejs20.x]' at 'compatibleRuntimes' failed to satisfy constraint: \
         Member must satisfy enum value set: {CONFIGURABLE_RUNTIMES}; \
         Value '[invalidarch, x86_64]' at 'compatibleArchitectures' failed to satisfy constraint: \
         Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
    );
    check(OperationId::PublishLayerVersion, &given, &expected);
    // Likewise, of a name of 238 characters.
    let name = format!("arn:aws:lambda:invalid-region:111111111111:function:my-function-{}", "a".repeat(170));
    let qualifier = "a".repeat(129);
    let given = json!({"FunctionName": name, "Qualifier": qualifier});
    let expected = format!(
        r"2 validation errors detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: {NAME}; Value '{qualifier}' at 'qualifier' failed to satisfy constraint: Member must have length less than or equal to 128"
    );
    for operation in [OperationId::Invoke, OperationId::GetFunction, OperationId::DeleteFunction] {
        check(operation, &given, &expected);
    }
    // The order of one member's constraints is recorded of a bucket's name in `CreateFunction`.
    let bucket = format!("{}/", "b".repeat(63));
    let given = function(json!({"Code": {"S3Bucket": bucket}, "Runtime": "unheard"}));
    let expected = format!(
        "2 validation errors detected: \
         Value '{bucket}' at 'code.s3Bucket' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [0-9A-Za-z\\.\\-_]*(?<!\\.); \
         Value '{bucket}' at 'code.s3Bucket' failed to satisfy constraint: \
         Member must have length less than or equal to 63"
    );
    check(OperationId::CreateFunction, &given, &expected);
}

/// Recorded.
#[test]
fn an_unknown_runtime_is_an_invalid_parameter() {
    for (operation, given) in [
        (OperationId::CreateFunction, function(json!({"Runtime": "PYTHON3.9"}))),
        (OperationId::UpdateFunctionConfiguration, json!({"FunctionName": "f", "Runtime": "PYTHON3.9"})),
    ] {
        let refusal = refusal(operation, &given).unwrap();
        assert_eq!(refusal.class(), "InvalidParameterValueException");
        let text = refusal.to_string();
        assert!(
            text.starts_with(
                "Value PYTHON3.9 at 'runtime' failed to satisfy constraint: \
                 Member must satisfy enum value set: [nodejs20.x, "
            ),
            "{text}"
        );
        assert!(text.ends_with("provided.al2, java8.al2] or be a valid ARN"), "{text}");
    }
}

/// Recorded of eight of them.
#[test]
fn a_retired_runtime_is_an_invalid_parameter() {
    for name in ["go1.x", "java8", "nodejs14.x", "provided"] {
        let given = function(json!({"Runtime": name}));
        let refusal = refusal(OperationId::CreateFunction, &given).unwrap();
        assert_eq!(refusal.class(), "InvalidParameterValueException");
        assert_eq!(
            refusal.to_string(),
            format!(
                "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda \
                 functions. We recommend you use a supported runtime while creating or updating functions."
            )
        );
    }
}

/// Recorded. Other operations find no such function, and an ARN has a longer bound of its own.
#[test]
fn a_name_too_long_is_an_invalid_parameter() {
    let long = "a".repeat(65);
    let given = function(json!({"FunctionName": long}));
    let refusal = refusal(OperationId::CreateFunction, &given).unwrap();
    assert_eq!(refusal.class(), "InvalidParameterValueException");
    let expected = format!(
        "1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: \
         Member must have length less than or equal to 64"
    );
    assert_eq!(refusal.to_string(), expected);
    assert!(self::refusal(OperationId::GetFunction, &json!({"FunctionName": long})).is_none());
    let given = function(json!({"FunctionName": format!("111122223333:function:{}", "a".repeat(119))}));
    let expected = "1 validation error detected: Value '111122223333:function:aaa";
    let text = self::refusal(OperationId::CreateFunction, &given).unwrap().to_string();
    assert!(text.starts_with(expected) && text.ends_with("less than or equal to 140"), "{text}");
}

#[test]
fn what_is_within_bounds_passes() {
    for given in [
        function(json!({})),
        function(json!({"Timeout": 900, "MemorySize": 128, "EphemeralStorage": {"Size": 10_240}})),
        function(json!({"Layers": [], "Tags": {"k": ""}, "Environment": {"Variables": {"AB": ""}}})),
        function(json!({"Description": "é".repeat(256), "Runtime": "python3.15"})),
        function(json!({"FunctionName": "arn:aws:lambda:eu-west-1:111122223333:function:f"})),
    ] {
        let refusal = refusal(OperationId::CreateFunction, &given).map(|error| error.to_string());
        assert_eq!(refusal, None, "{given}");
    }
}

#[test]
fn lengths_are_of_utf_16() {
    for (text, expected) in [("", 0), ("abc", 3), ("é", 1), ("🔥", 2)] {
        assert_eq!(chars(text), expected, "{text}");
    }
}

#[test]
fn structures_are_printed_as_java_does() {
    let configs = json!([
        {"Arn": "a", "LocalMountPath": "/mnt/a"},
        {"Arn": "b"},
    ]);
    let member = input(OperationId::CreateFunction).iter().find(|member| member.name == "FileSystemConfigs");
    let printed = Printed(member.unwrap().shape, &configs).to_string();
    assert!(printed.starts_with("[FileSystemConfig(arn=a, localMountPath=/mnt/a"), "{printed}");
    assert!(printed.contains("), FileSystemConfig(arn=b, localMountPath=null"), "{printed}");
}

/// JSON of any form, with names of this API among its own.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let members = OPERATIONS.iter().filter_map(|operation| operation.input).flat_map(|input| {
        let nested = input.iter().flat_map(|member| match &member.shape.kind {
            Kind::Structure(members) => members.iter(),
            _ => [].iter(),
        });
        input.iter().chain(nested).map(|member| member.name.to_owned())
    });
    prop_oneof![3 => proptest::sample::select(members.collect::<Vec<_>>()), 1 => "\\PC{0,8}"]
}

proptest! {
    /// Of the right types or not, the answer is a refusal or a request, for each operation.
    #[test]
    fn no_request_is_too_much(body in json()) {
        for operation in OPERATIONS {
            let Some(input) = operation.input else { continue };
            let Ok(given) = serialization::structure(input, body.clone()) else { continue };
            if let Err(error) = validate(operation.id, input, &given) {
                prop_assert!(error.to_string().contains(" failed to satisfy constraint: "), "{}", error);
            }
        }
    }

    #[test]
    fn no_path_or_query_is_too_much(path in "(/[-a-zA-Z0-9%:{}]{0,12}){0,8}/?", query in "[-a-zA-Z0-9%&=+]{0,40}", body in "\\PC{0,40}") {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let uri = format!("{path}?{query}");
            let Ok(request) = axum::http::Request::builder().method(method).uri(uri).body(()) else { continue };
            let (parts, ()) = request.into_parts();
            if let Ok(route) = routing::route(&parts.method, &parts.uri) {
                let _ = request::assemble(&route, &parts, body.as_bytes());
            }
        }
    }
}
