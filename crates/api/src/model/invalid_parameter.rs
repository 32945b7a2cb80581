//! What reads like a violation and is an `InvalidParameterValueException`: the service does not leave it to its model, and
//! looks at it when all else is as it should be.
//!
//! | recorded of | refused | words |
//! |---|---|---|
//! | `CreateFunction` | a name of more than 64 characters | a violation's |
//! | `CreateFunction`, `UpdateFunctionConfiguration` | a runtime that it does not know | no quotes, no count, "or be a valid ARN" |
//! | the same | a runtime that is retired | a sentence |
//!
//! The runtimes that are offered are those that functions may now be given, also for the elements of `CompatibleRuntimes`.
//! Only where layers are looked for by `CompatibleRuntime` are all printed, with some that were never public. Both sets are
//! as recorded in January 2026; what is *taken* is what the model has, which by now is more.

use serde_json::{Map, Value};

use super::shapes::{OperationId, exception};
use crate::error::ApiError;

/// The runtimes' shape in the model.
pub(super) const RUNTIME: &str = "Runtime";

/// What a function may be given, in the order of the service's hash table.
pub(super) const CONFIGURABLE_RUNTIMES: &str = "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, \
    nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, \
    nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2]";

/// All that the service knows, likewise.
pub(super) const KNOWN_RUNTIMES: &str = "[ruby3.5, ruby2.6, dotnetcore1.0, python3.7, nodejs8.10, nasa, ruby2.7, \
    python2.7-greengrass, dotnetcore2.0, python3.8, java21, dotnet6, dotnetcore2.1, python3.9, java11, nodejs6.10, \
    provided, dotnetcore3.1, dotnet8, java25, java17, nodejs, nodejs4.3, java8.al2, go1.x, dotnet10, nodejs20.x, go1.9, \
    byol, nodejs10.x, provided.al2023, nodejs22.x, python3.10, java8, nodejs12.x, python3.11, nodejs24.x, nodejs8.x, \
    python3.12, nodejs14.x, nodejs8.9, nodejs26.x, python3.13, python3.14, nodejs16.x, python3.15, provided.al2, \
    nodejs4.3-edge, nodejs18.x, ruby3.2, python3.4, ruby3.3, ruby3.4, ruby2.5, python3.6, python2.7]";

/// What no function may be given any more. Of what else is past its time the service was recorded to take it still.
const RETIRED_RUNTIMES: &[&str] = &[
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "ruby2.5",
    "ruby2.7",
];

/// Longest name of a function. Only who creates one is told: elsewhere, none of a longer name is found.
const NAME_CHARS: usize = 64;

/// The runtime that an operation would give to a function.
pub(super) fn runtime(operation: OperationId, given: &Map<String, Value>) -> Option<&str> {
    match operation {
        OperationId::CreateFunction | OperationId::UpdateFunctionConfiguration => {
            given.get("Runtime")?.as_str()
        }
        _ => None,
    }
}

/// That there is no runtime of this name.
pub(super) fn unknown_runtime(name: &str) -> ApiError {
    refused(format!(
        "Value {name} at 'runtime' failed to satisfy constraint: \
         Member must satisfy enum value set: {CONFIGURABLE_RUNTIMES} or be a valid ARN"
    ))
}

/// That this runtime was one once.
pub(super) fn retired_runtime(name: &str) -> Option<ApiError> {
    RETIRED_RUNTIMES.contains(&name).then(|| {
        refused(format!(
            "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda functions. \
             We recommend you use a supported runtime while creating or updating functions."
        ))
    })
}

/// That a function of this name cannot be created.
pub(super) fn name_too_long(operation: OperationId, given: &Map<String, Value>) -> Option<ApiError> {
    let name = given.get("FunctionName")?.as_str()?;
    // Of what stands between the colons of an ARN, nothing else is as long.
    let too_long =
        operation == OperationId::CreateFunction && name.split(':').any(|part| part.len() > NAME_CHARS);
    too_long.then(|| {
        refused(format!(
            "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: \
             Member must have length less than or equal to {NAME_CHARS}"
        ))
    })
}

fn refused(message: String) -> ApiError {
    ApiError::refused(&exception::INVALID_PARAMETER_VALUE, message)
}
