//! The rules of an environment, walked: every sequence of events, and long random ones.
//!
//! Beside the rules runs a bookkeeper that knows nothing of states. It watches the effects and holds what must be
//! true of any environment: nobody is left without an answer, nobody gets two, an event is delivered only to one who
//! was started and asked, a clock is started once, processes are ended before others are started, what rests is woken
//! before it is given anything.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use firesteel_environment::lifecycle::ending::{self, Action, Budget};
use firesteel_environment::lifecycle::{
    AnswerKind, Effect, Ending, Event, ExtensionFailure, Failure, Finish, InitResult, Initializing, Invoking,
    Phase, Purpose, Refusal, Stage, State, Then, step,
};
use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use uuid::Uuid;

const A: Uuid = Uuid::from_u128(0xA);
const B: Uuid = Uuid::from_u128(0xB);

/// An environment that starts these files as extensions.
fn new(files: &[&str]) -> State {
    State::new(files.iter().map(|name| Arc::from(*name)).collect())
}

fn register(name: &str, invoke: bool, shutdown: bool) -> Event {
    Event::Register { name: name.into(), invoke, shutdown }
}

/// Every event that can happen to a runtime and its sandbox, with two invocations to confuse.
fn alphabet() -> Vec<Event> {
    let mut all = vec![
        Event::Start,
        Event::NextCalled,
        Event::AnswerBegun(None, AnswerKind::Response),
        Event::InitErrorPosted,
        Event::RestoreNextCalled,
        Event::RestoreErrorPosted,
        Event::LaunchFailed,
        Event::RuntimeExited,
        Event::InitDeadlinePassed,
        Event::RestoreDeadlinePassed,
        Event::InvokeDeadlinePassed,
        Event::EndingTimeUp,
        Event::Emptied,
        Event::SandboxLost,
        Event::Shutdown,
    ];
    for id in [A, B] {
        all.push(Event::Invoke(id));
        all.push(Event::AnswerBegun(Some(id), AnswerKind::Response));
        all.push(Event::AnswerBegun(Some(id), AnswerKind::Error));
        all.push(Event::AnswerEnded(id));
    }
    all
}

/// Every event that can happen to an extension: one of a file, one of its own making.
fn with_extensions() -> Vec<Event> {
    let mut all = alphabet();
    for invoke in [false, true] {
        all.push(register("internal", invoke, false));
        all.push(register("external", invoke, false));
        all.push(register("external", invoke, true));
    }
    for index in 0..2 {
        all.push(Event::ExtensionNextCalled(index));
        all.push(Event::ExtensionErrorPosted(index, ExtensionErrorPhase::Init));
        all.push(Event::ExtensionErrorPosted(index, ExtensionErrorPhase::Exit));
        all.push(Event::Subscribe(index));
    }
    all.push(Event::ExtensionLaunchFailed(0));
    all.push(Event::ExtensionExited(0));
    all
}

/// What has become of one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Account {
    invocation: Uuid,
    began: bool,
    answered: bool,
}

/// What must be true whatever the rules say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Bookkeeper {
    current: Option<Account>,
    finished: u32,
    /// A process was started and not yet ended.
    running: bool,
    /// The runtime's was.
    runtime_started: bool,
    /// An end was begun and is not over.
    ending: bool,
    /// The time for it was taken.
    budgeted: bool,
    /// Killing was asked for and is not over.
    killing: bool,
    /// A `next` waits.
    parked: bool,
    /// Extensions whose call waits.
    asked: [bool; 2],
    /// Extensions that have the event of the present invocation.
    busy: [bool; 2],
    initializing: bool,
    restoring: bool,
    resting: bool,
}

impl Bookkeeper {
    fn accept(&mut self, event: &Event) {
        match event {
            Event::Invoke(id) => {
                assert_eq!(self.current, None, "an environment takes one invocation at a time");
                self.current = Some(Account { invocation: *id, began: false, answered: false });
            }
            Event::ExtensionNextCalled(index) => {
                assert!(!self.asked[*index], "one call at a time");
                (self.asked[*index], self.busy[*index]) = (true, false);
            }
            Event::Emptied => {
                assert!(self.killing);
                let Bookkeeper { current, finished, .. } = *self;
                *self = Bookkeeper { current, finished, ..Bookkeeper::default() };
            }
            _ => {}
        }
    }

