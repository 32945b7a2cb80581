//! Where the service was recorded to differ from its public model, so that messages and answers are the service's.
//!
//! Recordings are of 2025 and January 2026 unless said otherwise. An entry that no longer applies to a newer model is
//! an error, lest it be kept for nothing.

use super::service::{ModelError, Service};

/// The service knows no functions on managed instances here, so that the limits of all others hold.
const MOST: &[(&str, f64)] =
    &[("Timeout", 900.0), ("MemorySize", 10_240.0), ("EphemeralStorageSize", 10_240.0)];

/// Sets in the order in which the service prints them, which is that of no alphabet and no model.
const ORDERS: &[(&str, &[&str])] = &[
    ("EventSourcePosition", &["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"]),
    // Of 2017.
    ("InvocationType", &["DryRun", "RequestResponse", "Event"]),
    ("InvokeMode", &["RESPONSE_STREAM", "BUFFERED"]),
    ("RecursiveLoop", &["Terminate", "Allow"]),
];

/// Patterns as the service prints and applies them. Tags are taken on layers, and not on network connectors.
const PATTERNS: &[(&str, &str)] = &[
    (
        "LayerVersionArn",
        r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)",
    ),
    (
        "TaggableResource",
        r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)",
    ),
];

/// Of a structure's members, one that the service tells of before another, against the model's order.
const BEFORE: &[(&str, &str, &str)] =
    &[("PublishLayerVersionRequest", "CompatibleRuntimes", "CompatibleArchitectures")];

/// Answers without members that they must have: of a function that uses no code signing configuration, nothing is told.
const OPTIONAL: &[&str] = &["GetFunctionCodeSigningConfigResponse"];

/// Status codes of success.
const SUCCESSES: &[(&str, u16)] = &[("DeleteFunction", 204)];

/// The service with all of it applied.
pub(super) fn applied(mut service: Service) -> Result<Service, ModelError> {
    let outdated =
        |subject: &str| ModelError::Unknown { what: "what was recorded", subject: subject.to_owned() };
    for (name, most) in MOST {
        let shape = service.shapes.get_mut(*name).ok_or_else(|| outdated(name))?;
        shape.max.replace(*most).filter(|modelled| modelled > most).ok_or_else(|| outdated(name))?;
    }
    for (name, order) in ORDERS {
        let shape = service.shapes.get_mut(*name).ok_or_else(|| outdated(name))?;
        let same_set = order.len() == shape.values.len()
            && shape.values.iter().all(|value| order.contains(&value.as_str()));
        if !same_set {
            return Err(outdated(name));
        }
        shape.values = order.iter().map(|&value| value.to_owned()).collect();
    }
    for (name, pattern) in PATTERNS {
        let shape = service.shapes.get_mut(*name).ok_or_else(|| outdated(name))?;
        shape
            .pattern
            .replace((*pattern).to_owned())
            .filter(|modelled| modelled != pattern)
            .ok_or_else(|| outdated(name))?;
    }
    for (name, member, other) in BEFORE {
        let shape = service.shapes.get_mut(*name).ok_or_else(|| outdated(name))?;
        if !shape.move_before(member, other) {
            return Err(outdated(name));
        }
    }
    for name in OPTIONAL {
        let shape = service.shapes.get_mut(*name).ok_or_else(|| outdated(name))?;
        if std::mem::take(&mut shape.required).is_empty() {
            return Err(outdated(name));
        }
    }
    for (name, status) in SUCCESSES {
        let operation = service.operations.get_mut(*name).ok_or_else(|| outdated(name))?;
        operation.http.response_code = *status;
    }
    Ok(service)
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::sample;
    use super::*;

    #[test]
    fn a_recording_of_what_is_gone_is_an_error() {
        assert!(
            matches!(applied(sample()), Err(ModelError::Unknown { subject, .. }) if subject == "Timeout")
        );
    }
}
