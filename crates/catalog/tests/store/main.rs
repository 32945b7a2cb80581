//! The store, noun by noun, in memory and on disk, by its public face.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod aliases;
mod code_signing;
mod concurrency;
mod event_invoke;
mod event_sources;
mod fixture;
mod function_urls;
mod functions;
mod layers;
mod model;
mod opening;
mod paging;
mod permissions;
mod resolving;
mod settings;
mod tags;
mod versions;
