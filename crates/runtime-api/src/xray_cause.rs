//! The X-Ray cause of an error: validated, normalised, cropped.
//!
//! ```text
//! {"exceptions":[{"message":"","type":"","stack":[{"path":"","line":0,"label":""}]}],
//!  "working_directory":"","paths":[],"message":""}
//! ```
//!
//! It travels in the header `Lambda-Runtime-Function-XRay-Error-Cause` or inside a body of the cause
//! content type. What does not parse, or says nothing, is ignored: a trace is never worth failing a
//! report for. X-Ray takes documents of 64 KiB at most, so a larger cause loses detail until it fits.

use serde::{Deserialize, Deserializer, Serialize};

/// The largest document X-Ray accepts.
const LIMIT_BYTES: usize = 64 * 1024;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Cause {
    #[serde(deserialize_with = "null_is_absent")]
    exceptions: Vec<Exception>,
    #[serde(deserialize_with = "null_is_absent")]
    working_directory: String,
    #[serde(deserialize_with = "null_is_absent")]
    paths: Vec<String>,
    /// Not in X-Ray's documents, but native runtimes send it and X-Ray takes it.
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Exception {
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(rename = "type", deserialize_with = "null_is_absent", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "Vec::is_empty")]
    stack: Vec<Frame>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Frame {
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "String::is_empty")]
    path: String,
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "is_zero")]
    line: i64,
    #[serde(deserialize_with = "null_is_absent", skip_serializing_if = "String::is_empty")]
    label: String,
}

fn null_is_absent<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(line: &i64) -> bool {
    *line == 0
}

/// The cause as X-Ray may have it, or none when it is invalid or says nothing.
pub(crate) fn accepted(json: &[u8]) -> Option<String> {
    let cause: Cause = serde_json::from_slice(json).ok()?;
    if cause.says_nothing() {
        return None;
    }
    let whole = cause.to_json();
    Some(if whole.len() <= LIMIT_BYTES { whole } else { cause.cropped() })
}

impl Cause {
    fn says_nothing(&self) -> bool {
        self.exceptions.is_empty()
            && self.paths.is_empty()
            && self.working_directory.is_empty()
            && self.message.is_empty()
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, integers and lists of them always serialize")
    }

    /// Keeps a smaller and smaller part of every list and every string, in the end none of the lists.
    fn cropped(mut self) -> String {
        let mut keep_items = self.longest_list();
        let mut keep_bytes = LIMIT_BYTES;
        loop {
            keep_items /= 2;
            keep_bytes /= 2;
            self.crop(keep_items, keep_bytes);
            let json = self.to_json();
            if json.len() <= LIMIT_BYTES {
                return json;
            }
        }
    }

    fn longest_list(&self) -> usize {
        let stacks = self.exceptions.iter().map(|exception| exception.stack.len());
        stacks.chain([self.exceptions.len(), self.paths.len()]).max().unwrap_or(0)
    }

    fn crop(&mut self, keep_items: usize, keep_bytes: usize) {
        self.exceptions.truncate(keep_items);
        self.paths.truncate(keep_items);
        for path in &mut self.paths {
            crop_text(path, keep_bytes);
        }
        for exception in &mut self.exceptions {
            exception.stack.truncate(keep_items);
            crop_text(&mut exception.message, keep_bytes);
            crop_text(&mut exception.kind, keep_bytes);
            for frame in &mut exception.stack {
                crop_text(&mut frame.path, keep_bytes);
                crop_text(&mut frame.label, keep_bytes);
            }
        }
        crop_text(&mut self.working_directory, keep_bytes);
        crop_text(&mut self.message, keep_bytes);
    }
}

fn crop_text(text: &mut String, keep_bytes: usize) {
    let mut end = keep_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cause_is_normalised() {
        assert_eq!(
            accepted(br#"{"working_directory":"/var/task","extra":1,"paths":null,"exceptions":[{"type":"E","stack":[{"path":"a.py","line":3}]}]}"#)
                .unwrap(),
            r#"{"exceptions":[{"type":"E","stack":[{"path":"a.py","line":3}]}],"working_directory":"/var/task","paths":[]}"#
        );
    }

    #[test]
    fn what_is_invalid_or_says_nothing_is_ignored() {
        for json in
            ["", "{", "null", "[]x", "7", "{}", r#"{"paths":[]}"#, r#"{"paths":"a"}"#, "{\"message\":\"\"}"]
        {
            assert_eq!(accepted(json.as_bytes()), None, "for {json}");
        }
        assert_eq!(accepted(b"\xff\xfe"), None);
    }

    #[test]
    fn a_long_stack_keeps_its_top() {
        let frames: Vec<_> = (1..=9000).map(|line| format!(r#"{{"path":"p","line":{line}}}"#)).collect();
        let cause = format!(r#"{{"exceptions":[{{"type":"E","stack":[{}]}}]}}"#, frames.join(","));
        let cropped = accepted(cause.as_bytes()).unwrap();
        assert!(cropped.len() <= LIMIT_BYTES && cropped.len() > LIMIT_BYTES / 4, "{}", cropped.len());
        assert!(cropped.contains(r#""line":1}"#));
    }

    proptest! {
        // Each case serializes up to a megabyte several times.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_cropped_cause_fits_and_is_still_a_cause(
            unit in r#"[é"a\x01]{0,4}"#,
            message_units in 0..40_000_usize,
            path_units in 0..400_usize,
            n_paths in 0..400_usize,
        ) {
            let message = unit.repeat(message_units);
            let paths = vec![unit.repeat(path_units); n_paths];
            let cause = Cause { message, paths, ..Cause::default() };
            if let Some(json) = accepted(cause.to_json().as_bytes()) {
                prop_assert!(json.len() <= LIMIT_BYTES);
                prop_assert!(serde_json::from_str::<Cause>(&json).is_ok());
            } else {
                prop_assert!(cause.says_nothing());
            }
        }
    }
}
