//! The rules beside a bookkeeper that remembers every permit and works everything out from them, and one by one.

use proptest::prelude::*;

use super::*;

use ThrottleReason::{
    ConcurrentInvocationLimitExceeded as OfAccount, FunctionInvocationRateLimitExceeded as Rate,
    ReservedFunctionConcurrentInvocationLimitExceeded as OfReservation,
    ReservedFunctionInvocationRateLimitExceeded as RateOfReservation,
};

/// Concurrency alone.
const PLAIN: Limits =
    Limits { requests_per_concurrency: None, new_environments_per_10_s: None, ..Limits::AWS };

const UNRESERVED: Settings =
    Settings { reserved: None, provisioned: 0, provisioned_in_function: 0, set_aside: 0 };

fn reserved(concurrency: u32) -> Settings {
    Settings { reserved: Some(concurrency), set_aside: concurrency, ..UNRESERVED }
}

/// Of one version that is the only one.
fn provisioned(concurrency: u32) -> Settings {
    let set_aside = concurrency;
    Settings { provisioned: concurrency, provisioned_in_function: concurrency, set_aside, ..UNRESERVED }
}

/// Books, and a clock.
struct Desk {
    books: Books,
    start: Instant,
    now: Instant,
}

impl Desk {
    fn of(limits: Limits) -> Self {
        let now = Instant::now();
        Desk { books: Books::new(limits, now), start: now, now }
    }

    fn at_ms(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self
    }

    fn admit(&mut self, function: &str, settings: Settings) -> Result<Entry, Throttle> {
        self.books.admit(self.now, function, "1", settings)
    }

    /// How many are admitted until one is refused, and by what.
    fn fill(&mut self, function: &str, settings: Settings) -> (Vec<Entry>, Throttle) {
        let mut admitted = Vec::new();
        loop {
            match self.admit(function, settings) {
                Ok(entry) => admitted.push(entry),
                Err(throttle) => return (admitted, throttle),
            }
        }
    }

    #[track_caller]
    fn check_fill(
        &mut self,
        function: &str,
        settings: Settings,
        count: usize,
        reason: ThrottleReason,
    ) -> Vec<Entry> {
        let (admitted, throttle) = self.fill(function, settings);
        assert_eq!((admitted.len(), throttle.reason), (count, reason));
        admitted
    }

    fn give_back(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.books.give_back(self.now, entry, false);
        }
    }
}

#[test]
fn the_account_is_shared_by_those_without_a_reservation() {
    let mut desk = Desk::of(Limits { account_concurrency: 10, ..PLAIN });
    let set_aside = Settings { set_aside: 4, ..UNRESERVED };
    let first = desk.check_fill("f", set_aside, 6, OfAccount);
    desk.check_fill("g", set_aside, 0, OfAccount);
    desk.check_fill("r", reserved(4), 4, OfReservation);
    desk.give_back(&first[..2]);
    desk.check_fill("g", set_aside, 2, OfAccount);
    let usage = Usage { concurrent_executions: 10, unreserved_concurrent_executions: 6 };
    assert_eq!(desk.books.usage(), usage);
}

#[test]
fn a_reservation_of_zero_stops_a_function_at_once() {
    let mut desk = Desk::of(PLAIN);
    let running = desk.admit("f", UNRESERVED).unwrap();
    desk.check_fill("f", reserved(0), 0, OfReservation);
    desk.give_back(&[running]);
    desk.check_fill("f", reserved(0), 0, OfReservation);
    desk.admit("f", UNRESERVED).unwrap();
}

#[test]
fn a_lowered_reservation_ends_nothing_and_admits_nothing() {
    let mut desk = Desk::of(PLAIN);
    let running = desk.check_fill("f", reserved(8), 8, OfReservation);
    desk.give_back(&running[..2]);
    desk.check_fill("f", reserved(5), 0, OfReservation);
    desk.give_back(&running[2..4]);
    desk.check_fill("f", reserved(5), 1, OfReservation);
    desk.check_fill("f", reserved(7), 2, OfReservation);
}

