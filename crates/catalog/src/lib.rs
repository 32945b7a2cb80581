//! Functions: their names, their settings, and which of them a request means.
//!
//! ```text
//!  path part + Qualifier ──► FunctionReference ──► Catalog::find ──► Arc<Function>
//!        (name.rs, arn.rs, reference.rs)           (catalog.rs)      (function.rs)
//! ```
//!
//! Only this crate knows how AWS spells a function's name and which settings it accepts. Every value
//! of these types has been checked once, where it was made, so nobody checks it again.
//!
//! Called by the front door (to find the function a request names) and by `serve` (to fill the
//! catalog). It does no I/O: it neither opens the code folder it is told of nor asks whether the
//! runtime exists on this host, and it knows nothing of status codes; a refusal carries the words
//! AWS uses and the data to choose the code from.
#![forbid(unsafe_code)]

mod arn;
mod catalog;
mod function;
mod name;
mod reference;
mod variables;

pub use arn::Arn;
pub use catalog::{Catalog, DuplicateName, NotFound};
pub use function::{Function, InvalidSetting, LogFormat, LogLevel, Settings};
pub use name::{FunctionName, InvalidName, InvalidQualifier, Qualifier};
pub use reference::{FunctionReference, ReferenceError};
pub use variables::{InvalidVariables, RESERVED_KEYS, Variables};
