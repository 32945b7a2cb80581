//! JSON to what a shape is made of: types are checked, what the shape does not have is dropped, and so is `null`.
//!
//! The words are those of AWS's front door, which gives up at the first thing of the wrong type. For some pairs it has
//! no words; those are [`Malformed`] without any.

use serde_json::{Map, Value};

use super::schema::{Kind, Location, Member, Shape};

/// Not a request at all: a `SerializationException`, with its words if there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) Option<String>);

const STRUCTURE: &str = "Start of structure or map found where not expected.";
const LIST: &str = "Start of list found where not expected";
const SCALAR: &str = "Expected null";

/// The members that are of a body, of an object that may have others.
pub(super) fn structure(members: &[Member], value: Value) -> Result<Map<String, Value>, Malformed> {
    let mut object = match value {
        Value::Object(object) => object,
        Value::Array(_) => return Err(words(LIST)),
        _ => return Err(words(SCALAR)),
    };
    let mut structure = Map::new();
    for member in members.iter().filter(|member| matches!(member.location, Location::Body)) {
        let Some(value) = object.remove(member.name) else { continue };
        if let Some(value) = from_json(member.shape, value)? {
            structure.insert(member.name.to_owned(), value);
        }
    }
    Ok(structure)
}

/// The value as the shape has it; none for `null`.
pub(super) fn from_json(shape: &Shape, value: Value) -> Result<Option<Value>, Malformed> {
    Ok(Some(match (&shape.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Structure(members), value) => Value::Object(structure(members, value)?),
        (Kind::Map { value: of, .. }, Value::Object(object)) => {
            let mut map = Map::new();
            for (key, value) in object {
                if let Some(value) = from_json(of, value)? {
                    map.insert(key, value);
                }
            }
            Value::Object(map)
        }
        (Kind::List { element, .. }, Value::Array(values)) => {
            let mut list = Vec::with_capacity(values.len());
            for value in values {
                list.extend(from_json(element, value)?);
            }
            Value::Array(list)
        }
        (_, Value::Array(_)) => return Err(words(LIST)),
        (_, Value::Object(_)) => return Err(words(STRUCTURE)),
        (Kind::List { .. }, _) => return Err(words("Expected list or null")),
        (Kind::Map { .. }, _) => return Err(words(SCALAR)),
        (kind, scalar) => self::scalar(kind, scalar)?,
    }))
}

