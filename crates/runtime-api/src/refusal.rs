//! The table of protocol errors: what the Runtime API answers to a call the lifecycle does not allow.
//!
//! | refusal | status | `errorType` |
//! |---|---|---|
//! | [`Refusal::Transition`] | 403 | `InvalidStateTransition` |
//! | [`Refusal::InvalidRequestId`] | 400 | `InvalidRequestID` |
//! | [`Refusal::InvalidResponseMode`] | 400 | `InvalidFunctionResponseMode` |
//! | [`Refusal::TooLarge`] | 413 | `RequestEntityTooLarge` |
//! | [`Refusal::Truncated`] | 400 | `TruncatedHTTPRequest` |
//! | [`Refusal::InvokeTimeout`] | 410 | `InvokeTimeout` |
//! | [`Refusal::Platform`] | 500 | `InternalServerError` |

use bytes::Bytes;
use hyper::StatusCode;

use crate::rendering::{self, Answer};

/// Why the lifecycle does not allow a call. Each is the guest's doing, save [`Refusal::Platform`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: not a call for this state.
    Transition {
        /// State name as AWS spells it, for instance `Running`.
        from: &'static str,
        /// Target state name, for instance `InitError`.
        to: &'static str,
    },
    /// 400: the id in the path is not the current one.
    InvalidRequestId,
    /// 400: see [`crate::ResponseMode::Unknown`].
    InvalidResponseMode,
    /// 413: see [`crate::AnswerBody::TooLarge`].
    TooLarge,
    /// 400: see [`crate::AnswerBody::Truncated`].
    Truncated,
    /// 410: the invocation timed out before its answer came.
    InvokeTimeout,
    /// 403: a call of an extension that is not allowed.
    Extension(ExtensionRefusal),
    /// 500: our fault. Runtimes are told to exit on it.
    Platform,
}

/// Why the lifecycle does not allow an extension's call. What the request alone shows to be wrong is refused before
/// it reaches the lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionRefusal {
    /// `Extension.UnknownExtensionIdentifier`
    UnknownIdentifier,
    /// `Extension.RegistrationClosed`: an internal one that comes too late.
    RegistrationClosed,
    /// `Extension.InvalidExtensionState`: there is one of this name.
    NameTaken,
    /// `Extension.InvalidExtensionState`: not a call for this state.
    Transition {
        /// State name as AWS spells it, for instance `Ready`.
        from: &'static str,
        /// Target state name.
        to: &'static str,
    },
    /// `Extension.TooManyExtensions`: more than ten.
    TooMany,
    /// `Extension.InvalidEventType`: an internal one that asks for `SHUTDOWN`.
    ShutdownNotSupported,
    /// `Telemetry.SubscriptionClosed`, or the Logs API's: init is over.
    SubscriptionClosed,
}

impl Refusal {
    pub(crate) fn render(self) -> Answer {
        rendering::json(self.status(), self.body())
    }

    fn status(self) -> StatusCode {
        match self {
            Refusal::Transition { .. } | Refusal::Extension(_) => StatusCode::FORBIDDEN,
            Refusal::InvalidRequestId | Refusal::InvalidResponseMode | Refusal::Truncated => {
                StatusCode::BAD_REQUEST
            }
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::InvokeTimeout => StatusCode::GONE,
            Refusal::Platform => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> Bytes {
        Bytes::from_static(match self {
            Refusal::Transition { from, to } => {
                let message = rendering::json_string(&format!(
                    "State transition from {from} to {to} failed for runtime. \
                     Error: State transition is not allowed"
                ));
                let body = format!(
                    "{{\"errorMessage\":{message},\"errorType\":\"InvalidStateTransition\"}}\n"
                );
                return body.into();
            }
            Refusal::InvalidRequestId => {
                b"{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n"
            }
            Refusal::InvalidResponseMode => {
                b"{\"errorMessage\":\"Invalid function response mode\",\"errorType\":\"InvalidFunctionResponseMode\"}\n"
            }
            Refusal::TooLarge => {
                b"{\"errorMessage\":\"Exceeded maximum allowed payload size (6291556 bytes).\",\"errorType\":\"RequestEntityTooLarge\"}\n"
            }
            Refusal::Truncated => {
                b"{\"errorMessage\":\"HTTP request detected as truncated\",\"errorType\":\"TruncatedHTTPRequest\"}\n"
            }
            Refusal::InvokeTimeout => {
                b"{\"errorMessage\":\"Invoke timeout\",\"errorType\":\"InvokeTimeout\"}\n"
            }
            Refusal::Extension(_) | Refusal::Platform => {
                b"{\"errorMessage\":\"Internal Server Error\",\"errorType\":\"InternalServerError\"}\n"
            }
        })
    }
}
