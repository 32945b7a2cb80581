//! Whether an invocation may run now: concurrency and rates of the account, its functions and their versions.
//!
//! ```text
//!  request ─► admit ─► Permit ─── with the invocation ───► dropped when it is over
//!                └───► Throttle: which limit, and when to come again
//! ```
//!
//! Called by the [`Invoker`](crate::Invoker) before an environment is asked for. What a function may is in the
//! [`Settings`] that come with each request, so that a change is effective with the next one; what this server may is in
//! the [`Limits`]. The rules are in `books`, which has no clock and no lock; rates are in `rate`, what is taken to be warm
//! in `warmth`, callers in `callers`.
//!
//! Nothing here knows how many environments there really are, or whether this machine has room for them: that is the
//! pool's, which throttles on its own. A function that has not run for a while is forgotten.
//!
//! Refused are: everything with a reservation of zero; what exceeds a reservation, the account, or what of the account is
//! not set aside for others; more requests in a second than ten times that; more new environments in 10 seconds than 1 000
//! of one function. A SnapStart snapshot is none of these, so its limit is not judged here.

mod books;
mod callers;
mod rate;
mod throttle;
mod warmth;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::books::{Books, Entry};
use self::callers::Callers;
pub use self::throttle::{Throttle, ThrottleReason};

/// What may run on this server, over all functions. [`Limits::AWS`] where nothing else is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Invocations at once.
    pub account_concurrency: u32,
    /// Requests in a second for each invocation that may run at once: of a function, and of all. `None`: no bound.
    pub requests_per_concurrency: Option<u32>,
    /// New environments of one function in 10 seconds, given back continuously. `None`: no bound.
    pub new_environments_per_10_s: Option<u32>,
    /// How long an environment is taken to be there after its last invocation: no less than environments may be idle.
    pub warm_for: Duration,
    /// Requests in a second of one caller. `None`: no bound.
    pub caller_requests_per_s: Option<u32>,
}

impl Limits {
    /// A new account's by the documents. AWS publishes neither how long environments stay warm, which is some minutes as
    /// observed, nor a rate of callers for invocations.
    pub const AWS: Limits = Limits {
        account_concurrency: 1000,
        requests_per_concurrency: Some(10),
        new_environments_per_10_s: Some(1000),
        warm_for: Duration::from_secs(300),
        caller_requests_per_s: None,
    };
}

/// What a function may, as it is configured now. All are numbers of invocations at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The function's reserved concurrency; zero stops it.
    pub reserved: Option<u32>,
    /// The provisioned concurrency of the version or alias that was addressed, as far as it is initialised.
    pub provisioned: u32,
    /// The provisioned concurrency of all versions and aliases of the function.
    pub provisioned_in_function: u32,
    /// What of the account's concurrency is not for functions without a reservation: the sum over all functions of what
    /// is reserved or, where nothing is, provisioned.
    pub set_aside: u32,
}

/// What runs, over all functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Invocations.
    pub concurrent_executions: u32,
    /// Those of them that count against the unreserved part of the account.
    pub unreserved_concurrent_executions: u32,
}

/// What runs of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FunctionUsage {
    /// Invocations.
    pub concurrent_executions: u32,
    /// Those of them that were admitted to provisioned environments.
    pub provisioned_concurrent_executions: u32,
}

/// How long a request waits for the end of an invocation that has answered already, rather than to be refused. As the
/// pool does where there is no room.
const FINISHING_WAIT: Duration = Duration::from_millis(250);

/// Admits invocations. Clones share everything.
#[derive(Debug, Clone)]
pub struct Admission {
    desk: Arc<Desk>,
    callers: Option<Arc<Mutex<Callers>>>,
}

/// Where permits come from and go back to.
#[derive(Debug)]
struct Desk {
    books: Mutex<Books>,
    /// Rung when a permit comes back.
    given_back: Notify,
}

/// The right to one invocation. Dropped, it is free for another.
#[derive(Debug)]
pub struct Permit {
    desk: Arc<Desk>,
    entry: Entry,
    answered: AtomicBool,
}

/// One who waits, counted.
struct Waiting<'a>(&'a Desk);