#[test]
fn what_runs_goes_where_the_newest_settings_say() {
    let mut desk = Desk::of(Limits { account_concurrency: 10, ..PLAIN });
    let running = desk.check_fill("f", UNRESERVED, 10, OfAccount);
    // Its own refusal tells of the reservation, of which more than all is in use.
    desk.check_fill("f", reserved(4), 0, OfReservation);
    desk.give_back(&running[..6]);
    let others = desk.check_fill("g", Settings { set_aside: 4, ..UNRESERVED }, 6, OfAccount);
    desk.give_back(&others[..1]);
    // And without one again.
    desk.check_fill("f", UNRESERVED, 1, OfAccount);
    assert_eq!(desk.books.usage().unreserved_concurrent_executions, 10);
}

#[test]
fn provisioned_concurrency_overflows() {
    let mut desk = Desk::of(Limits { account_concurrency: 10, ..PLAIN });
    let running = desk.check_fill("f", provisioned(3), 10, OfAccount);
    let on_provisioned: Vec<_> = running.iter().map(Entry::is_provisioned).collect();
    assert_eq!(on_provisioned, [[true; 3].as_slice(), &[false; 7]].concat());
    assert_eq!(desk.books.usage().unreserved_concurrent_executions, 7);
    desk.give_back(&running[..1]);
    let others = Settings { set_aside: 3, ..UNRESERVED };
    desk.check_fill("g", others, 0, OfAccount);
    assert!(desk.admit("f", provisioned(3)).unwrap().is_provisioned(), "and comes back to it");
}

#[test]
fn provisioned_concurrency_is_of_one_version_and_within_the_reservation() {
    let mut desk = Desk::of(PLAIN);
    let one = Settings { provisioned: 2, provisioned_in_function: 3, ..reserved(5) };
    let other = Settings { provisioned: 1, ..one };
    let none = Settings { provisioned: 0, ..one };
    desk.check_fill("f", none, 2, OfReservation);
    let (now, books) = (desk.now, &mut desk.books);
    assert!(books.admit(now, "f", "other", other).unwrap().is_provisioned());
    assert_eq!(books.admit(now, "f", "other", other).unwrap_err().reason, OfReservation);
    desk.check_fill("f", one, 2, OfReservation);
    let usage = FunctionUsage { concurrent_executions: 5, provisioned_concurrent_executions: 3 };
    assert_eq!(desk.books.function("f"), usage);
}

#[test]
fn with_all_of_a_reservation_provisioned_the_rest_of_the_function_stands_still() {
    let mut desk = Desk::of(PLAIN);
    let settings = Settings { provisioned: 0, provisioned_in_function: 5, ..reserved(5) };
    desk.check_fill("f", settings, 0, OfReservation);
    desk.check_fill("f", Settings { provisioned: 5, ..settings }, 5, OfReservation);
}

#[test]
fn invocations_on_what_is_provisioned_no_longer_are_on_demand() {
    let mut desk = Desk::of(Limits { account_concurrency: 10, ..PLAIN });
    let running: Vec<_> = (0..4).map(|_| desk.admit("f", provisioned(4)).unwrap()).collect();
    assert_eq!(desk.books.usage().unreserved_concurrent_executions, 0);
    let last = desk.check_fill("f", provisioned(1), 6, OfAccount);
    assert_eq!(desk.books.usage().unreserved_concurrent_executions, 9);
    desk.give_back(&running);
    desk.give_back(&last);
    assert_eq!(desk.books.usage(), Usage::default());
}

