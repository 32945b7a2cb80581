//! One file per operation of the API, and what those that run a function share.

pub(crate) mod invocation;
pub(crate) mod invoke;
pub(crate) mod invoke_with_response_stream;
