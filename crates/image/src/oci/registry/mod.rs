//! Images in registries, by the protocol of the OCI distribution specification.
//!
//! ```text
//! Origin: the mirrors of a registry, then the registry itself; each a Repository
//!   find ─────► manifest, by tag or digest ─► by platform ─► manifest ─► configuration
//!   download ─► a layer's compressed bytes, into a file that a later run goes on with
//!                  └ Range: from where it ended ─ cut off, 429, 503, … ─► waits, goes on
//! ```
//!
//! - What a name and a password are sent to is the registry they are of, and the token server it names. They are never
//!   sent in the clear but to this machine, and never to where a registry redirects to.
//! - Plain HTTP is spoken with this machine only.
//! - A registry is asked again as often as it makes progress, and a few times when it does not, and never sooner than
//!   it says. Nothing is waited for without a deadline.
//!
//! This is written over an HTTP client instead of over a client of registries, since such clients read documents
//! whole, however large they are, and do not pass on when a registry wants to be asked again.

mod authorization;
mod credentials;
mod download;
mod endpoint;
mod http;
mod origin;
mod patience;
mod repository;

use std::path::PathBuf;
use std::time::Duration;

pub use self::credentials::{BadCredentials, Credentials, Login};
pub(super) use self::download::Partial;
pub use self::endpoint::BadEndpoint;
pub(super) use self::origin::{Origin, Registries};

/// How registries are spoken with.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Asked first, in order.
    pub mirrors: Vec<Mirror>,
    /// As whom.
    pub credentials: Credentials,
    /// Layers of an image that are fetched and unpacked at the same time.
    pub layers_at_once: usize,
    /// Until there is a connection.
    pub connect_within: Duration,
    /// Until an answer begins, and between two pieces of it.
    pub piece_within: Duration,
    /// For a whole document. A layer has no such limit, as long as it comes.
    pub document_within: Duration,
    /// How often something is tried before any of it has come.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each next one, unless the registry says how long.
    pub first_wait: Duration,
    /// A registry that wants to be left alone for longer than this is taken for one that is down.
    pub longest_wait: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        RegistrySettings {
            mirrors: Vec::new(),
            credentials: Credentials::default(),
            layers_at_once: 4,
            connect_within: Duration::from_secs(10),
            piece_within: Duration::from_secs(30),
            document_within: Duration::from_secs(60),
            attempts: 5,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(60),
        }
    }
}

/// Has what another registry has, or some of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Which it stands in for: `HOST[:PORT]`, as in references.
    pub registry: String,
    /// Where it is: `HOST[:PORT][/PATH]`, with or without `https://`.
    pub endpoint: String,
}

/// Why a registry does not give an image.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A setting.
    #[error("`{endpoint}` is no registry to be asked")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: BadEndpoint,
    },
    /// No client could be made.
    #[error("making a client of registries")]
    Client(#[source] reqwest::Error),
    /// There is no such thing, or it is kept from whoever asks.
    #[error("{url} is not there")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// Not with these credentials, or not without any.
    #[error("{url} is not for {who}: {message}")]
    Denied {
        /// What was asked for.
        url: String,
        /// Who asked.
        who: String,
        /// What the registry said.
        message: String,
    },
    /// Another answer than one of success.
    #[error("{url} was answered with status {status}: {message}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Of HTTP.
        status: u16,
        /// What the registry said.
        message: String,
        /// When it wants to be asked again.
        wait: Option<Duration>,
    },
    /// No answer, or half of one.
    #[error("asking for {url}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the system said.
        #[source]
        source: reqwest::Error,
    },
    /// Fewer bytes than announced.
    #[error("the answer for {url} was cut off")]
    CutOff {
        /// What was asked for.
        url: String,
    },
    /// Nothing came for too long.
    #[error("no answer for {url} in time")]
    TimedOut {
        /// What was asked for.
        url: String,
    },
    /// An answer that is none.
    #[error("{url} was answered with {problem}")]
    Malformed {
        /// What was asked for.
        url: String,
        /// In short.
        problem: &'static str,
    },
    /// A document larger than anybody's.
    #[error("the answer for {url} has more than {limit_bytes} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// Allowed.
        limit_bytes: u64,
    },
    /// The file of another tool.
    #[error("credentials in {}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BadCredentials,
    },
}

impl RegistryError {
    /// Whether it may go better the next time, and when that is at the soonest.
    fn retry(&self) -> Option<Duration> {
        match self {
            RegistryError::Unreachable { .. }
            | RegistryError::CutOff { .. }
            | RegistryError::TimedOut { .. } => Some(Duration::ZERO),
            RegistryError::Refused { status: 408 | 425 | 429 | 500 | 502..=504, wait, .. } => {
                Some(wait.unwrap_or_default())
            }
            _ => None,
        }
    }
}
