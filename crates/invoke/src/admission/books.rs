//! What runs, and whether one more may: the rules, synchronous and given their time.
//!
//! ```text
//!  account ─┬─ set aside ─┬─ reserved: one function's ──┬─ provisioned: of a version or an alias
//!           │             │                             └─ on demand: what is left of it
//!           │             └─ provisioned without a reservation
//!           └─ unreserved: everybody else's, and what overflows from the provisioned of those
//! ```
//!
//! Settings come with each request and are the truth from then on, also for what was admitted under others: where an
//! invocation counts is worked out anew from its function's newest settings, never written on its permit. So
//!
//! - a limit that is lowered below what runs admits nothing until so much has ended, and ends nothing;
//! - a function that gets a reservation takes what it runs out of the unreserved part, and brings it back with its loss;
//! - invocations on provisioned environments that are no longer asked for count as on demand.
//!
//! A new environment is needed when more of a function's invocations are on demand at once than were within the time for
//! which environments stay warm. Those come at a rate, each function at its own (AWS: "lambda-concurrency", section
//! on the scaling rate); provisioned ones are made elsewhere and do not count.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use super::throttle::{Throttle, ThrottleReason};
use super::warmth::{Ticks, Warmth};
use super::{FunctionUsage, Limits, Settings, Usage};

const SECOND: Duration = Duration::from_secs(1);

/// In which new environments are counted.
const SCALING_PERIOD: Duration = Duration::from_secs(10);

const NOT_FORGOTTEN: &str = "a function that runs is not forgotten";

/// How often functions are looked for that are forgotten, but for the time that their environments stay warm.
const SWEEP: Duration = Duration::from_secs(10);

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Books {
    limits: Limits,
    ticks: Ticks,
    functions: HashMap<Arc<str>, Function>,
    /// Invocations that run, over all functions.
    running: u32,
    /// Those of them that count as unreserved.
    unreserved: u32,
    /// Those that run and have answered.
    finishing: u32,
    /// Requests that wait for the end of one of them.
    waiting: u32,
    requests: Rate,
    sweep_at: Instant,
}

/// What was admitted, as it is given back.
#[derive(Debug)]
pub(super) struct Entry {
    function: Arc<str>,
    /// The version or alias, if it is to run on one of its provisioned environments.
    provisioned: Option<Arc<str>>,
}

/// What is known of a function that runs or ran lately.
#[derive(Debug)]
struct Function {
    name: Arc<str>,
    running: u32,
    /// Those of them that have answered.
    finishing: u32,
    /// Those of them that were admitted to provisioned environments, by version or alias. None is zero.
    provisioned: Vec<(Arc<str>, u32)>,
    /// How many of those that run count as unreserved.
    unreserved: u32,
    /// The newest.
    settings: Settings,
    requests: Rate,
    new_environments: Rate,
    warmth: Warmth,
}

