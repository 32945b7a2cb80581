//! What browsers are told about requests from other origins, where a URL is configured for them.
//!
//! ```text
//!  OPTIONS with Origin and Access-Control-Request-Method ─► preflight: answered here, the function is not asked
//!  anything else with Origin ─► the function's answer, or a refusal, under the headers of the configuration
//! ```
//!
//! | header | from | on |
//! |---|---|---|
//! | `Access-Control-Allow-Origin` | the request's origin, if it is allowed; not `*`, as was observed of the service | both |
//! | `Access-Control-Allow-Credentials` | `AllowCredentials`, if true | both |
//! | `Access-Control-Expose-Headers` | `ExposeHeaders` | answers |
//! | `Access-Control-Allow-Methods`, `-Headers` | `AllowMethods`, `AllowHeaders` | preflights |
//! | `Access-Control-Max-Age` | `MaxAge` | preflights |
//!
//! An origin that is not allowed is told nothing: it is the browser that refuses. The function's own header of a name
//! gives way. A preflight carries no signature, so none is asked for.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use firesteel_catalog::Cors;

use crate::authorization::matches;

/// Whether a browser asks for leave.
pub(super) fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what a preflight from `origin` is answered with.
pub(super) fn preflight(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if !allow(cors, origin, headers) {
        return;
    }
    list(headers, ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods);
    list(headers, ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers);
    if let Some(max_age_s) = cors.max_age_s {
        headers.insert(ACCESS_CONTROL_MAX_AGE, max_age_s.into());
    }
}

/// Adds what any other answer to `origin` has.
pub(super) fn answer(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if allow(cors, origin, headers) {
        list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers);
    }
}

/// Tells an origin that it may, if it may.
fn allow(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
    let Some(origin) = origin else { return false };
    // To other origins the same request is answered otherwise.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if !is_allowed(cors, origin) {
        return false;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.allow_credentials == Some(true) {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}

/// By the whole origin, scheme and port included.
fn is_allowed(cors: &Cors, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let origin = origin.to_ascii_lowercase();
    cors.allow_origins.iter().any(|allowed| matches(&allowed.to_ascii_lowercase(), &origin))
}

/// In one line. What no header can carry is left out: the model allows any text.
fn list(headers: &mut HeaderMap, name: HeaderName, values: &[String]) {
    if values.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&values.join(",")) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn cors(origins: &[&str]) -> Cors {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Cors {
            allow_credentials: Some(true),
            allow_headers: texts(&["x-one", "X-Two"]),
            allow_methods: texts(&["GET", "PUT"]),
            allow_origins: texts(origins),
            expose_headers: texts(&["Date", "x-three"]),
            max_age_s: Some(600),
        }
    }

    fn told(cors: &Cors, origin: &str, by: fn(&Cors, Option<&HeaderValue>, &mut HeaderMap)) -> Vec<String> {
        let mut headers = HeaderMap::new();
        by(cors, Some(&origin.parse().unwrap()), &mut headers);
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_preflight_is_told_what_is_allowed() {
        assert_eq!(
            told(&cors(&["https://a.example"]), "https://a.example", preflight),
            [
                "vary: Origin",
                "access-control-allow-origin: https://a.example",
                "access-control-allow-credentials: true",
                "access-control-allow-methods: GET,PUT",
                "access-control-allow-headers: x-one,X-Two",
                "access-control-max-age: 600",
            ]
        );
        let least = Cors { allow_origins: vec!["*".into()], ..Cors::default() };
        assert_eq!(
            told(&least, "https://a.example", preflight),
            ["vary: Origin", "access-control-allow-origin: https://a.example"]
        );
    }

    #[test]
    fn an_answer_is_told_what_may_be_seen_of_it() {
        assert_eq!(
            told(&cors(&["*"]), "https://a.example", answer),
            [
                "vary: Origin",
                "access-control-allow-origin: https://a.example",
                "access-control-allow-credentials: true",
                "access-control-expose-headers: Date,x-three",
            ]
        );
    }

    #[test]
    fn the_configuration_overrides_the_function_name_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, "*".parse().unwrap());
        headers.insert(ACCESS_CONTROL_MAX_AGE, "5".parse().unwrap());
        headers.insert(VARY, "Accept".parse().unwrap());
        answer(&cors(&["*"]), Some(&"https://a.example".parse().unwrap()), &mut headers);
        let all =
            |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all(ACCESS_CONTROL_ALLOW_ORIGIN), ["https://a.example"]);
        assert_eq!((all(ACCESS_CONTROL_MAX_AGE), all(VARY)), (vec!["5"], vec!["Accept", "Origin"]));
    }

    #[test]
    fn other_origins_are_told_nothing() {
        for (allowed, origin) in [
            (&["https://a.example"][..], "https://b.example"),
            (&["https://a.example"], "http://a.example"),
            (&["https://a.example"], "https://a.example:8443"),
            (&["https://*.example"], "https://example"),
            (&[], "https://a.example"),
        ] {
            for by in [preflight, answer] {
                assert_eq!(told(&cors(allowed), origin, by), ["vary: Origin"], "{allowed:?} {origin}");
            }
        }
        let mut headers = HeaderMap::new();
        answer(&cors(&["*"]), None, &mut headers);
        assert!(headers.is_empty(), "nobody asks");
    }

    #[test]
    fn origins_may_be_patterns() {
        for (allowed, origin) in [
            ("*", "null"),
            ("https://*", "https://a.example:1"),
            ("https://*.example", "https://a.b.example"),
            ("http://localhost:*", "http://localhost:60905"),
            ("https://A.example", "https://a.example"),
        ] {
            let headers = told(&cors(&["https://x.example", allowed]), origin, answer);
            assert!(
                headers.contains(&format!("access-control-allow-origin: {origin}")),
                "{allowed} {origin}"
            );
        }
    }

    #[test]
    fn a_preflight_is_known_by_all_its_marks() {
        let request = |method: &str, headers: &[&str]| {
            let mut request = Request::builder().method(method).uri("/");
            for name in headers {
                request = request.header(*name, "GET");
            }
            request.body(Body::empty()).unwrap()
        };
        let marks = ["origin", "access-control-request-method"];
        assert!(is_preflight(&request("OPTIONS", &marks)));
        assert!(!is_preflight(&request("GET", &marks)));
        assert!(
            !is_preflight(&request("OPTIONS", &marks[..1]))
                && !is_preflight(&request("OPTIONS", &marks[1..]))
        );
    }
}
