//! Runtimes among the constraints: the one set that the service treats otherwise than its model says.
//!
//! A function's `Runtime` is looked at when all else is as it should be. An unknown one is then an
//! `InvalidParameterValueException`, whose text has no quotes around the value and offers, besides the runtimes that a
//! function may now be given, "a valid ARN". The same set stands for the elements of `CompatibleRuntimes`. Only where
//! layers are looked for by `CompatibleRuntime` is the whole set printed, with runtimes that were never public.
//!
//! Both texts are as recorded in January 2026. What is *taken* is what the model has, which by now is more.

use serde_json::{Map, Value};

use super::shapes::{OperationId, exception};
use crate::error::ApiError;

/// The shape's name in the model.
pub(super) const SHAPE: &str = "Runtime";

/// What a function may be given, in the order of the service's hash table.
pub(super) const CONFIGURABLE: &str = "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, \
    nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, \
    nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2]";

/// All that the service knows, likewise.
pub(super) const KNOWN: &str = "[ruby3.5, ruby2.6, dotnetcore1.0, python3.7, nodejs8.10, nasa, ruby2.7, \
    python2.7-greengrass, dotnetcore2.0, python3.8, java21, dotnet6, dotnetcore2.1, python3.9, java11, nodejs6.10, \
    provided, dotnetcore3.1, dotnet8, java25, java17, nodejs, nodejs4.3, java8.al2, go1.x, dotnet10, nodejs20.x, go1.9, \
    byol, nodejs10.x, provided.al2023, nodejs22.x, python3.10, java8, nodejs12.x, python3.11, nodejs24.x, nodejs8.x, \
    python3.12, nodejs14.x, nodejs8.9, nodejs26.x, python3.13, python3.14, nodejs16.x, python3.15, provided.al2, \
    nodejs4.3-edge, nodejs18.x, ruby3.2, python3.4, ruby3.3, ruby3.4, ruby2.5, python3.6, python2.7]";

/// The runtime that an operation would give to a function.
pub(super) fn configured(operation: OperationId, given: &Map<String, Value>) -> Option<&str> {
    match operation {
        OperationId::CreateFunction | OperationId::UpdateFunctionConfiguration => {
            given.get("Runtime")?.as_str()
        }
        _ => None,
    }
}

/// Those that no function may be given any more. The service has others that are past their time and still takes them.
const RETIRED: &[&str] = &[
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "ruby2.5",
    "ruby2.7",
];

pub(super) fn is_retired(name: &str) -> bool {
    RETIRED.contains(&name)
}

/// That a runtime was one once.
pub(super) fn retired(name: &str) -> ApiError {
    ApiError::refused(
        &exception::INVALID_PARAMETER_VALUE,
        format!(
            "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda functions. \
             We recommend you use a supported runtime while creating or updating functions."
        ),
    )
}

/// That there is no runtime of this name.
pub(super) fn unknown(name: &str) -> ApiError {
    ApiError::refused(
        &exception::INVALID_PARAMETER_VALUE,
        format!(
            "Value {name} at 'runtime' failed to satisfy constraint: \
             Member must satisfy enum value set: {CONFIGURABLE} or be a valid ARN"
        ),
    )
}
