//! What an extension asks for, read from the body of its `PUT` and held against AWS's limits.
//!
//! Called by the route of the Telemetry API and that of the Logs API. It refuses what AWS's schema refuses: a
//! version, type, destination or buffer that does not exist, and says which member is wrong, what it is and what
//! it must be. Members that AWS does not know are passed over. Whether the extension exists and may still
//! subscribe is the lifecycle's to say.

use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::Uri;
use serde_json::{Map, Value};

use super::{Api, Buffering, Destination, Schema, Subscription, Types};

/// The only names that a listener within the environment has.
const HOSTS: [&str; 2] = ["sandbox.localdomain", "sandbox"];

/// AWS keeps this port for its own Runtime API.
const RESERVED_PORT: u16 = 9001;

const TIMEOUT_MS: Figure = Figure { name: "buffering.timeoutMs", default: 1_000, range: 25..=30_000 };
const MAX_BYTES: Figure = Figure { name: "buffering.maxBytes", default: 262_144, range: 262_144..=1_048_576 };
const MAX_ITEMS: Figure = Figure { name: "buffering.maxItems", default: 10_000, range: 1_000..=10_000 };

/// Why a subscription is refused, worded for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValidationError {
    /// Member, value and constraint.
    pub message: String,
}

/// Reads a subscription.
pub fn parse(api: Api, body: &[u8]) -> Result<Subscription, ValidationError> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| refusal(format!("the body is not JSON: {error}")))?;
    let Value::Object(body) = body else {
        return Err(refusal("the body must be a JSON object".into()));
    };
    Ok(Subscription {
        api,
        schema: schema(api, body.get("schemaVersion"))?,
        types: types(body.get("types"))?,
        destination: destination(api, body.get("destination"))?,
        buffering: buffering(body.get("buffering"))?,
    })
}

fn schema(api: Api, version: Option<&Value>) -> Result<Schema, ValidationError> {
    let known: &[(&str, Schema)] = match api {
        Api::Telemetry => &[
            ("2022-07-01", Schema::V20220701),
            ("2022-12-13", Schema::V20221213),
            ("2025-01-29", Schema::V20250129),
        ],
        Api::Logs => &[("2020-08-15", Schema::V20200815), ("2021-03-18", Schema::V20210318)],
    };
    match (api, version) {
        (Api::Logs, None) => Ok(Schema::V20200815),
        (_, version) => one_of("schemaVersion", version, known),
    }
}

fn types(types: Option<&Value>) -> Result<Types, ValidationError> {
    let Some(Value::Array(names)) = types else {
        return Err(wrong("types", types, "an array of event types"));
    };
    if names.is_empty() {
        return Err(wrong("types", types, "at least one of `platform`, `function`, `extension`"));
    }
    let mut all = Types::default();
    for (index, name) in names.iter().enumerate() {
        match name.as_str() {
            Some("platform") => all.platform = true,
            Some("function") => all.function = true,
            Some("extension") => all.extension = true,
            _ => {
                let member = format!("types[{index}]");
                return Err(wrong(&member, Some(name), "one of `platform`, `function`, `extension`"));
            }
        }
    }
    Ok(all)
}

fn destination(api: Api, destination: Option<&Value>) -> Result<Destination, ValidationError> {
    let Some(Value::Object(destination)) = destination else {
        return Err(wrong("destination", destination, "an object"));
    };
    match one_of("destination.protocol", destination.get("protocol"), &[("HTTP", true), ("TCP", false)])? {
        true => http(api, destination),
        false => {
            let port = destination.get("port");
            match port.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()) {
                None | Some(0 | RESERVED_PORT) => {
                    Err(wrong("destination.port", port, "a number from 1 to 65535, but not 9001"))
                }
                Some(port) => Ok(Destination::Tcp { port }),
            }
        }
    }
}

fn http(api: Api, destination: &Map<String, Value>) -> Result<Destination, ValidationError> {
    const MEMBER: &str = "destination.URI";
    let text = destination.get("URI");
    let must = |constraint| wrong(MEMBER, text, constraint);
    let uri: Uri = text
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| must("a URI such as `http://sandbox.localdomain:8080/`"))?;
    if uri.scheme_str() != Some("http") {
        return Err(must("a URI with the scheme `http`"));
    }
    let named = |host: &str| HOSTS.iter().any(|known| known.eq_ignore_ascii_case(host));
    let authority = uri.authority().filter(|authority| named(authority.host()));
    let Some(authority) = authority.filter(|authority| !authority.as_str().contains('@')) else {
        return Err(must("a URI with the host `sandbox.localdomain` or `sandbox`"));
    };
    let port = match authority.port_u16() {
        None | Some(0 | RESERVED_PORT) => {
            return Err(must("a URI with a port from 1 to 65535, but not 9001"));
        }
        Some(port) => port,
    };
    let put = match (api, destination.get("method")) {
        (Api::Logs, method @ Some(_)) => {
            one_of("destination.method", method, &[("POST", false), ("PUT", true)])?
        }
        _ => false,
    };
    if let (Api::Logs, encoding @ Some(_)) = (api, destination.get("encoding")) {
        one_of("destination.encoding", encoding, &[("JSON", ())])?;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Destination::Http { port, path, put })
}

