//! Paths and header names of the environment's port, and which handler a request goes to.
//!
//! ```text
//! GET  /2018-06-01/runtime/invocation/next            ┐
//! POST /2018-06-01/runtime/invocation/{id}/response   │ runtime
//! POST /2018-06-01/runtime/invocation/{id}/error      │
//! POST /2018-06-01/runtime/init/error                 ┘
//! GET  /2018-06-01/ping
//! GET  /2026-01-15/metadata/execution-environment       metadata
//! ```
//!
//! `restore/next` and `restore/error` belong to environments started from a snapshot; elsewhere AWS does
//! not route them, and neither does this.

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{HeaderMap, Method, Request};
use tokio::sync::mpsc;

use crate::body::RequestBody;
use crate::rendering::{self, Answer};
use crate::{Call, Metadata, Surface, runtime};

/// Header names of the Runtime API. The wire has them in Go's canonical case (`Lambda-Runtime-Aws-…`),
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
    #[expect(dead_code, reason = "for restore/next")]
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
        let Some(route) = Route::of(path) else {
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
            Route::Ping => rendering::text("pong"),
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
    /// Undocumented; old runtimes wait for it.
    Ping,
    Metadata,
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        if path == "/2026-01-15/metadata/execution-environment" {
            return Some(Route::Metadata);
        }
        match path.strip_prefix("/2018-06-01/")? {
            "runtime/invocation/next" => Some(Route::Next),
            "runtime/init/error" => Some(Route::InitError),
            "ping" => Some(Route::Ping),
            other => match other.strip_prefix("runtime/invocation/")?.split_once('/')? {
                (request_id, "response") => Some(Route::Response { request_id }),
                (request_id, "error") => Some(Route::Error { request_id }),
                _ => None,
            },
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Route::Next | Route::Ping | Route::Metadata => "GET",
            Route::Response { .. } | Route::Error { .. } | Route::InitError => "POST",
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
            ("/2026-01-15/metadata/execution-environment", Some(Route::Metadata)),
            ("/2018-06-01/runtime/invocation/next/", None),
            ("/2018-06-01/runtime/invocation/7/8/response", None),
            ("/2018-06-01/runtime/invocation/7", None),
            ("/2018-06-01/runtime/restore/next", None),
            ("/2018-06-01/runtime/restore/error", None),
            ("/2018-06-02/runtime/invocation/next", None),
            ("//2018-06-01/ping", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Route::of(path), expected, "for {path}");
        }
    }
}
