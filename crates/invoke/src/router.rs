//! Which version runs: the one that was asked for, or of an alias with two the one whose turn it is.
//!
//! Pure: chance comes from outside.

use firesteel_catalog::{Resolved, Target};

/// What runs. `chance` is from 0 up to, but not including, 1: an alias gives each of its versions their part of it.
pub(crate) fn choose(resolved: &Resolved, chance: f64) -> &Target {
    match &resolved.alternative {
        Some(alternative) if chance < alternative.weight => &alternative.target,
        _ => &resolved.target,
    }
}
