//! Paths and header names of the environment's port, and which handler a request goes to.
//!
//! ```text
//! GET  /2018-06-01/runtime/invocation/next            ┐
//! POST /2018-06-01/runtime/invocation/{id}/response   │
//! POST /2018-06-01/runtime/invocation/{id}/error      │ runtime
//! POST /2018-06-01/runtime/init/error                 │
//! GET  /2018-06-01/runtime/restore/next               │ with SnapStart
//! POST /2018-06-01/runtime/restore/error              ┘ with SnapStart
//! GET  /2018-06-01/ping
//! POST /2020-01-01/extension/register                 ┐
//! GET  /2020-01-01/extension/event/next               │
//! POST /2020-01-01/extension/init/error               │ extension
//! POST /2020-01-01/extension/exit/error               │
//! PUT  /2020-08-15/logs                               │
//! PUT  /2022-07-01/telemetry                          ┘
//! GET  /2021-04-23/credentials                          credentials, with SnapStart
//! GET  /2026-01-15/metadata/execution-environment       metadata
//! ```
//!
//! What is there with SnapStart only (see [`Surface`]) is elsewhere a path like any that does not exist.

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{HeaderMap, Method, Request};
use tokio::sync::mpsc;

use crate::body::RequestBody;
use crate::rendering::{self, Answer};
use crate::telemetry::Api;
use crate::{Call, Credentials, ExtensionErrorPhase, Metadata, Surface, extension, runtime};

/// Header names of the Runtime and Extensions APIs. The wire has them in Go's canonical case (`Lambda-Runtime-Aws-…`),
/// which is what title-casing gives for each.
pub(crate) mod header {
    use hyper::header::HeaderName;

    macro_rules! names {
        ($($name:ident = $text:literal;)*) => {
            $(pub(crate) const $name: HeaderName = HeaderName::from_static($text);)*
        };
    }

    names! {
        REQUEST_ID = "lambda-runtime-aws-request-id";
        INVOCATION_ID = "lambda-runtime-invocation-id";
        DEADLINE_MS = "lambda-runtime-deadline-ms";
        FUNCTION_ARN = "lambda-runtime-invoked-function-arn";
        TRACE_ID = "lambda-runtime-trace-id";
        CLIENT_CONTEXT = "lambda-runtime-client-context";
        COGNITO_IDENTITY = "lambda-runtime-cognito-identity";
        TENANT_ID = "lambda-runtime-aws-tenant-id";
        RESPONSE_MODE = "lambda-runtime-function-response-mode";
        ERROR_TYPE = "lambda-runtime-function-error-type";
        ERROR_BODY = "lambda-runtime-function-error-body";
        XRAY_CAUSE = "lambda-runtime-function-xray-error-cause";
        EXTENSION_NAME = "lambda-extension-name";
        EXTENSION_ACCEPT_FEATURE = "lambda-extension-accept-feature";
        EXTENSION_IDENTIFIER = "lambda-extension-identifier";
        EXTENSION_EVENT_IDENTIFIER = "lambda-extension-event-identifier";
        EXTENSION_ERROR_TYPE = "lambda-extension-function-error-type";
    }
}

/// The first value of a header, when it is there and not empty.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name).filter(|value| !value.is_empty())?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What stands behind the port of one environment.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) calls: mpsc::Sender<Call>,
    pub(crate) metadata: Metadata,
    pub(crate) surface: Surface,
}

