//! The rules of an environment that takes several invocations at a time, walked: every sequence of events with two
//! slots and three invocations, and long random ones.
//!
//! As in `lifecycle.rs` a bookkeeper that knows nothing of states watches the effects: nobody is left without an answer,
//! nobody gets two, each `next` gets one event, what happens to one invocation happens to it alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use firesteel_environment::concurrent::lifecycle::{
    Effect, Event, InitStage, Phase, Refusal, Stage, State, step,
};
use firesteel_environment::lifecycle::ending::{Action, Budget};
use firesteel_environment::lifecycle::{AnswerKind, ExtensionFailure, Failure, InitResult};
use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use uuid::Uuid;

const A: Uuid = Uuid::from_u128(0xA);
const B: Uuid = Uuid::from_u128(0xB);
const C: Uuid = Uuid::from_u128(0xC);
const SLOTS: usize = 2;

/// An environment of two slots that starts these files as extensions.
fn new(files: &[&str]) -> State {
    State::new(SLOTS, files.iter().map(|name| Arc::from(*name)).collect())
}

fn register(name: &str, invoke: bool, shutdown: bool) -> Event {
    Event::Register { name: name.into(), invoke, shutdown }
}

/// Every event that can happen to a runtime and its sandbox, with more invocations than slots.
fn alphabet(ids: &[Uuid]) -> Vec<Event> {
    let mut all = vec![
        Event::Start,
        Event::NextCalled,
        Event::NextGone,
        Event::AnswerBegun(None, AnswerKind::Response),
        Event::InitErrorPosted,
        Event::LaunchFailed,
        Event::RuntimeExited,
        Event::InitDeadlinePassed,
        Event::EndingTimeUp,
        Event::Emptied,
        Event::SandboxLost,
        Event::Shutdown,
    ];
    for &id in ids {
        all.extend([Event::Invoke(id), Event::InvokeDeadlinePassed(id)]);
        for kind in [AnswerKind::Response, AnswerKind::Error] {
            all.extend([Event::AnswerBegun(Some(id), kind), Event::AnswerEnded(id, kind)]);
        }
    }
    all
}

fn with_extensions(ids: &[Uuid]) -> Vec<Event> {
    let mut all = alphabet(ids);
    for shutdown in [false, true] {
        all.extend([register("external", false, shutdown), register("external", true, shutdown)]);
    }
    all.extend([register("internal", false, false), register("internal", false, true)]);
    for index in 0..2 {
        all.push(Event::ExtensionNextCalled(index));
        all.push(Event::ExtensionErrorPosted(index, ExtensionErrorPhase::Init));
        all.push(Event::ExtensionErrorPosted(index, ExtensionErrorPhase::Exit));
        all.push(Event::Subscribe(index));
    }
    all.extend([Event::ExtensionLaunchFailed(0), Event::ExtensionExited(0)]);
    all
}

/// What has become of one invocation that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Account {
    began: bool,
    delivered: bool,
    answered: bool,
}

/// What must be true whatever the rules say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Bookkeeper {
    open: BTreeMap<Uuid, Account>,
    finished: u32,
    /// Ids whose time was up while the runtime had them, and that it has not answered.
    late: Vec<Uuid>,
    /// Calls for an event that wait.
    parked: usize,
    running: bool,
    runtime_started: bool,
    initializing: bool,
    ending: bool,
    budgeted: bool,
    killing: bool,
}

impl Bookkeeper {
    fn accept(&mut self, event: &Event) {
        match event {
            Event::Invoke(id) => {
                assert!(self.open.len() < SLOTS, "no more than there are slots");
                // An id that comes again is another invocation.
                assert_eq!(self.open.insert(*id, Account::default()), None);
            }
            Event::NextGone => self.parked = self.parked.checked_sub(1).expect("one that waited went"),
            Event::Emptied => assert!(self.killing),
            Event::InvokeDeadlinePassed(id) if self.open[id].delivered => self.late.push(*id),
            _ => {}
        }
    }

