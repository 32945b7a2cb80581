//! The platform's rule for `Lambda-Runtime-Function-Error-Type`.
//!
//! A runtime may write anything there, and logs and telemetry are read by machines, so the platform keeps
//! a value only when `(Runtime|Function)\.[A-Z][a-zA-Z]+` matches somewhere in it. Used for every error
//! report; the trailer of a streamed response is not put through it.

/// The error type the platform records for what a runtime sent; absent is the empty string.
pub(crate) fn recorded(sent: &str) -> String {
    if names_an_error(sent) {
        sent.to_owned()
    } else if sent.starts_with("Function.") {
        "Function.Unknown".to_owned()
    } else {
        "Runtime.Unknown".to_owned()
    }
}

fn names_an_error(sent: &str) -> bool {
    ["Runtime.", "Function."].iter().any(|origin| {
        sent.match_indices(origin).any(|(at, _)| {
            let mut name = sent.as_bytes()[at + origin.len()..].iter();
            name.next().is_some_and(u8::is_ascii_uppercase)
                && name.next().is_some_and(u8::is_ascii_alphabetic)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rule_by_example() {
        for (sent, expected) in [
            ("Runtime.ExitError", "Runtime.ExitError"),
            ("Function.Custom", "Function.Custom"),
            ("my Runtime.Ab!", "my Runtime.Ab!"),
            ("Runtime.Runtime.Deep", "Runtime.Runtime.Deep"),
            ("Runtime.Xy.z", "Runtime.Xy.z"),
            ("Runtime.X", "Runtime.Unknown"),
            ("Runtime.lower", "Runtime.Unknown"),
            ("runtime.Lower", "Runtime.Unknown"),
            ("Function.x", "Function.Unknown"),
            ("Function.", "Function.Unknown"),
            ("My Function.x", "Runtime.Unknown"),
            ("ValueError", "Runtime.Unknown"),
            ("unhandled", "Runtime.Unknown"),
            ("Runtime.\u{c4}a", "Runtime.Unknown"),
            ("", "Runtime.Unknown"),
        ] {
            assert_eq!(recorded(sent), expected, "for {sent:?}");
        }
    }

    /// The regular expression, read from the other end: does any split put a name behind an origin?
    fn matches_by_splitting(sent: &str) -> bool {
        sent.char_indices().any(|(dot, char)| {
            let (before, after) = (&sent[..dot], &sent[dot + char.len_utf8()..]);
            let mut name = after.chars();
            char == '.'
                && (before.ends_with("Runtime") || before.ends_with("Function"))
                && matches!(name.next(), Some('A'..='Z'))
                && matches!(name.next(), Some('A'..='Z' | 'a'..='z'))
        })
    }

    proptest! {
        #[test]
        fn whatever_matches_is_kept(sent in r".{0,9}(Runtime|Function)\.[A-Z][a-zA-Z]{1,9}.{0,9}") {
            prop_assert_eq!(recorded(&sent), sent);
        }

        #[test]
        fn agrees_with_the_expression(sent in r"(Runtime|Function|runtime|[A-Z]|[a-z]|\.|é| ){0,8}") {
            let expected = if matches_by_splitting(&sent) {
                sent.clone()
            } else if sent.starts_with("Function.") {
                "Function.Unknown".to_owned()
            } else {
                "Runtime.Unknown".to_owned()
            };
            prop_assert_eq!(recorded(&sent), expected);
        }

        #[test]
        fn what_is_recorded_is_stable(sent in r"\PC{0,30}") {
            let once = recorded(&sent);
            prop_assert_eq!(recorded(&once), once);
        }
    }
}
