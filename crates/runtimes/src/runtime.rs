//! Runtime identifiers, as AWS writes them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Minor versions of Python 3 that AWS has an identifier for and that still can be created.
pub(crate) const PYTHON_MINORS: RangeInclusive<u16> = 8..=15;
/// Major versions of Node.js that AWS has an identifier for. Others run here all the same.
pub(crate) const NODEJS_MAJORS: [u16; 5] = [18, 20, 22, 24, 26];

/// A runtime that can run on this kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// `python3.<minor>`
    Python {
        /// 8 to 15.
        minor: u16,
    },
    /// `nodejs<major>.x`
    Nodejs {
        /// 18 or more; odd ones too, though AWS never offers those.
        major: u16,
    },
    /// `provided.<os>`: the function brings its own `bootstrap`.
    Provided(AmazonLinux),
}

/// The operating system an OS-only runtime names. Here both run on the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AmazonLinux {
    /// `al2`
    Al2,
    /// `al2023`
    Al2023,
}

/// Why an identifier names no runtime of this host. The mistake of whoever gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// AWS runs it, we do not.
    #[error("runtime `{identifier}` exists on AWS but cannot run here: {advice}")]
    NotHere {
        /// As given.
        identifier: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// AWS runs no new functions of it.
    #[error("runtime `{identifier}` is retired: {advice}")]
    Retired {
        /// As given.
        identifier: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// Not AWS's either.
    #[error(
        "runtime `{identifier}` is unknown; known are python3.8 to python3.15, nodejs18.x to nodejs26.x, \
         provided.al2 and provided.al2023"
    )]
    Unknown {
        /// As given.
        identifier: String,
    },
}

const COMPILED: &str =
    "build a program named `bootstrap` that speaks the Runtime API, and use provided.al2023";
const JAVA: &str = "put a script named `bootstrap` that starts `java` with AWS's runtime interface client into \
     the package, and use provided.al2023";
const DOTNET: &str = "publish it as a native executable named `bootstrap`, and use provided.al2023";
const RUBY: &str = "put a script named `bootstrap` that starts `aws_lambda_ric` into the package, and use \
     provided.al2023";

impl Runtime {
    /// Whether AWS has a runtime of this identifier.
    pub fn is_known_to_aws(&self) -> bool {
        match self {
            Runtime::Nodejs { major } => NODEJS_MAJORS.contains(major),
            Runtime::Python { .. } | Runtime::Provided(_) => true,
        }
    }
}

impl FromStr for Runtime {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        let identifier = || text.to_owned();
        let not_here = |advice| Err(RuntimeError::NotHere { identifier: identifier(), advice });
        let retired = |advice| Err(RuntimeError::Retired { identifier: identifier(), advice });
        let unknown = || RuntimeError::Unknown { identifier: identifier() };
        match text {
            "provided.al2" => return Ok(Runtime::Provided(AmazonLinux::Al2)),
            "provided.al2023" => return Ok(Runtime::Provided(AmazonLinux::Al2023)),
            "python2.7" | "python3.6" | "python3.7" => return retired("use python3.8 or later"),
            "nodejs" | "nodejs4.3" | "nodejs4.3-edge" | "nodejs6.10" | "nodejs8.10" => {
                return retired("use nodejs18.x or later");
            }
            "provided" => return retired("use provided.al2023, which starts the same `bootstrap`"),
            "go1.x" => return retired(COMPILED),
            "java8" => return retired(JAVA),
            "dotnetcore1.0" | "dotnetcore2.0" | "dotnetcore2.1" | "dotnetcore3.1" => return retired(DOTNET),
            "ruby2.5" | "ruby2.7" => return retired(RUBY),
            "java8.al2" | "java8.al2023" | "java11" | "java11.al2023" | "java17" | "java17.al2023"
            | "java21" | "java25" => return not_here(JAVA),
            "dotnet6" | "dotnet8" | "dotnet10" => return not_here(DOTNET),
            "ruby3.2" | "ruby3.3" | "ruby3.4" | "ruby4.0" => return not_here(RUBY),
            "custom" => return not_here(COMPILED),
            _ => {}
        }
        if let Some(minor) = text.strip_prefix("python3.").and_then(number) {
            return match PYTHON_MINORS.contains(&minor) {
                true => Ok(Runtime::Python { minor }),
                false => Err(unknown()),
            };
        }
        let major = text.strip_prefix("nodejs").and_then(|rest| number(rest.strip_suffix(".x")?));
        match major {
            Some(major) if major >= NODEJS_MAJORS[0] => Ok(Runtime::Nodejs { major }),
            Some(10 | 12 | 14 | 16) => retired("use nodejs18.x or later"),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Runtime::Python { minor } => write!(formatter, "python3.{minor}"),
            Runtime::Nodejs { major } => write!(formatter, "nodejs{major}.x"),
            Runtime::Provided(AmazonLinux::Al2) => formatter.write_str("provided.al2"),
            Runtime::Provided(AmazonLinux::Al2023) => formatter.write_str("provided.al2023"),
        }
    }
}

/// A number written the only way it can be printed again.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|number: &u16| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_as_they_are_printed() {
        for minor in PYTHON_MINORS {
            assert_eq!(format!("python3.{minor}").parse(), Ok(Runtime::Python { minor }));
        }
        for text in [
            "python3.8",
            "python3.15",
            "nodejs18.x",
            "nodejs21.x",
            "nodejs26.x",
            "provided.al2",
            "provided.al2023",
        ] {
            assert_eq!(text.parse::<Runtime>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn odd_node_versions_run_though_aws_has_none() {
        assert!(!Runtime::Nodejs { major: 21 }.is_known_to_aws());
        assert!(Runtime::Nodejs { major: 22 }.is_known_to_aws());
        assert!(Runtime::Python { minor: 13 }.is_known_to_aws());
    }

    #[test]
    fn what_only_aws_runs_says_what_to_do() {
        for text in ["java21", "java25", "java17.al2023", "dotnet8", "dotnet10", "ruby3.4", "custom"] {
            let error = text.parse::<Runtime>().unwrap_err();
            assert!(matches!(error, RuntimeError::NotHere { .. }), "{text}");
            assert!(error.to_string().contains("provided.al2023"), "{error}");
        }
        for text in ["python3.7", "nodejs16.x", "nodejs8.10", "go1.x", "provided", "java8", "ruby2.7"] {
            assert!(matches!(text.parse::<Runtime>(), Err(RuntimeError::Retired { .. })), "{text}");
        }
    }

    #[test]
    fn other_texts_are_unknown() {
        for text in [
            "",
            "python",
            "python3",
            "python3.016",
            "python3.16",
            "python3.5",
            "nodejs20",
            "nodejs20.y",
            "nodejs17.x",
            "nodejs+20.x",
            "nodejs020.x",
            "Python3.13",
            "provided.al2022",
            "rust",
        ] {
            assert!(matches!(text.parse::<Runtime>(), Err(RuntimeError::Unknown { .. })), "{text}");
        }
    }
}
