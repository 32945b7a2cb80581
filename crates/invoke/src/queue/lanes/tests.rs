use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// The file, as far as lanes know it.
#[derive(Default)]
struct File {
    lanes: BTreeMap<String, BTreeSet<(u64, i64)>>,
    running: BTreeMap<i64, (String, u64)>,
    last_id: i64,
}

struct Bench {
    lanes: Lanes,
    file: File,
}

impl Bench {
    fn new(slots: usize) -> Self {
        Bench { lanes: Lanes::new(slots), file: File::default() }
    }

    fn add(&mut self, lane: &str, due_ms: u64) {
        self.file.last_id += 1;
        self.file.lanes.entry(lane.into()).or_default().insert((due_ms, self.file.last_id));
        self.lanes.added(lane, due_ms);
    }

    fn next(&mut self, now_ms: u64) -> Option<(String, i64)> {
        let file = &mut self.file;
        let look_up = |lane: &str, limit| {
            Ok::<_, Infallible>(file.lanes.get(lane).into_iter().flatten().take(limit).copied().collect())
        };
        let id = self.lanes.next(now_ms, look_up).unwrap_or_else(|never| match never {})?;
        let (lane, due_ms) = file
            .lanes
            .iter()
            .find_map(|(lane, tasks)| {
                tasks.iter().find(|(_, task)| *task == id).map(|(due_ms, _)| (lane.clone(), *due_ms))
            })
            .expect("what runs is in the file");
        assert!(due_ms <= now_ms, "{id} runs before it is due");
        assert!(file.running.insert(id, (lane.clone(), due_ms)).is_none(), "{id} runs twice at a time");
        Some((lane, id))
    }

    fn finish(&mut self, id: i64, due_again_ms: Option<u64>, passage: Passage) {
        let (lane, due_ms) = self.file.running.remove(&id).unwrap();
        let tasks = self.file.lanes.get_mut(&lane).unwrap();
        tasks.remove(&(due_ms, id));
        if let Some(due_ms) = due_again_ms {
            tasks.insert((due_ms, id));
        }
        self.lanes.finished(&lane, id, due_again_ms, passage);
    }

    fn all_next(&mut self, now_ms: u64) -> Vec<(String, i64)> {
        std::iter::from_fn(|| self.next(now_ms)).collect()
    }
}

fn throttled(rest_until_ms: u64) -> Passage {
    Passage::Throttled { rest_until_ms }
}

#[test]
fn lanes_take_turns_however_much_one_has() {
    let mut bench = Bench::new(8);
    for _ in 0..1000 {
        bench.add("a", 0);
    }
    bench.add("b", 5);
    bench.add("b", 5);
    let order: String = (0..6).map(|_| bench.next(5).unwrap().0).collect();
    assert_eq!(order, "ababaa");
    // `a` has half of the slots, and no more while others may come.
    assert_eq!(bench.next(5), None);
    bench.add("c", 6);
    assert_eq!(bench.next(6).unwrap().0, "c");
}

#[test]
fn a_throttled_lane_is_tried_once_a_rest_and_others_go_on() {
    let mut bench = Bench::new(4);
    for _ in 0..100 {
        bench.add("throttled", 0);
    }
    for (_, id) in bench.all_next(0) {
        bench.finish(id, Some(10), throttled(1000));
    }
    bench.add("other", 1);
    assert_eq!(bench.all_next(999).len(), 1, "only the other lane runs");
    for rest in 1..5 {
        let tried = bench.all_next(rest * 1000);
        assert_eq!(tried.len(), 1, "{tried:?}");
        assert_eq!(tried[0].0, "throttled");
        bench.finish(tried[0].1, Some(rest * 1000 + 10), throttled((rest + 1) * 1000));
    }
    // There is room again: the window opens.
    let mut most = 0;
    for now_ms in 5000..5020 {
        let tried = bench.all_next(now_ms);
        most = most.max(tried.len());
        for (_, id) in tried {
            bench.finish(id, None, Passage::Free);
        }
    }
    assert_eq!(most, 2, "half of the slots");
}

