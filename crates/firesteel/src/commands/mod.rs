//! One file per command.

pub(crate) mod check;
pub(crate) mod invoke;
mod invoke_endpoint;
pub(crate) mod serve;
