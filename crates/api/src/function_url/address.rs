//! Which function URL a request is for, where the API and all URLs share a listener.
//!
//! | the request | URL | path that the function sees |
//! |---|---|---|
//! | `Host: <id>.lambda-url.localhost:9000` | `<id>` | all of it |
//! | `Host: <id>.lambda-url.eu-west-1.on.aws` | `<id>` | all of it |
//! | `/lambda-url/<id>/a/b` at any other host | `<id>` | `/a/b` |
//!
//! Whatever domain comes after `lambda-url` is the affair of whoever lets it lead here. The second form is for clients that
//! cannot resolve such names. Every invocation passes by here, so that a request of the API costs a look at its host and
//! at the first bytes of its path.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri, header};

/// Second label of the host, and the dot after it.
const LABEL: &str = "lambda-url.";
const PATH: &str = "/lambda-url/";

/// A URL, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// In lower case; whether there is such a URL is not known.
    pub(super) id: String,
    /// How much of the path names the URL.
    prefix_bytes: usize,
}

impl Address {
    /// None if the request is for the API.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let (id, prefix_bytes) = match in_host(request.headers()) {
            Some(id) => (id, 0),
            None => {
                let rest = request.uri().path().strip_prefix(PATH)?;
                let id = rest.split_once('/').map_or(rest, |(id, _)| id);
                (id, PATH.len() + id.len())
            }
        };
        Some(Address { id: id.to_ascii_lowercase(), prefix_bytes })
    }

    /// The function's part of the path, and the query.
    pub(super) fn within(&self, uri: &Uri) -> Uri {
        if self.prefix_bytes == 0 {
            return uri.clone();
        }
        let rest = uri.path_and_query().map_or("", PathAndQuery::as_str).get(self.prefix_bytes..);
        let rest = rest.unwrap_or_default();
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let rest = PathAndQuery::try_from(format!("{slash}{rest}"));
        rest.expect("what follows in a path is a path, and its query the same").into()
    }
}

fn in_host(headers: &HeaderMap) -> Option<&str> {
    let (id, domain) = headers.get(header::HOST)?.to_str().ok()?.split_once('.')?;
    let label = domain.as_bytes().get(..LABEL.len())?;
    label.eq_ignore_ascii_case(LABEL.as_bytes()).then_some(id)
}

/// The port that a request was sent to, as far as its `Host` says.
pub(super) fn port(headers: &HeaderMap, encrypted: bool) -> u16 {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let after_colon = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    after_colon.unwrap_or(if encrypted { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(host: Option<&str>, uri: &str) -> Request {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header("Host", host);
        }
        request.body(Body::empty()).unwrap()
    }

    #[track_caller]
    fn seen(host: &str, uri: &str) -> Option<(String, String)> {
        let request = request(Some(host), uri);
        let address = Address::of(&request)?;
        let within = address.within(request.uri()).to_string();
        Some((address.id, within))
    }

    #[test]
    fn a_host_names_a_url_and_leaves_the_path_alone() {
        for host in [
            "abc.lambda-url.localhost",
            "abc.lambda-url.localhost:9000",
            "abc.lambda-url.eu-west-1.localhost:9000",
            "abc.lambda-url.eu-west-1.on.aws",
            "ABC.Lambda-URL.eu-west-1.on.aws",
        ] {
            for uri in ["/", "/a%20b//c?d=e&f", "/lambda-url/def/g"] {
                assert_eq!(seen(host, uri), Some(("abc".into(), uri.into())), "{host} {uri}");
            }
        }
    }

    #[test]
    fn a_path_names_a_url_and_the_rest_is_the_functions() {
        for (uri, within) in [
            ("/lambda-url/abc", "/"),
            ("/lambda-url/abc/", "/"),
            ("/lambda-url/ABC?x=/1", "/?x=/1"),
            ("/lambda-url/abc/a%2Fb/?x", "/a%2Fb/?x"),
            ("/lambda-url/abc//a", "//a"),
        ] {
            assert_eq!(seen("127.0.0.1:9000", uri), Some(("abc".into(), within.into())), "{uri}");
        }
        assert_eq!(Address::of(&request(None, "/lambda-url/abc/")).unwrap().id, "abc");
    }

    #[test]
    fn all_else_is_the_apis() {
        for host in [
            "",
            "localhost",
            "127.0.0.1:9000",
            "[::1]:9000",
            "lambda-url.localhost",
            "a.lambda-url",
            "a.b.lambda-url.c",
        ] {
            assert_eq!(seen(host, "/2015-03-31/functions/"), None, "{host}");
        }
        for uri in ["/lambda-url", "/2015-03-31/functions/lambda-url/abc", "/Lambda-Url/abc/"] {
            assert_eq!(seen("localhost", uri), None, "{uri}");
        }
    }

    #[test]
    fn the_port_is_the_hosts_or_the_schemes() {
        for (host, encrypted, expected) in
            [("a.b:9000", false, 9000), ("a.b", false, 80), ("a.b", true, 443), ("[::1]", true, 443)]
        {
            assert_eq!(port(request(Some(host), "/").headers(), encrypted), expected, "{host}");
        }
    }
}
