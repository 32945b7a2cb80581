//! What a web page may not do to a server that asks nobody who they are.
//!
//! Such a server listens on loopback, and trusts whoever is on this machine. A browser is, too, and runs what strangers
//! wrote: their pages can send requests here without being asked, and, where a name of theirs leads to loopback, read the
//! answers. Clients of the API send no `Origin`, and name this machine by its address or as `localhost`. So refused are
//! requests with an origin that is not the server's own, and those for a host of another name.
//!
//! Function URLs are made for pages, and have CORS and policies; they do not come by here.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Uri, header};

use crate::error::ApiError;

/// Passes what no page sends.
pub(crate) fn check(request: &Request, own: &str) -> Result<(), ApiError> {
    let headers = request.headers();
    if text(headers, &header::ORIGIN).is_some_and(|origin| origin != own) {
        return Err(ApiError::WebPage);
    }
    // A client of HTTP/1.0, or a proxy, may say it elsewhere or not at all; a browser always says it.
    let Some(host) = text(headers, &header::HOST) else { return Ok(()) };
    let own: Option<Uri> = own.parse().ok();
    let is_own = own.as_ref().and_then(Uri::host).is_some_and(|own| own.eq_ignore_ascii_case(name(host)));
    if is_own || is_of_this_machine(name(host)) { Ok(()) } else { Err(ApiError::WebPage) }
}

/// Addresses cannot be made to lead elsewhere, and nobody else can have names below `localhost`.
fn is_of_this_machine(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
        // A name without a dot is looked up on this machine and its own network alone, as containers name each other.
        || (!host.contains('.') && !host.is_empty())
}

/// Without the port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn passes(host: Option<&str>, origin: Option<&str>) -> bool {
        let mut request = Request::builder().uri("/2015-03-31/functions");
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        check(&request.body(Body::empty()).unwrap(), "http://lambda.example:9000").is_ok()
    }

    #[test]
    fn clients_on_this_machine_pass() {
        for host in [
            "127.0.0.1:9000",
            "[::1]:9000",
            "[::1]",
            "localhost:9000",
            "LOCALHOST",
            "a.localhost:1",
            "firesteel:9000",
            "lambda.example:9000",
        ] {
            assert!(passes(Some(host), None), "{host}");
        }
        assert!(passes(None, None));
        assert!(passes(Some("127.0.0.1:9000"), Some("http://lambda.example:9000")));
    }

    #[test]
    fn pages_of_others_do_not() {
        for origin in
            ["http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:9000.evil.example"]
        {
            assert!(!passes(Some("127.0.0.1:9000"), Some(origin)), "{origin}");
        }
        for host in
            ["evil.example", "evil.example:9000", "localhost.evil.example:9000", "127.0.0.1.evil.example", ""]
        {
            assert!(!passes(Some(host), None), "{host}");
        }
    }
}
