//! Between invocations nothing counts on, wherever in the sandbox it is.

use std::fs;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::guests;
use crate::harness::process::eventually;
use crate::harness::server::Server;
use crate::run::Run;

/// Four counters in shared memory: a thread from the init, a thread from the first invocation, a child, and a grandchild
/// in a session of its own. Each counts milliseconds. The invocation tells how far they are when it begins, and when it ends.
const COUNTING: &str = r#"
import mmap, _thread, signal
shared = mmap.mmap(-1, 4096)
def at(n): return int.from_bytes(shared[8 * n:8 * n + 8], "little")
def count(n):
    for signal_number in (signal.SIGTERM, signal.SIGHUP): 
        try: signal.signal(signal_number, signal.SIG_IGN)
        except ValueError: pass
    while True:
        shared[8 * n:8 * n + 8] = (at(n) + 1).to_bytes(8, "little")
        time.sleep(0.001)
_thread.start_new_thread(count, (0,))
if os.fork() == 0: count(2)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: count(3)
    os._exit(0)
started = False
def answer(event):
    global started
    begin = [at(n) for n in range(4)]
    if not started: _thread.start_new_thread(count, (1,))
    started = True
    deadline = time.monotonic() + 20
    while any(at(n) < begin[n] + 20 for n in range(4)) and time.monotonic() < deadline: time.sleep(0.001)
    return "%s %s" % (begin, [at(n) for n in range(4)])
serve(answer)
"#;

/// How long it is left alone; each counter would come to about as many.
const REST: Duration = Duration::from_millis(600);

/// What a counter may gain around the rest: until it is frozen, and from the thaw to when the invocation looks.
const MOST: u64 = 150;

#[test]
fn no_counter_moves_while_frozen() {
    let Some(backend) = Backend::for_test("no_counter_moves_while_frozen") else { return };
    let arguments = [&backend.arguments()[..], &["--timeout", "30", "--memory", "1769"]].concat();
    let server = Server::with_one_environment(&guests::scripted(COUNTING), &arguments);
    let run = Run::of(&server);
    let (_, mut before) = counters(&server);
    for _ in 0..5 {
        eventually("nothing runs", || {
            let used = processor_time(&run);
            park_timeout(Duration::from_millis(20));
            used == processor_time(&run)
        });
        let (used, rested) = (processor_time(&run), Instant::now());
        assert!(!used.is_empty());
        while rested.elapsed() < REST {
            park_timeout(REST - rested.elapsed());
        }
        assert_eq!(processor_time(&run), used, "something ran");
        let (begin, end) = counters(&server);
        for n in 0..4 {
            assert!(begin[n] - before[n] < MOST, "counter {n} went from {} to {}", before[n], begin[n]);
            assert!(end[n] > begin[n], "counter {n} does not go on");
        }
        before = end;
    }
    let namespaces = run.namespaces();
    drop(server);
    run.left_nothing(&namespaces);
}

#[track_caller]
fn counters(server: &Server) -> ([u64; 4], [u64; 4]) {
    let text = server.invoke("{}").success();
    let mut numbers = text.split(['[', ']', ',', ' ']).filter_map(|number| number.parse().ok());
    let mut four = || [(); 4].map(|()| numbers.next().unwrap());
    (four(), four())
}

/// Of every thread in the sandboxes that have run a function: nanoseconds on a processor.
fn processor_time(run: &Run) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for member in run.members().into_iter().filter(|member| member.inner_pid != 1) {
        let threads = fs::read_dir(format!("/proc/{}/task", member.pid)).into_iter().flatten().flatten();
        for thread in threads {
            let schedstat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let used = schedstat.split(' ').next().unwrap_or_default().to_owned();
            found.push((thread.path().to_string_lossy().into_owned(), used));
        }
    }
    found.sort();
    found
}
