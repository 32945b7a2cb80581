//! Which function a request means: the path part and the `Qualifier` query value, read together.
//!
//! AWS's pattern is a name behind four prefixes, any of which may be absent, with an optional `:qualifier` behind it:
//!
//! ```text
//! arn:aws:lambda:   eu-west-1:   111122223333:   function:   resize   :prod
//! ```
//!
//! People write the bare name, `111122223333:function:resize`, or all of it. A prefix is one only if a name follows, so
//! that `function` can be a name itself, and `function:prod` a version of it.
//!
//! The path part comes percent-decoded, and within what the model demands, by which the front door tells what is wrong with
//! it. Names and qualifiers that the model takes and that nothing can have (`a.b`, 65 characters, `$latest`, `007`) are
//! those of nothing. Whether a function exists is [`Store::resolve`](crate::Store::resolve)'s question, not asked here.

use std::fmt;

use crate::arn::Arn;
use crate::name::{FunctionName, Qualifier};

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
    /// 400 `ValidationException`, in the words of the model, which the front door has.
    #[error("'{given}' is not how a function is named")]
    Malformed {
        /// The path part.
        given: String,
    },
    /// 404 `ResourceNotFoundException`.
    #[error("Function not found: {0}")]
    NotFound(UnknownArn),
    /// 400 `InvalidParameterValueException`.
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    QualifiersDiffer {
        /// After the name in the path.
        in_path: String,
        /// In the query.
        in_query: String,
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
    #[error("account {ours} is not authorized to reach a function of another account: {theirs}")]
    OtherAccount {
        /// What was asked for, in full, with the other account in it.
        theirs: UnknownArn,
        /// The account served.
        ours: String,
    },
}

/// What was asked for, printed like the full name of a function, though nothing may be able to have that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArn {
    /// For instance `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// What stood where names stand.
    pub name: String,
    /// What stood where qualifiers stand.
    pub qualifier: Option<String>,
}

impl fmt::Display for UnknownArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownArn { region, account, name, qualifier } = self;
        write!(formatter, "arn:aws:lambda:{region}:{account}:function:{name}")?;
        match qualifier {
            Some(qualifier) => write!(formatter, ":{qualifier}"),
            None => Ok(()),
        }
    }
}

