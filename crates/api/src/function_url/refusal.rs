//! Why a request to a function URL has no answer of its function, and what is answered instead.
//!
//! | what | status | body |
//! |---|---|---|
//! | no such URL | 403 | `{"Message":null}` |
//! | nobody signed it who had to, no policy lets the caller in, or the alias is gone | 403 | `{"Message":"Forbidden. …"}` |
//! | a signature that is not good; throttled; too large … | as the API | as the API |
//! | the function failed, or its answer is none | 502 | `Internal Server Error` |
//!
//! Statuses and bodies are those of recordings of the service.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firesteel_catalog::CatalogError;
use firesteel_invoke::InvokeError;
use uuid::Uuid;

use crate::error::{ApiError, ERROR_TYPE, REQUEST_ID, request_id_value};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const UNKNOWN_BODY: &str = r#"{"Message":null}"#;
const FORBIDDEN_BODY: &str = r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#;

/// See the table above.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing has this address.
    #[error("there is no such function URL")]
    Unknown,
    /// The caller may not.
    #[error("the caller may not invoke the function URL")]
    Forbidden,
    /// Found before the function answered.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A tunnel is asked for, which an answer of 200 would promise.
    #[error("a function is no proxy")]
    Tunnel,
    /// The function failed, which its log tells about.
    #[error("the function failed")]
    FunctionError,
    /// The function succeeded with something that is no answer.
    #[error("the answer of the function is no HTTP response")]
    Uninterpretable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal {
    pub(super) fn into_response_to(self, request_id: Uuid) -> Response {
        let denied = |body: &'static str| {
            let class = (ERROR_TYPE, HeaderValue::from_static("AccessDeniedException"));
            (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, JSON), class], body).into_response()
        };
        let mut response = match self {
            Refusal::Unknown => denied(UNKNOWN_BODY),
            Refusal::Forbidden => denied(FORBIDDEN_BODY),
            Refusal::Api(error) => error.into_response_to(request_id),
            Refusal::Tunnel => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            Refusal::FunctionError | Refusal::Uninterpretable(_) => {
                (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, JSON)], "Internal Server Error")
                    .into_response()
            }
        };
        response.headers_mut().insert(REQUEST_ID, request_id_value(request_id));
        response
    }
}

pub(super) fn uninterpretable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
    Refusal::Uninterpretable(cause.into())
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Refusal::Api(error.into())
    }
}

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        Refusal::Api(error.into())
    }
}
