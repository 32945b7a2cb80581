//! Which function a request means: the path part and the `Qualifier` query value, read together.
//!
//! AWS accepts four spellings in the path, each with an optional `:qualifier`:
//!
//! ```text
//! resize                                                        the bare name
//! function:resize                                               (what the pattern of the model also lets through)
//! 111122223333:function:resize                                  partial ARN
//! arn:aws:lambda:eu-west-1:111122223333:function:resize         full ARN
//! ```
//!
//! The path part comes percent-decoded. Whether the function exists is
//! [`Store::resolve`](crate::Store::resolve)'s question, not asked here.

use crate::arn::Arn;
use crate::name::{FunctionName, InvalidName, InvalidQualifier, Qualifier};

/// Longest path part of calls that run a function.
const INVOKE_CHARS: usize = 256;
/// Longest path part of all other calls.
const CONTROL_CHARS: usize = 140;

/// A function, and the version of it, as a caller named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReference {
    /// The bare name.
    pub name: FunctionName,
    /// From the path or from `Qualifier`; absent means `$LATEST`, yet AWS keeps the two apart when it
    /// prints what it did not find.
    pub qualifier: Option<Qualifier>,
}

/// Why a path part and a `Qualifier` name no function. The caller's mistake; what AWS answers is told
/// at each variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// 400 `ValidationException`.
    #[error(
        "1 validation error detected: Value '{given}' at 'functionName' failed to satisfy constraint: \
         Member must have length less than or equal to {limit}"
    )]
    TooLong {
        /// The path part.
        given: String,
        /// Characters allowed in this kind of call.
        limit: usize,
    },
    /// 400 `ValidationException`.
    #[error(
        "1 validation error detected: Value '{given}' at 'functionName' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?\
         ([a-z]{{2}}(-gov)?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_]+)\
         (:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
    )]
    Malformed {
        /// The path part.
        given: String,
    },
    /// 400 `InvalidParameterValueException`.
    #[error(transparent)]
    Name(InvalidName),
    /// 400 `ValidationException`.
    #[error(transparent)]
    Qualifier(InvalidQualifier),
    /// 400 `InvalidParameterValueException`.
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    QualifiersDiffer {
        /// After the name in the path.
        in_path: Qualifier,
        /// In the query.
        in_query: Qualifier,
    },
    /// 404 `ResourceNotFoundException`.
    #[error("Functions from '{theirs}' are not reachable in this region ('{ours}')")]
    OtherRegion {
        /// Region of the ARN.
        theirs: String,
        /// The region served.
        ours: String,
    },
    /// 403 `AccessDeniedException`: nothing grants one account access to another's functions here,
    /// and on AWS a stranger learns no more than this either, not even whether the function exists.
    #[error("account {ours} is not authorized to reach a function of another account: {arn}")]
    OtherAccount {
        /// What was asked for, in full, with the other account in it.
        arn: Arn,
        /// The account served.
        ours: String,
    },
}

