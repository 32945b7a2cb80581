//! The Extensions API, and the Telemetry and Logs APIs that extensions subscribe through.
//!
//! ```text
//! register               name, body ─ Call::Register ───────────────────► 200, the identifier
//! event/next             identifier ─ Call::ExtensionNext ──────────────► 200, the event
//! init/error, exit/error identifier, error type ─ Call::ExtensionError ─► 202
//! telemetry, logs        identifier, body ─ Call::Subscribe ────────────► 200 "OK"
//! ```
//!
//! What the request alone shows to be wrong is refused here, before the lifecycle hears of it; whether there is
//! such an extension, and whether it may make this call now, is the lifecycle's. All refusals are in
//! `extension_refusal`.

use std::collections::HashMap;

use hyper::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::body::RequestBody;
use crate::extension_refusal::{Malformed, Refused};
use crate::rendering::{self, Answer};
use crate::routes::{self, header};
use crate::telemetry::{self, Api};
use crate::verdict::{Unanswered, ask};
use crate::{Call, ExtensionErrorPhase, Refusal, Registration};

/// `POST /extension/register`
pub(crate) async fn register(
    calls: &mpsc::Sender<Call>,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    let Some(name) = routes::text(headers, header::EXTENSION_NAME) else {
        return Malformed::NoName.render();
    };
    let body = match body.whole().await {
        Ok(body) => body,
        Err(refusal) => return refusal.render(),
    };
    let registration = match registration(&name, accepts_account_id(headers), &body) {
        Ok(registration) => registration,
        Err(malformed) => return malformed.render(),
    };
    match ask(calls, |reply| Call::Register { registration, reply }).await {
        Ok(registered) => rendering::registered(&registered),
        Err(unanswered) => render(unanswered, Refused::Register { name: &name }),
    }
}

/// `GET /extension/event/next`
pub(crate) async fn next(calls: &mpsc::Sender<Call>, headers: &HeaderMap) -> Answer {
    let extension = match identifier(headers) {
        Ok(extension) => extension,
        Err(malformed) => return malformed.render(),
    };
    match ask(calls, |reply| Call::ExtensionNext { extension, reply }).await {
        Ok(event) => rendering::extension_event(&event),
        Err(unanswered) => render(unanswered, Refused::Next { extension }),
    }
}

/// `POST /extension/init/error` and `…/exit/error`. The service does not look at the body.
pub(crate) async fn error(
    calls: &mpsc::Sender<Call>,
    phase: ExtensionErrorPhase,
    headers: &HeaderMap,
) -> Answer {
    let extension = match identifier(headers) {
        Ok(extension) => extension,
        Err(malformed) => return malformed.render(),
    };
    let Some(error_type) = routes::text(headers, header::EXTENSION_ERROR_TYPE) else {
        return Malformed::NoErrorType.render();
    };
    match ask(calls, |reply| Call::ExtensionError { extension, phase, error_type, reply }).await {
        Ok(()) => rendering::accepted(),
        Err(unanswered) => render(unanswered, Refused::Error { extension }),
    }
}

/// `PUT /2022-07-01/telemetry` and `PUT /2020-08-15/logs`
pub(crate) async fn subscribe(
    calls: &mpsc::Sender<Call>,
    api: Api,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    let extension = match identifier(headers) {
        Ok(extension) => extension,
        Err(malformed) => return malformed.render(),
    };
    let body = match body.whole().await {
        Ok(body) => body,
        Err(refusal) => return refusal.render(),
    };
    let subscription = match telemetry::parse(api, &body) {
        Ok(subscription) => subscription,
        Err(invalid) => {
            return rendering::error(StatusCode::BAD_REQUEST, "ValidationError", &invalid.to_string());
        }
    };
    match ask(calls, |reply| Call::Subscribe { extension, subscription, reply }).await {
        Ok(()) => rendering::subscribed(),
        Err(unanswered) => render(unanswered, Refused::Subscribe { extension, api }),
    }
}

fn render(unanswered: Unanswered, call: Refused<'_>) -> Answer {
    match unanswered {
        Unanswered::Refused(Refusal::Extension(refusal)) => refusal.render(call),
        other => other.render(),
    }
}