    fn watch(&mut self, effect: Effect, event: &Event) {
        match effect {
            Effect::BeginInit => {
                assert!(!self.running && !self.ending, "there is one init");
                self.initializing = true;
            }
            Effect::StartExtensions => {
                assert!(self.initializing && !self.runtime_started, "extensions come first");
                self.running = true;
            }
            Effect::StartRuntime => {
                assert!(self.initializing && !self.runtime_started && !self.ending);
                (self.running, self.runtime_started) = (true, true);
            }
            Effect::RuntimeInitialized => assert!(self.initializing && self.parked > 0),
            Effect::AwaitExit => assert!(self.initializing),
            Effect::InitEnded(_) => {
                assert!(self.initializing, "only what began can end");
                self.initializing = false;
            }
            Effect::Park if *event == Event::NextCalled => {
                self.parked += 1;
                assert!(self.parked <= SLOTS, "no more wait than there are slots");
            }
            Effect::Park => {}
            Effect::BeginInvocation(id) => {
                assert!(!self.initializing, "init is on nobody's time");
                let account = self.account(id);
                assert!(!account.began, "the clock is started once");
                account.began = true;
            }
            Effect::Deliver(id) => {
                assert!(self.runtime_started && !self.ending && !self.initializing);
                self.parked = self.parked.checked_sub(1).expect("somebody waits for it");
                let account = self.account(id);
                assert!(account.began && !account.delivered && !account.answered, "an event is given to one");
                account.delivered = true;
            }
            Effect::Answer(id) => {
                assert!(matches!(event, Event::AnswerEnded(of, _) if *of == id), "to its own caller");
                let account = self.account(id);
                assert!(account.delivered && !account.answered);
                account.answered = true;
            }
            Effect::RefuseLateAnswer(id) => {
                let index = self.late.iter().position(|late| *late == id);
                self.late.remove(index.expect("it ran out of time"));
            }
            Effect::Fail(id, failure) => {
                if failure == Failure::TimedOut && !self.ending_by_init(event) {
                    assert_eq!(*event, Event::InvokeDeadlinePassed(id), "the time of one is that of one");
                }
                let account = self.account(id);
                assert!(!account.answered, "one answer");
                account.answered = true;
            }
            Effect::Finish(id) => {
                assert!(self.account(id).answered, "nobody is left without an answer");
                self.open.remove(&id);
                self.finished += 1;
            }
            Effect::End(action) => self.watch_end(action),
            Effect::CloseSandbox => {
                assert!(self.open.is_empty());
                *self = Bookkeeper { finished: self.finished, late: self.late.clone(), ..Self::default() };
            }
        }
    }

    fn ending_by_init(&self, event: &Event) -> bool {
        *event == Event::InitDeadlinePassed
    }

    fn watch_end(&mut self, action: Action) {
        assert!(self.open.is_empty(), "everybody is told first");
        (self.ending, self.initializing, self.parked) = (true, false, 0);
        match action {
            Action::Begin(Budget { total, runtime, .. }) => {
                assert!(!self.budgeted && runtime <= total, "the time is taken once");
                self.budgeted = true;
            }
            Action::TerminateRuntime | Action::KillRuntime => assert!(self.runtime_started && self.budgeted),
            Action::TellExtension(_) | Action::KillExtension(_) | Action::AwaitExtensions => {
                assert!(self.budgeted && !self.killing);
            }
            Action::KillAll => {
                assert!(!self.killing);
                self.killing = true;
            }
        }
    }

    fn account(&mut self, id: Uuid) -> &mut Account {
        self.open.get_mut(&id).expect("an effect names an invocation that was accepted")
    }

    fn agrees_with(&self, state: &State) {
        let open: HashSet<Uuid> = self.open.keys().copied().collect();
        let known: HashSet<Uuid> = state.running.keys().chain(&state.waiting).copied().collect();
        assert_eq!(open, known, "{state:?}");
        assert_eq!(self.parked, state.idle, "{state:?}");
        assert_eq!(self.late, Vec::from(state.timed_out.clone()));
        assert!(state.idle == 0 || state.waiting.is_empty() || state.phase != Phase::Serving, "{state:?}");
        match state.phase {
            Phase::New | Phase::Terminated => assert!(!self.running && !self.ending),
            Phase::Initializing(_) => assert!(self.running && self.initializing && state.running.is_empty()),
            Phase::Serving => {
                assert!(self.running && !self.initializing && !self.ending);
                assert!(self.open.values().all(|account| account.began), "every clock runs");
            }
            Phase::Ending(_) => assert!(self.ending && self.open.is_empty()),
        }
        if state.takes_invocation() {
            let unknown = [A, B, C].into_iter().filter(|id| !self.open.contains_key(id));
            assert!(unknown.map(Event::Invoke).all(|invoke| step(state, invoke).is_ok()), "{state:?}");
        }
    }
}