impl FunctionReference {
    /// Reads the name of a call that runs a function (`Invoke`, `InvokeWithResponseStream`, …).
    ///
    /// `region` and `account` are those served here; an ARN must agree with them. An empty `Qualifier`
    /// counts as none, as the model allows it.
    pub fn parse(
        path_part: &str,
        qualifier_query: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Self, ReferenceError> {
        Self::parse_within(INVOKE_CHARS, path_part, qualifier_query, region, account)
    }

    /// Reads the name of a call that does not run the function (`GetFunction`, …): the same spellings,
    /// at most 140 characters.
    pub fn parse_for_control(
        path_part: &str,
        qualifier_query: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Self, ReferenceError> {
        Self::parse_within(CONTROL_CHARS, path_part, qualifier_query, region, account)
    }

    fn parse_within(
        limit: usize,
        path_part: &str,
        qualifier_query: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Self, ReferenceError> {
        let given = || path_part.to_owned();
        if path_part.chars().count() > limit {
            return Err(ReferenceError::TooLong { given: given(), limit });
        }
        let spelled = Spelled::read(path_part).ok_or_else(|| ReferenceError::Malformed { given: given() })?;

        let name: FunctionName = spelled.name.parse().map_err(|error| match error {
            InvalidName::Pattern(_) => ReferenceError::Malformed { given: given() },
            too_long @ InvalidName::TooLong(_) => ReferenceError::Name(too_long),
        })?;
        let in_path = match spelled.qualifier {
            Some(text) => Some(text.parse::<Qualifier>().map_err(|error| match error {
                InvalidQualifier::Pattern(_) => ReferenceError::Malformed { given: given() },
                too_long @ InvalidQualifier::TooLong(_) => ReferenceError::Qualifier(too_long),
            })?),
            None => None,
        };
        let in_query = match qualifier_query {
            None | Some("") => None,
            Some(text) => Some(text.parse::<Qualifier>().map_err(ReferenceError::Qualifier)?),
        };
        let qualifier = match (in_path, in_query) {
            (Some(in_path), Some(in_query)) if in_path != in_query => {
                return Err(ReferenceError::QualifiersDiffer { in_path, in_query });
            }
            (in_path, in_query) => in_path.or(in_query),
        };

        if let Some(theirs) = spelled.region.filter(|theirs| *theirs != region) {
            return Err(ReferenceError::OtherRegion { theirs: theirs.to_owned(), ours: region.to_owned() });
        }
        if let Some(theirs) = spelled.account.filter(|theirs| *theirs != account) {
            let arn = Arn { region: region.to_owned(), account: theirs.to_owned(), name, qualifier };
            return Err(ReferenceError::OtherAccount { arn, ours: account.to_owned() });
        }
        Ok(FunctionReference { name, qualifier })
    }

    /// The full name, in the region and account served.
    pub fn arn(&self, region: &str, account: &str) -> Arn {
        Arn {
            region: region.to_owned(),
            account: account.to_owned(),
            name: self.name.clone(),
            qualifier: self.qualifier.clone(),
        }
    }
}

/// A path part cut at its colons, its parts not yet checked except for those that decide the cut.
#[derive(Debug, PartialEq)]
struct Spelled<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

impl<'a> Spelled<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (region, account, rest) = match parts.as_slice() {
            ["arn", partition, "lambda", region, account, "function", rest @ ..]
                if is_partition(partition) && is_region(region) && is_account(account) =>
            {
                (Some(*region), Some(*account), rest)
            }
            ["arn", ..] => return None,
            [account, "function", rest @ ..] if is_account(account) => (None, Some(*account), rest),
            // `function:prod` is the function of that name with a qualifier; only three parts make the
            // word a prefix.
            ["function", _, _] => (None, None, &parts[1..]),
            rest => (None, None, rest),
        };
        match rest {
            [name] => Some(Spelled { region, account, name, qualifier: None }),
            [name, qualifier] => Some(Spelled { region, account, name, qualifier: Some(qualifier) }),
            _ => None,
        }
    }
}

/// `aws`, `aws-cn`, `aws-us-gov`, …
fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'))
}

