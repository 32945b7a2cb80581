//! What invocations ask for, kept in memory: at most [`CAPACITY`] functions.
//!
//! Cut into shards by the function's name. A shard has two generations: when the young one is full, it
//! becomes the old one, and what was old and not asked for since is dropped. So what is in use stays, and
//! a hit in the young generation only reads.
//!
//! A reader may still be at work on an older view of the file while a writer commits and has the name
//! forgotten; what it brings later must not stay. So a shard counts how often it had to forget, and takes
//! only what was begun under the present count.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use crate::name::{FunctionName, Qualifier};
use crate::reference::FunctionReference;
use crate::resolve::Resolved;

const SHARDS: usize = 16;
/// Some 2 KiB each.
const CAPACITY: usize = 8192;
const GENERATION: usize = CAPACITY / SHARDS / 2;
/// Of one function; a caller can ask for as many as there are versions.
const QUALIFIERS: usize = 32;

/// What is known of one function, by what was asked for. Few, so a list.
type Answers = Vec<(Option<Qualifier>, Arc<Resolved>)>;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    hasher: RandomState,
    shards: [RwLock<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    forgotten: u64,
    young: HashMap<FunctionName, Answers>,
    old: HashMap<FunctionName, Answers>,
}

/// Says when a look into the file began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(u64);

impl Cache {
    /// The answer, or a mark to bring it back under.
    pub(crate) fn get(&self, reference: &FunctionReference) -> Result<Arc<Resolved>, Begun> {
        let shard = self.shard(&reference.name);
        let looked = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = answer(&looked.young, reference) {
            return Ok(found);
        }
        if !looked.old.contains_key(&reference.name) {
            return Err(Begun(looked.forgotten));
        }
        drop(looked);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, answers)) = shard.old.remove_entry(&reference.name) {
            shard.make_room();
            shard.young.insert(name, answers);
        }
        answer(&shard.young, reference).ok_or(Begun(shard.forgotten))
    }

    /// Keeps what was read since `begun`, unless a writer was faster.
    pub(crate) fn keep(&self, begun: Begun, reference: &FunctionReference, resolved: &Arc<Resolved>) {
        let mut shard = self.shard(&reference.name).write().unwrap_or_else(PoisonError::into_inner);
        if shard.forgotten != begun.0 {
            return;
        }
        if !shard.young.contains_key(&reference.name) {
            shard.make_room();
        }
        let answers = shard.young.entry(reference.name.clone()).or_default();
        if answers.len() >= QUALIFIERS {
            answers.clear();
        }
        if !answers.iter().any(|(qualifier, _)| *qualifier == reference.qualifier) {
            answers.push((reference.qualifier.clone(), Arc::clone(resolved)));
        }
    }

    /// Something about this function was written.
    pub(crate) fn forget(&self, function: &FunctionName) {
        let mut shard = self.shard(function).write().unwrap_or_else(PoisonError::into_inner);
        shard.forgotten += 1;
        shard.young.remove(function);
        shard.old.remove(function);
    }

    fn shard(&self, function: &FunctionName) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(function);
        let index = usize::try_from(hash % SHARDS as u64).expect("a number below 16");
        &self.shards[index]
    }
}

impl Shard {
    fn make_room(&mut self) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

fn answer(
    generation: &HashMap<FunctionName, Answers>,
    reference: &FunctionReference,
) -> Option<Arc<Resolved>> {
    let answers = generation.get(&reference.name)?;
    let (_, resolved) = answers.iter().find(|(qualifier, _)| *qualifier == reference.qualifier)?;
    Some(Arc::clone(resolved))
}
