//! Requests that were accepted, remembered as long as their dates are good, so that a copy of one is refused.
//!
//! A signature alone does not tell a copy from an honest request: it is made of a date in whole seconds, and most SDKs
//! (botocore and the one for Rust were observed) leave the headers that tell attempts apart unsigned. A retry, or the
//! same event sent twice, bears the first one's signature when it falls into the same second. So:
//!
//! | a signature that was accepted | |
//! |---|---|
//! | comes with the same `amz-sdk-invocation-id` and `amz-sdk-request`, or with neither | refused: the very same request |
//! | comes with others within [`HONEST_REPEAT_SECONDS`] of the first | accepted, once for each |
//! | comes later | refused: signed in one second, it was not sent for so long |
//!
//! Who copies a request and changes those headers has these few seconds, if he can read what is sent: TLS is the answer
//! to him. Memory is bounded. When it is full the oldest are forgotten, and with them their dates: what was signed before
//! the youngest of the forgotten is refused as expired. What was accepted before a restart is not remembered.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use jiff::Timestamp;

use super::SKEW_SECONDS;
use super::claim::expired;
use super::date::SigningDate;
use super::refusal::Refusal;

/// How long after a request another one with its signature may come. Both were signed in one second; the rest is for the
/// way, and for a first attempt whose connection was lost.
const HONEST_REPEAT_SECONDS: i64 = 5;
/// How many requests are remembered, which takes some 60 MB.
const CAPACITY: usize = 1 << 20;
/// Requests are forgotten together with all that were signed in the same span.
const SPAN_SECONDS: i64 = 15;

/// The first half of a signature, which is as good as random.
type Signature = u128;

#[derive(Debug)]
pub(super) struct Replays {
    memory: Mutex<Memory>,
    /// Nobody can find two attempts that look the same to it.
    hasher: RandomState,
}

#[derive(Debug)]
struct Memory {
    /// By the span in which they were signed.
    spans: BTreeMap<i64, HashMap<Signature, Seen>>,
    count: usize,
    capacity: usize,
    /// What was signed before may have been forgotten.
    floor_seconds: i64,
}

#[derive(Debug)]
struct Seen {
    first_seconds: i64,
    attempt: u64,
    /// Empty for all but a few.
    further_attempts: Vec<u64>,
}

impl Default for Replays {
    fn default() -> Self {
        Replays::with_capacity(CAPACITY)
    }
}

impl Replays {
    fn with_capacity(capacity: usize) -> Self {
        let memory = Memory { spans: BTreeMap::new(), count: 0, capacity, floor_seconds: i64::MIN };
        Replays { memory: Mutex::new(memory), hasher: RandomState::new() }
    }

    /// Remembers a request, or refuses it. `signature` is the right one, in hexadecimal.
    pub(super) fn admit(
        &self,
        signature: &str,
        headers: &HeaderMap,
        signed_seconds: i64,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let marks = ["amz-sdk-invocation-id", "amz-sdk-request"].map(|name| headers.get(name));
        let attempt = self.hasher.hash_one(marks);
        let signature = u128::from_str_radix(&signature[..32], 16)
            .expect("the first half of a digest in hexadecimal is a number of 128 bits");
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.admit(signature, attempt, signed_seconds, now.as_second())
    }
}

impl Memory {
    fn admit(&mut self, signature: Signature, attempt: u64, signed: i64, now: i64) -> Result<(), Refusal> {
        self.forget(now);
        if signed < self.floor_seconds {
            let date = SigningDate { text: SigningDate::spelled(signed), seconds: signed };
            return Err(expired(&date, now, (now - self.floor_seconds).max(0)));
        }
        let span = self.spans.entry(signed.div_euclid(SPAN_SECONDS)).or_default();
        match span.get_mut(&signature) {
            None => {
                span.insert(signature, Seen { first_seconds: now, attempt, further_attempts: Vec::new() });
            }
            Some(seen) => {
                let known = seen.attempt == attempt || seen.further_attempts.contains(&attempt);
                if known || now > seen.first_seconds + HONEST_REPEAT_SECONDS {
                    return Err(Refusal::Replayed);
                }
                seen.further_attempts.push(attempt);
            }
        }
        self.count += 1;
        Ok(())
    }

