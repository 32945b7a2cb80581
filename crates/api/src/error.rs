//! Errors as the service words them: class in `x-amzn-ErrorType`, text in `Message` or `message`.
//!
//! Status, spelling and `Type` are those of the error's [`Exception`]: one of the model's, or one of AWS's front door,
//! which are here. Source of these: recordings of the service.

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use firesteel_catalog::{CatalogError, ReferenceError, RefusalKind};
use firesteel_invoke::{InvokeError, Throttle};
use serde_json::Value;
use uuid::Uuid;

use crate::authentication::Refusal;
use crate::authorization::Denied;
use crate::body::DRAIN_LIMIT_BYTES;
use crate::model::{Exception, Spelling, Violations, exception};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Exceptions of AWS's front door, which no model names.
pub(crate) static ACCESS_DENIED: Exception =
    Exception { class: "AccessDeniedException", status: 403, spelling: Spelling::Upper, kind: None };
/// Those about signatures, each with a class of its own.
const UNAUTHENTICATED: Exception =
    Exception { class: "InvalidSignatureException", status: 403, spelling: Spelling::Lower, kind: None };
static SERIALIZATION: Exception =
    Exception { class: "SerializationException", status: 400, spelling: Spelling::Lower, kind: None };
static UNKNOWN_OPERATION: Exception =
    Exception { class: "UnknownOperationException", status: 404, spelling: Spelling::Lower, kind: None };
static UNTYPED_INVALID_PARAMETER_VALUE: Exception =
    Exception { kind: None, ..exception::INVALID_PARAMETER_VALUE };
static UNTYPED_RESOURCE_NOT_FOUND: Exception = Exception { kind: None, ..exception::RESOURCE_NOT_FOUND };
static VALIDATION: Exception =
    Exception { class: "ValidationException", status: 400, spelling: Spelling::Lower, kind: None };
/// The model has `RequestTooLargeException`, with `message` and `Type`; the service was recorded with this.
static REQUEST_ENTITY_TOO_LARGE: Exception =
    Exception { class: "RequestEntityTooLargeException", status: 413, spelling: Spelling::Upper, kind: None };

/// Why a call was not carried out. All but `Service` are the caller's doing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// A name that is none, or names something out of reach.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A function of another account is to be looked at or changed. AWS's text for it is `null`.
    #[error("")]
    OtherAccount,
    /// A request that is not as the model demands.
    #[error(transparent)]
    Violations(Violations),
    /// What was sent is not of the model's types, or not JSON. For some of it, AWS has no words.
    #[error("{}", .0.as_deref().unwrap_or_default())]
    Malformed(Option<String>),
    /// An operation's own refusal.
    #[error("{message}")]
    Refused {
        /// As what it is put.
        exception: &'static Exception,
        /// In AWS's words.
        message: String,
    },
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
    /// The request of an operation that does not run a function is too large for the service's front end.
    #[error("Request must be smaller than {DRAIN_LIMIT_BYTES} bytes for the {operation} operation")]
    RequestTooLarge {
        /// Its name.
        operation: &'static str,
    },
    /// The archive inside a request is too large.
    #[error("Zipped size must be smaller than {limit_bytes} bytes")]
    ArchiveTooLarge {
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
    /// A page in a browser, on a server that asks nobody who they are.
    #[error(
        "This server does not authenticate its callers, and so takes no requests of web pages, nor such as name it by a \
         host other than this machine's"
    )]
    WebPage,
    /// No operation has this method and path.
    #[error("Firesteel has no operation for {method} {path}")]
    UnknownOperation {
        /// HTTP method.
        method: String,
        /// Path, still encoded.
        path: String,
    },
    /// One of the API's operations that Firesteel does not have.
    #[error("Firesteel does not have the operation {operation}")]
    Unimplemented {
        /// Its name.
        operation: &'static str,
    },
    /// The platform failed; the details are in the server's log.
    #[error("An error occurred and the request cannot be processed.")]
    Service,
}

impl ApiError {
    pub(crate) fn unknown_operation(method: &Method, uri: &Uri) -> Self {
        ApiError::UnknownOperation { method: method.to_string(), path: uri.path().to_owned() }
    }

    pub(crate) fn refused(exception: &'static Exception, message: impl Into<String>) -> Self {
        ApiError::Refused { exception, message: message.into() }
    }

    fn exception(&self) -> Exception {
        *match self {
            ApiError::Reference(ReferenceError::QualifiersDiffer { .. }) => {
                &exception::INVALID_PARAMETER_VALUE
            }
            ApiError::Reference(ReferenceError::OtherRegion { .. } | ReferenceError::NotFound(_)) => {
                &exception::RESOURCE_NOT_FOUND
            }
            ApiError::Reference(ReferenceError::OtherAccount { .. })
            | ApiError::OtherAccount
            | ApiError::Denied(_)
            | ApiError::WebPage => &ACCESS_DENIED,
            // One status and one spelling for all of them.
            ApiError::Unauthenticated(refusal) => {
                return Exception { class: refusal.class(), ..UNAUTHENTICATED };
            }
            ApiError::Reference(ReferenceError::Malformed { .. }) | ApiError::Violations(_) => &VALIDATION,
            ApiError::Malformed(_) => &SERIALIZATION,
            ApiError::Refused { exception, .. } => exception,
            ApiError::PayloadNotJson(_) | ApiError::ClientContext | ApiError::BodyUnreadable => {
                &exception::INVALID_REQUEST_CONTENT
            }
            ApiError::PayloadTooLarge { .. }
            | ApiError::RequestTooLarge { .. }
            | ApiError::ArchiveTooLarge { .. } => &REQUEST_ENTITY_TOO_LARGE,
            ApiError::Throttled(_) => &exception::TOO_MANY_REQUESTS,
            ApiError::RestoreFailed { timed_out: false, .. } => &exception::SNAP_START,
            ApiError::RestoreFailed { timed_out: true, .. } => &exception::SNAP_START_TIMEOUT,
            ApiError::UnknownOperation { .. } | ApiError::Unimplemented { .. } => &UNKNOWN_OPERATION,
            ApiError::Service => &exception::SERVICE,
        }
    }

