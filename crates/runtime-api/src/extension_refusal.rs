//! The table of what the Extensions, Telemetry and Logs APIs answer to a call that is not allowed: 403, but for a schema
//! that is not spoken, which is 400 like all that is wrong with a subscription.
//!
//! | by whom | what | `errorType` |
//! |---|---|---|
//! | this crate | [`Malformed::NoIdentifier`] | `Extension.MissingExtensionIdentifier` |
//! | | [`Malformed::Identifier`] | `Extension.InvalidExtensionIdentifier` |
//! | | [`Malformed::NoName`] | `Extension.InvalidExtensionName` |
//! | | [`Malformed::Registration`] | `InvalidRequestFormat` |
//! | | [`Malformed::Event`] | `Extension.InvalidEventType` |
//! | | [`Malformed::NoErrorType`] | `Extension.MissingHeader` |
//! | the lifecycle | [`ExtensionRefusal::UnknownIdentifier`] | `Extension.UnknownExtensionIdentifier` |
//! | | [`ExtensionRefusal::RegistrationClosed`] | `Extension.RegistrationClosed` |
//! | | [`ExtensionRefusal::NameTaken`], [`ExtensionRefusal::Transition`] | `Extension.InvalidExtensionState` |
//! | | [`ExtensionRefusal::TooMany`] | `Extension.TooManyExtensions` |
//! | | [`ExtensionRefusal::ShutdownNotSupported`], [`ExtensionRefusal::InvokeNotSupported`], [`ExtensionRefusal::NoEventsForInternal`] | `Extension.InvalidEventType` |
//! | | [`ExtensionRefusal::SchemaNotSupported`] | `ValidationError` |
//! | | [`ExtensionRefusal::SubscriptionClosed`] | `Telemetry.SubscriptionClosed`, `Logs.SubscriptionClosed` |
//!
//! Called by `extension`. What is wrong with a subscription's body is in `telemetry`.

use hyper::StatusCode;
use uuid::Uuid;

use crate::rendering::{self, Answer};
use crate::telemetry::Api;

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
    /// `Extension.InvalidEventType`: one that asks for `INVOKE` where invocations overlap.
    InvokeNotSupported,
    /// `Extension.InvalidEventType`: an internal one that asks for anything there.
    NoEventsForInternal,
    /// `ValidationError`: a schema other than `2025-01-29` where invocations overlap.
    SchemaNotSupported,
    /// `Telemetry.SubscriptionClosed`, or the Logs API's: init is over.
    SubscriptionClosed,
}

/// Which call was refused, for the text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refused<'a> {
    Register { name: &'a str },
    Next { extension: Uuid },
    Error { extension: Uuid },
    Subscribe { extension: Uuid, api: Api },
}

impl ExtensionRefusal {
    pub(crate) fn render(self, call: Refused<'_>) -> Answer {
        match self {
            ExtensionRefusal::UnknownIdentifier => {
                let message = match call {
                    // The service names the header here, and the extension elsewhere.
                    Refused::Error { .. } => "Unknown Lambda-Extension-Identifier".to_owned(),
                    other => format!("Unknown extension {}", other.who()),
                };
                forbidden("Extension.UnknownExtensionIdentifier", &message)
            }
            ExtensionRefusal::RegistrationClosed => {
                forbidden("Extension.RegistrationClosed", "Extension registration closed already")
            }
            ExtensionRefusal::NameTaken => {
                forbidden("Extension.InvalidExtensionState", "Extension with this name already registered")
            }
            ExtensionRefusal::Transition { from, to } => {
                let who = call.who();
                let message = format!(
                    "State transition from {from} to {to} failed for extension {who}. \
                     Error: State transition is not allowed"
                );
                forbidden("Extension.InvalidExtensionState", &message)
            }
            ExtensionRefusal::TooMany => {
                forbidden("Extension.TooManyExtensions", "Extension limit (10) reached")
            }
            ExtensionRefusal::ShutdownNotSupported => {
                forbidden(INVALID_EVENT_TYPE, "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension")
            }
            ExtensionRefusal::InvokeNotSupported => {
                forbidden(INVALID_EVENT_TYPE, "INVOKE: ErrorInvalidEventType")
            }
            ExtensionRefusal::NoEventsForInternal => {
                forbidden(INVALID_EVENT_TYPE, "No events allowed for internal extensions")
            }
            ExtensionRefusal::SchemaNotSupported => rendering::error(
                StatusCode::BAD_REQUEST,
                "ValidationError",
                "schemaVersion: this environment knows 2025-01-29 only",
            ),
            ExtensionRefusal::SubscriptionClosed => match call {
                Refused::Subscribe { api: Api::Logs, .. } => {
                    forbidden("Logs.SubscriptionClosed", "Logs API subscription is closed already")
                }
                _ => {
                    forbidden("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed already")
                }
            },
        }
    }
}

impl Refused<'_> {
    /// The name as long as there is no identifier.
    fn who(self) -> String {
        match self {
            Refused::Register { name } => name.to_owned(),
            Refused::Next { extension }
            | Refused::Error { extension }
            | Refused::Subscribe { extension, .. } => extension.to_string(),
        }
    }
}

/// What the request alone shows to be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    NoIdentifier,
    Identifier,
    NoName,
    /// Not the body of a registration, and why.
    Registration(String),
    /// Asks for an event that does not exist.
    Event(String),
    NoErrorType,
}

impl Malformed {
    pub(crate) fn render(&self) -> Answer {
        match self {
            Malformed::NoIdentifier => forbidden(
                "Extension.MissingExtensionIdentifier",
                "Missing Lambda-Extension-Identifier header",
            ),
            Malformed::Identifier => {
                forbidden("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
            }
            Malformed::NoName => forbidden("Extension.InvalidExtensionName", "Empty extension name"),
            Malformed::Registration(why) => forbidden("InvalidRequestFormat", why),
            Malformed::Event(event) => {
                forbidden(INVALID_EVENT_TYPE, &format!("{event}: ErrorInvalidEventType"))
            }
            Malformed::NoErrorType => {
                forbidden("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
            }
        }
    }
}

const INVALID_EVENT_TYPE: &str = "Extension.InvalidEventType";

fn forbidden(error_type: &'static str, message: &str) -> Answer {
    rendering::error(StatusCode::FORBIDDEN, error_type, message)
}