    /// What is too old to be accepted, and if there is no room, the oldest of what is not.
    fn forget(&mut self, now: i64) {
        while let Some(span) = self.spans.first_entry() {
            let end_seconds = (*span.key() + 1) * SPAN_SECONDS;
            let is_over = end_seconds < now - SKEW_SECONDS;
            if !is_over && self.count < self.capacity {
                break;
            }
            self.count -= span.remove().values().map(|seen| 1 + seen.further_attempts.len()).sum::<usize>();
            if !is_over {
                tracing::debug!(end_seconds, "requests were forgotten before they expired");
            }
            self.floor_seconds = self.floor_seconds.max(end_seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;

    fn memory(capacity: usize) -> Memory {
        Memory { spans: BTreeMap::new(), count: 0, capacity, floor_seconds: i64::MIN }
    }

    #[test]
    fn the_same_attempt_is_a_replay_and_another_one_is_not_for_a_moment() {
        let mut memory = memory(8);
        assert_eq!(memory.admit(1, 1, NOW, NOW), Ok(()));
        assert_eq!(memory.admit(1, 1, NOW, NOW), Err(Refusal::Replayed));
        assert_eq!(memory.admit(1, 2, NOW, NOW + HONEST_REPEAT_SECONDS), Ok(()));
        assert_eq!(memory.admit(1, 2, NOW, NOW + HONEST_REPEAT_SECONDS), Err(Refusal::Replayed));
        assert_eq!(memory.admit(1, 3, NOW, NOW + HONEST_REPEAT_SECONDS + 1), Err(Refusal::Replayed));
        assert_eq!(memory.admit(2, 1, NOW, NOW + SKEW_SECONDS), Ok(()), "another signature");
    }

    #[test]
    fn headers_that_tell_attempts_apart_are_both_looked_at() {
        let replays = Replays::default();
        let signature = "0123456789abcdef".repeat(4);
        let headers = |id: &str, request: &str| {
            let pairs = [("amz-sdk-invocation-id", id), ("amz-sdk-request", request)];
            let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
            pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let now = Timestamp::from_second(NOW).unwrap();
        for marks in [("", ""), ("a", "attempt=1"), ("a", "attempt=2"), ("b", "attempt=1")] {
            let headers = headers(marks.0, marks.1);
            assert_eq!(replays.admit(&signature, &headers, NOW, now), Ok(()));
            assert_eq!(replays.admit(&signature, &headers, NOW, now), Err(Refusal::Replayed));
        }
    }

    proptest! {
        /// Whatever comes in whatever order: nothing is accepted twice, and memory stays within its bound.
        #[test]
        fn nothing_is_accepted_twice(
            requests in proptest::collection::vec((0_u128..40, 0_i64..600, 0_i64..20), 1..200),
        ) {
            let mut memory = memory(16);
            let mut accepted = std::collections::HashSet::new();
            let mut now = NOW;
            for (signature, signed, passed) in requests {
                now += passed;
                // As everywhere: a signature has one date, and dates that are out of reach do not get here.
                let signed = NOW - SKEW_SECONDS + (signed + 7 * i64::try_from(signature).unwrap()) % 600;
                let signature = (signature << 64) | u128::try_from(signed).unwrap();
                if signed < now - SKEW_SECONDS || signed > now + SKEW_SECONDS {
                    continue;
                }
                if memory.admit(signature, 0, signed, now).is_ok() {
                    prop_assert!(accepted.insert(signature));
                }
                prop_assert!(memory.count <= 16);
                let counted: usize = memory.spans.values().map(HashMap::len).sum();
                prop_assert_eq!(memory.count, counted);
            }
        }
    }
}
