//! How an image is named.
//!
//! ```text
//! REGISTRY[:PORT]/REPOSITORY[:TAG][@DIGEST]    in a registry
//! oci:FOLDER[:TAG]                             in an OCI layout folder
//! docker-archive:FILE[:NAME]                   in an archive as `docker save` and `podman save` write them
//! FILE.tar  FILE.tar.gz  FILE.tgz              the same
//! ```
//!
//! No registry is the obvious one: a name without is refused, unless the caller names a registry for such names. A
//! registry is known by a dot or a colon in its name, or by being `localhost`, as container tools know it.

use std::fmt;
use std::path::PathBuf;

use super::digest::{BadDigest, Digest};

/// Longer ones are taken by no registry.
const REPOSITORY_BYTES: usize = 255;
const TAG_BYTES: usize = 128;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// In a registry.
    Registry(RegistryReference),
    /// In an OCI layout folder.
    Layout {
        /// The folder with `index.json` in it.
        folder: PathBuf,
        /// Which of its images; not needed if it has one.
        tag: Option<String>,
    },
    /// In one file, as `docker save` writes it.
    Archive {
        /// The tar file, which may be compressed.
        file: PathBuf,
        /// Which of its images, `NAME:TAG` or only one of both; not needed if it has one.
        name: Option<String>,
    },
}

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryReference {
    /// Host and perhaps port.
    pub registry: String,
    /// Its path there.
    pub repository: String,
    /// Which of the repository's images; `latest` if neither it nor the digest is given.
    pub tag: Option<String>,
    /// Of its manifest. It counts more than the tag.
    pub digest: Option<Digest>,
}

/// Why a text names no image. The mistake of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No registry, and there is no obvious one.
    #[error(
        "`{text}` names no registry: write REGISTRY/{text}, or set a registry for names without one; for what is on \
         this disk, write oci:FOLDER[:TAG] or docker-archive:FILE"
    )]
    NoRegistry {
        /// As given.
        text: String,
    },
    /// Not the name of a registry.
    #[error("`{registry}` in `{text}` is no registry: HOST or HOST:PORT is")]
    Registry {
        /// As given.
        text: String,
        /// Of it.
        registry: String,
    },
    /// Not a path in a registry.
    #[error(
        "`{repository}` in `{text}` is no repository: it has up to 255 lower-case letters, digits, and single `.`, `_`, \
         `__` or `-` between them, in parts separated by `/`"
    )]
    Repository {
        /// As given.
        text: String,
        /// Of it.
        repository: String,
    },
    /// Not a tag.
    #[error(
        "`{tag}` in `{text}` is no tag: it has up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two"
    )]
    Tag {
        /// As given.
        text: String,
        /// Of it.
        tag: String,
    },
    /// Not a digest.
    #[error("the digest in `{text}`")]
    Digest {
        /// As given.
        text: String,
        /// What is wrong with it.
        #[source]
        source: BadDigest,
    },
    /// `oci:` or `docker-archive:` and nothing.
    #[error("`{text}` has no path")]
    NoPath {
        /// As given.
        text: String,
    },
    /// A path, but of what?
    #[error(
        "`{text}` is a path: write oci:{text} if it is an OCI layout folder, or docker-archive:{text} if it is an archive"
    )]
    BarePath {
        /// As given.
        text: String,
    },
}