fn apply(state: &State, books: &Bookkeeper, event: &Event) -> Result<(State, Bookkeeper), Refusal> {
    let (next, effects) = step(state, event.clone())?;
    let mut books = books.clone();
    books.accept(event);
    effects.into_iter().for_each(|effect| books.watch(effect, event));
    books.agrees_with(&next);
    Ok((next, books))
}

/// Every state that can be reached with at most this many invocations that ran out of time at once.
fn walk(first: State, alphabet: &[Event], most_late: usize) -> HashSet<State> {
    let mut seen = HashSet::new();
    let mut edge = vec![(first, Bookkeeper::default())];
    while let Some((state, books)) = edge.pop() {
        for event in alphabet {
            if let Ok((next, mut books)) = apply(&state, &books, event) {
                books.finished = 0;
                if next.timed_out.len() <= most_late && seen.insert((next.clone(), books.clone())) {
                    edge.push((next, books));
                }
            }
        }
    }
    seen.into_iter().map(|(state, _)| state).collect()
}

#[test]
fn every_sequence_of_events_keeps_the_books() {
    let states = walk(new(&[]), &alphabet(&[A, B, C]), 2);
    // More or fewer: a state was added or cannot be reached any more, which is to be meant.
    assert_eq!(states.len(), 1866);
}

#[test]
fn every_sequence_of_events_with_extensions_keeps_the_books() {
    let states = walk(new(&["external"]), &with_extensions(&[A, B]), 0);
    assert_eq!(states.len(), 1386);
}

#[test]
fn from_everywhere_an_end_can_be_reached_and_is_final() {
    let alphabet = with_extensions(&[A, B]);
    for state in walk(new(&["external"]), &alphabet, 0) {
        let mut stopping = match step(&state, Event::Shutdown) {
            Ok((stopping, _)) => stopping,
            Err(Refusal::Irrelevant) => state.clone(),
            Err(refusal) => panic!("{state:?} refuses to shut down: {refusal:?}"),
        };
        // Even if nobody does what is asked of them.
        while let Ok((next, _)) = step(&stopping, Event::EndingTimeUp) {
            stopping = next;
        }
        if stopping.phase != Phase::Terminated {
            assert_eq!(step(&stopping, Event::Emptied).unwrap().0.phase, Phase::Terminated);
        } else {
            for event in alphabet.iter().filter(|event| !matches!(event, Event::AnswerBegun(..))) {
                assert!(step(&stopping, event.clone()).is_err(), "{event:?}");
            }
        }
    }
}

