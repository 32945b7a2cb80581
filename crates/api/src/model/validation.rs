//! What the model demands of a request, and all the ways in which one falls short of it, in AWS's words.
//!
//! ```text
//! 2 validation errors detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular
//! expression pattern: arn:…; Value null at 'code' failed to satisfy constraint: Member must not be null
//! ```
//!
//! Members are named from the top, each with a small first letter, in the model's order. A list of structures is entered
//! (`fileSystemConfigs.1.member.arn`); a list or map of anything else is told as a whole, with all that its elements must
//! satisfy. Values are printed as Java prints them, and not at all if the model calls them sensitive. Of a text's
//! constraints its pattern comes first.
//!
//! What the service does not leave to its model is not here: some of it is in [`super::invalid_parameter`], most of it with
//! those whose rules they are.

use std::fmt;

use serde_json::{Map, Value};

use super::invalid_parameter::{self, CONFIGURABLE_RUNTIMES, KNOWN_RUNTIMES, RUNTIME};
use super::schema::{Bounds, Kind, Location, Member, Shape};
use super::shapes::OperationId;
use crate::error::ApiError;

/// Elements of which the service was recorded to add, among what they must satisfy, that there is no `null`. Of most
/// others (subnets, security groups, tags, names of variables) it was recorded not to.
const NOT_NULL: &[&str] = &["Architecture", "LayerVersionArn", "Weight"];

/// All that is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Violations(Vec<Violation>);

#[derive(Debug)]
struct Violation {
    /// `null`, `'text'`, or nothing where it is sensitive.
    value: Option<String>,
    member: String,
    constraint: String,
}

/// Nothing, or why the operation refuses `input`.
pub(super) fn validate(
    operation: OperationId,
    input: &[Member],
    given: &Map<String, Value>,
) -> Result<(), ApiError> {
    let mut violations = Vec::new();
    of_members(input, given, "", &mut violations);
    let found = violations.len();
    let runtime = invalid_parameter::runtime(operation, given);
    if runtime.is_some() {
        violations.retain(|violation| violation.member != "runtime");
    }
    if !violations.is_empty() {
        return Err(ApiError::Violations(Violations(violations)));
    }
    let unknown_runtime = runtime.filter(|_| found > 0).map(invalid_parameter::unknown_runtime);
    let refusal = unknown_runtime
        .or_else(|| runtime.and_then(invalid_parameter::retired_runtime))
        .or_else(|| invalid_parameter::name_too_long(operation, given));
    refusal.map_or(Ok(()), Err)
}

fn of_members(members: &[Member], given: &Map<String, Value>, path: &str, violations: &mut Vec<Violation>) {
    for member in members {
        let at = || joined(path, member.name);
        match given.get(member.name) {
            Some(value) => of_value(member.shape, value, &at(), violations),
            // A body that nobody has read yet may well be there.
            None if matches!(member.location, Location::Payload) => {}
            None if member.required => violations.push(Violation {
                value: Some("null".to_owned()),
                member: at(),
                constraint: "Member must not be null".to_owned(),
            }),
            None => {}
        }
    }
}

fn of_value(shape: &Shape, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    let mut violated = |constraint: String| {
        let value = (!shape.sensitive).then(|| format!("'{}'", Printed(shape, value)));
        violations.push(Violation { value, member: path.to_owned(), constraint });
    };
    match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(given)) => of_members(members, given, path, violations),
        (Kind::List { element, length }, Value::Array(values)) => {
            length.violated_by(values.len()).for_each(|bound| violated(bound.of_length()));
            if is_entered(element) {
                for (value, number) in values.iter().zip(1..) {
                    of_value(element, value, &format!("{path}.{number}.member"), violations);
                }
            } else if values.iter().any(|value| falls_short(element, value)) {
                violated(of_elements(element));
            }
        }
        (Kind::Map { key, value, length }, Value::Object(given)) => {
            length.violated_by(given.len()).for_each(|bound| violated(bound.of_length()));
            if given.keys().any(|name| falls_short(key, &Value::from(name.as_str()))) {
                violated(format!("Map keys must satisfy constraint: [{}]", constraints(key).join(", ")));
            }
            if is_entered(value) {
                for (name, given) in given {
                    of_value(value, given, &format!("{path}.{name}.member"), violations);
                }
            } else if given.values().any(|given| falls_short(value, given)) {
                violated(format!("Map value must satisfy constraint: [{}]", constraints(value).join(", ")));
            }
        }
        (Kind::Text { length, pattern, values }, Value::String(text)) => {
            if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
                violated(format!("Member must satisfy regular expression pattern: {}", pattern.text()));
            }
            length.violated_by(chars(text)).for_each(|bound| violated(bound.of_length()));
            if !values.is_empty() && !values.contains(&text.as_str()) {
                violated(of_set(shape));
            }
        }
        (Kind::Integer(bounds) | Kind::Long(bounds), Value::Number(number)) => {
            let number = number.as_i64().unwrap_or(i64::MAX);
            bounds
                .violated_by_number(|bound| number.cmp(&bound))
                .for_each(|bound| violated(bound.of_value("")));
        }
        (Kind::Double(bounds), Value::Number(number)) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            // Bounds are small, so that none is lost.
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            let order = |bound: i64| number.total_cmp(&(bound as f64));
            bounds.violated_by_number(order).for_each(|bound| violated(bound.of_value(".0")));
        }
        // Assembled requests have no value of another type.
        _ => {}
    }
}

/// Whether what it is made of is told for itself.
fn is_entered(element: &Shape) -> bool {
    matches!(element.kind, Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. })
}