/// Loose on purpose: whether it is *our* region is what matters, and new ones appear every year.
fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REGION: &str = "eu-west-1";
    const ACCOUNT: &str = "111122223333";

    fn parse(path: &str, query: Option<&str>) -> Result<FunctionReference, ReferenceError> {
        FunctionReference::parse(path, query, REGION, ACCOUNT)
    }

    #[track_caller]
    fn check(path: &str, query: Option<&str>, name: &str, qualifier: Option<&str>) {
        let expected = FunctionReference {
            name: name.parse().unwrap(),
            qualifier: qualifier.map(|text| text.parse().unwrap()),
        };
        assert_eq!(parse(path, query), Ok(expected), "{path} {query:?}");
    }

    #[test]
    fn all_four_spellings_mean_the_same_function() {
        check("f", None, "f", None);
        check("f:prod", None, "f", Some("prod"));
        check("f:3", None, "f", Some("3"));
        check("f:$LATEST", None, "f", Some("$LATEST"));
        check("111122223333:function:f", None, "f", None);
        check("111122223333:function:f:3", None, "f", Some("3"));
        check("arn:aws:lambda:eu-west-1:111122223333:function:f", None, "f", None);
        check("arn:aws:lambda:eu-west-1:111122223333:function:f:prod", None, "f", Some("prod"));
        check("arn:aws-cn:lambda:eu-west-1:111122223333:function:f", None, "f", None);
        check("function:f:prod", None, "f", Some("prod"));
    }

    #[test]
    fn function_is_also_a_name() {
        check("function", None, "function", None);
        check("function:prod", None, "function", Some("prod"));
        check("111122223333:function:function", None, "function", None);
    }

    #[test]
    fn qualifier_may_come_from_the_path_or_the_query_or_both_if_they_agree() {
        check("f", Some("prod"), "f", Some("prod"));
        check("f", Some(""), "f", None);
        check("f:prod", Some("prod"), "f", Some("prod"));
        let error = parse("f:prod", Some("3")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The derived qualifier from the function name does not match the specified qualifier."
        );
        assert!(matches!(error, ReferenceError::QualifiersDiffer { .. }));
        assert!(matches!(parse("f", Some("a b")), Err(ReferenceError::Qualifier(_))));
    }

    #[test]
    fn other_regions_and_accounts_are_refused() {
        let error = parse("arn:aws:lambda:us-east-1:111122223333:function:f", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')"
        );
        for path in ["444455556666:function:f", "arn:aws:lambda:eu-west-1:444455556666:function:f"] {
            match parse(path, None).unwrap_err() {
                ReferenceError::OtherAccount { arn, .. } => {
                    assert_eq!(arn.to_string(), "arn:aws:lambda:eu-west-1:444455556666:function:f");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_fits_no_spelling_is_malformed() {
        for path in [
            "",
            ":",
            "f:",
            ":f",
            "f:a:b",
            "a b",
            "f:a b",
            "arn:aws:lambda:eu-west-1:111122223333:function:",
            "arn:aws:lambda:eu-west-1:1111:function:f",
            "arn:aws:s3:eu-west-1:111122223333:function:f",
            "arn:aws:lambda:eu-west-1:111122223333:layer:f",
            "1111:function:f",
            "é",
        ] {
            assert!(matches!(parse(path, None), Err(ReferenceError::Malformed { .. })), "{path}");
        }
    }

    #[test]
    fn lengths_have_three_limits() {
        let long_name = "a".repeat(65);
        assert!(matches!(
            parse(&long_name, None),
            Err(ReferenceError::Name(InvalidName::TooLong(name))) if name == long_name
        ));
        let path = format!("arn:aws:lambda:eu-west-1:111122223333:function:f:{}", "q".repeat(100));
        assert!(parse(&path, None).is_ok());
        assert!(matches!(
            FunctionReference::parse_for_control(&path, None, REGION, ACCOUNT),
            Err(ReferenceError::TooLong { limit: 140, .. })
        ));
        assert!(matches!(parse(&"a".repeat(257), None), Err(ReferenceError::TooLong { limit: 256, .. })));
    }

    proptest! {
        #[test]
        fn what_is_printed_as_an_arn_is_read_back(
            name in "[a-zA-Z0-9_-]{1,64}",
            qualifier in proptest::option::of("\\$LATEST|[1-9][0-9]{0,10}|[a-zA-Z_-]{1,60}"),
        ) {
            let reference = FunctionReference {
                name: name.parse().unwrap(),
                qualifier: qualifier.map(|text| text.parse().unwrap()),
            };
            let arn = reference.arn(REGION, ACCOUNT).to_string();
            prop_assert_eq!(parse(&arn, None), Ok(reference.clone()));
            let partial = arn.strip_prefix("arn:aws:lambda:eu-west-1:").unwrap();
            prop_assert_eq!(parse(partial, None), Ok(reference.clone()));
            prop_assume!(name != "function" && name != "arn");
            let bare = partial.strip_prefix("111122223333:function:").unwrap();
            prop_assert_eq!(parse(bare, None), Ok(reference));
        }

        #[test]
        fn no_text_panics(path in "\\PC{0,300}", query in proptest::option::of("\\PC{0,200}")) {
            let _ = parse(&path, query.as_deref());
        }

        #[test]
        fn no_sequence_of_likely_parts_panics(
            parts in proptest::collection::vec("arn|aws|lambda|function|eu-west-1|111122223333|f|\\$LATEST|", 0..9)
        ) {
            let _ = parse(&parts.join(":"), None);
        }
    }
}