/// What a path, a query or a header says. Only scalars are there, and lists of them in queries.
pub(super) fn from_text(shape: &Shape, text: &str) -> Result<Value, Malformed> {
    let wrong = || not_converted("STRING", &shape.kind);
    match &shape.kind {
        Kind::Integer(_) | Kind::Long(_) | Kind::Double(_) | Kind::Timestamp => {
            let number: serde_json::Number = text.parse().map_err(|_| wrong())?;
            scalar(&shape.kind, Value::Number(number))
        }
        Kind::Boolean => text.parse().map(Value::Bool).map_err(|_| wrong()),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn scalar(kind: &Kind, value: Value) -> Result<Value, Malformed> {
    match (kind, &value) {
        (Kind::Text { .. } | Kind::Blob, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => Ok(value),
        (Kind::Integer(_), Value::Number(number)) => {
            let whole = whole(number).filter(|whole| i32::try_from(*whole).is_ok());
            whole.map(Value::from).ok_or_else(|| not_converted("NUMBER", kind))
        }
        (Kind::Long(_), Value::Number(number)) => {
            whole(number).map(Value::from).ok_or_else(|| not_converted("NUMBER", kind))
        }
        (Kind::Double(_) | Kind::Timestamp, Value::Number(number)) => {
            number.as_f64().map(Value::from).ok_or_else(|| not_converted("NUMBER", kind))
        }
        (_, Value::String(_)) => Err(not_converted("STRING", kind)),
        (_, Value::Bool(true)) => Err(not_converted("TRUE", kind)),
        (_, Value::Bool(false)) => Err(not_converted("FALSE", kind)),
        _ => Err(not_converted("NUMBER", kind)),
    }
}

/// Fractions are cut off, as AWS does it.
fn whole(number: &serde_json::Number) -> Option<i64> {
    /// From here on, not every whole number can be told from its neighbours.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is meant to cut, and the number fits")]
    let cut = |number: f64| (number.abs() < EXACT).then_some(number as i64);
    number.as_i64().or_else(|| number.as_f64().and_then(cut))
}

fn not_converted(from: &str, to: &Kind) -> Malformed {
    let to = match to {
        Kind::Integer(_) => "an Integer",
        Kind::Long(_) => "a Long",
        Kind::Double(_) => "a Double",
        Kind::Boolean => "a Boolean",
        Kind::Text { .. } => "a String",
        _ => return Malformed(None),
    };
    words(&format!("{from}_VALUE can not be converted to {to}"))
}

fn words(words: &str) -> Malformed {
    Malformed(Some(words.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::schema::Bounds;
    use super::*;
    use serde_json::json;

    static TEXT: Shape = Shape {
        name: "Text",
        sensitive: false,
        kind: Kind::Text { length: Bounds::NONE, pattern: None, values: &[] },
    };
    static COUNT: Shape = Shape { name: "Count", sensitive: false, kind: Kind::Integer(Bounds::NONE) };
    static SIZE: Shape = Shape { name: "Size", sensitive: false, kind: Kind::Long(Bounds::NONE) };
    static SHARE: Shape = Shape { name: "Share", sensitive: false, kind: Kind::Double(Bounds::NONE) };
    static FLAG: Shape = Shape { name: "Flag", sensitive: false, kind: Kind::Boolean };
    static BLOB: Shape = Shape { name: "Blob", sensitive: true, kind: Kind::Blob };
    static DATE: Shape = Shape { name: "Date", sensitive: false, kind: Kind::Timestamp };
    static TEXTS: Shape =
        Shape { name: "Texts", sensitive: false, kind: Kind::List { element: &TEXT, length: Bounds::NONE } };
    static COUNTS: Shape = Shape {
        name: "Counts",
        sensitive: false,
        kind: Kind::Map { key: &TEXT, value: &COUNT, length: Bounds::NONE },
    };
    static THING: Shape = Shape {
        name: "Thing",
        sensitive: false,
        kind: Kind::Structure(&[
            Member { name: "Name", shape: &TEXT, required: true, location: Location::Body },
            Member { name: "Names", shape: &TEXTS, required: false, location: Location::Body },
            Member { name: "Counts", shape: &COUNTS, required: false, location: Location::Body },
        ]),
    };

    #[test]
    fn what_the_shape_does_not_have_is_dropped_and_so_is_null() {
        let given =
            json!({"Extra": [], "Names": ["a", null, "b"], "Counts": {"x": 1, "y": null}, "Name": null});
        let kept = json!({"Names": ["a", "b"], "Counts": {"x": 1}});
        assert_eq!(from_json(&THING, given), Ok(Some(kept)));
        assert_eq!(from_json(&THING, Value::Null), Ok(None));
    }

    #[test]
    fn what_belongs_elsewhere_in_a_request_is_not_looked_for_in_its_body() {
        let members =
            [Member { name: "Name", shape: &TEXT, required: true, location: Location::Path("Name") }];
        assert_eq!(structure(&members, json!({"Name": 7})), Ok(Map::new()));
    }

    #[test]
    fn numbers_are_cut_and_kept_within_their_size() {
        for (shape, given, expected) in [
            (&COUNT, json!(3.9), Some(json!(3))),
            (&COUNT, json!(-3.9), Some(json!(-3))),
            (&COUNT, json!(2_147_483_647), Some(json!(2_147_483_647))),
            (&COUNT, json!(2_147_483_648_i64), None),
            (&COUNT, json!(1e300), None),
            (&SIZE, json!(i64::MAX), Some(json!(i64::MAX))),
            (&SIZE, json!(u64::MAX), None),
            (&SIZE, json!(1e15), Some(json!(1_000_000_000_000_000_i64))),
            (&SHARE, json!(1), Some(json!(1.0))),
            (&DATE, json!(1_700_000_000.5), Some(json!(1_700_000_000.5))),
        ] {
            assert_eq!(from_json(shape, given.clone()).ok(), expected.map(Some), "{given}");
        }
    }

    /// Recorded of other services of AWS behind the same front door: Athena, SES, SQS.
    #[test]
    fn the_wrong_type_is_told_in_the_front_doors_words() {
        for (shape, given, expected) in [
            (&COUNT, json!("1"), Some("STRING_VALUE can not be converted to an Integer")),
            (&COUNT, json!(false), Some("FALSE_VALUE can not be converted to an Integer")),
            (&TEXT, json!(1), Some("NUMBER_VALUE can not be converted to a String")),
            (&TEXT, json!(true), Some("TRUE_VALUE can not be converted to a String")),
            (&TEXT, json!([]), Some("Start of list found where not expected")),
            (&TEXT, json!({}), Some("Start of structure or map found where not expected.")),
            (&FLAG, json!(1), Some("NUMBER_VALUE can not be converted to a Boolean")),
            (&TEXTS, json!("a"), Some("Expected list or null")),
            (&TEXTS, json!({}), Some("Start of structure or map found where not expected.")),
            (&THING, json!("a"), Some("Expected null")),
            (&THING, json!([]), Some("Start of list found where not expected")),
            (&THING, json!({"Names": [1]}), Some("NUMBER_VALUE can not be converted to a String")),
            (&BLOB, json!(1), None),
        ] {
            assert_eq!(
                from_json(shape, given.clone()),
                Err(Malformed(expected.map(str::to_owned))),
                "{given}"
            );
        }
    }

    #[test]
    fn texts_become_what_they_stand_for() {
        assert_eq!(from_text(&COUNT, "50"), Ok(json!(50)));
        assert_eq!(from_text(&FLAG, "true"), Ok(json!(true)));
        assert_eq!(from_text(&TEXT, "50"), Ok(json!("50")));
        let malformed = Malformed(Some("STRING_VALUE can not be converted to an Integer".to_owned()));
        assert_eq!(from_text(&COUNT, "many"), Err(malformed.clone()));
        assert_eq!(from_text(&COUNT, ""), Err(malformed));
    }
}
