//! Patterns of policies: `*` is any text, `?` any one character.

/// Whether all of `text` fits. Takes at most the product of both lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on with one character more, when what follows the last star does not fit.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            pattern = after;
            retry = Some((after, text));
            continue;
        }
        let mut rest_of_pattern = pattern.chars();
        let mut rest_of_text = text.chars();
        match (rest_of_pattern.next(), rest_of_text.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == '?' || expected == found => {
                pattern = rest_of_pattern.as_str();
                text = rest_of_text.as_str();
            }
            _ => {
                let Some((after, from)) = retry else { return false };
                let mut later = from.chars();
                if later.next().is_none() {
                    return false;
                }
                (pattern, text) = (after, later.as_str());
                retry = Some((after, text));
            }
        }
    }
}

/// Whether an ARN fits, part by part: a star does not reach across a colon but in the last of the six.
pub(super) fn matches_arn(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) =
        (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, as slow as it is short.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|at| defined(rest, &text[at..])),
            ([expected, rest @ ..], [found, text @ ..]) => {
                (*expected == '?' || expected == found) && defined(rest, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), defined(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        assert!(!matches(&"*a".repeat(64), &"a".repeat(4096).replace("aaaa", "aaab").replace('a', "b")));
        assert!(!matches(&format!("{}b", "*a".repeat(64)), &"a".repeat(4096)));
    }

    #[test]
    fn a_star_stays_in_its_part_of_an_arn() {
        assert!(matches_arn("arn:aws:s3:::bucket*", "arn:aws:s3:::bucket-1"));
        assert!(matches_arn(
            "arn:*:events:*:123456789012:rule/*",
            "arn:aws:events:us-east-1:123456789012:rule/a:b"
        ));
        assert!(!matches_arn("arn:aws:*:rule/a", "arn:aws:events:us-east-1:123456789012:rule/a"));
        assert!(!matches_arn("*", "arn:aws:s3:::bucket"));
    }
}
