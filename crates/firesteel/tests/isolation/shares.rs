//! Processor time is given by memory: 1769 MB are one processor.

use std::io::Write;
use std::time::Instant;

use crate::backend::Backend;
use crate::guests;
use crate::harness;
use crate::harness::server::Server;

/// Computes until a moment, and tells the processor time that it got, in milliseconds.
const BUSY: &str = r#"
def answer(event):
    until, before = time.monotonic() + float(event.body), time.process_time()
    while time.monotonic() < until: pass
    return "%.1f" % ((time.process_time() - before) * 1000)
serve(answer)
"#;

const SECONDS: f64 = 4.0;

/// As whoever else computes on this machine may leave too little of it.
const ATTEMPTS: usize = 5;

#[test]
fn two_functions_side_by_side_get_shares_like_their_memory() {
    let name = "two_functions_side_by_side_get_shares_like_their_memory";
    let Some(backend) = Backend::for_test(name) else { return };
    for (less, more) in [(442, 884), (221, 884)] {
        let servers = [less, more].map(|memory| {
            let memory = memory.to_string();
            let arguments = ["--timeout", "60", "--memory", &memory];
            let server = Server::with_one_environment(
                &guests::scripted(BUSY),
                &[&backend.arguments()[..], &arguments].concat(),
            );
            server.invoke("0").success();
            server
        });
        let wanted = f64::from(more) / f64::from(less);
        let mut seen = Vec::new();
        let mut had_theirs = false;
        let is_so = (0..ATTEMPTS).any(|_| {
            let [less_ms, more_ms] = together(&servers);
            for (memory, got_ms) in [(less, less_ms), (more, more_ms)] {
                // Of one processor; a period's quota may be used at either end.
                let most_ms = (SECONDS * 1000.0 + 40.0) * f64::from(memory) / 1769.0;
                assert!(got_ms <= most_ms * 1.02, "{memory} MB got {got_ms} ms, more than {most_ms}");
                had_theirs |= memory == more && got_ms > most_ms * 0.9;
            }
            seen.push(format!("{more_ms:.0}:{less_ms:.0} ms = {:.3}", more_ms / less_ms));
            (more_ms / less_ms / wanted - 1.0).abs() <= 0.1
        });
        let _ = writeln!(std::io::stderr(), "shares of {more} and {less} MB in {SECONDS} s: {seen:?}");
        if !is_so && !had_theirs {
            return harness::skipped(name, "others leave too little of the processors");
        }
        assert!(is_so, "not within a tenth of {wanted}: {seen:?}");
    }
}

/// What each got while both computed.
fn together(servers: &[Server; 2]) -> [f64; 2] {
    let started = Instant::now();
    let busy = |server: &Server| -> f64 { server.invoke(&SECONDS.to_string()).success().parse().unwrap() };
    let both = std::thread::scope(|scope| {
        let calls = [scope.spawn(|| busy(&servers[0])), scope.spawn(|| busy(&servers[1]))];
        calls.map(|call| call.join().unwrap())
    });
    assert!(started.elapsed().as_secs_f64() >= SECONDS);
    both
}
