use super::*;

const OUTCOMES: [RunOutcome; 5] = [
    RunOutcome::Success,
    RunOutcome::FunctionError,
    RunOutcome::Throttled,
    RunOutcome::PlatformError,
    RunOutcome::NotFound,
];
const ACCEPTED_MS: u64 = 1_700_000_000_000;

fn settings(maximum_retry_attempts: u8, maximum_event_age_s: u32) -> EventSettings {
    EventSettings { maximum_retry_attempts, maximum_event_age_s, ..EventSettings::default() }
}

fn history(attempts: u32, backoffs: u32) -> History {
    History { accepted_ms: ACCEPTED_MS, attempts, backoffs }
}

fn after_real(settings: &EventSettings, history: History, outcome: RunOutcome, now_ms: u64) -> Fate {
    after(settings, history, outcome, now_ms, 1.0, TimeScale::REAL)
}

#[test]
fn function_errors_are_retried_after_one_minute_and_after_two() {
    let now_ms = ACCEPTED_MS + 5_000;
    for (retries, attempts, expected) in [
        (2, 0, Fate::Retry { due_ms: now_ms + 60_000 }),
        (2, 1, Fate::Retry { due_ms: now_ms + 120_000 }),
        (2, 2, Fate::End(Condition::RetriesExhausted)),
        (1, 0, Fate::Retry { due_ms: now_ms + 60_000 }),
        (1, 1, Fate::End(Condition::RetriesExhausted)),
        (0, 0, Fate::End(Condition::RetriesExhausted)),
        // The settings may have changed since the last run.
        (0, 2, Fate::End(Condition::RetriesExhausted)),
    ] {
        let fate =
            after_real(&settings(retries, 21_600), history(attempts, 0), RunOutcome::FunctionError, now_ms);
        assert_eq!(fate, expected, "{retries} retries, {attempts} attempts before");
    }
}

#[test]
fn a_retry_that_would_come_too_late_ends_the_event_by_its_age() {
    let settings = settings(2, 60);
    let fate = after_real(&settings, history(0, 0), RunOutcome::FunctionError, ACCEPTED_MS);
    assert_eq!(fate, Fate::End(Condition::EventAgeExceeded));
    // But where no retry was left, that is the reason.
    let fate = after_real(&settings, history(2, 0), RunOutcome::FunctionError, ACCEPTED_MS + 70_000);
    assert_eq!(fate, Fate::End(Condition::RetriesExhausted));
}

