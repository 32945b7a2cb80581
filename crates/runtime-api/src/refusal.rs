//! The table of protocol errors: what a runtime is answered when the lifecycle does not allow its call.
//!
//! | refusal | status | `errorType` |
//! |---|---|---|
//! | [`Refusal::Transition`] | 403 | `InvalidStateTransition` |
//! | [`Refusal::InvalidRequestId`] | 400 | `InvalidRequestID` |
//! | [`Refusal::InvalidResponseMode`] | 400 | `InvalidFunctionResponseMode` |
//! | [`Refusal::TooLarge`] | 413 | `RequestEntityTooLarge` |
//! | [`Refusal::Truncated`] | 400 | `TruncatedHTTPRequest` |
//! | [`Refusal::InvokeTimeout`] | 410 | `InvokeTimeout` |
//! | [`Refusal::Extension`] | 403 | see `extension_refusal` |
//! | [`Refusal::Platform`] | 500 | `InternalServerError` |

use bytes::Bytes;
use hyper::StatusCode;

use crate::ExtensionRefusal;
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
    /// 413: see [`crate::AnswerBody::TooLarge`] and [`crate::ForwardEnd::TooLarge`].
    TooLarge,
    /// 400: see [`crate::AnswerBody::Truncated`] and [`crate::ForwardEnd::Truncated`].
    Truncated,
    /// 410: the invocation timed out before its answer came.
    InvokeTimeout,
    /// 403: a call of an extension that is not allowed. To a runtime's call it is an answer that makes no sense,
    /// and becomes [`Refusal::Platform`].
    Extension(ExtensionRefusal),
    /// 500: our fault. Runtimes are told to exit on it.
    Platform,
}

impl Refusal {
    pub(crate) fn render(self) -> Answer {
        rendering::json(self.status(), self.body())
    }

    fn status(self) -> StatusCode {
        match self {
            Refusal::Transition { .. } => StatusCode::FORBIDDEN,
            Refusal::InvalidRequestId | Refusal::InvalidResponseMode | Refusal::Truncated => {
                StatusCode::BAD_REQUEST
            }
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::InvokeTimeout => StatusCode::GONE,
            Refusal::Extension(_) | Refusal::Platform => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> Bytes {
        Bytes::from_static(match self {
            Refusal::Transition { from, to } => {
                let message = format!(
                    "State transition from {from} to {to} failed for runtime. \
                     Error: State transition is not allowed"
                );
                return rendering::error_body("InvalidStateTransition", &message);
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