/// The same lives on every machine and in every run. A seed that once found something is added here.
#[test]
fn long_lives_keep_the_books() {
    for seed in [0x5EED, 0xF1FE] {
        let config = Config {
            cases: 100,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        let events = proptest::collection::vec(any_event(), 0..300);
        TestRunner::new(config)
            .run(&events, |events| {
                let (mut state, mut books) = (new(&["external"]), Bookkeeper::default());
                for event in events {
                    if let Ok(next) = apply(&state, &books, &event) {
                        (state, books) = next;
                    }
                }
                Ok(())
            })
            .unwrap();
    }
}

/// Mostly what keeps a life going.
fn any_event() -> impl Strategy<Value = Event> {
    let id = prop_oneof![Just(A), Just(B), Just(C)];
    let kind = prop_oneof![3 => Just(AnswerKind::Response), 1 => Just(AnswerKind::Error)];
    let likely = prop_oneof![
        2 => Just(Event::Start),
        8 => Just(Event::NextCalled),
        5 => id.clone().prop_map(Event::Invoke),
        5 => (id.clone(), kind.clone()).prop_map(|(id, kind)| Event::AnswerBegun(Some(id), kind)),
        5 => (id.clone(), kind).prop_map(|(id, kind)| Event::AnswerEnded(id, kind)),
        2 => id.prop_map(Event::InvokeDeadlinePassed),
        2 => Just(register("external", false, true)),
        4 => Just(Event::ExtensionNextCalled(0)),
    ];
    let all = with_extensions(&[A, B, C]);
    prop_oneof![40 => likely, 1 => proptest::sample::select(all)]
}

/// A life told as a story: each event, and what must follow.
#[track_caller]
fn story(files: &[&str], events: &[(Event, &[Effect])]) -> State {
    let mut state = new(files);
    for (event, expected) in events {
        let (next, effects) = step(&state, event.clone())
            .unwrap_or_else(|refusal| panic!("{event:?} in {state:?}: {refusal:?}"));
        assert_eq!(effects, *expected, "{event:?} in {state:?}");
        state = next;
    }
    state
}

#[track_caller]
fn after(mut state: State, events: &[Event]) -> State {
    for event in events {
        state = step(&state, event.clone()).unwrap_or_else(|refusal| panic!("{event:?}: {refusal:?}")).0;
    }
    state
}

const START: (Event, &[Effect]) = (Event::Start, &[Effect::BeginInit, Effect::StartRuntime]);
const SERVING: (Event, &[Effect]) = (
    Event::NextCalled,
    &[Effect::Park, Effect::RuntimeInitialized, Effect::InitEnded(InitResult::Succeeded)],
);
const BEGUN: fn(Uuid) -> Event = |id| Event::AnswerBegun(Some(id), AnswerKind::Response);
const ENDED: fn(Uuid) -> Event = |id| Event::AnswerEnded(id, AnswerKind::Response);
const ERROR_BEGUN: fn(Uuid) -> Event = |id| Event::AnswerBegun(Some(id), AnswerKind::Error);
const ERROR_ENDED: fn(Uuid) -> Event = |id| Event::AnswerEnded(id, AnswerKind::Error);

#[test]
fn invocations_overlap_and_end_in_any_order() {
    story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (
                Event::NextCalled,
                &[
                    Effect::Park,
                    Effect::RuntimeInitialized,
                    Effect::InitEnded(InitResult::Succeeded),
                    Effect::BeginInvocation(A),
                    Effect::Deliver(A),
                ],
            ),
            // Without a call that waits; its clock runs.
            (Event::Invoke(B), &[Effect::BeginInvocation(B)]),
            (Event::NextCalled, &[Effect::Park, Effect::Deliver(B)]),
            (BEGUN(B), &[]),
            (BEGUN(A), &[]),
            (ENDED(B), &[Effect::Answer(B), Effect::Finish(B)]),
            (Event::NextCalled, &[Effect::Park]),
            (Event::Invoke(C), &[Effect::BeginInvocation(C), Effect::Deliver(C)]),
            (ENDED(A), &[Effect::Answer(A), Effect::Finish(A)]),
        ],
    );
}

#[test]
fn one_that_runs_out_of_time_is_told_so_once_and_the_others_go_on() {
    let state = story(
        &[],
        &[
            START,
            SERVING,
            (Event::NextCalled, &[Effect::Park]),
            (Event::Invoke(A), &[Effect::BeginInvocation(A), Effect::Deliver(A)]),
            (Event::Invoke(B), &[Effect::BeginInvocation(B), Effect::Deliver(B)]),
            (Event::InvokeDeadlinePassed(A), &[Effect::Fail(A, Failure::TimedOut), Effect::Finish(A)]),
        ],
    );
    assert!(!state.takes_invocation(), "the runtime is still busy with what nobody waits for");
    let state = after(state, &[BEGUN(B), ENDED(B)]);
    assert!(state.takes_invocation());

    let (state, effects) = step(&state, BEGUN(A)).unwrap();
    assert_eq!(effects, [Effect::RefuseLateAnswer(A)]);
    assert_eq!(step(&state, BEGUN(A)), Err(Refusal::InvalidRequestId), "the second time");
}

#[test]
fn a_slot_that_never_comes_back_is_counted_until_the_runtime_asks_for_more() {
    let state = after(new(&[]), &[Event::Start, Event::NextCalled, Event::NextCalled]);
    let lost =
        [Event::Invoke(A), Event::Invoke(B), Event::InvokeDeadlinePassed(A), Event::InvokeDeadlinePassed(B)];
    let state = after(state, &lost);
    assert!(!state.takes_invocation());
    assert!(after(state, &[Event::NextCalled]).takes_invocation());
}

