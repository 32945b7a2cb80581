//! One struct per structure of requests and responses, which request is whose, and for tests a way to all of them.

use std::collections::BTreeSet;

use super::names;
use super::service::{Answer, Member, ModelError, Service, Shape};

/// Answers that are read too: what callers choose of them is kept as they show it.
const KEPT: &[&str] = &["EventSourceMappingConfiguration"];

pub(super) fn section(service: &Service) -> Result<String, ModelError> {
    let requests: BTreeSet<_> =
        service.present().map(|(_, operation)| operation.input.shape.as_str()).collect();
    let mut responses = BTreeSet::new();
    let mut pairs = String::new();
    let mut readers = String::new();
    for (name, operation) in service.present() {
        let request = &operation.input.shape;
        let response = match (&operation.output, service.answer(operation)?) {
            (Some(output), Answer::Json) => {
                responses.insert(output.shape.as_str());
                output.shape.as_str()
            }
            // Nothing, or what is not JSON.
            _ => "()",
        };
        readers.push_str(&format!("({name:?}, |given| {request}::deserialize(given).map(drop)),"));
        pairs.push_str(&format!(
            "impl Request for {request} {{
                const OPERATION: OperationId = OperationId::{name};
                type Response = {response};
            }}\n"
        ));
    }
    let kept = KEPT.iter().copied().filter(|name| service.shapes.contains_key(*name));
    let read = service.reachable(requests.iter().copied().chain(kept))?;
    let written = service.reachable(responses.iter().copied())?;
    let mut text = String::new();
    for name in read.union(&written) {
        let shape = service.shape(name)?;
        if shape.kind != "structure" {
            continue;
        }
        let derives = if requests.contains(name) {
            "Deserialize"
        } else if read.contains(name) {
            // Also written, so that what is only accepted and shown can be kept as it is.
            "Clone, Default, Serialize, Deserialize"
        } else {
            "Clone, Default, Serialize"
        };
        text.push_str(&structure(service, name, shape, derives)?);
    }
    text.push_str(&pairs);
    text.push_str(&format!(
        "
        /// How the request of each operation is read, to hold types and constraints against each other.
        #[cfg(test)]
        pub(super) static READERS: &[(&str, Reader)] = &[{readers}];
        #[cfg(test)]
        type Reader = fn(serde_json::Value) -> serde_json::Result<()>;
        "
    ));
    Ok(text)
}

fn structure(service: &Service, name: &str, shape: &Shape, derives: &str) -> Result<String, ModelError> {
    let serialized = derives.contains("Serialize");
    let mut fields = String::new();
    for (member_name, member) in shape.members()? {
        if let Some(field) = field(service, shape, &member_name, &member, serialized)? {
            fields.push_str(&field);
        }
    }
    Ok(format!(
        "#[derive({derives})]
        #[serde(rename_all = \"PascalCase\")]
        pub(crate) struct {name} {{ {fields} }}\n\n"
    ))
}

fn field(
    service: &Service,
    structure: &Shape,
    name: &str,
    member: &Member,
    serialized: bool,
) -> Result<Option<String>, ModelError> {
    if structure.payload.as_deref() == Some(name) || member.location.as_deref() == Some("statusCode") {
        return Ok(None);
    }
    let field = names::field(name);
    let mut attributes = Vec::new();
    if names::pascal(&field) != name {
        attributes.push(format!("rename = {name:?}"));
    }
    let mut of = rust_type(service, &member.shape)?;
    if !structure.required.iter().any(|required| required == name) {
        of = format!("Option<{of}>");
        if serialized {
            attributes.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        }
    }
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!("#[serde({})]\n", attributes.join(", ")),
    };
    Ok(Some(format!("{attributes}pub(crate) {field}: {of},\n")))
}

fn rust_type(service: &Service, name: &str) -> Result<String, ModelError> {
    let shape = service.shape(name)?;
    let part = |part: &Option<super::service::Reference>| match part {
        Some(part) => rust_type(service, &part.shape),
        None => Err(ModelError::Unknown { what: "a part", subject: name.to_owned() }),
    };
    Ok(match shape.kind.as_str() {
        "structure" => name.to_owned(),
        "list" => format!("Vec<{}>", part(&shape.member)?),
        // In the order in which they were sent: so the service measures and prints them.
        "map" => format!("IndexMap<{}, {}>", part(&shape.key)?, part(&shape.value)?),
        "string" => "String".to_owned(),
        "integer" | "long" => "i64".to_owned(),
        // On the wire, a moment is the seconds since 1970.
        "double" | "timestamp" => "f64".to_owned(),
        "boolean" => "bool".to_owned(),
        "blob" => "Blob".to_owned(),
        _ => return Err(ModelError::Unknown { what: "the type", subject: name.to_owned() }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::sample;
    use super::*;

    #[test]
    fn requests_have_what_is_required_and_responses_leave_out_what_is_not_there() {
        let text = section(&sample()).unwrap();
        for part in [
            "#[derive(Deserialize)]\n        #[serde(rename_all = \"PascalCase\")]\n        pub(crate) struct PutThingRequest",
            "pub(crate) name: String,\n",
            "pub(crate) dry: Option<bool>,\n",
            "pub(crate) code: Blob,\n",
            "#[serde(rename = \"KMSKeyArn\")]\npub(crate) kms_key_arn: Option<String>,\n",
            "pub(crate) secrets: Option<IndexMap<String, String>>,\n",
            "pub(crate) weights: Option<Vec<f64>>,\n",
            "#[serde(skip_serializing_if = \"Option::is_none\")]\npub(crate) at: Option<f64>,\n",
            "pub(crate) r#type: Option<String>,\n",
            "const OPERATION: OperationId = OperationId::PutThing;",
            "type Response = Thing;",
            r#"("PutThing", |given| PutThingRequest::deserialize(given).map(drop)),"#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