impl Port {
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, incoming) = request.into_parts();
        let mut body = RequestBody::new(incoming, &head.headers);
        let answer = self.route(&head.method, head.uri.path(), &head.headers, &mut body).await;
        if body.discard().await { answer } else { rendering::and_close(answer) }
    }

    async fn route(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &mut RequestBody,
    ) -> Answer {
        let Some(route) = Route::of(path, &self.surface) else {
            return rendering::not_found();
        };
        if method != route.method() {
            return rendering::method_not_allowed(route.method());
        }
        match route {
            Route::Next => runtime::next(&self.calls).await,
            Route::Response { request_id } => runtime::response(&self.calls, request_id, headers, body).await,
            Route::Error { request_id } => runtime::error(&self.calls, request_id, headers, body).await,
            Route::InitError => runtime::init_error(&self.calls, headers, body).await,
            Route::RestoreNext => runtime::restore_next(&self.calls).await,
            Route::RestoreError => runtime::restore_error(&self.calls, headers, body).await,
            Route::Ping => rendering::text("pong"),
            Route::Register => extension::register(&self.calls, headers, body).await,
            Route::ExtensionNext => extension::next(&self.calls, headers).await,
            Route::ExtensionError(phase) => extension::error(&self.calls, phase, headers).await,
            Route::Subscribe(api) => extension::subscribe(&self.calls, api, headers, body).await,
            Route::Credentials(credentials) => credentials.answer(headers),
            Route::Metadata => self.metadata.answer(headers),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Next,
    Response {
        request_id: &'a str,
    },
    Error {
        request_id: &'a str,
    },
    InitError,
    RestoreNext,
    RestoreError,
    /// Undocumented; old runtimes wait for it.
    Ping,
    Register,
    ExtensionNext,
    ExtensionError(ExtensionErrorPhase),
    Subscribe(Api),
    Credentials(&'a Credentials),
    Metadata,
}

impl<'a> Route<'a> {
    fn of(path: &'a str, surface: &'a Surface) -> Option<Self> {
        let (version, call) = path.strip_prefix('/')?.split_once('/')?;
        match (version, call) {
            ("2018-06-01", "runtime/invocation/next") => Some(Route::Next),
            ("2018-06-01", "runtime/init/error") => Some(Route::InitError),
            ("2018-06-01", "runtime/restore/next") if surface.snap_start => Some(Route::RestoreNext),
            ("2018-06-01", "runtime/restore/error") if surface.snap_start => Some(Route::RestoreError),
            ("2018-06-01", "ping") => Some(Route::Ping),
            ("2018-06-01", other) => match other.strip_prefix("runtime/invocation/")?.split_once('/')? {
                (request_id, "response") => Some(Route::Response { request_id }),
                (request_id, "error") => Some(Route::Error { request_id }),
                _ => None,
            },
            ("2020-01-01", "extension/register") => Some(Route::Register),
            ("2020-01-01", "extension/event/next") => Some(Route::ExtensionNext),
            ("2020-01-01", "extension/init/error") => Some(Route::ExtensionError(ExtensionErrorPhase::Init)),
            ("2020-01-01", "extension/exit/error") => Some(Route::ExtensionError(ExtensionErrorPhase::Exit)),
            ("2020-08-15", "logs") => Some(Route::Subscribe(Api::Logs)),
            ("2022-07-01", "telemetry") => Some(Route::Subscribe(Api::Telemetry)),
            ("2021-04-23", "credentials") => surface.credentials.as_ref().map(Route::Credentials),
            ("2026-01-15", "metadata/execution-environment") => Some(Route::Metadata),
            _ => None,
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Route::Next
            | Route::RestoreNext
            | Route::Ping
            | Route::ExtensionNext
            | Route::Credentials(_)
            | Route::Metadata => "GET",
            Route::Response { .. }
            | Route::Error { .. }
            | Route::InitError
            | Route::RestoreError
            | Route::Register
            | Route::ExtensionError(_) => "POST",
            Route::Subscribe(_) => "PUT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_whole() {
        for (path, expected) in [
            ("/2018-06-01/runtime/invocation/next", Some(Route::Next)),
            ("/2018-06-01/runtime/invocation/7/response", Some(Route::Response { request_id: "7" })),
            ("/2018-06-01/runtime/invocation/next/error", Some(Route::Error { request_id: "next" })),
            ("/2018-06-01/runtime/invocation//error", Some(Route::Error { request_id: "" })),
            ("/2018-06-01/runtime/init/error", Some(Route::InitError)),
            ("/2018-06-01/ping", Some(Route::Ping)),
            ("/2020-01-01/extension/register", Some(Route::Register)),
            ("/2020-01-01/extension/event/next", Some(Route::ExtensionNext)),
            ("/2020-01-01/extension/init/error", Some(Route::ExtensionError(ExtensionErrorPhase::Init))),
            ("/2020-01-01/extension/exit/error", Some(Route::ExtensionError(ExtensionErrorPhase::Exit))),
            ("/2020-08-15/logs", Some(Route::Subscribe(Api::Logs))),
            ("/2022-07-01/telemetry", Some(Route::Subscribe(Api::Telemetry))),
            ("/2026-01-15/metadata/execution-environment", Some(Route::Metadata)),
            ("/2018-06-01/runtime/invocation/next/", None),
            ("/2018-06-01/runtime/invocation/7/8/response", None),
            ("/2018-06-01/runtime/invocation/7", None),
            ("/2018-06-01/runtime/restore/next", None),
            ("/2018-06-01/runtime/restore/error", None),
            ("/2021-04-23/credentials", None),
            ("/2020-01-01/logs", None),
            ("/2020-01-01/runtime/invocation/next", None),
            ("/2018-06-01/extension/register", None),
            ("/2018-06-02/runtime/invocation/next", None),
            ("//2018-06-01/ping", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Route::of(path, &Surface::default()), expected, "for {path}");
        }
    }

    #[test]
    fn a_snapshot_brings_routes_of_its_own() {
        let credentials = Credentials {
            authorization_token: "t".into(),
            access_key_id: "a".into(),
            secret_access_key: "s".into(),
            session_token: "t".into(),
            expiration: "2026-11-21T20:00:00Z".into(),
        };
        let surface = Surface { snap_start: true, credentials: Some(credentials.clone()) };
        for (path, expected) in [
            ("/2018-06-01/runtime/restore/next", Route::RestoreNext),
            ("/2018-06-01/runtime/restore/error", Route::RestoreError),
            ("/2021-04-23/credentials", Route::Credentials(&credentials)),
        ] {
            assert_eq!(Route::of(path, &surface), Some(expected), "for {path}");
        }
    }
}
