//! The two atoms every spelling of a function is made of: its name and a qualifier.
//!
//! Both are checked by the patterns of AWS's model and are cheap to compare. What combines them is in
//! [`crate::arn`] and [`crate::reference`].

use std::fmt;
use std::str::FromStr;

/// Longest function name, without account, region or qualifier.
pub(crate) const NAME_CHARS: usize = 64;
/// Longest `Qualifier`.
pub(crate) const QUALIFIER_CHARS: usize = 128;

/// The bare name of a function: letters, digits, `-` and `_`, at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(String);

/// Why a text is not a function's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// More than 64 characters.
    #[error("`{0}` has more than {NAME_CHARS} characters")]
    TooLong(String),
    /// Empty, or another character.
    #[error("`{0}` is not made of letters, digits, `-` and `_`")]
    Pattern(String),
}

impl FunctionName {
    /// A name that was checked before it was stored.
    pub(crate) fn stored(name: String) -> Self {
        FunctionName(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if !is_word(text) {
            return Err(InvalidName::Pattern(text.to_owned()));
        }
        if text.len() > NAME_CHARS {
            return Err(InvalidName::TooLong(text.to_owned()));
        }
        Ok(FunctionName(text.to_owned()))
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Which version of a function is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qualifier {
    /// `$LATEST`: the unpublished code.
    Latest,
    /// `$LATEST.PUBLISHED`, which exists for functions on managed instances only.
    LatestPublished,
    /// A published version. Numbers start at 1 and have no leading zero.
    Version(u64),
    /// A named pointer to a version; never all digits.
    Alias(String),
}

/// Why a text is not a qualifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQualifier {
    /// More than 128 characters.
    #[error("`{0}` has more than {QUALIFIER_CHARS} characters")]
    TooLong(String),
    /// Empty, another character, or digits that are no version number.
    #[error("`{0}` is no version and not made of letters, digits, `-` and `_`")]
    Pattern(String),
}

impl FromStr for Qualifier {
    type Err = InvalidQualifier;

    fn from_str(text: &str) -> Result<Self, InvalidQualifier> {
        if text.chars().count() > QUALIFIER_CHARS {
            return Err(InvalidQualifier::TooLong(text.to_owned()));
        }
        match text {
            "$LATEST" => Ok(Qualifier::Latest),
            "$LATEST.PUBLISHED" => Ok(Qualifier::LatestPublished),
            _ if !is_word(text) => Err(InvalidQualifier::Pattern(text.to_owned())),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => match text.parse() {
                // `07` would print as another text than was asked for, and no version is called so.
                Ok(number) if !text.starts_with('0') => Ok(Qualifier::Version(number)),
                _ => Err(InvalidQualifier::Pattern(text.to_owned())),
            },
            _ => Ok(Qualifier::Alias(text.to_owned())),
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Latest => formatter.write_str("$LATEST"),
            Qualifier::LatestPublished => formatter.write_str("$LATEST.PUBLISHED"),
            Qualifier::Version(number) => write!(formatter, "{number}"),
            Qualifier::Alias(name) => formatter.write_str(name),
        }
    }
}

/// `[a-zA-Z0-9-_]+`
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern_and_the_length() {
        let longest = "a".repeat(64);
        for good in ["f", "resize-Image_2", "0", "-", longest.as_str()] {
            assert_eq!(good.parse::<FunctionName>().unwrap().as_str(), good);
        }
        for bad in ["", "a.b", "a b", "a:b", "é", "a/b", "$LATEST"] {
            assert_eq!(bad.parse::<FunctionName>(), Err(InvalidName::Pattern(bad.to_owned())));
        }
        let long = "a".repeat(65);
        assert_eq!(long.parse::<FunctionName>(), Err(InvalidName::TooLong(long.clone())));
    }

    #[test]
    fn qualifiers_are_told_apart_by_their_text() {
        for (text, expected) in [
            ("$LATEST", Qualifier::Latest),
            ("$LATEST.PUBLISHED", Qualifier::LatestPublished),
            ("7", Qualifier::Version(7)),
            ("prod", Qualifier::Alias("prod".into())),
            ("7a", Qualifier::Alias("7a".into())),
            ("-", Qualifier::Alias("-".into())),
        ] {
            let qualifier: Qualifier = text.parse().unwrap();
            assert_eq!(qualifier, expected);
            assert_eq!(qualifier.to_string(), text);
        }
        for bad in ["", "$LATES", "$latest", "0", "07", "99999999999999999999", "a:b", "a b"] {
            assert_eq!(bad.parse::<Qualifier>(), Err(InvalidQualifier::Pattern(bad.to_owned())), "{bad}");
        }
        let long = "a".repeat(129);
        assert_eq!(long.parse::<Qualifier>(), Err(InvalidQualifier::TooLong(long.clone())));
    }
}