impl Reference {
    /// Reads a name. `default_registry` (`HOST[:PORT][/PATH]`) is put before those that have no registry.
    pub fn parse(text: &str, default_registry: Option<&str>) -> Result<Self, ReferenceError> {
        let shown = || shown(text);
        if let Some(rest) = text.strip_prefix("oci:") {
            // A tag has no slash, so that a colon in a folder's name is none of a tag.
            let (folder, tag) = match rest.rsplit_once(':') {
                Some((folder, tag)) if !tag.contains('/') => (folder, Some(tag)),
                _ => (rest, None),
            };
            if folder.is_empty() {
                return Err(ReferenceError::NoPath { text: shown() });
            }
            let tag = tag.map(|tag| checked_tag(text, tag)).transpose()?;
            return Ok(Reference::Layout { folder: folder.into(), tag });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (file, name) = match rest.split_once(':') {
                Some((file, name)) => (file, Some(name.to_owned())),
                None => (rest, None),
            };
            if file.is_empty() || name.as_ref().is_some_and(String::is_empty) {
                return Err(ReferenceError::NoPath { text: shown() });
            }
            return Ok(Reference::Archive { file: file.into(), name });
        }
        let (first, rest) = text.split_once('/').map_or(("", text), |(first, rest)| (first, rest));
        let has_registry = first.contains(['.', ':']) || first == "localhost";
        let is_path = text.starts_with(['/', '~']) || [".", ".."].contains(&first);
        if is_path || !has_registry {
            if [".tar", ".tar.gz", ".tgz"].iter().any(|suffix| text.ends_with(suffix)) {
                return Ok(Reference::Archive { file: text.into(), name: None });
            }
            if is_path {
                return Err(ReferenceError::BarePath { text: shown() });
            }
        }
        if has_registry {
            return RegistryReference::parse(text, first, rest).map(Reference::Registry);
        }
        match default_registry {
            Some(default) => {
                let whole = format!("{}/{text}", default.trim_end_matches('/'));
                let (first, rest) = whole.split_once('/').expect("a slash was put in");
                RegistryReference::parse(&whole, first, rest).map(Reference::Registry)
            }
            None => Err(ReferenceError::NoRegistry { text: shown() }),
        }
    }
}

impl Reference {
    /// The image of this digest and no other, where the reference is of a registry: elsewhere there is no other way to it
    /// than its name.
    #[must_use]
    pub fn at(self, digest: &str) -> Self {
        match (self, digest.parse()) {
            (Reference::Registry(reference), Ok(digest)) => {
                Reference::Registry(RegistryReference { digest: Some(digest), ..reference })
            }
            (reference, _) => reference,
        }
    }
}

/// Reads as [`Reference::parse`] does without a default registry.
impl std::str::FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text, None)
    }
}

/// What [`Reference::parse`] reads as the same.
impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Registry(reference) => reference.fmt(formatter),
            Reference::Layout { folder, tag } => {
                write!(formatter, "oci:{}", folder.display())?;
                tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))
            }
            // Only a bare path can have a colon in it.
            Reference::Archive { file, name: None } if file.to_string_lossy().contains(':') => {
                write!(formatter, "{}", file.display())
            }
            Reference::Archive { file, name } => {
                write!(formatter, "docker-archive:{}", file.display())?;
                name.iter().try_for_each(|name| write!(formatter, ":{name}"))
            }
        }
    }
}

impl RegistryReference {
    fn parse(text: &str, registry: &str, rest: &str) -> Result<Self, ReferenceError> {
        if !is_registry(registry) {
            return Err(ReferenceError::Registry { text: shown(text), registry: shown(registry) });
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let bad = |source| ReferenceError::Digest { text: shown(text), source };
                (rest, Some(digest.parse().map_err(bad)?))
            }
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(checked_tag(text, tag)?)),
            None => (rest, None),
        };
        if repository.len() > REPOSITORY_BYTES || !repository.split('/').all(is_part) {
            return Err(ReferenceError::Repository { text: shown(text), repository: shown(repository) });
        }
        Ok(RegistryReference {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }

    /// What the registry is asked for.
    pub(super) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(formatter, "@{digest}"))
    }
}

fn checked_tag(text: &str, tag: &str) -> Result<String, ReferenceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let good =
        (1..=TAG_BYTES).contains(&tag.len()) && tag.bytes().all(allowed) && !tag.starts_with(['.', '-']);
    if good { Ok(tag.to_owned()) } else { Err(ReferenceError::Tag { text: shown(text), tag: shown(tag) }) }
}