fn falls_short(shape: &Shape, value: &Value) -> bool {
    let mut violations = Vec::new();
    of_value(shape, value, "", &mut violations);
    !violations.is_empty()
}

/// What the elements of a list must satisfy.
fn of_elements(element: &Shape) -> String {
    match element.name {
        // Recorded like this, in no list.
        RUNTIME => format!("Member must satisfy enum value set: {CONFIGURABLE_RUNTIMES}"),
        _ => format!("Member must satisfy constraint: [{}]", constraints(element).join(", ")),
    }
}

/// All that the model demands of a scalar, whether it is violated or not.
fn constraints(shape: &Shape) -> Vec<String> {
    let mut constraints = Vec::new();
    match &shape.kind {
        Kind::Text { length, pattern, values } => {
            constraints.extend(length.both().map(Bound::of_length));
            constraints.extend(pattern.iter().map(|pattern| {
                format!("Member must satisfy regular expression pattern: {}", pattern.text())
            }));
            if !values.is_empty() {
                constraints.push(of_set(shape));
            }
        }
        Kind::Integer(bounds) | Kind::Long(bounds) => {
            constraints.extend(bounds.both().map(|bound| bound.of_value("")));
        }
        Kind::Double(bounds) => constraints.extend(bounds.both().map(|bound| bound.of_value(".0"))),
        _ => {}
    }
    if NOT_NULL.contains(&shape.name) {
        constraints.push("Member must not be null".to_owned());
    }
    constraints
}

fn of_set(shape: &Shape) -> String {
    let set = match &shape.kind {
        Kind::Text { .. } if shape.name == RUNTIME => KNOWN_RUNTIMES.to_owned(),
        Kind::Text { values, .. } => format!("[{}]", values.join(", ")),
        _ => String::new(),
    };
    format!("Member must satisfy enum value set: {set}")
}

/// One end of what is allowed.
#[derive(Clone, Copy)]
enum Bound {
    Most(i64),
    Least(i64),
}

impl Bound {
    fn of_length(self) -> String {
        match self {
            Bound::Most(most) => format!("Member must have length less than or equal to {most}"),
            Bound::Least(least) => format!("Member must have length greater than or equal to {least}"),
        }
    }

    fn of_value(self, fraction: &str) -> String {
        match self {
            Bound::Most(most) => format!("Member must have value less than or equal to {most}{fraction}"),
            Bound::Least(least) => {
                format!("Member must have value greater than or equal to {least}{fraction}")
            }
        }
    }
}

impl Bounds {
    fn both(&self) -> impl Iterator<Item = Bound> + use<> {
        self.max.map(Bound::Most).into_iter().chain(self.min.map(Bound::Least))
    }

    fn violated_by(&self, length: usize) -> impl Iterator<Item = Bound> + use<> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.violated_by_number(move |bound| length.cmp(&bound))
    }

    /// `order` is that of the number beside a bound.
    fn violated_by_number<F: Fn(i64) -> std::cmp::Ordering>(
        &self,
        order: F,
    ) -> impl Iterator<Item = Bound> + use<F> {
        self.both().filter(move |bound| match bound {
            Bound::Most(most) => order(*most).is_gt(),
            Bound::Least(least) => order(*least).is_lt(),
        })
    }
}

/// `CodeSigningConfigArn` below `a` is `a.codeSigningConfigArn`.
fn joined(path: &str, member: &str) -> String {
    let (first, rest) = member.split_at(1);
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{}{rest}", first.to_ascii_lowercase())
}

/// As Java counts them.
fn chars(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// A value as Java prints one of its shape.
struct Printed<'a>(&'a Shape, &'a Value);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.kind, self.1) {
            (_, Value::String(text)) => formatter.write_str(text),
            (Kind::Double(_), Value::Number(number)) => {
                write!(formatter, "{:?}", number.as_f64().unwrap_or_default())
            }
            (Kind::List { element, .. }, Value::Array(values)) => {
                joined_with(formatter, '[', values.iter(), |formatter, value| {
                    write!(formatter, "{}", Printed(element, value))
                })?;
                formatter.write_str("]")
            }
            (Kind::Map { value, .. }, Value::Object(given)) => {
                joined_with(formatter, '{', given.iter(), |formatter, (name, given)| {
                    write!(formatter, "{name}={}", Printed(value, given))
                })?;
                formatter.write_str("}")
            }
            (Kind::Structure(members), Value::Object(given)) => {
                formatter.write_str(self.0.name)?;
                joined_with(formatter, '(', members.iter(), |formatter, member| {
                    let name = joined("", member.name);
                    match given.get(member.name) {
                        Some(_) if member.shape.sensitive => write!(formatter, "{name}="),
                        Some(value) => write!(formatter, "{name}={}", Printed(member.shape, value)),
                        None => write!(formatter, "{name}=null"),
                    }
                })?;
                formatter.write_str(")")
            }
            (_, value) => write!(formatter, "{value}"),
        }
    }
}

fn joined_with<T>(
    formatter: &mut fmt::Formatter<'_>,
    open: char,
    items: impl Iterator<Item = T>,
    print: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    write!(formatter, "{open}")?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            formatter.write_str(", ")?;
        }
        print(formatter, item)?;
    }
    Ok(())
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(formatter, "{} validation error{plural} detected: ", self.0.len())?;
        for (index, Violation { value, member, constraint }) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            formatter.write_str("Value ")?;
            if let Some(value) = value {
                write!(formatter, "{value} ")?;
            }
            write!(formatter, "at '{member}' failed to satisfy constraint: {constraint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
