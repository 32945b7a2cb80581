//! The model's regular expressions: the text that messages quote, and a matcher that is made when first needed.
//!
//! They are Java's, and a value must match as a whole. Three things are other than they read:
//!
//! - `\d` and `[^\s]` mean ASCII, as in Java.
//! - Five patterns look around, which the matcher cannot. Each is two instead: what is taken, and what is refused of
//!   that ([`LOOKING_AROUND`]).
//! - A pattern that could not be compiled would take everything; a test compiles all.

use std::sync::OnceLock;

use regex::Regex;

/// A pattern of the model.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: &'static str,
    matcher: OnceLock<Option<Matcher>>,
}

#[derive(Debug)]
struct Matcher {
    taken: Regex,
    refused: Option<Regex>,
}

/// Text in the model, what is taken, what is refused of that.
const LOOKING_AROUND: &[(&str, &str, &str)] = &[
    // Aliases that are no version numbers.
    ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "[a-zA-Z0-9-_]+", "[0-9]+"),
    (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "[0-9a-zA-Z-_]+", "[0-9]+"),
    // Function names whose qualifier, if any, is no version number.
    (
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
        r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-[0-9]{1}:)?([0-9]{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:([0-9]*[a-zA-Z-_][0-9a-zA-Z-_]*))?",
        // Nothing: a function may be called by digits, and what stands before it may read like a name.
        "",
    ),
    // Collections of databases but for those of the system.
    (r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)", r"[_a-zA-Z0-9][^$]*", r"system\x2e(?s:.*)"),
    // Buckets whose name does not end with a dot.
    (r"[0-9A-Za-z\.\-_]*(?<!\.)", r"[0-9A-Za-z\.\-_]*", r"[0-9A-Za-z\.\-_]*\."),
];

impl Pattern {
    pub(crate) const fn new(text: &'static str) -> Self {
        Pattern { text, matcher: OnceLock::new() }
    }

    /// As the model has it.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self.matcher.get_or_init(|| Matcher::new(self.text)) {
            Some(Matcher { taken, refused }) => {
                taken.is_match(value) && !refused.as_ref().is_some_and(|refused| refused.is_match(value))
            }
            None => true,
        }
    }
}

impl Matcher {
    fn new(text: &str) -> Option<Matcher> {
        let looking_around = LOOKING_AROUND.iter().find(|(pattern, _, _)| *pattern == text);
        let (taken, refused) = match looking_around {
            Some((_, taken, refused)) => (*taken, Some(*refused)),
            None => (text, None),
        };
        let refused = match refused {
            Some(refused) => Some(whole(refused)?),
            None => None,
        };
        Some(Matcher { taken: whole(taken)?, refused })
    }
}

fn whole(pattern: &str) -> Option<Regex> {
    let ascii = pattern.replace(r"\d", "[0-9]").replace(r"[^\s]", r"[^ \t\n\x0B\f\r]");
    Regex::new(&format!(r"\A(?:{ascii})\z")).ok()
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Kind, Member, Shape};
    use super::super::shapes::OPERATIONS;
    use super::*;

    /// All patterns of requests, each once for each place where it is.
    fn patterns(shape: &'static Shape) -> Vec<&'static Pattern> {
        match &shape.kind {
            Kind::Structure(members) => of_members(members),
            Kind::List { element, .. } => patterns(element),
            Kind::Map { key, value, .. } => [patterns(key), patterns(value)].concat(),
            Kind::Text { pattern, .. } => pattern.iter().collect(),
            _ => Vec::new(),
        }
    }

    fn of_members(members: &'static [Member]) -> Vec<&'static Pattern> {
        members.iter().flat_map(|member| patterns(member.shape)).collect()
    }

    #[test]
    fn every_pattern_can_be_compiled() {
        let all: Vec<_> =
            OPERATIONS.iter().filter_map(|operation| operation.input).flat_map(of_members).collect();
        assert!(all.len() > 100, "{}", all.len());
        for pattern in &all {
            assert!(Matcher::new(pattern.text).is_some(), "{}", pattern.text);
        }
        for (text, _, _) in LOOKING_AROUND {
            assert!(all.iter().any(|pattern| pattern.text == *text), "nobody has {text}");
        }
    }

    fn check(text: &'static str, taken: &[&str], refused: &[&str]) {
        let pattern = Pattern::new(text);
        for value in taken {
            assert!(pattern.matches(value), "{text} takes {value:?}");
        }
        for value in refused {
            assert!(!pattern.matches(value), "{text} refuses {value:?}");
        }
    }

    #[test]
    fn patterns_that_look_around_do_what_they_say() {
        let [alias, url_qualifier, url_function, collection, bucket] = LOOKING_AROUND else {
            panic!("five of them")
        };
        check(alias.0, &["prod", "1a", "2-0"], &["", "1", "2024", "a.b"]);
        check(url_qualifier.0, &["prod", "1a"], &["", "1", "$LATEST"]);
        check(
            url_function.0,
            &[
                "f",
                "f:prod",
                "f:1a",
                "1",
                "123456789012:f",
                "123456789012:204110",
                "arn:aws:lambda:eu-west-1:123456789012:function:f:prod",
                "arn:aws:lambda:eu-west-1:123456789012:function:204110",
            ],
            &[
                "",
                "f:1",
                "f:$LATEST",
                "123456789012:f:1",
                "arn:aws:lambda:eu-west-1:123456789012:function:f:1",
            ],
        );
        check(collection.0, &["a", "systems", "a.system.b"], &["", "system.users", "$a", "a$"]);
        check(bucket.0, &["", "bucket", "a.b"], &["bucket.", "a/b"]);
    }

    #[test]
    fn a_value_matches_as_a_whole_and_digits_are_ascii() {
        check(r"\d{3}", &["123"], &["1234", "a123", "123\n", "١٢٣"]);
        check("a|b", &["a", "b"], &["ab", "ca"]);
        check(r"[^\s]+", &["a.b", "é"], &["", "a b", "a\n"]);
    }
}
