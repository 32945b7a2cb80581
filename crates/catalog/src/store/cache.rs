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
const CAPACITY: usize = 16_384;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::code::Code;
    use crate::configuration::Configuration;
    use crate::event_invoke::EventInvokeSettings;
    use crate::recursion::RecursiveLoop;
    use crate::resolve::Target;
    use crate::version::{State, Version, VersionNumber};

    fn reference(name: &str, qualifier: Option<&str>) -> FunctionReference {
        let qualifier = qualifier.map(|text| text.parse().unwrap());
        FunctionReference { name: name.parse().unwrap(), qualifier }
    }

    fn resolved(reference: &FunctionReference) -> Arc<Resolved> {
        let account = Account::new("eu-west-1", "111122223333");
        let arn = account.function_arn(&reference.name, reference.qualifier.as_ref());
        let version = Version {
            instance: 1,
            arn: arn.clone(),
            number: VersionNumber::Latest,
            configuration: Configuration::default(),
            layers: Vec::new(),
            code: Code::Image { uri: "repo:1".into(), digest: None },
            state: State::Active,
            last_update: None,
            revision_id: String::new(),
            last_modified: jiff::Timestamp::UNIX_EPOCH,
            published_description: None,
        };
        Arc::new(Resolved {
            arn,
            target: Target { version: Arc::new(version), provisioned: None },
            alternative: None,
            provisioned_for_alias: None,
            reserved_concurrency: None,
            event_invoke: EventInvokeSettings::default(),
            recursive_loop: RecursiveLoop::Terminate,
            policy: None,
        })
    }

    fn keep(cache: &Cache, reference: &FunctionReference) -> Arc<Resolved> {
        let begun = cache.get(reference).unwrap_err();
        let resolved = resolved(reference);
        cache.keep(begun, reference, &resolved);
        resolved
    }

    #[test]
    fn what_was_kept_is_found_by_name_and_qualifier_until_it_is_forgotten() {
        let cache = Cache::default();
        let (plain, alias) = (reference("f", None), reference("f", Some("prod")));
        let kept = [keep(&cache, &plain), keep(&cache, &alias)];
        assert!(Arc::ptr_eq(&cache.get(&plain).unwrap(), &kept[0]));
        assert!(Arc::ptr_eq(&cache.get(&alias).unwrap(), &kept[1]));
        cache.forget(&plain.name);
        assert!(cache.get(&plain).is_err() && cache.get(&alias).is_err());
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let cache = Cache::default();
        let f = reference("f", None);
        let begun = cache.get(&f).unwrap_err();
        cache.forget(&f.name);
        cache.keep(begun, &f, &resolved(&f));
        assert!(cache.get(&f).is_err());
        keep(&cache, &f);
        assert!(cache.get(&f).is_ok());
    }

    #[test]
    fn it_is_bounded_and_what_is_in_use_stays() {
        let cache = Cache::default();
        let used = reference("used", None);
        keep(&cache, &used);
        for index in 0..2 * CAPACITY {
            keep(&cache, &reference(&format!("f{index}"), None));
            if index % GENERATION == 0 {
                assert!(cache.get(&used).is_ok(), "after {index}");
            }
        }
        let functions: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.read().unwrap();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!((CAPACITY / 2..=CAPACITY).contains(&functions), "{functions}");
        for number in 1..100 {
            keep(&cache, &reference("used", Some(&number.to_string())));
        }
        let shard = cache.shard(&used.name).read().unwrap();
        assert!(shard.young[&used.name].len() <= QUALIFIERS);
    }
}