#[test]
fn a_throttle_closes_the_window_to_what_runs() {
    let mut bench = Bench::new(20);
    for _ in 0..100 {
        bench.add("a", 0);
    }
    let running = bench.all_next(0);
    assert_eq!(running.len(), 10);
    for (_, id) in &running[5..] {
        bench.finish(*id, Some(100), throttled(1000));
    }
    // Five run; as one ends another starts, without a rest.
    assert_eq!(bench.next(1), None);
    bench.finish(running[0].1, None, Passage::Free);
    assert_eq!(bench.all_next(1).len(), 1);
}

#[test]
fn it_wakes_when_the_next_is_due() {
    let mut bench = Bench::new(2);
    assert_eq!(bench.lanes.wake_ms(), None);
    bench.add("a", 70);
    bench.add("b", 50);
    assert_eq!(bench.lanes.wake_ms(), Some(50));
    assert_eq!(bench.next(49), None);
    let (_, first) = bench.next(50).unwrap();
    assert_eq!(bench.lanes.wake_ms(), Some(70));
    let _ = bench.next(70).unwrap();
    assert_eq!(bench.lanes.wake_ms(), None, "no slot is free");
    bench.finish(first, Some(90), Passage::Free);
    assert_eq!(bench.lanes.wake_ms(), Some(90));
}

#[test]
fn a_retry_far_ahead_hides_nothing_that_is_due_now() {
    let mut bench = Bench::new(4);
    bench.add("a", 0);
    let (_, id) = bench.next(0).unwrap();
    bench.finish(id, Some(60_000), Passage::Free);
    assert_eq!(bench.next(1), None);
    bench.add("a", 2);
    assert!(bench.next(2).is_some());
}

#[test]
fn a_lane_that_cannot_be_looked_up_keeps_its_turn() {
    let mut lanes = Lanes::new(2);
    lanes.restore("a", 3, 0);
    assert_eq!(lanes.tasks(), 3);
    assert_eq!(lanes.next(0, |_, _| Err("unreadable")), Err("unreadable"));
    assert_eq!(lanes.next(0, |_, _| Ok::<_, &str>(vec![(0, 7)])), Ok(Some(7)));
}

#[derive(Debug, Clone)]
enum Step {
    Add { lane: u8, in_ms: u64 },
    Next,
    Finish { which: usize, again_in_ms: Option<u64>, throttled: bool },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_u8, 0..50_u64).prop_map(|(lane, in_ms)| Step::Add { lane, in_ms }),
        4 => Just(Step::Next),
        3 => (any::<usize>(), proptest::option::of(0..50_u64), any::<bool>())
            .prop_map(|(which, again_in_ms, throttled)| Step::Finish { which, again_in_ms, throttled }),
        1 => (0..40_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever happens: nothing runs twice at a time, early or beyond the slots; and all that is kept runs in the end,
    /// at the moments the lanes name themselves.
    #[test]
    fn nothing_is_forgotten(slots in 1..6_usize, steps in steps()) {
        let mut bench = Bench::new(slots);
        let mut now_ms = 0;
        for step in steps {
            match step {
                Step::Add { lane, in_ms } => bench.add(&lane.to_string(), now_ms + in_ms),
                Step::Next => drop(bench.next(now_ms)),
                Step::Finish { which, again_in_ms, throttled } => {
                    let running: Vec<i64> = bench.file.running.keys().copied().collect();
                    if let Some(id) = running.get(which % running.len().max(1)) {
                        let passage = if throttled {
                            Passage::Throttled { rest_until_ms: now_ms + 10 }
                        } else {
                            Passage::Free
                        };
                        bench.finish(*id, again_in_ms.map(|ms| now_ms + ms), passage);
                    }
                }
                Step::Pass { ms } => now_ms += ms,
            }
            prop_assert!(bench.file.running.len() <= slots);
        }
        let kept: usize = bench.file.lanes.values().map(BTreeSet::len).sum();
        prop_assert_eq!(bench.lanes.tasks(), kept);
        for _ in 0..10_000 {
            let ready = bench.all_next(now_ms);
            let running: Vec<i64> = bench.file.running.keys().copied().collect();
            if ready.is_empty() && running.is_empty() {
                let Some(wake_ms) = bench.lanes.wake_ms() else { break };
                prop_assert!(wake_ms > now_ms, "awake for nothing");
                now_ms = wake_ms;
            }
            for id in running {
                bench.finish(id, None, Passage::Free);
            }
        }
        prop_assert_eq!(bench.lanes.tasks(), 0);
        prop_assert!(bench.lanes.waiting.is_empty());
    }
}