/// `HOST` or `HOST:PORT`, the host being a name, an IPv4 address or an IPv6 address in brackets.
pub(super) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    let named = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(label),
    };
    let all_digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    named && port.is_none_or(|port| all_digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Of a repository's path: words of letters and digits with one separator between each two.
fn is_part(part: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (part.as_bytes().first(), part.as_bytes().last()) else {
        return false;
    };
    let separated = part.as_bytes().chunk_by(|one, other| word(one) == word(other));
    let separator =
        |run: &[u8]| run == b"." || run == b"_" || run == b"__" || run.iter().all(|byte| *byte == b'-');
    word(first) && word(last) && separated.into_iter().all(|run| word(&run[0]) || separator(run))
}

/// In an error, which goes to a terminal.
fn shown(text: &str) -> String {
    text.chars().take(400).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn registry(text: &str) -> (String, String, Option<String>, bool) {
        match text.parse().unwrap() {
            Reference::Registry(found) => {
                (found.registry, found.repository, found.tag, found.digest.is_some())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn registries_are_known_by_dot_port_or_localhost() {
        for (text, expected) in [
            ("registry.example/a", ("registry.example", "a", None, false)),
            ("registry.example:5000/a/b:1.0", ("registry.example:5000", "a/b", Some("1.0"), false)),
            ("localhost/a__b/c-d.e:T_1", ("localhost", "a__b/c-d.e", Some("T_1"), false)),
            ("host:1/a.tar", ("host:1", "a.tar", None, false)),
            ("[::1]:5000/a", ("[::1]:5000", "a", None, false)),
        ] {
            let (registry_found, repository, tag, digest) = registry(text);
            assert_eq!((&*registry_found, &*repository, tag.as_deref(), digest), expected);
        }
        assert!(registry(&format!("a.b/c:d@{DIGEST}")).3);
        let with_default = Reference::parse("python:3", Some("mirror.example/base")).unwrap();
        assert_eq!(with_default.to_string(), "mirror.example/base/python:3");
    }

    #[test]
    fn paths_are_of_folders_and_archives() {
        let layout = |folder: &str, tag: Option<&str>| Reference::Layout {
            folder: folder.into(),
            tag: tag.map(str::to_owned),
        };
        let archive = |file: &str, name: Option<&str>| Reference::Archive {
            file: file.into(),
            name: name.map(str::to_owned),
        };
        for (text, expected) in [
            ("oci:/a/b", layout("/a/b", None)),
            ("oci:a:v1", layout("a", Some("v1"))),
            ("oci:a:b/c", layout("a:b/c", None)),
            ("docker-archive:/a.tar", archive("/a.tar", None)),
            ("docker-archive:a:host.example:5000/b:c", archive("a", Some("host.example:5000/b:c"))),
            ("./a.tar", archive("./a.tar", None)),
            ("/x.y/a.tgz", archive("/x.y/a.tgz", None)),
            ("a.tar.gz", archive("a.tar.gz", None)),
        ] {
            let found: Reference = text.parse().unwrap();
            assert_eq!(found, expected, "{text}");
            assert_eq!(found.to_string().parse(), Ok(found), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        use ReferenceError as E;
        let error = |text: &str| text.parse::<Reference>().unwrap_err();
        assert!(matches!(error("python:3.14"), E::NoRegistry { .. }));
        assert!(error("python").to_string().contains("write REGISTRY/python"));
        assert!(matches!(error(""), E::NoRegistry { .. }));
        assert!(matches!(error("/var/images"), E::BarePath { .. }));
        assert!(matches!(error("./x"), E::BarePath { .. }));
        assert!(matches!(error("oci:"), E::NoPath { .. }));
        assert!(matches!(error("oci::x"), E::NoPath { .. }));
        assert!(matches!(error("docker-archive:a.tar:"), E::NoPath { .. }));
        for text in ["a.b/", "a.b/C", "a.b/c//d", "a.b/-c", "a.b/c.", "a.b/c___d", "a.b/c..d"] {
            assert!(matches!(error(text), E::Repository { .. }), "{text}");
        }
        for text in ["a.b:x/c", "a..b/c", "-a.b/c", "a.b:0/c", "a.b:70000/c", "a:+1/c", "a_.b/c", "[::z]:1/c"]
        {
            assert!(matches!(error(text), E::Registry { .. }), "{text}");
        }
        for text in ["a.b/c:", "a.b/c:.d", "a.b/c:d:e", "oci:a:", "oci:a:b c"] {
            assert!(matches!(error(text), E::Tag { .. }), "{text}");
        }
        for text in ["a.b/c@", "a.b/c@sha512:00", &format!("a.b/c@{DIGEST}0"), "a.b/c:d@e"] {
            assert!(matches!(error(text), E::Digest { .. }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_reference_or_an_error(text in ".{0,80}", default in proptest::option::of("[a-z./:]{0,20}")) {
            let _ = Reference::parse(&text, default.as_deref());
        }

        #[test]
        fn what_is_read_is_written_and_read_again(
            text in "(oci:|docker-archive:|[a-z]{1,3}\\.[a-z]{1,3}(:[1-9][0-9]{0,3})?/)?[a-zA-Z0-9/._:-]{1,20}",
            with_digest in any::<bool>(),
        ) {
            let text = if with_digest { format!("{text}@{DIGEST}") } else { text };
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
            }
        }
    }
}