#[test]
fn new_environments_come_at_a_rate() {
    let limits = Limits { account_concurrency: 100_000, requests_per_concurrency: None, ..Limits::AWS };
    let mut desk = Desk::of(limits);
    let (mut running, throttle) = desk.fill("f", UNRESERVED);
    assert_eq!((running.len(), throttle.reason), (1000, OfAccount));
    assert_eq!(throttle.retry_after, Duration::from_millis(10));
    desk.check_fill("g", UNRESERVED, 1000, OfAccount);
    desk.at_ms(5000);
    running.extend(desk.check_fill("f", UNRESERVED, 500, OfAccount));

    // Those that were busy are warm and can be again.
    desk.give_back(&running);
    desk.at_ms(200_000);
    let again = desk.check_fill("f", UNRESERVED, 2500, OfAccount);
    desk.give_back(&again);
    // 2 500 were, within five minutes before this; then none is.
    desk.at_ms(500_000);
    let again = desk.check_fill("f", UNRESERVED, 3500, OfAccount);
    desk.give_back(&again);
    desk.at_ms(500_000 + 300_000 + 300_000 / 8);
    desk.check_fill("f", UNRESERVED, 1000, OfAccount);
}

#[test]
fn provisioned_environments_do_not_count_as_new_ones() {
    let mut desk = Desk::of(Limits { new_environments_per_10_s: Some(2), ..PLAIN });
    desk.check_fill("f", provisioned(50), 52, OfAccount);
}

#[test]
fn a_refusal_takes_nothing() {
    let limits = Limits { account_concurrency: 2, new_environments_per_10_s: Some(3), ..Limits::AWS };
    let mut desk = Desk::of(limits);
    let running = desk.check_fill("f", UNRESERVED, 2, OfAccount);
    for _ in 0..100 {
        desk.admit("f", UNRESERVED).unwrap_err();
    }
    // Had they counted, there would be no request left of 20, and no environment of 3.
    desk.give_back(&running);
    for _ in 0..18 {
        let entry = desk.admit("f", UNRESERVED).unwrap();
        desk.give_back(&[entry]);
    }
    assert_eq!(desk.admit("f", UNRESERVED).unwrap_err().reason, Rate);
}

#[test]
fn requests_are_ten_times_the_concurrency_in_a_second() {
    let in_a_second = |settings: Settings, desk: &mut Desk| loop {
        match desk.admit("f", settings) {
            Ok(entry) => desk.give_back(&[entry]),
            Err(throttle) => break (desk.books.function("f").concurrent_executions, throttle),
        }
    };
    let count = |settings, account_concurrency, reason| {
        let mut desk = Desk::of(Limits { account_concurrency, ..Limits::AWS });
        let mut admitted = 0;
        while let Ok(entry) = desk.admit("f", settings) {
            desk.give_back(&[entry]);
            admitted += 1;
        }
        let (running, throttle) = in_a_second(settings, &mut desk);
        assert_eq!((running, throttle.reason), (0, reason));
        (admitted, throttle.retry_after)
    };
    assert_eq!(count(reserved(5), 1000, RateOfReservation), (50, Duration::from_millis(20)));
    assert_eq!(count(UNRESERVED, 20, Rate), (200, Duration::from_millis(5)));
    let set_aside = Settings { set_aside: 15, ..UNRESERVED };
    assert_eq!(count(set_aside, 20, Rate), (50, Duration::from_millis(20)));
    let own = Settings { set_aside: 15, ..provisioned(5) };
    assert_eq!(count(own, 20, Rate), (100, Duration::from_millis(10)), "what is provisioned adds to it");
}

#[test]
fn all_functions_share_the_requests_of_the_account() {
    let mut desk = Desk::of(Limits { account_concurrency: 20, ..Limits::AWS });
    for count in 0..200 {
        let function = if count % 2 == 0 { "f" } else { "g" };
        let entry = desk.admit(function, UNRESERVED).unwrap();
        desk.give_back(&[entry]);
    }
    assert_eq!(desk.admit("h", UNRESERVED).unwrap_err().reason, Rate);
}

