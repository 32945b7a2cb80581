//! Conditions of statements.
//!
//! | operator | holds when |
//! |---|---|
//! | `StringEquals`, `StringEqualsIgnoreCase`, `StringLike`, `ArnEquals`, `ArnLike`, `Bool` | the key has one of the values |
//! | the same with `Not` before the verb | it has none of them, or is not there |
//! | any of these with `IfExists` after it | it does, or is not there |
//! | `Null` | the key is not there (`true`), or is (`false`) |
//!
//! These are what `AddPermission` makes and what resource policies of functions are written with. Other operators, and
//! those for keys of several values, are refused when the policy is read.

use serde_json::Value;

use super::pattern;
use super::policy::{InvalidPolicy, texts};

/// What is known of a request besides caller, action and resource.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Names in lower case.
    values: Vec<(String, String)>,
}

impl Context {
    /// With one key more: `context.with("lambda:FunctionUrlAuthType", "AWS_IAM")`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    pub(super) fn set(&mut self, key: &str, value: &str) {
        let key = key.to_ascii_lowercase();
        self.values.retain(|(known, _)| *known != key);
        self.values.push((key, value.to_owned()));
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Null,
}

/// One operator applied to one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// The conditions in a statement's `Condition`, all of which have to hold.
    pub(super) fn all_of(block: &Value) -> Result<Vec<Self>, InvalidPolicy> {
        let operators = block.as_object().ok_or(InvalidPolicy::Form("Condition"))?;
        let mut conditions = Vec::new();
        for (operator, keys) in operators {
            let (comparison, negated, if_exists) =
                parsed(operator).ok_or_else(|| InvalidPolicy::Operator(operator.clone()))?;
            for (key, values) in keys.as_object().ok_or(InvalidPolicy::Form("Condition"))? {
                let values = texts(values, "Condition")?;
                let key = key.to_ascii_lowercase();
                conditions.push(Condition { comparison, negated, if_exists, key, values });
            }
        }
        Ok(conditions)
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let found = context.get(&self.key);
        if self.comparison == Comparison::Null {
            let is_null = if found.is_none() { "true" } else { "false" };
            return self.values.iter().any(|value| value.eq_ignore_ascii_case(is_null));
        }
        let Some(found) = found else { return self.negated || self.if_exists };
        let one_fits = self.values.iter().any(|value| match self.comparison {
            Comparison::Equals => value == found,
            Comparison::EqualsIgnoreCase => value.eq_ignore_ascii_case(found),
            Comparison::Like => pattern::matches(value, found),
            Comparison::Arn => pattern::matches_arn(value, found),
            Comparison::Null => false,
        });
        one_fits != self.negated
    }
}

/// `StringNotLikeIfExists` → what is compared how, negated, or absent.
fn parsed(operator: &str) -> Option<(Comparison, bool, bool)> {
    let (name, if_exists) = match operator.strip_suffix("IfExists") {
        Some(name) => (name, true),
        None => (operator, false),
    };
    let (comparison, negated) = match name {
        "StringEquals" => (Comparison::Equals, false),
        "StringNotEquals" => (Comparison::Equals, true),
        "StringEqualsIgnoreCase" | "Bool" => (Comparison::EqualsIgnoreCase, false),
        "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
        "StringLike" => (Comparison::Like, false),
        "StringNotLike" => (Comparison::Like, true),
        "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
        "Null" if !if_exists => (Comparison::Null, false),
        _ => return None,
    };
    Some((comparison, negated, if_exists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(block: &Value, key: Option<&str>) -> bool {
        let context =
            key.map_or_else(Context::default, |value| Context::default().with("aws:SourceArn", value));
        Condition::all_of(block).unwrap().iter().all(|condition| condition.holds(&context))
    }

    #[test]
    fn operators_hold_as_their_names_say() {
        // operator, value, then: with `arn:aws:s3:::Bucket`, with `arn:aws:s3:::other`, without the key.
        for (operator, value, expected) in [
            ("StringEquals", "arn:aws:s3:::Bucket", [true, false, false]),
            ("StringEquals", "arn:aws:s3:::bucket", [false, false, false]),
            ("StringEqualsIgnoreCase", "arn:aws:s3:::bucket", [true, false, false]),
            ("StringLike", "*B?cket", [true, false, false]),
            ("ArnLike", "arn:aws:s3:::B*", [true, false, false]),
            ("ArnEquals", "arn:aws:s3:::B*", [true, false, false]),
            ("StringNotEquals", "arn:aws:s3:::Bucket", [false, true, true]),
            ("StringNotLike", "*B?cket", [false, true, true]),
            ("ArnNotLike", "arn:aws:s3:::B*", [false, true, true]),
            ("StringEqualsIfExists", "arn:aws:s3:::Bucket", [true, false, true]),
            ("ArnLikeIfExists", "arn:aws:s3:::B*", [true, false, true]),
            ("Null", "true", [false, false, true]),
            ("Null", "false", [true, true, false]),
        ] {
            let block = json!({ operator: { "AWS:sourcearn": value } });
            let found =
                [Some("arn:aws:s3:::Bucket"), Some("arn:aws:s3:::other"), None].map(|key| holds(&block, key));
            assert_eq!(found, expected, "{operator} {value}");
        }
    }

    #[test]
    fn one_value_suffices_and_all_keys_must_hold() {
        let either = json!({ "StringEquals": { "aws:SourceArn": ["a", "b"] } });
        assert!(holds(&either, Some("a")) && holds(&either, Some("b")) && !holds(&either, Some("c")));
        let both =
            json!({ "StringLike": { "aws:SourceArn": "a*" }, "StringNotEquals": { "aws:SourceArn": "ab" } });
        assert!(holds(&both, Some("aa")) && !holds(&both, Some("ab")));
        assert!(
            holds(&json!({ "Bool": { "aws:SourceArn": true } }), Some("true")),
            "values may be no strings"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for operator in
            ["IpAddress", "NumericLessThan", "ForAnyValue:StringEquals", "stringequals", "NullIfExists"]
        {
            let error = Condition::all_of(&json!({ operator: { "k": "v" } })).unwrap_err();
            assert_eq!(error, InvalidPolicy::Operator(operator.into()));
        }
        assert!(Condition::all_of(&json!({ "StringEquals": "v" })).is_err());
        assert!(Condition::all_of(&json!({ "StringEquals": { "k": [["v"]] } })).is_err());
    }
}