#[test]
fn ids_and_second_answers_are_refused_as_aws_refuses_them() {
    let state = after(new(&[]), &[Event::Start, Event::Invoke(A), Event::NextCalled]);
    let refused = |state: &State, event| step(state, event).map(drop);
    assert_eq!(refused(&state, BEGUN(B)), Err(Refusal::InvalidRequestId));
    assert_eq!(refused(&state, Event::AnswerBegun(None, AnswerKind::Error)), Err(Refusal::InvalidRequestId));
    let answering = after(state, &[BEGUN(A)]);
    assert_eq!(refused(&answering, BEGUN(A)), Err(Refusal::InvalidRequestId));

    // An error takes the place of a response that is being read, and nothing takes its.
    let failing = after(answering, &[ERROR_BEGUN(A)]);
    assert_eq!(failing.running[&A], Stage::Answering(AnswerKind::Error));
    assert_eq!(refused(&failing, ENDED(A)), Err(Refusal::InvalidRequestId));
    assert_eq!(refused(&failing, ERROR_BEGUN(A)), Err(Refusal::InvalidRequestId));
    let over = after(failing, &[ERROR_ENDED(A)]);
    assert_eq!(refused(&over, BEGUN(A)), Err(Refusal::InvalidRequestId));

    let full = after(over, &[Event::NextCalled, Event::NextCalled]);
    assert_eq!(refused(&full, Event::NextCalled), Err(Refusal::TooManyIdleRuntimes));
    let transition = |from, to| Err(Refusal::Transition { from, to });
    assert_eq!(refused(&full, Event::InitErrorPosted), transition("Ready", "InitError"));
    let ending = after(full, &[Event::Shutdown]);
    assert_eq!(refused(&ending, Event::NextCalled), transition("InitError", "Ready"));
}

const KILL_ALL: Effect = Effect::End(Action::KillAll);

#[test]
fn the_end_of_the_runtime_is_that_of_everything_under_way() {
    let state = story(
        &[],
        &[
            START,
            SERVING,
            (Event::Invoke(A), &[Effect::BeginInvocation(A), Effect::Deliver(A)]),
            (Event::Invoke(B), &[Effect::BeginInvocation(B)]),
            (
                Event::RuntimeExited,
                &[
                    Effect::Fail(A, Failure::Exited),
                    Effect::Finish(A),
                    Effect::Fail(B, Failure::Exited),
                    Effect::Finish(B),
                    KILL_ALL,
                ],
            ),
            (Event::Emptied, &[Effect::CloseSandbox]),
        ],
    );
    assert_eq!(state.phase, Phase::Terminated);
}

#[test]
fn a_failed_init_fails_those_that_wait_and_is_not_done_again() {
    let budget = Budget {
        reason: ShutdownReason::Failure,
        total: Duration::from_millis(2000),
        runtime: Duration::from_millis(600),
    };
    story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (Event::InitErrorPosted, &[Effect::AwaitExit]),
            (
                Event::InitDeadlinePassed,
                &[
                    Effect::InitEnded(InitResult::Failed(Failure::InitError)),
                    Effect::Fail(A, Failure::InitError),
                    Effect::Finish(A),
                    Effect::End(Action::Begin(budget)),
                    Effect::End(Action::TerminateRuntime),
                ],
            ),
            (Event::EndingTimeUp, &[KILL_ALL]),
            (Event::Emptied, &[Effect::CloseSandbox]),
        ],
    );
}

#[test]
fn extensions_take_part_in_init_and_end_and_in_no_invocation() {
    let state = story(
        &["external"],
        &[
            (Event::Start, &[Effect::BeginInit, Effect::StartExtensions]),
            (register("external", false, true), &[Effect::StartRuntime]),
            (Event::NextCalled, &[Effect::Park, Effect::RuntimeInitialized]),
            (Event::ExtensionNextCalled(0), &[Effect::Park, Effect::InitEnded(InitResult::Succeeded)]),
            (Event::Invoke(A), &[Effect::BeginInvocation(A), Effect::Deliver(A)]),
        ],
    );
    let crash = Failure::Extension(ExtensionFailure::Crash(0));
    let (_, effects) = step(&state, Event::ExtensionExited(0)).unwrap();
    assert_eq!(effects[..2], [Effect::Fail(A, crash), Effect::Finish(A)]);
    let (_, effects) = step(&state, Event::Shutdown).unwrap();
    assert!(effects.contains(&Effect::End(Action::TerminateRuntime)), "{effects:?}");

    let started = after(new(&["external"]), &[Event::Start]);
    assert_eq!(started.phase, Phase::Initializing(InitStage::Extensions));
    let refused = |event| match step(&started, event) {
        Err(Refusal::Extension(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(register("external", true, true)), ExtensionRefusal::InvokeNotSupported);
    assert_eq!(refused(register("internal", true, false)), ExtensionRefusal::NoEventsForInternal);
    assert_eq!(refused(register("internal", false, true)), ExtensionRefusal::NoEventsForInternal);
}