#[test]
fn functions_that_are_idle_are_forgotten_and_no_earlier() {
    let mut desk = Desk::of(Limits { warm_for: Duration::from_secs(80), ..Limits::AWS });
    for number in 0..500 {
        let entry = desk.admit(&number.to_string(), UNRESERVED).unwrap();
        desk.give_back(&[entry]);
    }
    let busy = desk.admit("busy", UNRESERVED).unwrap();
    desk.at_ms(80_000).admit("f", reserved(0)).unwrap_err();
    assert_eq!(desk.books.functions.len(), 502, "their environments may be there");
    desk.at_ms(160_000).admit("f", reserved(0)).unwrap_err();
    assert_eq!(desk.books.functions.len(), 2);
    assert!(desk.books.functions.contains_key("busy"), "however long it runs");
    assert!(desk.books.functions.capacity() < 500);
    desk.give_back(&[busy]);
    assert_eq!(desk.books.usage(), Usage::default());
}

/// What is admitted, permit by permit.
#[derive(Clone, Default)]
struct Bookkeeper {
    permits: Vec<(usize, usize, bool)>,
    newest: [Settings; 2],
}

const ACCOUNT: u32 = 4;

impl Bookkeeper {
    fn count(&self, which: impl Fn(&(usize, usize, bool)) -> bool) -> u32 {
        u32::try_from(self.permits.iter().filter(|permit| which(permit)).count()).unwrap()
    }

    fn on_demand(&self, function: usize) -> u32 {
        let provisioned = self.count(|permit| permit.0 == function && permit.2);
        let asked_for = self.newest[function].provisioned_in_function;
        self.count(|permit| permit.0 == function && !permit.2) + provisioned.saturating_sub(asked_for)
    }

    fn unreserved(&self) -> u32 {
        let unreserved = (0..2).filter(|function| self.newest[*function].reserved.is_none());
        unreserved.map(|function| self.on_demand(function)).sum()
    }

