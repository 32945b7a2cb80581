//! The rules of an environment, walked: every sequence of events up to a depth, and long random ones.
//!
//! Beside the rules runs a bookkeeper that knows nothing of states. It watches the effects and holds what must be
//! true of any environment: nobody is left without an answer, nobody gets two, an event is delivered only to a
//! runtime that was started and asked, a clock is started once, processes are ended before others are started.

use std::collections::HashSet;

use firesteel_environment::lifecycle::{
    AnswerKind, Effect, Event, Failure, Finish, InitResult, Initializing, Invoking, Refusal, Stage, State,
    step,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use uuid::Uuid;

const A: Uuid = Uuid::from_u128(0xA);
const B: Uuid = Uuid::from_u128(0xB);

/// Every event that can happen, with two invocations to confuse.
fn alphabet() -> Vec<Event> {
    let mut all = vec![
        Event::Start,
        Event::NextCalled,
        Event::AnswerBegun(None, AnswerKind::Response),
        Event::InitErrorPosted,
        Event::LaunchFailed,
        Event::RuntimeExited,
        Event::InitDeadlinePassed,
        Event::InvokeDeadlinePassed,
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
    /// Ending was asked for and is not over.
    ending: bool,
    /// A `next` waits.
    parked: bool,
    initializing: bool,
}

impl Bookkeeper {
    fn accept(&mut self, event: Event) {
        match event {
            Event::Invoke(id) => {
                assert_eq!(self.current, None, "an environment takes one invocation at a time");
                self.current = Some(Account { invocation: id, began: false, answered: false });
            }
            Event::Emptied => (self.ending, self.running, self.parked) = (false, false, false),
            _ => {}
        }
    }

    fn watch(&mut self, effect: Effect) {
        match effect {
            Effect::StartRuntime { limited } => {
                assert!(!self.running && !self.ending, "a runtime is started in an empty sandbox");
                assert_eq!(limited, self.current.is_none_or(|current| !current.began), "whose limit it is");
                (self.running, self.initializing, self.parked) = (true, true, false);
            }
            Effect::InitEnded(_) => {
                assert!(self.initializing, "only what began can end");
                self.initializing = false;
            }
            Effect::BeginInvocation(id) => {
                let current = self.current_mut(id);
                assert!(!current.began, "the clock is started once");
                current.began = true;
            }
            Effect::Park => self.parked = true,
            Effect::Deliver(id) => {
                assert!(self.parked && self.running && !self.ending && !self.initializing);
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
                let current = self.current_mut(id);
                assert!(!current.answered, "one answer");
                assert!(
                    current.began || failure == Failure::Sandbox,
                    "only the end itself fails what never began"
                );
                current.answered = true;
            }
            Effect::Finish(id, finish) => {
                let current = *self.current_mut(id);
                assert!(current.answered, "nobody is left without an answer");
                assert!(
                    finish != Finish::Completed || self.parked,
                    "complete means that the runtime asks again"
                );
                self.current = None;
                self.finished += 1;
            }
            Effect::EndProcesses => {
                self.ending = true;
                self.initializing = false;
            }
            Effect::CloseSandbox => (self.running, self.ending, self.initializing) = (false, false, false),
        }
    }

    fn current_mut(&mut self, id: Uuid) -> &mut Account {
        let current = self.current.as_mut().expect("an effect names an invocation that was accepted");
        assert_eq!(current.invocation, id);
        current
    }

    fn agrees_with(&self, state: &State) {
        match state {
            State::New | State::Idle | State::Cold | State::Terminated => {
                assert_eq!(self.current, None, "at rest with an invocation: {state:?}");
            }
            State::Invoking(invoking) => {
                let current = self.current.expect("an invocation is under way");
                assert_eq!(current.invocation, invoking.invocation);
                assert_eq!(current.answered, invoking.stage == Stage::Answered);
            }
            State::Initializing(Initializing::Suppressed { .. }) => {
                assert!(self.current.is_some_and(|current| current.began && !current.answered));
            }
            State::Initializing(Initializing::InitPhase { waiting }) | State::Resetting { waiting } => {
                assert_eq!(self.current.map(|current| current.invocation), *waiting);
            }
            State::Stopping => assert_eq!(self.current, None),
        }
        if matches!(state, State::Idle | State::Invoking(_) | State::Initializing(_)) {
            assert!(self.running && !self.ending, "{state:?}");
        }
        if matches!(state, State::Resetting { .. } | State::Stopping) {
            assert!(self.ending, "{state:?}");
        }
        assert_eq!(state.takes_invocation(), step(state, Event::Invoke(B)).is_ok());
    }
}

fn apply(state: &State, bookkeeper: &Bookkeeper, event: Event) -> Result<(State, Bookkeeper), Refusal> {
    let (next, effects) = step(state, event)?;
    let mut bookkeeper = bookkeeper.clone();
    bookkeeper.accept(event);
    effects.into_iter().for_each(|effect| bookkeeper.watch(effect));
    bookkeeper.agrees_with(&next);
    Ok((next, bookkeeper))
}

#[test]
fn every_sequence_of_events_keeps_the_books() {
    let alphabet = alphabet();
    let mut seen = HashSet::new();
    let mut edge = vec![(State::New, Bookkeeper::default())];
    let mut depth = 0;
    // Until nothing new is reached: the states are few, so this is every sequence of any length. Finished
    // invocations are not counted, or there would be no end.
    while !edge.is_empty() {
        depth += 1;
        let mut next_edge = Vec::new();
        for (state, bookkeeper) in edge {
            for event in &alphabet {
                if let Ok((next, mut books)) = apply(&state, &bookkeeper, *event) {
                    books.finished = 0;
                    if seen.insert((next, books.clone())) {
                        next_edge.push((next, books));
                    }
                }
            }
        }
        edge = next_edge;
    }
    let states: HashSet<State> = seen.iter().map(|(state, _)| *state).collect();
    // Every value that the type has, but for `New`, which nothing leads back to.
    assert_eq!(states.len(), 24);
    assert!(depth > 5);
}

#[test]
fn from_everywhere_an_end_can_be_reached_and_is_final() {
    let mut seen = HashSet::from([State::New]);
    let mut edge = vec![State::New];
    while let Some(state) = edge.pop() {
        let (stopping, _) = match step(&state, Event::Shutdown) {
            Ok(done) => done,
            Err(Refusal::Irrelevant) => (state, vec![]),
            Err(refusal) => panic!("{state:?} refuses to shut down: {refusal:?}"),
        };
        if stopping != State::Terminated {
            assert_eq!(step(&stopping, Event::Emptied).unwrap().0, State::Terminated);
        }
        for event in alphabet() {
            if let Ok((next, _)) = step(&state, event)
                && seen.insert(next)
            {
                edge.push(next);
            }
        }
    }
    for event in alphabet() {
        assert!(step(&State::Terminated, event).is_err(), "{event:?}");
    }
}

/// The same lives on every machine and in every run. A seed that once found something is added here.
const SEEDS: [u64; 4] = [1, 20_150_331, 0x5eed_f00d, u64::MAX];

#[test]
fn long_random_lives_keep_the_books() {
    for seed in SEEDS {
        let config = Config {
            cases: 100,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        let lives = proptest::collection::vec(event(), 1..200);
        let outcome = TestRunner::new(config).run(&lives, |events| {
            let mut state = State::New;
            let mut bookkeeper = Bookkeeper::default();
            let mut accepted = 0;
            for event in events {
                accepted += u32::from(matches!(event, Event::Invoke(_)) && step(&state, event).is_ok());
                if let Ok(next) = apply(&state, &bookkeeper, event) {
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
    prop_oneof![
        2 => Just(Event::Start),
        6 => Just(Event::NextCalled),
        4 => id.clone().prop_map(Event::Invoke),
        4 => (proptest::option::of(id.clone()), kind).prop_map(|(id, kind)| Event::AnswerBegun(id, kind)),
        4 => id.prop_map(Event::AnswerEnded),
        4 => Just(Event::Emptied),
        1 => Just(Event::InitErrorPosted),
        1 => Just(Event::LaunchFailed),
        1 => Just(Event::RuntimeExited),
        1 => Just(Event::InitDeadlinePassed),
        1 => Just(Event::InvokeDeadlinePassed),
    ]
}

/// A life told as a story: each event, and what must follow.
#[track_caller]
fn story(events: &[(Event, &[Effect])]) -> State {
    let mut state = State::New;
    for (event, expected) in events {
        let (next, effects) =
            step(&state, *event).unwrap_or_else(|refusal| panic!("{event:?} in {state:?}: {refusal:?}"));
        assert_eq!(effects, *expected, "{event:?} in {state:?}");
        state = next;
    }
    state
}

const START: (Event, &[Effect]) = (Event::Start, &[Effect::StartRuntime { limited: true }]);
const INITIALIZED: Effect = Effect::InitEnded(InitResult::Succeeded);

#[test]
fn a_cold_invocation_and_a_warm_one() {
    let state = story(&[
        START,
        (Event::Invoke(A), &[]),
        (Event::NextCalled, &[Effect::Park, INITIALIZED, Effect::BeginInvocation(A), Effect::Deliver(A)]),
        (Event::AnswerBegun(Some(A), AnswerKind::Response), &[]),
        (Event::AnswerEnded(A), &[Effect::Answer(A)]),
        (Event::NextCalled, &[Effect::Park, Effect::Finish(A, Finish::Completed)]),
        (Event::Invoke(B), &[Effect::BeginInvocation(B), Effect::Deliver(B)]),
    ]);
    assert_eq!(state, State::Invoking(Invoking { invocation: B, stage: Stage::Running }));
}

#[test]
fn a_failed_init_is_done_again_inside_the_invocation() {
    let failed = Effect::InitEnded(InitResult::Failed(Failure::Exited));
    let state = story(&[
        START,
        (Event::Invoke(A), &[]),
        (Event::RuntimeExited, &[failed, Effect::EndProcesses]),
        (Event::Emptied, &[Effect::BeginInvocation(A), Effect::StartRuntime { limited: false }]),
        (
            Event::RuntimeExited,
            &[
                failed,
                Effect::Fail(A, Failure::Exited),
                Effect::Finish(A, Finish::Failed(Failure::Exited)),
                Effect::EndProcesses,
            ],
        ),
        (Event::Emptied, &[]),
    ]);
    assert_eq!(state, State::Cold);
}

#[test]
fn an_event_is_delivered_again_to_a_runtime_that_asks_again() {
    story(&[
        START,
        (Event::NextCalled, &[Effect::Park, INITIALIZED]),
        (Event::NextCalled, &[Effect::Park]),
        (Event::Invoke(A), &[Effect::BeginInvocation(A), Effect::Deliver(A)]),
        (Event::NextCalled, &[Effect::Park, Effect::Deliver(A)]),
    ]);
}

#[test]
fn an_answer_that_is_being_read_when_its_process_ends_still_counts() {
    story(&[
        START,
        (Event::NextCalled, &[Effect::Park, INITIALIZED]),
        (Event::Invoke(A), &[Effect::BeginInvocation(A), Effect::Deliver(A)]),
        (Event::AnswerBegun(Some(A), AnswerKind::Error), &[]),
        (Event::RuntimeExited, &[]),
        (
            Event::AnswerEnded(A),
            &[Effect::Answer(A), Effect::Finish(A, Finish::Failed(Failure::Exited)), Effect::EndProcesses],
        ),
    ]);
}

#[test]
fn the_path_is_judged_before_the_state_and_states_are_named_as_aws_names_them() {
    let transition = |from, to| Err(Refusal::Transition { from, to });
    let refused = |state: &State, event| step(state, event).map(drop);
    let begun = |id| Event::AnswerBegun(id, AnswerKind::Response);
    let running = State::Invoking(Invoking { invocation: A, stage: Stage::Running });
    let kind = AnswerKind::Response;
    let answering =
        State::Invoking(Invoking { invocation: A, stage: Stage::Answering { kind, exited: false } });
    let answered = State::Invoking(Invoking { invocation: A, stage: Stage::Answered });
    let started = State::Initializing(Initializing::InitPhase { waiting: Some(A) });

    for state in [State::Idle, running, answering, answered, started, State::Cold] {
        assert_eq!(refused(&state, begun(Some(B))), Err(Refusal::InvalidRequestId), "{state:?}");
        assert_eq!(refused(&state, begun(None)), Err(Refusal::InvalidRequestId), "{state:?}");
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
    assert_eq!(refused(&State::Idle, Event::InitErrorPosted), transition("Ready", "InitError"));
    assert_eq!(refused(&answering, Event::NextCalled), transition("InvocationResponse", "Ready"));
}
