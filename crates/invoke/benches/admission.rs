//! What it costs to admit an invocation and to give its permit back: alone, and by many threads, each with a function of
//! its own and all with one.
//!
//! `cargo bench -p firesteel-invoke --bench admission`

#![expect(clippy::print_stdout, reason = "a bench is there to say what it measured")]

use std::sync::Barrier;

use firesteel_invoke::admission::{Admission, Limits, Settings};
use tokio::time::Instant;

const TURNS: u32 = 500_000;

fn main() {
    let generous = Limits {
        account_concurrency: 100_000,
        requests_per_concurrency: Some(100_000),
        caller_requests_per_s: None,
        ..Limits::AWS
    };
    for threads in [1, 4, 16] {
        for (what, of_its_own) in [("one function", false), ("a function each", true)] {
            let admission = Admission::new(generous);
            let start = Barrier::new(threads);
            let turn = |number: usize| {
                let function = format!("function-{}", if of_its_own { number } else { 0 });
                start.wait();
                let began = Instant::now();
                for _ in 0..TURNS {
                    let permit = admission.admit(Instant::now(), &function, "$LATEST", Settings::default());
                    drop(permit.expect("far below all limits"));
                }
                began
            };
            let began = std::thread::scope(|scope| {
                let turn = &turn;
                let all: Vec<_> = (0..threads).map(|number| scope.spawn(move || turn(number))).collect();
                all.into_iter().map(|thread| thread.join().expect("a turn does not panic")).min()
            });
            let elapsed = began.map(|began| began.elapsed()).unwrap_or_default();
            let all = f64::from(TURNS) * threads as f64;
            println!("{threads:2} threads, {what}: {:.0} ns each", elapsed.as_secs_f64() * 1e9 / all);
        }
    }
}