    /// Whether it is for a provisioned environment.
    fn verdict(&self, function: usize, version: usize) -> Result<bool, ThrottleReason> {
        let settings = self.newest[function];
        let running = self.count(|permit| permit.0 == function);
        let reason = if settings.reserved.is_some() { OfReservation } else { OfAccount };
        if settings.reserved == Some(0) {
            return Err(reason);
        }
        if settings.reserved.is_some_and(|reserved| running >= reserved) {
            return Err(reason);
        }
        if self.count(|_| true) >= ACCOUNT {
            return Err(OfAccount);
        }
        if self.count(|permit| *permit == (function, version, true)) < settings.provisioned {
            return Ok(true);
        }
        let admitted = match settings.reserved {
            Some(reserved) => {
                i64::from(self.on_demand(function))
                    < i64::from(reserved) - i64::from(settings.provisioned_in_function)
            }
            None => i64::from(self.unreserved()) < i64::from(ACCOUNT) - i64::from(settings.set_aside),
        };
        if admitted { Ok(false) } else { Err(reason) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit { function: usize, version: usize, settings: Settings },
    GiveBack(usize),
}

const NAMES: [&str; 2] = ["f", "g"];

/// Plays the steps on both, and looks for a difference after each.
fn play(steps: &[Step]) {
    let now = Instant::now();
    let mut books = Books::new(Limits { account_concurrency: ACCOUNT, ..PLAIN }, now);
    let mut bookkeeper = Bookkeeper::default();
    let mut entries = Vec::new();
    for step in steps {
        match *step {
            Step::Admit { function, version, settings } => {
                bookkeeper.newest[function] = settings;
                let expected = bookkeeper.verdict(function, version);
                let admitted = books.admit(now, NAMES[function], NAMES[version], settings);
                let found = admitted.as_ref().map(Entry::is_provisioned).map_err(|throttle| throttle.reason);
                assert_eq!(found, expected, "{steps:?}");
                if let Ok(entry) = admitted {
                    bookkeeper.permits.push((function, version, entry.is_provisioned()));
                    entries.push(entry);
                }
            }
            Step::GiveBack(which) if !entries.is_empty() => {
                let which = which % entries.len();
                books.give_back(now, &entries.swap_remove(which), false);
                bookkeeper.permits.swap_remove(which);
            }
            Step::GiveBack(_) => {}
        }
        let expected = Usage {
            concurrent_executions: bookkeeper.count(|_| true),
            unreserved_concurrent_executions: bookkeeper.unreserved(),
        };
        assert_eq!(books.usage(), expected, "{steps:?}");
        assert!(expected.concurrent_executions <= ACCOUNT);
    }
    for entry in entries {
        books.give_back(now, &entry, false);
    }
    assert_eq!(books.usage(), Usage::default(), "{steps:?}");
}

/// Those that a function may be given, in all their orders.
const EACH_SETTINGS: [Settings; 5] = [
    Settings { set_aside: 2, ..UNRESERVED },
    Settings { reserved: Some(0), set_aside: 2, ..UNRESERVED },
    Settings { reserved: Some(2), set_aside: 2, ..UNRESERVED },
    Settings { provisioned: 1, provisioned_in_function: 2, set_aside: 2, ..UNRESERVED },
    Settings { reserved: Some(3), provisioned: 1, provisioned_in_function: 2, set_aside: 3 },
];

#[test]
fn every_short_life_of_two_functions_is_as_the_bookkeeper_has_it() {
    let admit = |settings| Step::Admit { function: 0, version: 0, settings };
    let mut all: Vec<Step> = EACH_SETTINGS.map(admit).into();
    all.push(Step::Admit { function: 0, version: 1, settings: EACH_SETTINGS[3] });
    all.push(Step::Admit { function: 1, version: 0, settings: EACH_SETTINGS[0] });
    all.extend([Step::GiveBack(0), Step::GiveBack(1)]);
    let mut steps = Vec::new();
    walk(&all, &mut steps, 5);
}

fn walk(all: &[Step], steps: &mut Vec<Step>, left: usize) {
    if left == 0 {
        return play(steps);
    }
    for step in all {
        steps.push(*step);
        walk(all, steps, left - 1);
        steps.pop();
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let settings = (proptest::option::of(0u32..5), 0u32..3, 0u32..3, 0u32..6).prop_map(
        |(reserved, provisioned, others, set_aside)| Settings {
            reserved,
            provisioned,
            provisioned_in_function: provisioned + others,
            set_aside,
        },
    );
    prop_oneof![
        3 => (0usize..2, 0usize..2, settings)
            .prop_map(|(function, version, settings)| Step::Admit { function, version, settings }),
        2 => (0usize..4).prop_map(Step::GiveBack),
    ]
}

proptest! {
    #[test]
    fn every_long_life_is_too(steps in proptest::collection::vec(any_step(), 1..120)) {
        play(&steps);
    }

    /// To forget a function makes no difference to it: beside books that forget nothing.
    #[test]
    fn nobody_is_told_by_what_follows_that_a_function_was_forgotten(
        steps in proptest::collection::vec((0u64..9_000, 0usize..2, 0usize..4), 1..80),
    ) {
        let start = Instant::now();
        let limits = Limits {
            account_concurrency: 30,
            new_environments_per_10_s: Some(4),
            warm_for: Duration::from_secs(8),
            ..Limits::AWS
        };
        let mut forgetful = Books::new(limits, start);
        let mut keeping = Books::new(limits, start);
        keeping.sweep_at = start + Duration::from_secs(1_000_000);
        let mut now = start;
        let mut running: Vec<[Entry; 2]> = Vec::new();
        for (pause_ms, function, count) in steps {
            now += Duration::from_millis(pause_ms);
            for _ in 0..count {
                let both = [&mut forgetful, &mut keeping]
                    .map(|books| books.admit(now, NAMES[function], "1", UNRESERVED));
                match both {
                    [Ok(one), Ok(other)] => running.push([one, other]),
                    [Err(one), Err(other)] => prop_assert_eq!(one, other),
                    [one, other] => prop_assert!(false, "{one:?} but {other:?}"),
                }
            }
            if count == 0 {
                for [one, other] in running.drain(..) {
                    forgetful.give_back(now, &one, false);
                    keeping.give_back(now, &other, false);
                }
            }
        }
    }
}