    fn watch(&mut self, effect: Effect) {
        match effect {
            Effect::BeginInit { limited } => {
                assert!(!self.running && !self.ending, "an init begins in an empty sandbox");
                assert_eq!(limited, self.current.is_none_or(|current| !current.began), "whose limit it is");
                (self.initializing, self.restoring) = (true, false);
            }
            Effect::StartExtensions => {
                assert!(self.initializing && !self.runtime_started, "extensions come first");
                self.running = true;
            }
            Effect::StartRuntime => {
                assert!(self.initializing && !self.runtime_started && !self.ending);
                (self.running, self.runtime_started, self.parked) = (true, true, false);
            }
            Effect::RuntimeInitialized => assert!(self.initializing && self.parked),
            Effect::InitEnded(_) => {
                assert!(self.initializing, "only what began can end");
                self.initializing = false;
            }
            Effect::ReleaseRestore { .. } => {
                assert!(!self.initializing && self.parked && self.runtime_started);
                (self.parked, self.restoring) = (false, true);
            }
            Effect::RestoreEnded(_) => {
                assert!(self.restoring, "only what began can end");
                self.restoring = false;
            }
            Effect::BeginInvocation(id) => {
                let current = self.current_mut(id);
                assert!(!current.began, "the clock is started once");
                current.began = true;
            }
            Effect::Park => self.parked = true,
            Effect::DeliverToExtension(index, id) => {
                assert!(self.asked[index] && self.running && !self.ending && !self.resting);
                assert!(self.current_mut(id).began);
                (self.asked[index], self.busy[index]) = (false, true);
            }
            Effect::Deliver(id) => {
                assert!(self.parked && self.runtime_started && !self.ending && !self.resting);
                assert!(!self.initializing && !self.restoring);
                let current = self.current_mut(id);
                assert!(current.began && !current.answered);
                self.parked = false;
            }
            Effect::Answer(id) => {
                let current = self.current_mut(id);
                assert!(current.began && !current.answered, "one answer, after the clock started");
                current.answered = true;
            }
            Effect::Fail(id, failure) => {
                let restored_in_vain = !self.initializing && self.runtime_started;
                let current = self.current_mut(id);
                assert!(!current.answered, "one answer");
                assert!(
                    current.began || failure == Failure::Sandbox || restored_in_vain,
                    "only the end itself, or a restore, fails what never began"
                );
                current.answered = true;
            }
            Effect::RuntimeDone(id) => assert!(self.parked && self.current_mut(id).answered),
            Effect::Finish(id, finish) => {
                assert!(self.current_mut(id).answered, "nobody is left without an answer");
                assert!(
                    finish != Finish::Completed || (self.parked && self.busy == [false; 2]),
                    "complete means that everybody asks again"
                );
                self.current = None;
                self.finished += 1;
                self.busy = [false; 2];
            }
            Effect::Rest => {
                assert!(!self.resting && self.parked && self.current.is_none());
                self.resting = true;
            }
            Effect::Wake => {
                assert!(self.resting);
                self.resting = false;
            }
            Effect::End(action) => self.watch_end(action),
            Effect::CloseSandbox => {
                let Bookkeeper { current, finished, .. } = *self;
                *self = Bookkeeper { current, finished, ..Bookkeeper::default() };
            }
        }
    }

