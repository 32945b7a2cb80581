//! What can go wrong with a control group.

use std::io;
use std::path::{Path, PathBuf};

/// Why something was not done to a control group, or not found out of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No hierarchy at hand has it; [`Enforcement`](super::Enforcement) says why.
    #[error("no control group at hand has {what}")]
    Unavailable {
        /// A controller, or a file.
        what: &'static str,
    },
    /// The name is not that of one folder.
    #[error("{name:?} cannot be the name of a control group")]
    Name {
        /// As it was asked for.
        name: String,
    },
    /// The folder could not be made.
    #[error("cannot make the control group {}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel did not take a value.
    #[error("cannot write {value:?} to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file could not be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file was read and has not what it should have.
    #[error("{} has no number {key}: {text:?}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        key: &'static str,
        /// What was read.
        text: String,
    },
    /// After a second of killing, something was still in it.
    #[error("cannot remove the control group {}", path.display())]
    Remove {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl GroupError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, value: &str, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), value: value.to_owned(), source }
    }

    /// The error and its causes in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        text
    }
}
