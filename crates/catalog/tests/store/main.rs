//! The store, noun by noun, in memory and on disk, by its public face.

mod aliases;
mod fixture;
mod functions;
mod resolving;
mod versions;