    fn watch_end(&mut self, action: Action) {
        assert!(!self.resting, "what rests cannot hear");
        self.ending = true;
        (self.initializing, self.restoring) = (false, false);
        match action {
            Action::Begin(Budget { total, runtime, .. }) => {
                assert!(!self.budgeted && runtime <= total, "the time is taken once");
                self.budgeted = true;
            }
            Action::TerminateRuntime | Action::KillRuntime => assert!(self.runtime_started && self.budgeted),
            Action::TellExtension(index) => {
                assert!(self.asked[index] && self.budgeted);
                self.asked[index] = false;
            }
            Action::KillExtension(_) | Action::AwaitExtensions => assert!(self.budgeted && !self.killing),
            Action::KillAll => {
                assert!(!self.killing);
                self.killing = true;
            }
        }
    }

    fn current_mut(&mut self, id: Uuid) -> &mut Account {
        let current = self.current.as_mut().expect("an effect names an invocation that was accepted");
        assert_eq!(current.invocation, id);
        current
    }

    fn agrees_with(&self, state: &State) {
        match state.phase {
            Phase::New | Phase::Idle | Phase::Cold | Phase::Terminated => {
                assert_eq!(self.current, None, "at rest with an invocation: {state:?}");
            }
            Phase::Invoking(invoking) => {
                let current = self.current.expect("an invocation is under way");
                assert_eq!(current.invocation, invoking.invocation);
                let answered = matches!(invoking.stage, Stage::Answered | Stage::Extensions);
                assert_eq!(current.answered, answered);
            }
            Phase::Initializing(Initializing { purpose: Purpose::Suppressed { .. }, .. }) => {
                assert!(self.current.is_some_and(|current| current.began && !current.answered));
            }
            Phase::Initializing(Initializing { purpose: Purpose::InitPhase { waiting }, .. })
            | Phase::Ending(Ending { then: Then::Reset { waiting }, .. }) => {
                assert_eq!(self.current.map(|current| current.invocation), waiting);
            }
            Phase::Ending(Ending { then: Then::Stop, .. }) => assert_eq!(self.current, None),
        }
        match state.phase {
            Phase::Idle | Phase::Invoking(_) | Phase::Initializing(_) => {
                assert!(self.running && !self.ending, "{state:?}");
            }
            Phase::Ending(Ending { step, .. }) => {
                assert!(self.ending, "{state:?}");
                assert_eq!(self.killing, step == ending::Step::Processes, "{state:?}");
            }
            Phase::New | Phase::Cold | Phase::Terminated => assert!(!self.running && !self.ending),
        }
        assert_eq!(self.resting, state.phase == Phase::Idle);
        assert_eq!(state.takes_invocation(), step(state, Event::Invoke(B)).is_ok());
    }
}

fn apply(state: &State, bookkeeper: &Bookkeeper, event: &Event) -> Result<(State, Bookkeeper), Refusal> {
    let (next, effects) = step(state, event.clone())?;
    let mut bookkeeper = bookkeeper.clone();
    bookkeeper.accept(event);
    // What an extension's own call parks is not the runtime's.
    let parks = !matches!(event, Event::ExtensionNextCalled(_));
    effects
        .into_iter()
        .filter(|effect| parks || *effect != Effect::Park)
        .for_each(|effect| bookkeeper.watch(effect));
    bookkeeper.agrees_with(&next);
    Ok((next, bookkeeper))
}

/// Every state that can be reached, and how many steps the longest way takes.
fn walk(first: State, alphabet: &[Event]) -> (HashSet<State>, u32) {
    let mut seen = HashSet::new();
    let mut edge = vec![(first, Bookkeeper::default())];
    let mut depth = 0;
    // Until nothing new is reached: the states are few, so this is every sequence of any length. Finished
    // invocations are not counted, or there would be no end.
    while !edge.is_empty() {
        depth += 1;
        let mut next_edge = Vec::new();
        for (state, bookkeeper) in edge {
            for event in alphabet {
                if let Ok((next, mut books)) = apply(&state, &bookkeeper, event) {
                    books.finished = 0;
                    if seen.insert((next.clone(), books.clone())) {
                        next_edge.push((next, books));
                    }
                }
            }
        }
        edge = next_edge;
    }
    (seen.into_iter().map(|(state, _)| state).collect(), depth)
}

