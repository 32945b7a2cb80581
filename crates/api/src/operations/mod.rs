//! One file per operation of the API.

pub(crate) mod invoke;
