//! The model's file, as parsed: what of it is used, and questions that more than one section asks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Groups of operations that Firesteel does not have, by a part of their names. They are routes, and no more.
const ABSENT: &[&str] = &["DurableExecution", "CapacityProvider", "FunctionScalingConfig", "ResourcePolicy"];

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("cannot read it")]
    Read(#[source] io::Error),
    #[error("it is not a model of a service")]
    Parse(#[source] serde_json::Error),
    #[error("it has no shape {0}")]
    NoShape(String),
    #[error("{what} of {subject} is nothing that can be written down")]
    Unknown { what: &'static str, subject: String },
}

#[derive(Debug, Deserialize)]
pub(super) struct Service {
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) http: Http,
    pub(super) input: Reference,
    pub(super) output: Option<Reference>,
    #[serde(default)]
    pub(super) errors: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    pub(super) method: String,
    pub(super) request_uri: String,
    pub(super) response_code: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) shape: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// In the model's order, which is that of messages. Each is a [`Member`].
    #[serde(default)]
    members: Map<String, Value>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) payload: Option<String>,
    #[serde(default)]
    eventstream: bool,
    pub(super) member: Option<Reference>,
    pub(super) key: Option<Reference>,
    pub(super) value: Option<Reference>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) pattern: Option<String>,
    #[serde(rename = "enum", default)]
    pub(super) values: Vec<String>,
    #[serde(default)]
    pub(super) sensitive: bool,
    #[serde(default)]
    pub(super) exception: bool,
    pub(super) error: Option<ErrorStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorStatus {
    pub(super) http_status_code: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) shape: String,
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
}

/// What an operation answers with when all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Empty,
    Json,
    Bytes,
    EventStream,
}

impl Service {
    /// Reads the file, decompressed if need be.
    pub(super) fn read(path: &Path) -> Result<Service, ModelError> {
        let mut bytes = std::fs::read(path).map_err(ModelError::Read)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).map_err(ModelError::Read)?;
            bytes = plain;
        }
        serde_json::from_slice(&bytes).map_err(ModelError::Parse)
    }

    pub(super) fn shape(&self, name: &str) -> Result<&Shape, ModelError> {
        self.shapes.get(name).ok_or_else(|| ModelError::NoShape(name.to_owned()))
    }

    /// The operations that Firesteel has, with their names.
    pub(super) fn present(&self) -> impl Iterator<Item = (&String, &Operation)> {
        self.operations.iter().filter(|(name, _)| is_present(name))
    }

    /// These shapes, and all they are made of.
    pub(super) fn reachable<'a>(
        &'a self,
        from: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeSet<&'a str>, ModelError> {
        let mut waiting: Vec<&str> = from.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if !reached.insert(name) {
                continue;
            }
            let shape = self.shape(name)?;
            let parts = [&shape.member, &shape.key, &shape.value];
            waiting.extend(parts.into_iter().flatten().map(|part| part.shape.as_str()));
            // Not by way of `members`, whose texts would not outlive this.
            waiting.extend(shape.members.values().filter_map(|member| member["shape"].as_str()));
        }
        Ok(reached)
    }

    pub(super) fn answer(&self, operation: &Operation) -> Result<Answer, ModelError> {
        // To 204 there is no body, whatever the model says that is in it.
        let output = operation.output.as_ref().filter(|_| operation.http.response_code != 204);
        let Some(output) = output else { return Ok(Answer::Empty) };
        let output = self.shape(&output.shape)?;
        let members = output.members()?;
        if let Some(payload) = &output.payload {
            let (_, member) = members
                .iter()
                .find(|(name, _)| name == payload)
                .ok_or_else(|| ModelError::Unknown { what: "the payload", subject: payload.clone() })?;
            let stream = self.shape(&member.shape)?.eventstream;
            return Ok(if stream { Answer::EventStream } else { Answer::Bytes });
        }
        // A body without members, as of a status code and nothing else, is none; a structure without any is `{}`.
        let only_status = !members.is_empty()
            && members.iter().all(|(_, member)| member.location.as_deref() == Some("statusCode"));
        Ok(if only_status { Answer::Empty } else { Answer::Json })
    }
}

impl Shape {
    pub(super) fn members(&self) -> Result<Vec<(String, Member)>, ModelError> {
        let parsed = self.members.iter().map(|(name, member)| {
            let member = Member::deserialize(member).map_err(ModelError::Parse)?;
            Ok((name.clone(), member))
        });
        parsed.collect()
    }

