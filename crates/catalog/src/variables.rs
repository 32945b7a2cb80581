//! A function's own environment variables, under AWS's rules for them.

use std::collections::BTreeMap;
use std::fmt;

use indexmap::IndexMap;

/// Most bytes the variables may have, written as one JSON object.
const MAX_JSON_BYTES: usize = 4096;

/// Keys the platform sets and the customer may not. Sorted.
///
/// `PATH`, `LANG`, `TZ`, `LD_LIBRARY_PATH`, `NODE_PATH`, `PYTHONPATH` and the X-Ray ones without an
/// underscore are absent on purpose: the platform gives them a value, the customer may give another.
pub const RESERVED_KEYS: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
    "_LAMBDA_TELEMETRY_LOG_FD",
    "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
    "_X_AMZN_TRACE_ID",
];

/// Checked environment variables, sorted by key. Printed, they show their keys only: values are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why AWS would not take these variables. The caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariables {
    /// `InvalidParameterValueException`. Names all of them.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided contains reserved keys that are currently not supported for modification. Reserved \
         keys used in this request: {}", .keys.join(", ")
    )]
    Reserved {
        /// In sorted order.
        keys: Vec<String>,
    },
    /// `ValidationException`.
    #[error(
        "1 validation error detected: Value '{key}' at 'environment.variables' failed to satisfy \
         constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: \
         [a-zA-Z]([a-zA-Z0-9_])+]"
    )]
    Key {
        /// The first that does not fit.
        key: String,
    },
    /// No process can be given such a value; AWS's JSON would carry it, its kernel would not.
    #[error("the value of environment variable {key} contains a NUL byte")]
    Nul {
        /// The variable.
        key: String,
    },
    /// `InvalidParameterValueException`.
    #[error(
        "Lambda was unable to configure your environment variables because the environment variables you \
         have provided exceeded the 4KB limit. String measured: {measured}"
    )]
    TooLarge {
        /// The JSON object whose length was taken.
        measured: String,
    },
}

impl Variables {
    /// Checks keys, values and the size of all together.
    ///
    /// They are measured as one JSON object, which is told in the order in which they were given.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidVariables> {
        let given: IndexMap<String, String> = variables.into_iter().collect();
        let measured = serde_json::to_string(&given).expect("a map of strings is always JSON");
        let variables: BTreeMap<String, String> = given.into_iter().collect();
        let keys: Vec<String> =
            variables.keys().filter(|key| RESERVED_KEYS.contains(&key.as_str())).cloned().collect();
        if !keys.is_empty() {
            return Err(InvalidVariables::Reserved { keys });
        }
        if let Some(key) = variables.keys().find(|key| !is_key(key)) {
            return Err(InvalidVariables::Key { key: key.clone() });
        }
        if let Some((key, _)) = variables.iter().find(|(_, value)| value.contains('\0')) {
            return Err(InvalidVariables::Nul { key: key.clone() });
        }
        if measured.len() > MAX_JSON_BYTES {
            return Err(InvalidVariables::TooLarge { measured });
        }
        Ok(Variables(variables))
    }

    /// As the store keeps them.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("a map of strings is always JSON")
    }

    /// As the store kept them: checked when they were set, by the rules of that day.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text).map(Variables)
    }

    /// The value of one variable.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All of them, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `[a-zA-Z]([a-zA-Z0-9_])+`: so a single letter is no key.
fn is_key(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Result<Variables, InvalidVariables> {
        Variables::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn ordinary_and_overridable_variables_are_taken() {
        let taken =
            variables(&[("PATH", "/x"), ("TZ", ":UTC"), ("AWS_LAMBDA_LOG_LEVEL", "DEBUG"), ("ab", "")])
                .unwrap();
        assert_eq!(taken.get("PATH"), Some("/x"));
        assert_eq!(taken.iter().count(), 4);
        assert!(variables(&[]).unwrap().is_empty());
    }

    #[test]
    fn reserved_keys_are_all_named_in_aws_words() {
        let error = variables(&[("AWS_REGION", "x"), ("_HANDLER", "x"), ("OK", "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Lambda was unable to configure your environment variables because the environment variables \
             you have provided contains reserved keys that are currently not supported for modification. \
             Reserved keys used in this request: AWS_REGION, _HANDLER"
        );
    }

    #[test]
    fn values_are_not_printed() {
        let printed = format!("{:?}", variables(&[("TOKEN", "geheim")]).unwrap());
        assert_eq!(printed, r#"{"TOKEN"}"#);
    }

    #[test]
    fn reserved_keys_are_sorted() {
        assert!(RESERVED_KEYS.is_sorted());
    }

    #[test]
    fn keys_follow_the_pattern() {
        for key in ["", "a", "1a", "_a", "a-b", "a b", "é1", "a="] {
            assert_eq!(
                variables(&[(key, "x")]),
                Err(InvalidVariables::Key { key: key.to_owned() }),
                "{key:?}"
            );
        }
        assert!(matches!(variables(&[("ab", "\0")]), Err(InvalidVariables::Nul { .. })));
    }

    #[test]
    fn four_kilobytes_are_measured_as_json() {
        // {"ab":"…"} is nine bytes around the value.
        assert!(variables(&[("ab", &"x".repeat(4096 - 9))]).is_ok());
        let error = variables(&[("ab", &"x".repeat(4096 - 8))]).unwrap_err();
        assert!(error.to_string().ends_with(&format!("{}\"}}", "x".repeat(4096 - 8))), "{error}");
        // Recorded: as they were given.
        let large = "x".repeat(4064);
        let error = variables(&[("SMALL_VAR", "ok"), ("LARGE_VAR", &large)]).unwrap_err();
        let measured = format!(r#"String measured: {{"SMALL_VAR":"ok","LARGE_VAR":"{large}"}}"#);
        assert!(error.to_string().ends_with(&measured), "{error}");
        // A quote counts twice.
        assert!(variables(&[("ab", &"\"".repeat(2044))]).is_err());
    }
}