fn identifier(headers: &HeaderMap) -> Result<Uuid, Malformed> {
    let sent = headers.get(header::EXTENSION_IDENTIFIER).filter(|sent| !sent.is_empty());
    Uuid::try_parse_ascii(sent.ok_or(Malformed::NoIdentifier)?.as_bytes()).map_err(|_| Malformed::Identifier)
}

/// A list of features, of which the service ignores those that it does not know.
fn accepts_account_id(headers: &HeaderMap) -> bool {
    routes::text(headers, header::EXTENSION_ACCEPT_FEATURE)
        .is_some_and(|features| features.split(',').any(|feature| feature.trim() == "accountId"))
}

fn registration(name: &str, account_id: bool, body: &[u8]) -> Result<Registration, Malformed> {
    let mut registration = Registration { name: name.to_owned(), invoke: false, shutdown: false, account_id };
    for event in wanted_events(body)? {
        match event.as_str() {
            "INVOKE" => registration.invoke = true,
            "SHUTDOWN" => registration.shutdown = true,
            _ => return Err(Malformed::Event(event)),
        }
    }
    Ok(registration)
}

/// `null` counts as absent wherever it stands, which is how the service's own parser takes it.
fn wanted_events(body: &[u8]) -> Result<Vec<String>, Malformed> {
    let not_json = |error: serde_json::Error| Malformed::Registration(error.to_string());
    let members: Option<HashMap<String, &RawValue>> = serde_json::from_slice(body).map_err(not_json)?;
    let list = |member: &str| -> Result<Vec<String>, Malformed> {
        let Some(list) = members.as_ref().and_then(|members| members.get(member)) else {
            return Ok(Vec::new());
        };
        let list: Option<Vec<String>> = serde_json::from_str(list.get()).map_err(not_json)?;
        Ok(list.unwrap_or_default())
    };
    if !list("configurationKeys")?.is_empty() {
        let why = "configurationKeys are deprecated; use environment variables instead";
        return Err(Malformed::Registration(why.to_owned()));
    }
    list("events")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<(bool, bool), Malformed> {
        registration("n", false, body.as_bytes()).map(|parsed| (parsed.invoke, parsed.shutdown))
    }

    #[test]
    fn registrations_by_example() {
        for (body, expected) in [
            (r#"{"events":["INVOKE","SHUTDOWN"]}"#, (true, true)),
            (r#"{"events":["SHUTDOWN","SHUTDOWN"]}"#, (false, true)),
            (r#" {"other":{"a":[1]},"events":["\u0049NVOKE"],"configurationKeys":[]} "#, (true, false)),
            (r#"{"events":["SHUTDOWN"],"events":["INVOKE"]}"#, (true, false)),
            (r#"{"events":[]}"#, (false, false)),
            (r#"{"events":null,"configurationKeys":null}"#, (false, false)),
            ("{}", (false, false)),
            ("null", (false, false)),
        ] {
            assert_eq!(parse(body), Ok(expected), "for {body}");
        }
    }

    #[test]
    fn what_is_no_registration_is_malformed() {
        for body in [
            "",
            "{",
            "[]",
            r#"[["INVOKE"]]"#,
            "7",
            "{}x",
            r#"{"events":"INVOKE"}"#,
            r#"{"events":[7]}"#,
            r#"{"events":{}}"#,
            r#"{"configurationKeys":["a"],"events":["INVOKE"]}"#,
            r#"{"configurationKeys":7}"#,
        ] {
            assert!(matches!(parse(body), Err(Malformed::Registration(_))), "for {body}");
        }
        for event in ["", "invoke", " INVOKE", "FOO"] {
            let body = format!(r#"{{"events":["INVOKE","{event}"]}}"#);
            assert_eq!(parse(&body), Err(Malformed::Event(event.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn only_an_object_is_a_registration(body in r#"[{}\[\],:"a]{0,12}|null|\PC{0,20}"#) {
            let is_object = serde_json::from_str::<Option<serde_json::Map<_, _>>>(&body).is_ok();
            prop_assert_eq!(parse(&body).is_ok(), is_object, "for {}", body);
        }

        #[test]
        fn any_unknown_event_is_named(event in any::<String>()) {
            prop_assume!(event != "INVOKE" && event != "SHUTDOWN");
            let body = serde_json::json!({"events": [event]}).to_string();
            prop_assert_eq!(parse(&body), Err(Malformed::Event(event)));
        }
    }
}
