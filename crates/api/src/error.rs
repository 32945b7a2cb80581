//! Errors as the service words them: class in `x-amzn-ErrorType`, text in `Message` or `message`.
//!
//! Which of the two spellings an error uses is fixed per class, and SDKs depend on it. Source: the public API
//! model and recordings of the service.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use firesteel_catalog::{InvalidName, NotFound, ReferenceError};
use firesteel_invoke::{InvokeError, Throttle};
use serde_json::json;
use uuid::Uuid;

use crate::authentication::Refusal;
use crate::authorization::Denied;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Why a call was not carried out. All but `Service` are the caller's doing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A name or qualifier that does not fit the model, or names something out of reach.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A header whose value the model does not allow.
    #[error(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    )]
    Validation {
        /// What was sent.
        value: String,
        /// Name of the member in the model.
        member: &'static str,
        /// The constraint, in the model's words.
        constraint: String,
    },
    /// No such function or version.
    #[error(transparent)]
    NotFound(NotFound),
    /// The event is not JSON.
    #[error("Could not parse request body into json: Could not parse payload into json: {0}")]
    PayloadNotJson(serde_json::Error),
    /// The client context is not base64 of a JSON object.
    #[error("Client context must be a valid Base64-encoded JSON object.")]
    ClientContext,
    /// The event is larger than its invocation type allows.
    #[error(
        "{size_bytes} byte payload is too large for the {invocation_type} invocation type (limit {limit_bytes} bytes)"
    )]
    PayloadTooLarge {
        /// Size of the event.
        size_bytes: u64,
        /// `RequestResponse` or `Event`.
        invocation_type: &'static str,
        /// What would have been allowed.
        limit_bytes: usize,
    },
    /// The connection broke before the request was whole.
    #[error("The request body could not be read.")]
    BodyUnreadable,
    /// The function may not run now.
    #[error("Rate Exceeded.")]
    Throttled(Throttle),
    /// The environment could not be restored for it (SnapStart).
    #[error("{message}")]
    RestoreFailed {
        /// Its hooks ran out of time.
        timed_out: bool,
        /// What the runtime said, or what the platform found.
        message: String,
    },
    /// Nobody known signed it.
    #[error(transparent)]
    Unauthenticated(#[from] Refusal),
    /// Who signed it may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No operation has this method and path.
    #[error("Firesteel has no operation for {method} {path}")]
    UnknownOperation {
        /// HTTP method.
        method: String,
        /// Path, still encoded.
        path: String,
    },
    /// The platform failed; the details are in the server's log.
    #[error("An error occurred and the request cannot be processed.")]
    Service,
}

/// The member that carries the text.
enum Spelling {
    Upper,
    Lower,
}

impl ApiError {
    pub(crate) fn unknown_operation(method: &Method, uri: &Uri) -> Self {
        ApiError::UnknownOperation { method: method.to_string(), path: uri.path().to_owned() }
    }