#[test]
fn every_sequence_of_events_keeps_the_books() {
    let (states, depth) = walk(new(&[]), &alphabet());
    // More or fewer: a state was added or cannot be reached any more, which is to be meant.
    assert_eq!(states.len(), 33);
    assert!(depth > 5);
}

#[test]
fn every_sequence_of_events_with_extensions_keeps_the_books() {
    let (states, depth) = walk(new(&["external"]), &with_extensions());
    assert_eq!(states.len(), 5624);
    assert!(depth > 8);
}

#[test]
fn from_everywhere_an_end_can_be_reached_and_is_final() {
    let alphabet = with_extensions();
    let (states, _) = walk(new(&["external"]), &alphabet);
    for state in states {
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
            for event in &alphabet {
                assert!(step(&stopping, event.clone()).is_err(), "{event:?}");
            }
        }
    }
}

/// The same lives on every machine and in every run. A seed that once found something is added here.
const SEEDS: [u64; 4] = [1, 20_150_331, 0x5eed_f00d, u64::MAX];

#[test]
fn long_random_lives_keep_the_books() {
    for (seed, files) in SEEDS.into_iter().zip([&[] as &[&str], &["external"], &["external"], &[]]) {
        let config = Config {
            cases: 100,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        let lives = proptest::collection::vec(event(), 1..200);
        let outcome = TestRunner::new(config).run(&lives, |events| {
            let mut state = new(files);
            let mut bookkeeper = Bookkeeper::default();
            let mut accepted = 0;
            for event in events {
                accepted +=
                    u32::from(matches!(event, Event::Invoke(_)) && step(&state, event.clone()).is_ok());
                if let Ok(next) = apply(&state, &bookkeeper, &event) {
                    (state, bookkeeper) = next;
                }
            }
            let open = u32::from(bookkeeper.current.is_some());
            prop_assert_eq!(accepted, bookkeeper.finished + open);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// Ids beyond the two of the walk, and the likelier events more often, so that lives are long.
fn event() -> impl Strategy<Value = Event> {
    let id = (0u128..4).prop_map(Uuid::from_u128);
    let kind = prop_oneof![Just(AnswerKind::Response), Just(AnswerKind::Error)];
    let likely = prop_oneof![
        2 => Just(Event::Start),
        6 => Just(Event::NextCalled),
        4 => id.clone().prop_map(Event::Invoke),
        4 => (proptest::option::of(id.clone()), kind).prop_map(|(id, kind)| Event::AnswerBegun(id, kind)),
        4 => id.prop_map(Event::AnswerEnded),
        4 => Just(Event::Emptied),
        6 => (0..2usize).prop_map(Event::ExtensionNextCalled),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(invoke, shutdown)| register("external", invoke, shutdown)),
        2 => any::<bool>().prop_map(|invoke| register("internal", invoke, false)),
    ];
    prop_oneof![
        9 => likely,
        1 => proptest::sample::select(with_extensions())
            .prop_filter("they end the life", |event| !matches!(event, Event::Shutdown | Event::SandboxLost)),
    ]
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

const START: (Event, &[Effect]) =
    (Event::Start, &[Effect::BeginInit { limited: true }, Effect::StartRuntime]);
const INITIALIZED: Effect = Effect::InitEnded(InitResult::Succeeded);
const KILL_ALL: Effect = Effect::End(Action::KillAll);
const IDLE: (Event, &[Effect]) =
    (Event::NextCalled, &[Effect::Park, Effect::RuntimeInitialized, INITIALIZED, Effect::Rest]);

#[test]
fn a_cold_invocation_and_a_warm_one() {
    let state = story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (
                Event::NextCalled,
                &[
                    Effect::Park,
                    Effect::RuntimeInitialized,
                    INITIALIZED,
                    Effect::BeginInvocation(A),
                    Effect::Deliver(A),
                ],
            ),
            (Event::AnswerBegun(Some(A), AnswerKind::Response), &[]),
            (Event::AnswerEnded(A), &[Effect::Answer(A)]),
            (
                Event::NextCalled,
                &[Effect::Park, Effect::RuntimeDone(A), Effect::Finish(A, Finish::Completed), Effect::Rest],
            ),
            (Event::Invoke(B), &[Effect::Wake, Effect::BeginInvocation(B), Effect::Deliver(B)]),
        ],
    );
    assert_eq!(state.phase, Phase::Invoking(Invoking { invocation: B, stage: Stage::Running }));
}

#[test]
fn a_failed_init_is_done_again_inside_the_invocation() {
    let failed = Effect::InitEnded(InitResult::Failed(Failure::Exited));
    let state = story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (Event::RuntimeExited, &[failed, KILL_ALL]),
            (
                Event::Emptied,
                &[Effect::BeginInvocation(A), Effect::BeginInit { limited: false }, Effect::StartRuntime],
            ),
            (
                Event::RuntimeExited,
                &[
                    failed,
                    Effect::Fail(A, Failure::Exited),
                    Effect::Finish(A, Finish::Failed(Failure::Exited)),
                    KILL_ALL,
                ],
            ),
            (Event::Emptied, &[]),
        ],
    );
    assert_eq!(state.phase, Phase::Cold);
}

#[test]
fn an_event_is_delivered_again_to_a_runtime_that_asks_again() {
    story(
        &[],
        &[
            START,
            IDLE,
            (Event::NextCalled, &[Effect::Park]),
            (Event::Invoke(A), &[Effect::Wake, Effect::BeginInvocation(A), Effect::Deliver(A)]),
            (Event::NextCalled, &[Effect::Park, Effect::Deliver(A)]),
        ],
    );
}

#[test]
fn an_answer_that_is_being_read_when_its_process_ends_still_counts() {
    story(
        &[],
        &[
            START,
            IDLE,
            (Event::Invoke(A), &[Effect::Wake, Effect::BeginInvocation(A), Effect::Deliver(A)]),
            (Event::AnswerBegun(Some(A), AnswerKind::Error), &[]),
            (Event::RuntimeExited, &[]),
            (
                Event::AnswerEnded(A),
                &[Effect::Answer(A), Effect::Finish(A, Finish::Failed(Failure::Exited)), KILL_ALL],
            ),
        ],
    );
}

const BUDGET: Budget = Budget {
    reason: ShutdownReason::Spindown,
    total: Duration::from_millis(2000),
    runtime: Duration::from_millis(300),
};

/// One extension of a file and one of the runtime's; the first wants both events, the second invocations.
#[test]
fn extensions_begin_before_the_runtime_and_end_after_it() {
    story(
        &["external"],
        &[
            (Event::Start, &[Effect::BeginInit { limited: true }, Effect::StartExtensions]),
            (register("external", true, true), &[Effect::StartRuntime]),
            (Event::ExtensionNextCalled(0), &[Effect::Park]),
            (register("internal", true, false), &[]),
            (Event::NextCalled, &[Effect::Park, Effect::RuntimeInitialized]),
            (Event::Subscribe(1), &[]),
            (Event::ExtensionNextCalled(1), &[Effect::Park, INITIALIZED, Effect::Rest]),
            (
                Event::Invoke(A),
                &[
                    Effect::Wake,
                    Effect::BeginInvocation(A),
                    Effect::DeliverToExtension(0, A),
                    Effect::DeliverToExtension(1, A),
                    Effect::Deliver(A),
                ],
            ),
            (Event::ExtensionNextCalled(1), &[Effect::Park]),
            (Event::AnswerBegun(Some(A), AnswerKind::Response), &[]),
            (Event::AnswerEnded(A), &[Effect::Answer(A)]),
            (Event::NextCalled, &[Effect::Park, Effect::RuntimeDone(A)]),
            (
                Event::ExtensionNextCalled(0),
                &[Effect::Park, Effect::Finish(A, Finish::Completed), Effect::Rest],
            ),
            (
                Event::Shutdown,
                &[Effect::Wake, Effect::End(Action::Begin(BUDGET)), Effect::End(Action::TerminateRuntime)],
            ),
            (
                Event::EndingTimeUp,
                &[
                    Effect::End(Action::KillRuntime),
                    Effect::End(Action::AwaitExtensions),
                    Effect::End(Action::TellExtension(0)),
                ],
            ),
            (Event::RuntimeExited, &[]),
            (Event::ExtensionExited(0), &[KILL_ALL]),
            (Event::Emptied, &[Effect::CloseSandbox]),
        ],
    );
}

#[test]
fn an_extension_that_ends_takes_the_invocation_along() {
    let crash = Failure::Extension(ExtensionFailure::Crash(0));
    let budget = Budget { reason: ShutdownReason::Failure, ..BUDGET };
    let state = story(
        &["external"],
        &[
            (Event::Start, &[Effect::BeginInit { limited: true }, Effect::StartExtensions]),
            (register("external", false, false), &[Effect::StartRuntime]),
            (Event::ExtensionNextCalled(0), &[Effect::Park]),
            IDLE,
            // It did not ask for invocations and is told of none.
            (Event::Invoke(A), &[Effect::Wake, Effect::BeginInvocation(A), Effect::Deliver(A)]),
            (
                Event::ExtensionExited(0),
                &[
                    Effect::Fail(A, crash),
                    Effect::Finish(A, Finish::Failed(crash)),
                    Effect::End(Action::Begin(budget)),
                    Effect::End(Action::TerminateRuntime),
                ],
            ),
            (Event::RuntimeExited, &[KILL_ALL]),
            (Event::Emptied, &[]),
        ],
    );
    assert_eq!(state.phase, Phase::Cold);
}

#[test]
fn a_restore_comes_between_init_and_invocation() {
    let asked = (Event::RestoreNextCalled, [Effect::Park, Effect::RuntimeInitialized, INITIALIZED]);
    let released = [asked.1.as_slice(), &[Effect::ReleaseRestore { limited: true }]].concat();
    story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (asked.0.clone(), &released),
            (
                Event::NextCalled,
                &[
                    Effect::Park,
                    Effect::RestoreEnded(InitResult::Succeeded),
                    Effect::BeginInvocation(A),
                    Effect::Deliver(A),
                ],
            ),
        ],
    );
    story(
        &[],
        &[
            START,
            (Event::Invoke(A), &[]),
            (asked.0, &released),
            (
                Event::RestoreErrorPosted,
                &[
                    Effect::RestoreEnded(InitResult::Failed(Failure::RestoreError)),
                    Effect::Fail(A, Failure::RestoreError),
                    Effect::Finish(A, Finish::Failed(Failure::RestoreError)),
                    KILL_ALL,
                ],
            ),
        ],
    );
}