fn buffering(buffering: Option<&Value>) -> Result<Buffering, ValidationError> {
    let empty = Map::new();
    let members = match buffering {
        None => &empty,
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong("buffering", buffering, "an object")),
    };
    Ok(Buffering {
        timeout: Duration::from_millis(TIMEOUT_MS.read(members.get("timeoutMs"))?.into()),
        max_bytes: size(MAX_BYTES.read(members.get("maxBytes"))?),
        max_items: size(MAX_ITEMS.read(members.get("maxItems"))?),
    })
}

fn size(figure: u32) -> usize {
    usize::try_from(figure).expect("pointers have 32 bits at least")
}

/// One of the figures of `buffering`.
struct Figure {
    name: &'static str,
    default: u32,
    range: RangeInclusive<u32>,
}

impl Figure {
    fn read(&self, value: Option<&Value>) -> Result<u32, ValidationError> {
        let Some(value) = value else { return Ok(self.default) };
        value
            .as_u64()
            .and_then(|figure| u32::try_from(figure).ok())
            .filter(|figure| self.range.contains(figure))
            .ok_or_else(|| {
                let constraint = format!("a number from {} to {}", self.range.start(), self.range.end());
                wrong(self.name, Some(value), &constraint)
            })
    }
}

/// The meaning of a member that has one of a few names.
fn one_of<T: Copy>(member: &str, value: Option<&Value>, known: &[(&str, T)]) -> Result<T, ValidationError> {
    let name = value.and_then(Value::as_str);
    known.iter().find(|(known, _)| Some(*known) == name).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let constraint = match names.as_slice() {
            [only] => only.clone(),
            several => format!("one of {}", several.join(", ")),
        };
        wrong(member, value, &constraint)
    })
}

fn wrong(member: &str, value: Option<&Value>, constraint: &str) -> ValidationError {
    refusal(match value {
        None => format!("`{member}` is missing: it must be {constraint}"),
        Some(value) => format!("`{member}` is {}: it must be {constraint}", shortened(value)),
    })
}

fn refusal(message: String) -> ValidationError {
    ValidationError { message }
}