    pub(crate) fn class(&self) -> &'static str {
        self.exception().class
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.exception().status).expect("statuses of exceptions are those of HTTP")
    }

    /// Error JSON, its members by their names as the service sends them.
    pub(crate) fn body(&self) -> Value {
        let exception = self.exception();
        let spelling = match exception.spelling {
            Spelling::Upper => "Message",
            Spelling::Lower => "message",
        };
        let text = match self {
            ApiError::Malformed(None) => None,
            ApiError::OtherAccount => Some((spelling, Value::Null)),
            error => Some((spelling, error.to_string().into())),
        };
        let reason = match self {
            ApiError::Throttled(throttle) => Some(("Reason", throttle.reason.name().into())),
            _ => None,
        };
        let kind = exception.kind.map(|kind| ("Type", kind.into()));
        let mut members: Vec<(_, Value)> = [text, reason, kind].into_iter().flatten().collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
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
        if let ApiError::Throttled(throttle) = self
            && let Some(seconds) = throttle.retry_after_s()
        {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
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
            error @ InvokeError::NotFound { .. } => {
                ApiError::refused(&exception::RESOURCE_NOT_FOUND, error.to_string())
            }
            error @ InvokeError::NotActive { .. } => {
                ApiError::refused(&exception::RESOURCE_CONFLICT, error.to_string())
            }
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

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Refused(refusal) => {
                ApiError::refused(refused_as(refusal.kind()), refusal.to_string())
            }
            CatalogError::Failed(failure) => {
                tracing::error!(error = &failure as &(dyn std::error::Error + 'static), "the catalog failed");
                ApiError::Service
            }
        }
    }
}

/// How a refusal of the catalog's is put.
fn refused_as(kind: RefusalKind) -> &'static Exception {
    match kind {
        RefusalKind::InvalidParameterValue => &exception::INVALID_PARAMETER_VALUE,
        RefusalKind::UntypedInvalidParameterValue => &UNTYPED_INVALID_PARAMETER_VALUE,
        RefusalKind::ResourceNotFound => &exception::RESOURCE_NOT_FOUND,
        RefusalKind::UntypedResourceNotFound => &UNTYPED_RESOURCE_NOT_FOUND,
        RefusalKind::ResourceConflict => &exception::RESOURCE_CONFLICT,
        RefusalKind::PreconditionFailed => &exception::PRECONDITION_FAILED,
        RefusalKind::CodeStorageExceeded => &exception::CODE_STORAGE_EXCEEDED,
        RefusalKind::PolicyLengthExceeded => &exception::POLICY_LENGTH_EXCEEDED,
        RefusalKind::ProvisionedConcurrencyConfigNotFound => {
            &exception::PROVISIONED_CONCURRENCY_CONFIG_NOT_FOUND
        }
        RefusalKind::CodeSigningConfigNotFound => &exception::CODE_SIGNING_CONFIG_NOT_FOUND,
        RefusalKind::Validation => &VALIDATION,
    }
}

pub(crate) fn request_id_value(request_id: Uuid) -> HeaderValue {
    HeaderValue::from_str(&request_id.to_string()).expect("a request id is hexadecimal digits and dashes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_invoke::ThrottleReason;
    use serde_json::json;

    /// As recorded, but for the operations that there are not.
    #[test]
    fn an_exception_decides_how_an_error_is_put() {
        for (error, status, class, body) in [
            (
                ApiError::refused(&exception::RESOURCE_NOT_FOUND, "x"),
                404,
                "ResourceNotFoundException",
                json!({"Message": "x", "Type": "User"}),
            ),
            (
                ApiError::refused(&exception::RESOURCE_CONFLICT, "x"),
                409,
                "ResourceConflictException",
                json!({"Type": "User", "message": "x"}),
            ),
            (
                ApiError::from(InvokeError::Throttled(Throttle {
                    reason: ThrottleReason::ConcurrentInvocationLimitExceeded,
                    retry_after: std::time::Duration::from_secs(1),
                })),
                429,
                "TooManyRequestsException",
                json!({"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}),
            ),
            (
                ApiError::PayloadTooLarge { size_bytes: 2, invocation_type: "Event", limit_bytes: 1 },
                413,
                "RequestEntityTooLargeException",
                json!({"Message": "2 byte payload is too large for the Event invocation type (limit 1 bytes)"}),
            ),
            (ApiError::Malformed(None), 400, "SerializationException", json!({})),
            (ApiError::OtherAccount, 403, "AccessDeniedException", json!({"Message": null})),
            (
                ApiError::Unimplemented { operation: "GetDurableExecution" },
                404,
                "UnknownOperationException",
                json!({"message": "Firesteel does not have the operation GetDurableExecution"}),
            ),
            (
                ApiError::Service,
                500,
                "ServiceException",
                json!({"Message": "An error occurred and the request cannot be processed.", "Type": "Service"}),
            ),
        ] {
            assert_eq!((error.status().as_u16(), error.class(), error.body()), (status, class, body));
        }
    }
}