#[test]
fn calls_of_extensions_are_refused_as_aws_refuses_them() {
    let refused = |state: &State, event| match step(state, event) {
        Err(Refusal::Extension(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let after = |events: Vec<Event>| {
        events.into_iter().fold(new(&["external"]), |state, event| step(&state, event).unwrap().0)
    };
    let transition = |from, to| ExtensionRefusal::Transition { from, to };

    let registered = after(vec![Event::Start, register("external", true, false)]);
    assert_eq!(
        refused(&registered, register("external", true, false)),
        transition("Registered", "Registered")
    );
    assert_eq!(
        refused(&registered, register("internal", false, true)),
        ExtensionRefusal::ShutdownNotSupported
    );
    assert_eq!(refused(&registered, Event::ExtensionNextCalled(1)), ExtensionRefusal::UnknownIdentifier);
    assert_eq!(refused(&registered, Event::Subscribe(1)), ExtensionRefusal::UnknownIdentifier);

    let mut full = registered;
    for n in 1..10 {
        full = step(&full, register(&format!("internal{n}"), false, false)).unwrap().0;
    }
    assert_eq!(refused(&full, register("internal", false, false)), ExtensionRefusal::TooMany);
    assert_eq!(refused(&full, register("internal3", false, false)), ExtensionRefusal::NameTaken);

    let ready = after(vec![
        Event::Start,
        register("external", true, false),
        Event::ExtensionNextCalled(0),
        Event::NextCalled,
    ]);
    assert_eq!(refused(&ready, register("internal", false, false)), ExtensionRefusal::RegistrationClosed);
    assert_eq!(refused(&ready, Event::Subscribe(0)), ExtensionRefusal::SubscriptionClosed);
    assert_eq!(refused(&ready, Event::ExtensionNextCalled(0)), transition("Ready", "Ready"));
    let init_error = Event::ExtensionErrorPosted(0, ExtensionErrorPhase::Init);
    assert_eq!(refused(&ready, init_error.clone()), transition("Ready", "InitError"));

    let failed = after(vec![Event::Start, register("external", true, false), init_error.clone()]);
    assert!(matches!(failed.phase, Phase::Ending(_)));
    assert!(step(&failed, init_error).is_ok_and(|(same, effects)| same == failed && effects.is_empty()));
    assert_eq!(refused(&failed, Event::ExtensionNextCalled(0)), transition("InitError", "Ready"));
}

#[test]
fn more_than_ten_extensions_are_too_many() {
    let names: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (state, effects) = step(&new(&names), Event::Start).unwrap();
    let failure = Failure::Extension(ExtensionFailure::Launch(10));
    assert!(effects.contains(&Effect::InitEnded(InitResult::Failed(failure))), "{effects:?}");
    assert!(matches!(state.phase, Phase::Ending(_)));
}

#[test]
fn the_path_is_judged_before_the_state_and_states_are_named_as_aws_names_them() {
    let transition = |from, to| Err(Refusal::Transition { from, to });
    let refused = |state: &State, event| step(state, event).map(drop);
    let begun = |id| Event::AnswerBegun(id, AnswerKind::Response);
    let after = |state: &State, event| step(state, event).unwrap().0;
    let started = after(&after(&new(&[]), Event::Start), Event::Invoke(A));
    let running = after(&started, Event::NextCalled);
    let answering = after(&running, begun(Some(A)));
    let answered = after(&answering, Event::AnswerEnded(A));
    let idle = after(&answered, Event::NextCalled);
    let cold = after(&after(&idle, Event::RuntimeExited), Event::Emptied);
    let barrier = {
        let registered = after(&after(&new(&[]), Event::Start), register("internal", false, false));
        after(&registered, Event::RestoreNextCalled)
    };
    let restoring = after(&barrier, Event::ExtensionNextCalled(0));

    for state in [&idle, &running, &answering, &answered, &started, &cold] {
        assert_eq!(refused(state, begun(Some(B))), Err(Refusal::InvalidRequestId), "{state:?}");
        assert_eq!(refused(state, begun(None)), Err(Refusal::InvalidRequestId), "{state:?}");
    }
    // Accepted but not delivered: the guest cannot know this id.
    assert_eq!(refused(&started, begun(Some(A))), Err(Refusal::InvalidRequestId));
    assert_eq!(refused(&answering, begun(Some(A))), transition("InvocationResponse", "InvocationResponse"));
    assert_eq!(
        refused(&answered, begun(Some(A))),
        transition("RuntimeResponseSentState", "InvocationResponse")
    );
    let error = Event::AnswerBegun(Some(A), AnswerKind::Error);
    assert_eq!(refused(&answered, error), transition("RuntimeResponseSentState", "InvocationErrorResponse"));
    assert_eq!(refused(&running, Event::InitErrorPosted), transition("Running", "InitError"));
    assert_eq!(refused(&idle, Event::InitErrorPosted), transition("Ready", "InitError"));
    assert_eq!(refused(&answering, Event::NextCalled), transition("InvocationResponse", "Ready"));
    assert_eq!(refused(&barrier, Event::NextCalled), transition("RestoreReady", "Ready"));
    assert_eq!(refused(&restoring, Event::RestoreNextCalled), transition("Restoring", "RestoreReady"));
    assert_eq!(
        refused(&started, Event::RestoreErrorPosted),
        transition("Started", "RuntimeRestoreErrorState")
    );
}