impl Admission {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let callers = limits.caller_requests_per_s.map(|requests_per_s| Callers::new(requests_per_s, now));
        Admission {
            desk: Arc::new(Desk { books: Mutex::new(Books::new(limits, now)), given_back: Notify::new() }),
            callers: callers.map(|callers| Arc::new(Mutex::new(callers))),
        }
    }

    /// Admits an invocation of a function, by the version or alias that it was addressed by.
    ///
    /// # Errors
    /// A [`Throttle`] with the limit that it met. Nothing was taken then.
    pub fn admit(
        &self,
        now: Instant,
        function: &str,
        version: &str,
        settings: Settings,
    ) -> Result<Permit, Throttle> {
        let entry = locked(&self.desk.books).admit(now, function, version, settings)?;
        Ok(Permit { desk: Arc::clone(&self.desk), entry, answered: AtomicBool::new(false) })
    }

    /// Likewise, and now. A caller that sends one request after the other comes when its last invocation has answered and
    /// is not quite over: then the end of that is waited for, briefly. On AWS the way through the front end has the same
    /// effect. No more wait than have answered, so that a flood is refused at once. Cancel-safe.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub async fn admit_soon(
        &self,
        function: &str,
        version: &str,
        settings: Settings,
    ) -> Result<Permit, Throttle> {
        let now = Instant::now();
        let refused = match self.admit(now, function, version, settings) {
            Err(throttle) if throttle.reason.is_concurrency() => throttle,
            result => return result,
        };
        let deadline = now + FINISHING_WAIT;
        let Some(waiting) = self.wait_for_finishing(function, refused) else { return Err(refused) };
        loop {
            // Before it is looked again: what comes back in between is heard.
            let mut given_back = std::pin::pin!(waiting.0.given_back.notified());
            given_back.as_mut().enable();
            match self.admit(Instant::now(), function, version, settings) {
                Err(throttle) if throttle.reason.is_concurrency() => {
                    if tokio::time::timeout_at(deadline, given_back).await.is_err() {
                        return Err(throttle);
                    }
                }
                result => return result,
            }
        }
    }

    fn wait_for_finishing(&self, function: &str, refused: Throttle) -> Option<Waiting<'_>> {
        locked(&self.desk.books).wait(function, refused.reason).then(|| Waiting(&self.desk))
    }

    /// Admits a request of a caller, by whatever tells callers apart.
    ///
    /// # Errors
    /// [`ThrottleReason::CallerRateLimitExceeded`].
    pub fn admit_caller(&self, now: Instant, caller: &str) -> Result<(), Throttle> {
        self.callers.as_ref().map_or(Ok(()), |callers| locked(callers).admit(now, caller))
    }

    /// What runs now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        locked(&self.desk.books).usage()
    }

    /// What runs now of a function.
    #[must_use]
    pub fn usage_of(&self, function: &str) -> FunctionUsage {
        locked(&self.desk.books).function(function)
    }

    /// What runs now of each function that runs, in no order.
    #[must_use]
    pub fn usage_by_function(&self) -> Vec<(String, FunctionUsage)> {
        locked(&self.desk.books).functions().map(|(name, usage)| (name.to_owned(), usage)).collect()
    }
}

impl Permit {
    /// Whether it is for a provisioned environment; otherwise the invocation is on demand, or has overflowed.
    #[must_use]
    pub fn is_provisioned(&self) -> bool {
        self.entry.is_provisioned()
    }

    /// The caller has its answer: the invocation will be over in a moment, or when its extensions are done.
    pub fn answered(&self) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            locked(&self.desk.books).answered(&self.entry);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let answered = *self.answered.get_mut();
        locked(&self.desk.books).give_back(Instant::now(), &self.entry, answered);
        self.desk.given_back.notify_waiters();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        locked(&self.0.books).waited();
    }
}

fn locked<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Settings =
        Settings { reserved: Some(1), provisioned: 0, provisioned_in_function: 0, set_aside: 1 };

    fn reason(result: Result<Permit, Throttle>) -> ThrottleReason {
        result.unwrap_err().reason
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_dropped_is_free() {
        let admission = Admission::new(Limits::AWS);
        let permit = admission.admit(Instant::now(), "f", "$LATEST", ONE).unwrap();
        assert!(!permit.is_provisioned());
        let running = FunctionUsage { concurrent_executions: 1, ..FunctionUsage::default() };
        assert_eq!(admission.usage_by_function(), [("f".to_owned(), running)]);
        let refused = reason(admission.admit(Instant::now(), "f", "$LATEST", ONE));
        assert_eq!(refused, ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
        drop(permit);
        assert_eq!((admission.usage(), admission.usage_of("f")), Default::default());
        assert_eq!(admission.usage_by_function(), []);
        admission.admit(Instant::now(), "f", "$LATEST", ONE).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_right_after_an_answer_waits_for_the_end() {
        let admission = Admission::new(Limits::AWS);
        let permit = admission.admit(Instant::now(), "f", "1", ONE).unwrap();
        permit.answered();
        permit.answered();
        let (next, ()) = tokio::join!(biased; admission.admit_soon("f", "1", ONE), async { drop(permit) });
        assert_eq!(admission.usage_of("f").concurrent_executions, 1);
        drop(next.unwrap());
        assert_eq!(admission.usage(), Usage::default());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_does_not_come_is_waited_for_briefly_and_by_few() {
        let admission = Admission::new(Limits::AWS);
        let permit = admission.admit(Instant::now(), "f", "1", ONE).unwrap();
        let begun = Instant::now();
        assert!(admission.admit_soon("f", "1", ONE).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO, "it has not answered");
        permit.answered();
        let (first, second) = tokio::join!(
            biased;
            async { (admission.admit_soon("f", "1", ONE).await.is_err(), begun.elapsed()) },
            async { (admission.admit_soon("f", "1", ONE).await.is_err(), begun.elapsed()) },
        );
        assert_eq!((first, second), ((true, FINISHING_WAIT), (true, Duration::ZERO)));
        assert!(admission.admit_soon("f", "1", ONE).await.is_err());
        assert_eq!(begun.elapsed(), FINISHING_WAIT * 2, "who has waited is not counted any more");
        drop(permit);
        admission.admit_soon("f", "1", ONE).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn callers_have_no_rate_unless_they_are_given_one() {
        let now = Instant::now();
        let unbounded = Admission::new(Limits::AWS);
        let bounded = Admission::new(Limits { caller_requests_per_s: Some(100), ..Limits::AWS });
        for _ in 0..100 {
            bounded.admit_caller(now, "somebody").unwrap();
            unbounded.admit_caller(now, "somebody").unwrap();
        }
        unbounded.admit_caller(now, "somebody").unwrap();
        bounded.admit_caller(now, "somebody").unwrap_err();
    }
}