    fn status(&self) -> StatusCode {
        match self {
            ApiError::Reference(ReferenceError::OtherRegion { .. })
            | ApiError::NotFound(_)
            | ApiError::UnknownOperation { .. } => StatusCode::NOT_FOUND,
            ApiError::Reference(ReferenceError::OtherAccount { .. })
            | ApiError::Unauthenticated(_)
            | ApiError::Denied(_) => StatusCode::FORBIDDEN,
            ApiError::Reference(_)
            | ApiError::Validation { .. }
            | ApiError::PayloadNotJson(_)
            | ApiError::ClientContext
            | ApiError::BodyUnreadable
            | ApiError::RestoreFailed { timed_out: false, .. } => StatusCode::BAD_REQUEST,
            ApiError::RestoreFailed { timed_out: true, .. } => StatusCode::REQUEST_TIMEOUT,
            ApiError::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Service => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn class(&self) -> &'static str {
        match self {
            ApiError::Reference(
                ReferenceError::Name(InvalidName::TooLong(_)) | ReferenceError::QualifiersDiffer { .. },
            ) => "InvalidParameterValueException",
            ApiError::Reference(ReferenceError::OtherRegion { .. }) | ApiError::NotFound(_) => {
                "ResourceNotFoundException"
            }
            ApiError::Reference(ReferenceError::OtherAccount { .. }) | ApiError::Denied(_) => {
                "AccessDeniedException"
            }
            ApiError::Unauthenticated(refusal) => refusal.class(),
            ApiError::Reference(_) | ApiError::Validation { .. } => "ValidationException",
            ApiError::PayloadNotJson(_) | ApiError::ClientContext | ApiError::BodyUnreadable => {
                "InvalidRequestContentException"
            }
            ApiError::PayloadTooLarge { .. } => "RequestEntityTooLargeException",
            ApiError::Throttled(_) => "TooManyRequestsException",
            ApiError::RestoreFailed { timed_out: false, .. } => "SnapStartException",
            ApiError::RestoreFailed { timed_out: true, .. } => "SnapStartTimeoutException",
            ApiError::UnknownOperation { .. } => "UnknownOperationException",
            ApiError::Service => "ServiceException",
        }
    }

    /// Spelling of the text's member, and `Type` where the class has it.
    fn shape(&self) -> (Spelling, Option<&'static str>) {
        match self.class() {
            "ResourceNotFoundException" | "SnapStartException" | "SnapStartTimeoutException" => {
                (Spelling::Upper, Some("User"))
            }
            "ServiceException" => (Spelling::Upper, Some("Service")),
            "AccessDeniedException" => (Spelling::Upper, None),
            "InvalidParameterValueException"
            | "InvalidRequestContentException"
            | "TooManyRequestsException" => (Spelling::Lower, Some("User")),
            // The model has `message`; the service was recorded with `Message`.
            "RequestEntityTooLargeException" => (Spelling::Upper, None),
            _ => (Spelling::Lower, None),
        }
    }

    /// Error JSON.
    pub(crate) fn body(&self) -> serde_json::Value {
        let text = self.to_string();
        match (self, self.shape()) {
            (ApiError::Throttled(throttle), _) => {
                json!({ "Reason": throttle.reason.name(), "Type": "User", "message": text })
            }
            (_, (Spelling::Upper, None)) => json!({ "Message": text }),
            (_, (Spelling::Lower, None)) => json!({ "message": text }),
            (_, (Spelling::Upper, Some(kind))) => json!({ "Message": text, "Type": kind }),
            (_, (Spelling::Lower, Some(kind))) => json!({ "Type": kind, "message": text }),
        }
    }

    /// The answer to the request with this id.
    pub(crate) fn into_response_to(self, request_id: Uuid) -> Response {
        let mut response = (
            self.status(),
            [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (ERROR_TYPE, HeaderValue::from_static(self.class())),
                (REQUEST_ID, request_id_value(request_id)),
            ],
            self.body().to_string(),
        )
            .into_response();
        if let ApiError::Throttled(throttle) = self {
            response.headers_mut().insert(header::RETRY_AFTER, throttle.retry_after_s().into());
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.into_response_to(Uuid::new_v4())
    }
}

impl From<InvokeError> for ApiError {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::NotFound(not_found) => ApiError::NotFound(not_found),
            InvokeError::Throttled(throttle) => ApiError::Throttled(throttle),
            InvokeError::RestoreFailed { timed_out, message } => {
                ApiError::RestoreFailed { timed_out, message }
            }
            InvokeError::Platform(cause) => {
                tracing::error!(
                    error = &*cause as &(dyn std::error::Error + 'static),
                    "a function could not be run"
                );
                ApiError::Service
            }
        }
    }
}

pub(crate) fn request_id_value(request_id: Uuid) -> HeaderValue {
    HeaderValue::from_str(&request_id.to_string()).expect("a request id is hexadecimal digits and dashes")
}
