//! The terms in which the generated model is written.
//!
//! A [`Shape`] is what a value may be, an [`Operation`] how it is asked for and answered, an [`Exception`] how a refusal
//! is put. All of them are statics of `shapes.rs`; nobody else makes any, but for the exceptions of AWS's front door, which
//! its model does not name.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::shapes::OperationId;

pub(crate) use super::pattern::Pattern;

/// A typed request, and with it which operation it is of and what answers that.
pub(crate) trait Request: DeserializeOwned {
    const OPERATION: OperationId;
    /// `()` where the answer has no body, or one that is not JSON.
    type Response: Serialize;
}

/// How an operation is asked for, and how it answers.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static [Segment],
    /// Parameter and value that tell it from another operation of the same method and path.
    pub(crate) query: Option<(&'static str, &'static str)>,
    /// Status of an answer that is no error.
    pub(crate) success: u16,
    pub(crate) answer: Answer,
    /// What a request must be; none if Firesteel does not have the operation.
    pub(crate) input: Option<&'static [Member]>,
    /// The exceptions that the model expects of it. All may also be answered with those of the front door.
    pub(crate) errors: &'static [&'static Exception],
}

/// A piece of a path between slashes.
#[derive(Debug)]
pub(crate) enum Segment {
    Literal(&'static str),
    Label(&'static str),
}

/// What the body of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Empty,
    Json,
    Bytes,
    EventStream,
}

/// What a value may be.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Whether it is kept out of messages.
    pub(crate) sensitive: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Structure(&'static [Member]),
    List {
        element: &'static Shape,
        length: Bounds,
    },
    Map {
        key: &'static Shape,
        value: &'static Shape,
        length: Bounds,
    },
    /// If there are any `values`, one of them.
    Text {
        length: Bounds,
        pattern: Option<Pattern>,
        values: &'static [&'static str],
    },
    /// Of 32 bits.
    Integer(Bounds),
    /// Of 64 bits.
    Long(Bounds),
    Double(Bounds),
    Boolean,
    /// Base64 on the wire.
    Blob,
    /// Seconds since 1970 on the wire.
    Timestamp,
}

/// Least and most, both allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
    pub(crate) location: Location,
}

/// Where in a request a member is, and under which name. Below the top, all are of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Location {
    Path(&'static str),
    Query(&'static str),
    Header(&'static str),
    /// A member of the body's object, under the member's own name.
    Body,
    /// The body itself.
    Payload,
}

/// How a refusal is put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    /// Its name, in `x-amzn-ErrorType`.
    pub(crate) class: &'static str,
    pub(crate) status: u16,
    pub(crate) spelling: Spelling,
    /// `Type`, where its body has that.
    pub(crate) kind: Option<&'static str>,
}

/// The member that carries the text, fixed for each exception. SDKs depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spelling {
    /// `Message`
    Upper,
    /// `message`
    Lower,
}

impl Bounds {
    pub(crate) const NONE: Bounds = Bounds { min: None, max: None };
}
