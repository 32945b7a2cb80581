//! For which machines an image is wanted.

use std::fmt;

/// Linux on an architecture. Of an image for several platforms, that for this one is taken; AWS refuses such images,
/// and so does a platform made [`exact`](Platform::exact).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    architecture: String,
    exact: bool,
}

impl Platform {
    /// `architecture` is named as images name it (`amd64`, `arm64`), or as Lambda or the kernel does (`x86_64`, `aarch64`).
    pub fn new(architecture: &str) -> Self {
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform { architecture: architecture.to_owned(), exact: false }
    }

    /// Of this machine.
    pub fn of_host() -> Self {
        Platform::new(std::env::consts::ARCH)
    }

    /// Images for several platforms are refused, as on AWS.
    pub fn exact(self) -> Self {
        Platform { exact: true, ..self }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// As images name it.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Whether an image that says this of itself runs here. What an image does not say is not held against it.
    pub fn accepts(&self, os: &str, architecture: &str) -> bool {
        (os.is_empty() || os == "linux") && (architecture.is_empty() || architecture == self.architecture)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "linux/{}", self.architecture)
    }
}
