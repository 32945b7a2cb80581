//! What a function is asked to be, and how it is shown.
//!
//! ```text
//!  CreateFunction ──────────────► asked ─► catalog: Configuration, ConfigurationUpdate
//!  UpdateFunctionConfiguration ─┘                        │
//!  all that answer with a function ◄── shown ◄── catalog: Version
//! ```
//!
//! Called by the operations of functions and versions. Members that have no effect here go through the catalog as they were
//! sent; what would change the meaning of an invocation and is not there is refused.

mod asked;
mod shown;

pub(super) use asked::{architecture, new, update};
pub(super) use shown::{in_list, of_version};
