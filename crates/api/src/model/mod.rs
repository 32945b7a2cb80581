//! The Lambda API as its public model has it: which operation a request means, what is in it, whether that is allowed,
//! and how its answer is put.
//!
//! ```text
//!  method, path, query ─► routing ─► Route ─┐
//!  query, headers, body ────────────────────┴─► request ─► one JSON object ─► validation ─► a request of its type
//!
//!  a response of its type, or nothing ─► response        an exception, and its text ─► crate::error
//!
//!  shapes.rs   generated: operations, types, constraints, exceptions; in terms of schema.rs
//! ```
//!
//! [`route`], [`read`] and [`respond`] are what operations call. Nothing here knows what an operation does. What
//! functions are given and give back (`Payload`) is left to those that run them: it may be large, and is not JSON.

mod blob;
mod invalid_parameter;
mod pattern;
mod request;
mod response;
mod routing;
mod schema;
mod serialization;
mod shapes;
mod validation;

use axum::http::request::Parts;

pub(crate) use blob::Blob;
pub(crate) use response::respond;
pub(crate) use routing::{Route, route};
pub(crate) use schema::{Exception, Operation, Request, Spelling};
pub(crate) use shapes::*;
pub(crate) use validation::Violations;

use crate::error::ApiError;

/// The request, if it is one of `T`'s operation: assembled from where the model puts its members, and within all that
/// the model demands. Every violation is told at once, as AWS tells it.
pub(crate) fn read<T: Request>(route: &Route, parts: &Parts, body: &[u8]) -> Result<T, ApiError> {
    debug_assert_eq!(route.operation.id, T::OPERATION, "a route is read as the request of its operation");
    let Some(input) = route.operation.input else {
        return Err(ApiError::Unimplemented { operation: route.operation.name });
    };
    let assembled = request::assemble(input, route, parts, body)?;
    validation::validate(route.operation.id, input, &assembled)?;
    serde_json::from_value(assembled.into()).map_err(|error| ApiError::Malformed(Some(error.to_string())))
}