#[test]
fn back_off_doubles_from_one_second_to_five_minutes() {
    let delays_s: Vec<u64> = (0..12)
        .map(|backoffs| {
            match after_real(&settings(2, 21_600), history(1, backoffs), RunOutcome::Throttled, ACCEPTED_MS) {
                Fate::BackOff { due_ms } => (due_ms - ACCEPTED_MS) / 1000,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(delays_s, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(backoff_ms(u32::MAX, 1.0, TimeScale::REAL), 300_000);
    assert_eq!(backoff_ms(3, 0.0, TimeScale::REAL), 4_000);
}

#[test]
fn back_off_ends_with_the_age_of_the_event() {
    let settings = settings(2, 60);
    let fate = after_real(&settings, history(0, 9), RunOutcome::PlatformError, ACCEPTED_MS + 50_000);
    assert_eq!(fate, Fate::BackOff { due_ms: ACCEPTED_MS + 60_000 });
    let at = |now_ms| before(&settings, history(0, 10), 0, now_ms, TimeScale::REAL);
    assert_eq!(at(ACCEPTED_MS + 59_999), None);
    assert_eq!(at(ACCEPTED_MS + 60_000), Some(Fate::End(Condition::EventAgeExceeded)));
}

#[test]
fn zero_reserved_concurrency_comes_before_everything() {
    let settings = EventSettings { zero_reserved_concurrency: true, ..settings(2, 60) };
    let fate = before(&settings, history(0, 0), 99, ACCEPTED_MS + 60_000, TimeScale::REAL);
    assert_eq!(fate, Some(Fate::End(Condition::ZeroReservedConcurrency)));
}

#[test]
fn the_seventeenth_pass_of_a_loop_does_not_run_unless_it_is_allowed() {
    let at = |passes, recursion_allowed| {
        let settings = EventSettings { recursion_allowed, ..EventSettings::default() };
        before(&settings, history(0, 0), passes, ACCEPTED_MS, TimeScale::REAL)
    };
    assert_eq!(at(15, false), None);
    assert_eq!(at(16, false), Some(Fate::End(Condition::RetriesExhausted)));
    assert_eq!(at(16, true), None);
}

#[test]
fn time_is_scaled_as_a_whole() {
    let scale = TimeScale::new(0.001).unwrap();
    let after = |attempts, backoffs, outcome| {
        after(&settings(2, 60), history(attempts, backoffs), outcome, ACCEPTED_MS, 1.0, scale)
    };
    assert_eq!(after(0, 3, RunOutcome::Throttled), Fate::BackOff { due_ms: ACCEPTED_MS + 8 });
    // A minute is 60 ms, and so is the age.
    assert_eq!(after(0, 0, RunOutcome::FunctionError), Fate::End(Condition::EventAgeExceeded));
    assert_eq!(
        before(&settings(2, 60), history(0, 0), 0, ACCEPTED_MS + 60, scale),
        Some(Fate::End(Condition::EventAgeExceeded))
    );
    for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(TimeScale::new(nonsense), None);
    }
}

/// Every setting, history and outcome: a walk through all lives of an event, none of which is endless.
#[test]
fn every_life_ends_and_runs_no_more_often_than_allowed() {
    let mut lives = 0;
    for retries in 0..=2 {
        for age_s in [60, 61, 179, 180, 181, 3_600, 21_600] {
            let settings = settings(retries, age_s);
            for outcomes in 0..5_u32.pow(5) {
                lives += 1;
                live(&settings, outcomes);
            }
        }
    }
    assert_eq!(lives, 3 * 7 * 3125);
}

/// One life; its outcomes are the digits of a number in base 5, over and over.
fn live(settings: &EventSettings, outcomes: u32) {
    let mut history = history(0, 0);
    let mut now_ms = ACCEPTED_MS;
    let expires_ms = ACCEPTED_MS + u64::from(settings.maximum_event_age_s) * 1000;
    for round in 0..500_u32 {
        if let Some(fate) = before(settings, history, 0, now_ms, TimeScale::REAL) {
            assert_eq!(fate, Fate::End(Condition::EventAgeExceeded));
            assert!(now_ms >= expires_ms);
            return;
        }
        assert!(now_ms < expires_ms, "an event that is too old runs");
        let digit = usize::try_from(outcomes / 5_u32.pow(round % 5) % 5).unwrap();
        let outcome = OUTCOMES[digit];
        match after_real(settings, history, outcome, now_ms) {
            Fate::Retry { due_ms } => {
                assert_eq!(outcome, RunOutcome::FunctionError);
                assert!(due_ms >= now_ms + 60_000 && due_ms < expires_ms);
                history = History { attempts: history.attempts + 1, backoffs: 0, ..history };
                assert!(history.attempts <= u32::from(settings.maximum_retry_attempts));
                now_ms = due_ms;
            }
            Fate::BackOff { due_ms } => {
                assert!(matches!(outcome, RunOutcome::Throttled | RunOutcome::PlatformError));
                assert!(due_ms > now_ms && due_ms <= expires_ms);
                history = History { backoffs: history.backoffs + 1, ..history };
                now_ms = due_ms;
            }
            Fate::End(Condition::Success) => return assert_eq!(outcome, RunOutcome::Success),
            Fate::End(Condition::RetriesExhausted | Condition::EventAgeExceeded) => {
                return assert_eq!(outcome, RunOutcome::FunctionError);
            }
            Fate::Dropped => return assert_eq!(outcome, RunOutcome::NotFound),
            Fate::End(Condition::ZeroReservedConcurrency) => panic!("nothing is reserved"),
        }
    }
    panic!("an event lives for ever: {settings:?}, {outcomes}");
}

#[test]
fn a_delivery_is_tried_for_six_hours() {
    let at = |now_ms| redelivery_ms(ACCEPTED_MS, 20, now_ms, 1.0, TimeScale::REAL);
    assert_eq!(at(ACCEPTED_MS), Some(ACCEPTED_MS + 300_000));
    assert_eq!(at(ACCEPTED_MS + 21_300_000), None);
}
