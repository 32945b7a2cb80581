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

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Admits invocations. Clones share everything.
#[derive(Debug, Clone)]
pub struct Admission {
    books: Arc<Mutex<Books>>,
    callers: Option<Arc<Mutex<Callers>>>,
}

/// The right to one invocation. Dropped, it is free for another.
#[derive(Debug)]
pub struct Permit {
    books: Arc<Mutex<Books>>,
    entry: Entry,
}

impl Admission {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let callers = limits.caller_requests_per_s.map(|requests_per_s| Callers::new(requests_per_s, now));
        Admission {
            books: Arc::new(Mutex::new(Books::new(limits, now))),
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
        let entry = locked(&self.books).admit(now, function, version, settings)?;
        Ok(Permit { books: Arc::clone(&self.books), entry })
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
        locked(&self.books).usage()
    }

    /// What runs now of a function.
    #[must_use]
    pub fn usage_of(&self, function: &str) -> FunctionUsage {
        locked(&self.books).function(function)
    }

    /// What runs now of each function that runs, in no order.
    #[must_use]
    pub fn usage_by_function(&self) -> Vec<(String, FunctionUsage)> {
        locked(&self.books).functions().map(|(name, usage)| (name.to_owned(), usage)).collect()
    }
}

impl Permit {
    /// Whether it is for a provisioned environment; otherwise the invocation is on demand, or has overflowed.
    #[must_use]
    pub fn is_provisioned(&self) -> bool {
        self.entry.is_provisioned()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        locked(&self.books).give_back(Instant::now(), &self.entry);
    }
}

fn locked<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
