//! One static per shape that requests are made of: the constraints that validation walks. Requests themselves are no
//! shapes that anything else could be made of, and are their members only.

use std::collections::BTreeSet;

use super::names;
use super::service::{Member, ModelError, Service, Shape};

pub(super) fn section(service: &Service) -> Result<String, ModelError> {
    let inputs: BTreeSet<_> =
        service.present().map(|(_, operation)| operation.input.shape.as_str()).collect();
    let mut text = String::new();
    for name in service.reachable(inputs.iter().copied())? {
        let shape = service.shape(name)?;
        text.push_str(&if inputs.contains(name) {
            format!("static {}: &[Member] = {};\n", names::constant(name), members(shape)?)
        } else {
            self::shape(name, shape)?
        });
    }
    Ok(text)
}

fn members(structure: &Shape) -> Result<String, ModelError> {
    let members = structure.members()?;
    let members: Result<Vec<_>, _> =
        members.iter().map(|(name, found)| member(structure, name, found)).collect();
    Ok(format!("&[{}]", members?.join(",")))
}

fn shape(name: &str, shape: &Shape) -> Result<String, ModelError> {
    let constant = names::constant(name);
    let kind = kind(name, shape)?;
    let sensitive = shape.sensitive;
    Ok(format!(
        "static {constant}: Shape = Shape {{ name: {name:?}, sensitive: {sensitive}, kind: {kind} }};\n"
    ))
}

fn kind(name: &str, shape: &Shape) -> Result<String, ModelError> {
    let unknown = |what| ModelError::Unknown { what, subject: name.to_owned() };
    let bounds = bounds(shape).ok_or_else(|| unknown("a bound"))?;
    let part = |part: &Option<super::service::Reference>| match part {
        Some(part) => Ok(format!("&{}", names::constant(&part.shape))),
        None => Err(unknown("a part")),
    };
    Ok(match shape.kind.as_str() {
        "structure" => format!("Kind::Structure({})", members(shape)?),
        "list" => format!("Kind::List {{ element: {}, length: {bounds} }}", part(&shape.member)?),
        "map" => {
            format!(
                "Kind::Map {{ key: {}, value: {}, length: {bounds} }}",
                part(&shape.key)?,
                part(&shape.value)?
            )
        }
        "string" => {
            let pattern = match &shape.pattern {
                Some(pattern) => format!("Some(Pattern::new({}))", raw(pattern)),
                None => "None".to_owned(),
            };
            format!("Kind::Text {{ length: {bounds}, pattern: {pattern}, values: &{:?} }}", shape.values)
        }
        "integer" => format!("Kind::Integer({bounds})"),
        "long" => format!("Kind::Long({bounds})"),
        "double" => format!("Kind::Double({bounds})"),
        "boolean" => "Kind::Boolean".to_owned(),
        "blob" => "Kind::Blob".to_owned(),
        "timestamp" => "Kind::Timestamp".to_owned(),
        _ => return Err(unknown("the type")),
    })
}

fn member(structure: &Shape, name: &str, member: &Member) -> Result<String, ModelError> {
    let unknown = || ModelError::Unknown { what: "the location", subject: name.to_owned() };
    let named = |variant: &str| {
        let location_name = member.location_name.as_ref().ok_or_else(unknown)?;
        Ok(format!("Location::{variant}({location_name:?})"))
    };
    let location = match member.location.as_deref() {
        Some("uri") => named("Path")?,
        Some("querystring") => named("Query")?,
        Some("header") => named("Header")?,
        None if structure.payload.as_deref() == Some(name) => "Location::Payload".to_owned(),
        // Members of bodies have the names that they have in the model.
        None if member.location_name.is_none() => "Location::Body".to_owned(),
        _ => return Err(unknown()),
    };
    let required = structure.required.iter().any(|required| required == name);
    let shape = names::constant(&member.shape);
    Ok(format!("Member {{ name: {name:?}, shape: &{shape}, required: {required}, location: {location} }}"))
}

/// Whole numbers, in this API also for those that may be broken.
fn bounds(shape: &Shape) -> Option<String> {
    let whole = |bound: Option<f64>| match bound {
        None => Some("None".to_owned()),
        Some(bound) if bound.fract() == 0.0 => Some(format!("Some({bound:.0})")),
        Some(_) => None,
    };
    let (min, max) = (whole(shape.min)?, whole(shape.max)?);
    Some(if shape.min.is_none() && shape.max.is_none() {
        "Bounds::NONE".to_owned()
    } else {
        format!("Bounds {{ min: {min}, max: {max} }}")
    })
}

fn raw(text: &str) -> String {
    if text.contains('"') { format!("r#\"{text}\"#") } else { format!("r\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::sample;
    use super::*;

    #[test]
    fn constraints_and_locations_are_written_down() {
        let text = section(&sample()).unwrap();
        for part in [
            r##"static NAME: Shape = Shape { name: "Name", sensitive: false, kind: Kind::Text { length: Bounds { min: Some(1), max: Some(64) }, pattern: Some(Pattern::new(r#"[a-z"]+"#)), values: &[] } };"##,
            r#"Member { name: "Name", shape: &NAME, required: true, location: Location::Path("Name") }"#,
            r#"Member { name: "Dry", shape: &FLAG, required: false, location: Location::Query("DryRun") }"#,
            r#"Member { name: "Code", shape: &CODE, required: true, location: Location::Body }"#,
            r#"sensitive: true, kind: Kind::Map { key: &NAME, value: &NAME, length: Bounds::NONE }"#,
            r#"Kind::List { element: &WEIGHT, length: Bounds { min: None, max: Some(3) } }"#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("static THING:"), "responses are not validated: {text}");
    }
}