/// Enough of a value to be recognised: a message is no place for a megabyte.
fn shortened(value: &Value) -> String {
    const LIMIT_CHARS: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(LIMIT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn minimal() -> Value {
        json!({
            "schemaVersion": "2022-12-13",
            "types": ["platform"],
            "destination": { "protocol": "HTTP", "URI": "http://sandbox.localdomain:8080" },
        })
    }

    fn telemetry(body: &Value) -> Result<Subscription, String> {
        parse(Api::Telemetry, body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn logs(body: &Value) -> Result<Subscription, String> {
        parse(Api::Logs, body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    /// The minimal subscription with one member replaced.
    fn with(pointer: &str, value: Value) -> Value {
        let mut body = minimal();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(member.into(), value);
        body
    }

    fn without(pointer: &str) -> Value {
        let mut body = minimal();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(member).unwrap();
        body
    }

    #[test]
    fn what_is_not_said_has_awss_defaults() {
        let expected = Subscription {
            api: Api::Telemetry,
            schema: Schema::V20221213,
            types: Types { platform: true, function: false, extension: false },
            destination: Destination::Http { port: 8080, path: "/".into(), put: false },
            buffering: Buffering {
                timeout: Duration::from_millis(1000),
                max_bytes: 262_144,
                max_items: 10_000,
            },
        };
        assert_eq!(telemetry(&minimal()), Ok(expected));
        assert_eq!(logs(&without("/schemaVersion")).unwrap().schema, Schema::V20200815);
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let body = json!({
            "schemaVersion": "2021-03-18",
            "types": ["extension", "function", "function"],
            "destination": {
                "protocol": "HTTP", "URI": "http://SANDBOX:53000/in?key=1", "method": "PUT", "encoding": "JSON",
            },
            "buffering": { "timeoutMs": 25, "maxBytes": 1_048_576, "maxItems": 1000 },
            "somethingNew": true,
        });
        let expected = Subscription {
            api: Api::Logs,
            schema: Schema::V20210318,
            types: Types { platform: false, function: true, extension: true },
            destination: Destination::Http { port: 53000, path: "/in?key=1".into(), put: true },
            buffering: Buffering {
                timeout: Duration::from_millis(25),
                max_bytes: 1_048_576,
                max_items: 1000,
            },
        };
        assert_eq!(logs(&body), Ok(expected));
        let tcp = with("/destination", json!({ "protocol": "TCP", "port": 65535 }));
        assert_eq!(telemetry(&tcp).unwrap().destination, Destination::Tcp { port: 65535 });
        let query = with("/destination/URI", json!("http://sandbox:80?key=1"));
        let Destination::Http { path, .. } = telemetry(&query).unwrap().destination else {
            panic!("{query}")
        };
        assert_eq!(path, "/?key=1");
    }

    #[test]
    fn each_api_has_its_schemas() {
        for (version, schema) in [
            ("2022-07-01", Schema::V20220701),
            ("2022-12-13", Schema::V20221213),
            ("2025-01-29", Schema::V20250129),
        ] {
            let body = with("/schemaVersion", json!(version));
            assert_eq!(telemetry(&body).unwrap().schema, schema);
            assert!(logs(&body).unwrap_err().starts_with(&format!("`schemaVersion` is \"{version}\":")));
        }
        for (version, schema) in [("2020-08-15", Schema::V20200815), ("2021-03-18", Schema::V20210318)] {
            let body = with("/schemaVersion", json!(version));
            assert_eq!(logs(&body).unwrap().schema, schema);
            assert!(telemetry(&body).is_err(), "{version}");
        }
        assert_eq!(
            telemetry(&without("/schemaVersion")).unwrap_err(),
            "`schemaVersion` is missing: it must be one of `2022-07-01`, `2022-12-13`, `2025-01-29`"
        );
    }

    #[test]
    fn the_telemetry_api_always_posts() {
        let mut body = with("/destination/method", json!("PUT"));
        body["destination"]["encoding"] = json!("XML");
        let Destination::Http { put, .. } = telemetry(&body).unwrap().destination else { panic!("{body}") };
        assert!(!put);
        body["schemaVersion"] = json!("2020-08-15");
        assert_eq!(logs(&body).unwrap_err(), "`destination.encoding` is \"XML\": it must be `JSON`");
    }

    #[test]
    fn types_are_known_and_one_at_least() {
        for wrong in [json!([]), json!("platform"), json!(null), json!(["platform", "Function"]), json!([1])]
        {
            let error = telemetry(&with("/types", wrong.clone())).unwrap_err();
            assert!(error.starts_with("`types"), "{wrong}: {error}");
        }
        assert_eq!(
            telemetry(&with("/types", json!(["platform", "system"]))).unwrap_err(),
            "`types[1]` is \"system\": it must be one of `platform`, `function`, `extension`"
        );
        assert!(telemetry(&without("/types")).unwrap_err().starts_with("`types` is missing"));
    }

    #[test]
    fn a_destination_is_a_listener_within_the_environment() {
        for uri in [
            "",
            "/",
            "sandbox.localdomain:8080",
            "https://sandbox.localdomain:8080",
            "http://sandbox.localdomain",
            "http://sandbox.localdomain:/",
            "http://sandbox.localdomain:0",
            "http://sandbox.localdomain:9001/",
            "http://sandbox.localdomain:65536",
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://me@sandbox:8080",
            "http://sandbox.localdomain.example.com:8080",
        ] {
            let error = telemetry(&with("/destination/URI", json!(uri))).unwrap_err();
            assert!(error.starts_with(&format!("`destination.URI` is \"{uri}\": it must be")), "{error}");
        }
        for port in [json!(0), json!(9001), json!(65536), json!(-1), json!("80"), json!(1.5)] {
            let error =
                telemetry(&with("/destination", json!({ "protocol": "TCP", "port": port }))).unwrap_err();
            assert!(error.starts_with(&format!("`destination.port` is {port}:")), "{error}");
        }
        for (pointer, member) in [
            ("/destination", "destination"),
            ("/destination/protocol", "destination.protocol"),
            ("/destination/URI", "destination.URI"),
        ] {
            let error = telemetry(&without(pointer)).unwrap_err();
            assert!(error.starts_with(&format!("`{member}` is missing")), "{error}");
        }
        assert!(telemetry(&with("/destination/protocol", json!("http"))).is_err());
    }

    #[test]
    fn buffers_have_limits() {
        for (member, least, most) in
            [("timeoutMs", 25, 30_000), ("maxBytes", 262_144, 1_048_576), ("maxItems", 1_000, 10_000)]
        {
            for fine in [least, most] {
                telemetry(&with("/buffering", json!({ member: fine }))).unwrap();
            }
            for wrong in [json!(least - 1), json!(most + 1), json!(null), json!("30"), json!(-1)] {
                assert_eq!(
                    telemetry(&with("/buffering", json!({ member: wrong }))).unwrap_err(),
                    format!("`buffering.{member}` is {wrong}: it must be a number from {least} to {most}")
                );
            }
        }
        assert!(telemetry(&with("/buffering", json!([]))).is_err());
    }

    #[test]
    fn anything_but_an_object_is_refused_and_messages_stay_short() {
        for body in ["", "{", "[]", "null", "\"\u{1}\""] {
            assert!(parse(Api::Telemetry, body.as_bytes()).is_err(), "{body}");
        }
        let error = telemetry(&with("/types", json!(["ü".repeat(100_000)]))).unwrap_err();
        assert!(error.chars().count() < 200, "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_strange(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(Api::Logs, &body);
        }
    }
}
