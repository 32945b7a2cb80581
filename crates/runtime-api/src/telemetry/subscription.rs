//! What an extension asks for, read from the body of its `PUT` and held against AWS's limits.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Api, Buffering, Destination, Schema, Subscription, Types};

/// Why a subscription is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationError {
    /// Which member, and what it must be.
    pub message: String,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ValidationError {}

/// Reads a subscription.
pub fn parse(api: Api, body: &[u8]) -> Result<Subscription, ValidationError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| ValidationError { message: format!("the body is not JSON: {error}") })?;
    Ok(Subscription {
        api,
        schema: schema(api, &body["schemaVersion"])?,
        types: types(&body["types"])?,
        destination: destination(api, &body["destination"])?,
        buffering: Buffering {
            timeout: Duration::from_millis(figure(&body["buffering"], "timeoutMs", 1_000, 25, 30_000)?),
            max_bytes: figure(&body["buffering"], "maxBytes", 262_144, 262_144, 1_048_576)?,
            max_items: figure(&body["buffering"], "maxItems", 10_000, 1_000, 10_000)?,
        },
    })
}

fn schema(api: Api, version: &Value) -> Result<Schema, ValidationError> {
    match (api, version.as_str()) {
        (Api::Telemetry, Some("2022-07-01")) => Ok(Schema::V20220701),
        (Api::Telemetry, Some("2022-12-13")) => Ok(Schema::V20221213),
        (Api::Telemetry, Some("2025-01-29")) => Ok(Schema::V20250129),
        (Api::Logs, Some("2020-08-15")) => Ok(Schema::V20200815),
        (Api::Logs, None) if version.is_null() => Ok(Schema::V20200815),
        (Api::Logs, Some("2021-03-18")) => Ok(Schema::V20210318),
        _ => Err(wrong("schemaVersion", version)),
    }
}

fn types(names: &Value) -> Result<Types, ValidationError> {
    let mut types = Types::default();
    let list = names.as_array().filter(|list| !list.is_empty()).ok_or_else(|| wrong("types", names))?;
    for name in list {
        match name.as_str() {
            Some("platform") => types.platform = true,
            Some("function") => types.function = true,
            Some("extension") => types.extension = true,
            _ => return Err(wrong("types", name)),
        }
    }
    Ok(types)
}

fn destination(api: Api, of: &Value) -> Result<Destination, ValidationError> {
    let port = |number: u64| u16::try_from(number).ok().filter(|port| *port != 0);
    match of["protocol"].as_str() {
        Some("HTTP") => {
            let uri: Option<hyper::Uri> = of["URI"].as_str().and_then(|uri| uri.parse().ok());
            let uri = uri
                .filter(|uri| uri.scheme_str() == Some("http"))
                .filter(|uri| matches!(uri.host(), Some("sandbox.localdomain" | "sandbox")));
            let uri = uri.ok_or_else(|| wrong("destination.URI", &of["URI"]))?;
            Ok(Destination::Http {
                port: uri.port_u16().unwrap_or(80),
                path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
                put: api == Api::Logs && of["method"] == "PUT",
            })
        }
        Some("TCP") => {
            let number = of["port"].as_u64().and_then(port);
            Ok(Destination::Tcp { port: number.ok_or_else(|| wrong("destination.port", &of["port"]))? })
        }
        _ => Err(wrong("destination.protocol", &of["protocol"])),
    }
}

/// An absent figure has its default.
fn figure<T: TryFrom<u64>>(
    of: &Value,
    name: &str,
    default: u64,
    least: u64,
    most: u64,
) -> Result<T, ValidationError> {
    let number = if of[name].is_null() { Some(default) } else { of[name].as_u64() };
    number
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| wrong(&format!("buffering.{name}"), &of[name]))
}

fn wrong(member: &str, value: &Value) -> ValidationError {
    ValidationError { message: format!("{member} must not be {value}") }
}
