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
    let assembled = request::assemble(route, parts, body)?;
    validation::validate(route.operation.id, route.input, &assembled)?;
    serde_json::from_value(assembled.into()).map_err(|error| ApiError::Malformed(Some(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::schema::{Kind, Location, Member, Shape};
    use super::shapes::READERS;
    use super::*;
    use axum::http;
    use serde_json::{Map, Value, json};

    fn parts(method: &str, uri: &str) -> Parts {
        http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    fn read<T: Request>(method: &str, uri: &str, body: &Value) -> Result<T, ApiError> {
        let parts = parts(method, uri);
        super::read(&route(&parts.method, &parts.uri)?, &parts, body.to_string().as_bytes())
    }

    #[test]
    fn a_request_comes_out_typed() {
        let function = json!({
            "FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/r", "Runtime": "python3.12", "Timeout": 5,
            "Code": {"ZipFile": "AAH/"}, "Environment": {"Variables": {"NAME": "value"}}, "Unheard": {},
        });
        let request: CreateFunctionRequest = read("POST", "/2015-03-31/functions", &function).ok().unwrap();
        assert_eq!((request.function_name.as_str(), request.timeout, request.handler), ("f", Some(5), None));
        assert_eq!(request.code.zip_file.unwrap().0, [0, 1, 255].as_slice());
        assert_eq!(request.environment.unwrap().variables.unwrap()["NAME"], "value");
        let uri = "/2015-03-31/functions/f/aliases/prod?Name=other";
        let request: GetAliasRequest = read("GET", uri, &Value::Null).ok().unwrap();
        assert_eq!((request.function_name.as_str(), request.name.as_str()), ("f", "prod"));
        let uri = "/2014-11-13/functions/f/invoke-async/";
        let request: InvokeAsyncRequest = read("POST", uri, &json!("an event")).ok().unwrap();
        assert_eq!(request.function_name, "f");
    }

    #[test]
    fn what_is_not_base64_is_malformed() {
        let code = json!({"ZipFile": "not base64"});
        let uri = "/2015-03-31/functions/f/code";
        let error = read::<UpdateFunctionCodeRequest>("PUT", uri, &code).err().unwrap();
        assert_eq!(error.class(), "SerializationException");
    }

    /// The pattern of names that do not make a function, as others are in shape, without what it has of Java's.
    const NAMES: &str = r"(arn:(aws[a-zA-Z-]{0,3})?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]{1,9}-[0-9]:)?([0-9]{12}:)?(function:)?([a-zA-Z0-9_.-]{1,9})(:([$]LATEST([.]PUBLISHED)?|[a-zA-Z0-9_-]{1,9}))?";

    proptest::proptest! {
        /// Whatever the model takes, the catalog reads: what a name has in front of it, the catalog cuts off by itself.
        #[test]
        fn every_name_that_is_valid_is_one(name in NAMES) {
            let read = firesteel_catalog::FunctionReference::parse(&name, None, "eu-west-1", "111122223333");
            let malformed = matches!(read, Err(firesteel_catalog::ReferenceError::Malformed { .. }));
            proptest::prop_assert!(!malformed, "{name}");
        }
    }

    /// Something of the shape's type: with all members, or only with those that are required.
    fn sample(shape: &Shape, all: bool) -> Value {
        match &shape.kind {
            Kind::Structure(members) => Value::Object(samples(members, all)),
            Kind::List { element, .. } => json!([sample(element, all)]),
            Kind::Map { value, .. } => json!({"key": sample(value, all)}),
            Kind::Text { .. } => json!("text"),
            Kind::Integer(_) | Kind::Long(_) => json!(1),
            Kind::Double(_) | Kind::Timestamp => json!(0.5),
            Kind::Boolean => json!(true),
            Kind::Blob => json!("AAAA"),
        }
    }

    fn samples(members: &[Member], all: bool) -> Map<String, Value> {
        let kept = members.iter().filter(|member| all || member.required);
        kept.map(|member| (member.name.to_owned(), sample(member.shape, all))).collect()
    }

    #[test]
    fn whatever_is_valid_can_be_read() {
        let operations: Vec<_> = OPERATIONS.iter().filter(|operation| operation.input.is_some()).collect();
        assert_eq!(operations.len(), READERS.len());
        for (operation, (name, reader)) in operations.into_iter().zip(READERS) {
            assert_eq!(operation.name, *name);
            for all in [true, false] {
                let given = Value::Object(samples(operation.input.unwrap(), all));
                reader(given.clone()).unwrap_or_else(|error| panic!("{name}: {error}: {given}"));
            }
            // A type that would be read from nothing holds nothing of what is required.
            let typed = |member: &&Member| !matches!(member.location, Location::Payload);
            let required = operation.input.unwrap().iter().filter(typed).any(|member| member.required);
            assert_eq!(reader(json!({})).is_err(), required, "{name}");
        }
    }
}