impl FunctionReference {
    /// Reads what a call names.
    ///
    /// `region` and `account` are those served here; an ARN must agree with them. An empty `Qualifier`
    /// counts as none, for operations whose model allows it.
    pub fn parse(
        path_part: &str,
        qualifier_query: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Self, ReferenceError> {
        let spelled = Spelled::read(path_part, region)
            .ok_or_else(|| ReferenceError::Malformed { given: path_part.to_owned() })?;
        let in_query = qualifier_query.filter(|text| !text.is_empty());
        let qualifier = match (spelled.qualifier, in_query) {
            (Some(in_path), Some(in_query)) if in_path != in_query => {
                return Err(ReferenceError::QualifiersDiffer {
                    in_path: in_path.to_owned(),
                    in_query: in_query.to_owned(),
                });
            }
            (in_path, in_query) => in_path.or(in_query),
        };
        if let Some(theirs) = spelled.region.filter(|theirs| *theirs != region) {
            return Err(ReferenceError::OtherRegion { theirs: theirs.to_owned(), ours: region.to_owned() });
        }
        let asked = |account: &str| UnknownArn {
            region: region.to_owned(),
            account: account.to_owned(),
            name: spelled.name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        };
        if let Some(theirs) = spelled.account.filter(|theirs| *theirs != account) {
            return Err(ReferenceError::OtherAccount { theirs: asked(theirs), ours: account.to_owned() });
        }
        let unknown = || ReferenceError::NotFound(asked(account));
        Ok(FunctionReference {
            name: spelled.name.parse().map_err(|_| unknown())?,
            qualifier: qualifier.map(str::parse).transpose().map_err(|_| unknown())?,
        })
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
    fn read(text: &'a str, our_region: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let mut rest = match parts.as_slice() {
            ["arn", partition, "lambda", rest @ ..] if is_partition(partition) => rest,
            rest => rest,
        };
        let mut prefix = |is_one: &dyn Fn(&str) -> bool, least_behind: usize| match rest {
            [first, behind @ ..] if behind.len() >= least_behind && is_one(first) => {
                rest = behind;
                Some(*first)
            }
            _ => None,
        };
        let region = prefix(&|part| part == our_region || is_region(part), 1);
        let account = prefix(&is_account, 1);
        let alone = region.is_none() && account.is_none();
        prefix(&|part| part == "function", if alone { 2 } else { 1 });
        let (name, qualifier) = match *rest {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return None,
        };
        let some = !name.is_empty() && qualifier != Some("");
        some.then_some(Spelled { region, account, name, qualifier })
    }
}

/// `aws`, `aws-cn`, `aws-us-gov`, …; the pattern also takes none.
fn is_partition(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix("aws")
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'))
}

/// `eu-west-1`, `us-gov-east-1`, `us-isob-east-1`, `eusc-de-east-1`: a direction and one digit, behind two letters and more.
fn is_region(text: &str) -> bool {
    let mut parts = text.strip_prefix("eusc-").unwrap_or(text).split('-').rev();
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    parts.next().is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
        && parts.next().is_some_and(letters)
        && match (parts.next(), parts.next(), parts.next()) {
            (Some(place), None, None) => place.len() == 2 && letters(place),
            (Some(kind), Some(place), None) => {
                let kind_is_one = kind == "gov" || (kind.starts_with("iso") && kind.len() <= 4);
                kind_is_one && letters(kind) && place.len() == 2 && letters(place)
            }
            _ => false,
        }
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
    fn every_prefix_may_be_absent() {
        check("111122223333:f:prod", None, "f", Some("prod"));
        check("eu-west-1:111122223333:function:f", None, "f", None);
        check("arn:aws:lambda:111122223333:f", None, "f", None);
        check("arn::lambda:f:prod", None, "f", Some("prod"));
        check("arn:prod", None, "arn", Some("prod"));
        check("111122223333", None, "111122223333", None);
        for region in ["us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"] {
            let error = parse(&format!("{region}:f"), None).unwrap_err();
            assert!(matches!(error, ReferenceError::OtherRegion { .. }), "{region}");
        }
        for name in ["f-g-1", "eu-west-11", "eu-west", "eu-x-west-1", "isob-east-1", "eu-west-w"] {
            check(&format!("{name}:prod"), None, name, Some("prod"));
        }
    }

    #[test]
    fn function_is_also_a_name() {
        check("function", None, "function", None);
        check("function:prod", None, "function", Some("prod"));
        check("111122223333:function:function", None, "function", None);
        check("111122223333:function", None, "function", None);
        check("arn:aws:lambda:eu-west-1:111122223333:function", None, "function", None);
        check("arn:aws:lambda:eu-west-1:111122223333:function:prod", None, "prod", None);
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
        assert!(matches!(parse("f:prod", Some("$latest")), Err(ReferenceError::QualifiersDiffer { .. })));
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
                ReferenceError::OtherAccount { theirs, .. } => {
                    assert_eq!(theirs.to_string(), "arn:aws:lambda:eu-west-1:444455556666:function:f");
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
            "function:f:$LATEST:extra",
            "arn:aws:lambda:eu-west-1:111122223333:function:",
            "arn:aws:lambda:eu-west-1:1111:function:f",
            "arn:aws:lambda:eu-west-1::function:f",
            "arn:aws:s3:eu-west-1:111122223333:function:f",
            "1111:function:f",
        ] {
            assert!(matches!(parse(path, None), Err(ReferenceError::Malformed { .. })), "{path}");
        }
    }

    #[test]
    fn what_nothing_can_be_called_is_not_found() {
        let long = "a".repeat(65);
        for (path, query, arn) in [
            (long.as_str(), None, long.as_str()),
            ("a.b:prod", None, "a.b:prod"),
            ("f", Some("$latest"), "f:$latest"),
            ("f", Some("a$b"), "f:a$b"),
            ("f:007", None, "f:007"),
        ] {
            let expected =
                format!("Function not found: arn:aws:lambda:eu-west-1:111122223333:function:{arn}");
            assert_eq!(parse(path, query).unwrap_err().to_string(), expected);
        }
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