impl Books {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Books {
            limits,
            ticks: Ticks::new(now, limits.warm_for),
            functions: HashMap::new(),
            running: 0,
            unreserved: 0,
            finishing: 0,
            waiting: 0,
            requests: Rate::full(now),
            sweep_at: now + limits.warm_for.max(SWEEP),
        }
    }

    /// One more, or why not. A request that is refused takes nothing, of no limit.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        function: &str,
        version: &str,
        settings: Settings,
    ) -> Result<Entry, Throttle> {
        if now >= self.sweep_at {
            self.forget(now);
        }
        let Books { limits, ticks, functions, running, unreserved, requests, .. } = self;
        let tick = ticks.at(now);
        let function = match functions.get_mut(function) {
            Some(function) => function,
            None => {
                let name: Arc<str> = function.into();
                functions.entry(Arc::clone(&name)).or_insert_with(|| Function {
                    name,
                    running: 0,
                    finishing: 0,
                    provisioned: Vec::new(),
                    unreserved: 0,
                    settings,
                    requests: Rate::full(now),
                    new_environments: Rate::full(now),
                    warmth: Warmth::cold(tick),
                })
            }
        };
        function.warmth.pass(tick, function.on_demand());
        function.settings = settings;
        function.count_unreserved(unreserved);

        let pool = limits.account_concurrency.saturating_sub(settings.set_aside);
        let (concurrency, rate) = match settings.reserved {
            Some(_) => (
                ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
                ThrottleReason::ReservedFunctionInvocationRateLimitExceeded,
            ),
            None => (
                ThrottleReason::ConcurrentInvocationLimitExceeded,
                ThrottleReason::FunctionInvocationRateLimitExceeded,
            ),
        };
        let ceiling = settings.reserved.unwrap_or(pool.saturating_add(settings.provisioned_in_function));
        if ceiling == 0 {
            return Err(Throttle::by_concurrency(concurrency));
        }

        let (mut of_account, mut of_function) = (*requests, function.requests);
        if let Some(each) = limits.requests_per_concurrency {
            let taken = |of: Rate, concurrency: u32, reason| {
                let count = concurrency.saturating_mul(each);
                of.take(now, count, SECOND).map_err(|retry_after| Throttle { reason, retry_after })
            };
            of_function = taken(of_function, ceiling, rate)?;
            // AWS has no name of its own for the whole account's.
            let account = limits.account_concurrency;
            of_account = taken(of_account, account, ThrottleReason::FunctionInvocationRateLimitExceeded)?;
        }

        if settings.reserved.is_some_and(|reserved| function.running >= reserved) {
            return Err(Throttle::by_concurrency(concurrency));
        }
        if *running >= limits.account_concurrency {
            return Err(Throttle::by_concurrency(ThrottleReason::ConcurrentInvocationLimitExceeded));
        }
        let provisioned = function.provisioned_of(version) < settings.provisioned;
        let mut new_environments = function.new_environments;
        if !provisioned {
            let on_demand = function.on_demand();
            let has_room = match settings.reserved {
                // What is provisioned of a reservation is there for its versions and aliases alone.
                Some(reserved) => on_demand < reserved.saturating_sub(settings.provisioned_in_function),
                None => *unreserved < pool,
            };
            if !has_room {
                return Err(Throttle::by_concurrency(concurrency));
            }
            if let Some(count) = limits.new_environments_per_10_s
                && !function.warmth.has_had(on_demand + 1)
            {
                let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
                new_environments = new_environments
                    .take(now, count, SCALING_PERIOD)
                    .map_err(|retry_after| Throttle { reason, retry_after })?;
            }
        }

        *requests = of_account;
        function.requests = of_function;
        function.new_environments = new_environments;
        *running += 1;
        function.running += 1;
        let provisioned = provisioned.then(|| function.take_provisioned(version));
        function.count_unreserved(unreserved);
        function.warmth.reach(function.on_demand());
        Ok(Entry { function: Arc::clone(&function.name), provisioned })
    }

    /// One has answered and will be over soon.
    pub(super) fn answered(&mut self, entry: &Entry) {
        self.finishing += 1;
        self.functions.get_mut(&entry.function).expect(NOT_FORGOTTEN).finishing += 1;
    }

    /// Whether one that was refused for this reason is to wait for the end of an invocation: if one has answered that
    /// would make room, and nobody waits for it yet. Then it is counted, until [`Books::waited`].
    pub(super) fn wait(&mut self, function: &str, refused: ThrottleReason) -> bool {
        let finishing = match refused {
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded => {
                self.functions.get(function).map_or(0, |function| function.finishing)
            }
            _ => self.finishing,
        };
        let waits = finishing > self.waiting;
        self.waiting += u32::from(waits);
        waits
    }

    pub(super) fn waited(&mut self) {
        self.waiting -= 1;
    }

    /// One less.
    pub(super) fn give_back(&mut self, now: Instant, entry: &Entry, answered: bool) {
        let Books { ticks, functions, running, unreserved, finishing, .. } = self;
        let function = functions.get_mut(&entry.function).expect(NOT_FORGOTTEN);
        *finishing -= u32::from(answered);
        function.finishing -= u32::from(answered);
        function.warmth.pass(ticks.at(now), function.on_demand());
        *running -= 1;
        function.running -= 1;
        if let Some(version) = &entry.provisioned {
            function.give_back_provisioned(version);
        }
        function.count_unreserved(unreserved);
    }

    /// Of everything.
    pub(super) fn usage(&self) -> Usage {
        Usage { concurrent_executions: self.running, unreserved_concurrent_executions: self.unreserved }
    }

    /// Of the functions that run.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&str, FunctionUsage)> {
        let running = self.functions.values().filter(|function| function.running > 0);
        running.map(|function| (&*function.name, function.usage()))
    }

    pub(super) fn function(&self, name: &str) -> FunctionUsage {
        self.functions.get(name).map(Function::usage).unwrap_or_default()
    }

    /// Forgets functions of which nothing is known that a new one would not have. Each is looked at once in the time for
    /// which it may be remembered, which costs a request nothing that could be measured.
    fn forget(&mut self, now: Instant) {
        let Books { ticks, functions, .. } = self;
        let tick = ticks.at(now);
        functions.retain(|_, function| {
            function.warmth.pass(tick, function.on_demand());
            function.running > 0
                || function.warmth.has_had(1)
                || !function.requests.is_full(now)
                || !function.new_environments.is_full(now)
        });
        if functions.capacity() > 4 * functions.len().max(16) {
            functions.shrink_to_fit();
        }
        self.sweep_at = now + self.limits.warm_for.max(SWEEP);
    }
}

impl Entry {
    /// Whether it is to run on a provisioned environment.
    pub(super) fn is_provisioned(&self) -> bool {
        self.provisioned.is_some()
    }
}

impl Function {
    fn on_provisioned(&self) -> u32 {
        self.provisioned.iter().map(|(_, running)| running).sum()
    }

    fn provisioned_of(&self, version: &str) -> u32 {
        self.provisioned.iter().find(|(name, _)| **name == *version).map_or(0, |(_, running)| *running)
    }

    /// Those that run on what may be used by all of its versions, or was provisioned and is so no longer.
    fn on_demand(&self) -> u32 {
        self.running - self.on_provisioned().min(self.settings.provisioned_in_function)
    }

    fn take_provisioned(&mut self, version: &str) -> Arc<str> {
        if let Some((name, running)) = self.provisioned.iter_mut().find(|(name, _)| **name == *version) {
            *running += 1;
            return Arc::clone(name);
        }
        let name: Arc<str> = version.into();
        self.provisioned.push((Arc::clone(&name), 1));
        name
    }

    fn give_back_provisioned(&mut self, version: &str) {
        let found = self.provisioned.iter().position(|(name, _)| **name == *version);
        let index = found.expect("what is given back was taken");
        self.provisioned[index].1 -= 1;
        if self.provisioned[index].1 == 0 {
            self.provisioned.swap_remove(index);
        }
    }

    /// Corrects the sum over all functions by what has changed for this one.
    fn count_unreserved(&mut self, sum: &mut u32) {
        let unreserved = if self.settings.reserved.is_some() { 0 } else { self.on_demand() };
        *sum = *sum - self.unreserved + unreserved;
        self.unreserved = unreserved;
    }

    fn usage(&self) -> FunctionUsage {
        FunctionUsage {
            concurrent_executions: self.running,
            provisioned_concurrent_executions: self.on_provisioned(),
        }
    }
}

#[cfg(test)]
mod tests;