    /// Whether `member` was behind `other`, which it now is not.
    pub(super) fn move_before(&mut self, member: &str, other: &str) -> bool {
        let position = |wanted: &str| self.members.keys().position(|name| name == wanted);
        let (Some(from), Some(to)) = (position(member), position(other)) else { return false };
        let mut members: Vec<_> = std::mem::take(&mut self.members).into_iter().collect();
        if from > to {
            members[to..=from].rotate_right(1);
        }
        self.members = members.into_iter().collect();
        from > to
    }
}

pub(super) fn is_present(operation: &str) -> bool {
    !ABSENT.iter().any(|part| operation.contains(part))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A service of two operations, with one of everything.
    pub(in super::super) fn sample() -> Service {
        let model = json!({
            "operations": {
                "PutThing": {
                    "name": "PutThing",
                    "http": {"method": "PUT", "requestUri": "/v1/things/{Name}?find=One", "responseCode": 201},
                    "input": {"shape": "PutThingRequest"},
                    "output": {"shape": "Thing"},
                    "errors": [{"shape": "ThingGoneException"}],
                    "documentation": "Sentences of others.",
                },
                "DeleteCapacityProvider": {
                    "http": {"method": "DELETE", "requestUri": "/v1/providers", "responseCode": 204},
                    "input": {"shape": "Empty"},
                },
            },
            "shapes": {
                "Empty": {"type": "structure", "members": {}},
                "PutThingRequest": {
                    "type": "structure",
                    "required": ["Name", "Code"],
                    "members": {
                        "Name": {"shape": "Name", "location": "uri", "locationName": "Name"},
                        "Dry": {"shape": "Flag", "location": "querystring", "locationName": "DryRun"},
                        "Code": {"shape": "Code", "documentation": "Sentences of others."},
                        "KMSKeyArn": {"shape": "Name"},
                        "Secrets": {"shape": "Secrets"},
                        "Weights": {"shape": "Weights"},
                    },
                },
                "Thing": {
                    "type": "structure",
                    "members": {"Size": {"shape": "Size"}, "At": {"shape": "Date"}, "Type": {"shape": "Mode"}},
                },
                "Name": {"type": "string", "min": 1, "max": 64, "pattern": "[a-z\"]+"},
                "Mode": {"type": "string", "enum": ["On", "Off"]},
                "Flag": {"type": "boolean", "box": true},
                "Code": {"type": "blob", "sensitive": true},
                "Size": {"type": "long"},
                "Date": {"type": "timestamp"},
                "Weight": {"type": "double", "min": 0.0, "max": 1.0},
                "Weights": {"type": "list", "member": {"shape": "Weight"}, "max": 3},
                "Secrets": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}, "sensitive": true},
                "ThingGoneException": {
                    "type": "structure",
                    "members": {"Type": {"shape": "Name"}, "Message": {"shape": "Name"}, "Reason": {"shape": "Name"}},
                    "error": {"httpStatusCode": 404, "senderFault": true},
                    "exception": true,
                },
            },
        });
        serde_json::from_value(model).unwrap()
    }

    #[test]
    fn what_is_absent_is_a_route_only() {
        let service = sample();
        let present: Vec<_> = service.present().map(|(name, _)| name.as_str()).collect();
        assert_eq!(present, ["PutThing"]);
        let reached = service.reachable(["Thing"]).unwrap();
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["Date", "Mode", "Size", "Thing"]);
        assert!(
            matches!(service.reachable(["Nothing"]), Err(ModelError::NoShape(name)) if name == "Nothing")
        );
    }

    #[test]
    fn a_member_is_moved_before_another_once() {
        let mut shape = sample().shapes.remove("Thing").unwrap();
        assert!(shape.move_before("Type", "Size"));
        assert!(!shape.move_before("Type", "Size"));
        assert!(!shape.move_before("Type", "Nothing"));
        let names: Vec<_> = shape.members().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Type", "Size", "At"]);
    }

    #[test]
    fn a_file_is_read_compressed_or_not() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service-2.json");
        let text = br#"{"operations": {}, "shapes": {"Flag": {"type": "boolean"}}}"#;
        std::fs::write(&path, text).unwrap();
        assert_eq!(Service::read(&path).unwrap().shape("Flag").unwrap().kind, "boolean");
        let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        compressed.write_all(text).unwrap();
        std::fs::write(&path, compressed.finish().unwrap()).unwrap();
        assert_eq!(Service::read(&path).unwrap().shape("Flag").unwrap().kind, "boolean");
        std::fs::write(&path, "[").unwrap();
        assert!(matches!(Service::read(&path), Err(ModelError::Parse(_))));
    }
}
