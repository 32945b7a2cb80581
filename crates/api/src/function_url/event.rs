//! An HTTP request as the event that a function receives: payload format 2.0.
//!
//! Pure: what is not in the request is in [`Arrival`]. Members that the service leaves out when they are empty are
//! left out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::head::HOP_BY_HOP;
use crate::authentication::Identity;

/// The route, and the stage, of every function URL.
const DEFAULT: &str = "$default";

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What the front end knows of a request beside the request itself.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) request_id: Uuid,
    pub(super) trace: &'a str,
    pub(super) source_ip: IpAddr,
    /// Where the URL is, as the caller sees it.
    pub(super) port: u16,
    /// It came by TLS.
    pub(super) is_encrypted: bool,
    pub(super) url_id: &'a str,
    /// Who sent it, if that was asked.
    pub(super) caller: Option<&'a Identity>,
    pub(super) time: jiff::Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    query_string_parameters: Map<String, Value>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    /// The caller's, or `anonymous` where nobody is asked who they are.
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: String,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: Uuid,
    route_key: &'static str,
    stage: &'static str,
    /// Such as `07/Sep/2021:22:50:22 +0000`.
    time: String,
    /// In milliseconds.
    time_epoch: i64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    iam: Iam<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam<'a> {
    access_key: &'a str,
    account_id: &'a str,
    caller_id: &'a str,
    /// There is neither Cognito here nor an organization: always null, and there all the same.
    cognito_identity: (),
    principal_org_id: (),
    user_arn: &'a str,
    user_id: &'a str,
}

impl<'a> From<&'a Identity> for Authorizer<'a> {
    fn from(caller: &'a Identity) -> Self {
        let Identity { access_key_id, arn, account, user_id, .. } = caller;
        Authorizer {
            iam: Iam {
                access_key: access_key_id,
                account_id: account,
                caller_id: user_id,
                cognito_identity: (),
                principal_org_id: (),
                user_arn: arn,
                user_id,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: String,
    protocol: String,
    source_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// As recorded: one slash at the front, and nothing encoded any more.
fn decoded(path: &str) -> String {
    let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy();
    format!("/{decoded}")
}

/// The event, as JSON.
pub(super) fn event(request: &Parts, body: &[u8], arrival: &Arrival<'_>) -> Vec<u8> {
    let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
    let (body, is_base64_encoded) = encoded(body, &request.headers);
    let time = arrival.time.to_zoned(jiff::tz::TimeZone::UTC);
    let event = Event {
        version: "2.0",
        route_key: DEFAULT,
        raw_path: path,
        raw_query_string: query,
        cookies: cookies(&request.headers),
        headers: headers(&request.headers, arrival),
        query_string_parameters: parameters(query),
        request_context: RequestContext {
            account_id: arrival.caller.map_or("anonymous", |caller| &caller.account),
            api_id: arrival.url_id,
            authorizer: arrival.caller.map(Authorizer::from),
            // What the caller knows this URL by, as on AWS: links made from it lead back here.
            domain_name: joined(&request.headers, &header::HOST).unwrap_or_default(),
            domain_prefix: arrival.url_id,
            http: Http {
                method: request.method.as_str(),
                path: decoded(path),
                protocol: format!("{:?}", request.version),
                source_ip: arrival.source_ip,
                user_agent: joined(&request.headers, &header::USER_AGENT),
            },
            request_id: arrival.request_id,
            route_key: DEFAULT,
            stage: DEFAULT,
            time: time.strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            time_epoch: arrival.time.as_millisecond(),
        },
        body,
        is_base64_encoded,
    };
    serde_json::to_vec(&event).expect("texts, numbers and maps by text are JSON")
}

/// Lower-case names, repeated ones joined. Those of the connection end here, and cookies have a member of their own.
fn headers<'a>(headers: &'a HeaderMap, arrival: &Arrival<'_>) -> BTreeMap<&'a str, String> {
    let connection = joined(headers, &header::CONNECTION).unwrap_or_default();
    let named_there = |name: &HeaderName| {
        connection.split(',').any(|option| option.trim().eq_ignore_ascii_case(name.as_str()))
    };
    let mut seen: BTreeMap<&str, String> = headers
        .keys()
        .filter(|name| **name != header::COOKIE && !HOP_BY_HOP.contains(name) && !named_there(name))
        .filter_map(|name| Some((name.as_str(), joined(headers, name)?)))
        .collect();
    let address = arrival.source_ip.to_string();
    seen.entry(FORWARDED_FOR)
        .and_modify(|before| before.push_str(&format!(", {address}")))
        .or_insert(address);
    seen.insert("x-forwarded-port", arrival.port.to_string());
    seen.insert("x-forwarded-proto", if arrival.is_encrypted { "https" } else { "http" }.into());
    seen.insert("x-amzn-trace-id", arrival.trace.to_owned());
    seen
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let cookies =
        texts.flat_map(|text| text.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>());
    cookies.filter(|cookie| !cookie.is_empty()).collect()
}

/// Decoded, repeated ones joined, in the order of their first appearance.
fn parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match parameters.get_mut(&*name) {
            Some(Value::String(before)) => {
                before.push(',');
                before.push_str(&value);
            }
            _ => {
                parameters.insert(name.into_owned(), value.into());
            }
        }
    }
    parameters
}

/// The body, and whether it is in base64.
fn encoded(body: &[u8], headers: &HeaderMap) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match std::str::from_utf8(body) {
        Ok(text) if content_type.is_some_and(is_text) => (Some(text.to_owned()), false),
        // What claims to be text and is none could not be in JSON.
        _ => (Some(BASE64_STANDARD.encode(body)), true),
    }
}

fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(&*kind, "application/json" | "application/xml" | "application/javascript")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use serde_json::json;

    fn of(request: axum::http::request::Builder, body: &[u8]) -> Value {
        from(request, body, None, false)
    }

    fn from(
        request: axum::http::request::Builder,
        body: &[u8],
        caller: Option<&Identity>,
        is_encrypted: bool,
    ) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let arrival = Arrival {
            request_id: Uuid::nil(),
            trace: "Root=1-5759e988-bd862e3fe1be46a994272793",
            source_ip: [127, 0, 0, 1].into(),
            port: 9001,
            is_encrypted,
            url_id: "0123456789abcdef0123456789abcdef",
            caller,
            time: "2021-09-07T22:50:22.123Z".parse().unwrap(),
        };
        serde_json::from_slice(&event(&parts, body, &arrival)).unwrap()
    }

    #[test]
    fn a_request_with_everything() {
        let request = Request::post("/a%20b/ü?x=1&y=%C3%A9+z&x=2&empty")
            .header("Host", "localhost:9001")
            .header("User-Agent", "test/1")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Two", "1")
            .header("X-Two", "2")
            .header("Cookie", "a=1; b=2;")
            .header("Cookie", "c=3")
            .header("Connection", "keep-alive, X-Hop")
            .header("X-Hop", "1")
            .header("TE", "trailers");
        assert_eq!(
            of(request, "{\"é\":1}".as_bytes()),
            json!({
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": "/a%20b/ü",
                "rawQueryString": "x=1&y=%C3%A9+z&x=2&empty",
                "cookies": ["a=1", "b=2", "c=3"],
                "headers": {
                    "content-type": "application/json; charset=utf-8",
                    "host": "localhost:9001",
                    "user-agent": "test/1",
                    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
                    "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-port": "9001",
                    "x-forwarded-proto": "http",
                    "x-two": "1,2",
                },
                "queryStringParameters": {"x": "1,2", "y": "é z", "empty": ""},
                "requestContext": {
                    "accountId": "anonymous",
                    "apiId": "0123456789abcdef0123456789abcdef",
                    "domainName": "localhost:9001",
                    "domainPrefix": "0123456789abcdef0123456789abcdef",
                    "http": {
                        "method": "POST",
                        "path": "/a b/ü",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1",
                        "userAgent": "test/1",
                    },
                    "requestId": "00000000-0000-0000-0000-000000000000",
                    "routeKey": "$default",
                    "stage": "$default",
                    "time": "07/Sep/2021:22:50:22 +0000",
                    "timeEpoch": 1_631_055_022_123_i64,
                },
                "body": "{\"é\":1}",
                "isBase64Encoded": false,
            })
        );
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let event = of(Request::get("/"), b"");
        for member in ["cookies", "queryStringParameters", "body", "pathParameters", "stageVariables"] {
            assert_eq!(event.get(member), None, "{member}");
        }
        assert_eq!((&event["rawQueryString"], &event["isBase64Encoded"]), (&json!(""), &json!(false)));
        assert_eq!(event["requestContext"]["http"].get("userAgent"), None);
        assert_eq!(event["requestContext"].get("authorizer"), None);
    }

    #[test]
    fn the_path_is_told_as_it_came_and_as_it_reads() {
        for (path, reads) in [
            ("/", "/"),
            ("/path/1", "/path/1"),
            // Recorded.
            ("//path/1", "/path/1"),
            ("//pa2%25Fth/1", "/pa2%Fth/1"),
            ("/a//b%2Fc%ff", "/a//b/c\u{fffd}"),
        ] {
            let event = of(Request::get(path), b"");
            assert_eq!(
                (&event["rawPath"], &event["requestContext"]["http"]["path"]),
                (&json!(path), &json!(reads))
            );
        }
    }

    #[test]
    fn who_signed_is_told() {
        let caller = Identity {
            access_key_id: "AKIDEXAMPLE".into(),
            arn: "arn:aws:iam::123456789012:user/alice".into(),
            account: "123456789012".into(),
            user_id: "AIDAEXAMPLE".into(),
            policy: crate::authorization::Policy::default(),
        };
        let event = from(Request::get("/"), b"", Some(&caller), true);
        assert_eq!(event["requestContext"]["accountId"], "123456789012");
        assert_eq!(
            event["requestContext"]["authorizer"],
            json!({"iam": {
                "accessKey": "AKIDEXAMPLE",
                "accountId": "123456789012",
                "callerId": "AIDAEXAMPLE",
                "cognitoIdentity": null,
                "principalOrgId": null,
                "userArn": "arn:aws:iam::123456789012:user/alice",
                "userId": "AIDAEXAMPLE",
            }})
        );
        assert_eq!(event["headers"]["x-forwarded-proto"], "https");
    }

    #[test]
    fn the_caller_is_the_last_of_those_it_was_forwarded_for() {
        let request =
            Request::get("/").header("X-Forwarded-For", "10.0.0.1").header("X-Forwarded-Proto", "ftp");
        let headers = &of(request, b"")["headers"];
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1, 127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn text_is_told_from_bytes_by_its_content_type() {
        for text in [
            "text/plain",
            "TEXT/HTML; charset=utf-8",
            "application/json",
            "application/xml",
            "application/javascript",
            "application/ld+json",
            "image/svg+xml; a=b",
        ] {
            let event = of(Request::post("/").header("content-type", text), b"a");
            assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("a"), &json!(false)), "{text}");
        }
        for bytes in [
            "application/octet-stream",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=text/",
            "image/png",
            "",
        ] {
            let event = of(Request::post("/").header("content-type", bytes), b"a");
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&json!("YQ=="), &json!(true)),
                "{bytes}"
            );
        }
        let event = of(Request::post("/"), b"a");
        assert_eq!(event["isBase64Encoded"], true, "no content type");
        let event = of(Request::post("/").header("content-type", "text/plain"), b"\xff");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }
}
