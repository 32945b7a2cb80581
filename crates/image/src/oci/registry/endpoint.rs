//! Where a registry is, and whether it may be spoken with in the clear.

use std::net::IpAddr;

use reqwest::Url;

/// Why a text is no place of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Not even a URL.
    #[error("HOST[:PORT][/PATH] is, with or without https:// before it")]
    Malformed,
    /// Anybody between here and there could put another image in.
    #[error("without TLS, only this machine is spoken with")]
    PlainHttp,
}

/// A registry, a mirror, or a path in one under which repositories are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Ends with a slash.
    base: Url,
}

impl Endpoint {
    /// Without a scheme it is `https`, and `http` on this machine.
    pub(super) fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let slash = if text.ends_with('/') { "" } else { "/" };
        let with_scheme =
            if text.contains("://") { format!("{text}{slash}") } else { format!("https://{text}{slash}") };
        let mut base = Url::parse(&with_scheme).map_err(|_| BadEndpoint::Malformed)?;
        let plain = base.host_str().is_some() && base.username().is_empty() && base.password().is_none();
        if !plain || base.query().is_some() || base.fragment().is_some() {
            return Err(BadEndpoint::Malformed);
        }
        if !text.contains("://") && is_loopback(&base) {
            // Anew, since the default port of the scheme is not kept.
            base = Url::parse(&format!("http://{text}{slash}")).map_err(|_| BadEndpoint::Malformed)?;
        }
        match base.scheme() {
            "https" => Ok(Endpoint { base }),
            "http" if is_loopback(&base) => Ok(Endpoint { base }),
            "http" => Err(BadEndpoint::PlainHttp),
            _ => Err(BadEndpoint::Malformed),
        }
    }

    pub(super) fn url(&self, path: &str) -> Option<Url> {
        self.base.join(path).ok()
    }

    /// `HOST[:PORT]`, as credentials are filed under.
    pub(super) fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }
}

/// Whether `next` may be spoken with after `url`, which has named it: TLS is not left on the way, and this machine's
/// services are named by none but each other.
pub(super) fn may_lead_to(url: &Url, next: &Url) -> bool {
    match next.scheme() {
        "https" => next.host_str().is_some(),
        "http" => url.scheme() == "http" && is_loopback(next),
        _ => false,
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_with_in_the_clear() {
        for (text, expected) in [
            ("registry.example", Ok("https://registry.example/v2/")),
            ("registry.example:5000/proxy", Ok("https://registry.example:5000/proxy/v2/")),
            ("https://localhost:5000", Ok("https://localhost:5000/v2/")),
            ("localhost:5000", Ok("http://localhost:5000/v2/")),
            ("localhost:443", Ok("http://localhost:443/v2/")),
            ("127.0.0.2", Ok("http://127.0.0.2/v2/")),
            ("[::1]:5000", Ok("http://[::1]:5000/v2/")),
            ("http://a.localhost:1/", Ok("http://a.localhost:1/v2/")),
            ("http://registry.example", Err(BadEndpoint::PlainHttp)),
            ("http://10.0.0.1:5000", Err(BadEndpoint::PlainHttp)),
            ("ftp://localhost", Err(BadEndpoint::Malformed)),
            ("https://user:secret@registry.example", Err(BadEndpoint::Malformed)),
            ("https://registry.example/?a", Err(BadEndpoint::Malformed)),
            ("a b", Err(BadEndpoint::Malformed)),
        ] {
            let found = Endpoint::parse(text).map(|endpoint| endpoint.url("v2/").unwrap().to_string());
            assert_eq!(found.as_deref().map_err(|error| *error), expected, "{text}");
        }
        assert_eq!(Endpoint::parse("localhost:443").unwrap().authority(), "localhost:443");
    }

    #[test]
    fn tls_is_not_left() {
        let url = |text: &str| Url::parse(text).unwrap();
        let may = |from: &str, to: &str| may_lead_to(&url(from), &url(to));
        assert!(may("https://a.example/", "https://b.example/"));
        assert!(may("http://localhost/", "https://b.example/"));
        assert!(may("http://localhost/", "http://127.0.0.1:1/"));
        assert!(!may("https://a.example/", "http://a.example/"));
        assert!(!may("https://a.example/", "http://localhost/"));
        assert!(!may("http://localhost/", "http://b.example/"));
        assert!(!may("https://a.example/", "file:///etc/passwd"));
    }
}
