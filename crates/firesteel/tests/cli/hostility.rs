//! Runtimes and extensions that call anything in any order, malformed or cut off, beside ones that must not notice.
//!
//! Each process of the hostile function plays one sequence, chosen by its number: so a run plays the same
//! sequences each time, though not the same ones together. Whatever they do, each of their callers has an answer
//! soon after the timeout, no caller has another one's, and the other function answers right all the while.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::client::Reply;
use crate::harness::function::{ECHO, Function};
use crate::harness::process;
use crate::harness::server::{Server, invocations};

const SEQUENCES: usize = 60;
/// As often as that they are played, at most.
const ROUNDS: usize = 10;
const CLIENTS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(1);
/// An init has ten seconds before the function's timeout counts.
const SLACK: Duration = Duration::from_secs(15);

/// Chooses by the number of the process.
const SEEDED: &str = r#"
note("sequence")
state = len(notes()) * 2654435761 % 2**32
def choose(options):
    global state
    state = (state * 1664525 + 1013904223) % 2**32
    return options[(state >> 16) % len(options)]
"#;

const HOSTILE: &str = r#"
# The last event seen: id and body. Bodies are the caller's, so a wrong answer shows.
seen = ("11111111-1111-1111-1111-111111111111", b'"nothing seen"')
connection = kept

def fresh():
    global connection
    connection = Connection()

def exchange(method, path, body=b"", headers=()):
    # Not for ever: `next` blocks when the invocation is over, which is the end of a sequence.
    connection.socket.settimeout(choose((0.02, 0.1, 0.4)))
    return connection.call(method, path, body, headers)

def ask():
    global seen
    answer = exchange("GET", BASE + "invocation/next")
    if answer.id: seen = (answer.id, answer.body)

def post(what):
    headers = choose(((), ["Connection: close"], ["Content-Type: text/html"], ["Expect:"],
        ["Lambda-Runtime-Function-Response-Mode: " + choose(("streaming", "nonsense", ""))],
        ["Lambda-Runtime-Function-Error-Type: " + choose(("Runtime.X", "x" * 70000, "\x01"))],
        ["X-" + str(n) + ": y" for n in range(choose((90, 300)))]))
    id = choose((seen[0],) * 6 + ("0", "%2e%2e", "11111111-1111-1111-1111-111111111111"))
    exchange("POST", BASE + "invocation/%s/%s" % (id, what), seen[1], headers)

def raw(data):
    connection.send(data.replace(b"ID", seen[0].encode()))

RESPONSE = b"POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: x\r\n"
RAW = (
    b"\r\n", b"\0" * 1000, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
    b"DELETE /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    RESPONSE + b"Content-Length: 100\r\n\r\nshort",
    RESPONSE + b"Content-Length: -1\r\n\r\n",
    RESPONSE + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    RESPONSE + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx",
    RESPONSE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    RESPONSE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    RESPONSE + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    RESPONSE + b"Content-Length: 99999999999999999999\r\n\r\n",
    RESPONSE + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    RESPONSE * 50,
    # Pipelined: an error, and a response right behind it.
    b"POST /2018-06-01/runtime/invocation/ID/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + RESPONSE + b"Content-Length: 2\r\n\r\n{}",
)

def crowd():
    for _ in range(40):
        Connection().send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")

def answered_by_many():
    for _ in range(4):
        if os.fork() == 0:
            fresh()
            try: post("response")
            finally: os._exit(0)

def end():
    if choose((True, False)): os.kill(os.getpid(), choose((9, 15, 11)))
    os._exit(choose((0, 1, 255)))

STEPS = (
    ask, ask, ask, ask, fresh, fresh, crowd, answered_by_many,
    lambda: post("response"), lambda: post("response"), lambda: post("error"),
    lambda: exchange("POST", BASE + "init/error", seen[1]),
    lambda: exchange("POST", BASE + "restore/error", b"{}"),
    lambda: exchange(choose(("GET", "POST", "OPTIONS", "get")), choose(("/", "*", "/2018-06-01/ping", "/2020-01-01/extension/register", "//", "/%00", "/" + "x" * 100000))),
    lambda: raw(choose(RAW)), lambda: raw(choose(RAW)), lambda: raw(choose(RAW)),
    lambda: raw(bytes(choose(range(256)) for _ in range(choose((1, 100, 5000))))),
    lambda: connection.close(),
    lambda: os.write(choose((1, 2)), choose((b"a line\n", b"no end", b"\xff\xfe\0\n", b"START RequestId: x\r\n", b"y" * 300000))),
    lambda: os.close(choose((0, 1, 2))),
    lambda: choose((ask, ask, ask, end))(),
)
for _ in range(choose((2, 5, 10, 20))):
    try:
        choose(STEPS)()
    except (OSError, ValueError, IndexError, TypeError):
        # Refused, closed, nothing in time, not to be read: on a new connection to the next step.
        try: fresh()
        except OSError: break
if choose((True, True, True, False)): os._exit(choose((0, 1)))
time.sleep(3)
"#;

/// Either a part that any extension or runtime plays, with other calls in between, or these calls alone.
const HOSTILE_TOGETHER: &str = r#"
EXTENSION = "/2020-01-01/extension/"
NOBODY = "Lambda-Extension-Identifier: 11111111-1111-1111-1111-111111111111"
me = os.path.basename(sys.argv[0])
id = NOBODY

def exchange(method, path, body=b"", *headers):
    kept.socket.settimeout(choose((0.02, 0.1, 0.4)))
    if method == "PUT": headers += ("Content-Length: %d" % len(body),)
    return kept.call(method, path, body, headers)

def fresh():
    global kept
    kept = Connection()

def enrol(name, body):
    global id
    answer = exchange("POST", EXTENSION + "register", body, "Lambda-Extension-Name: " + name)
    if answer.status == 200: id = "Lambda-Extension-Identifier: " + answer.headers["lambda-extension-identifier"]

def enrol_anyhow():
    enrol(choose((me, "one", "two", "inner", "", "x" * 70000)), choose((b'{"events":["INVOKE","SHUTDOWN"]}',
        b'{"events":["INVOKE"]}', b"{}", b"", b"{", b'{"events":["FOO"]}', b"x" * 7000000)))

def subscribe():
    destination = choose((b'{"protocol":"TCP","port":%s}' % PORT.encode(), b'{"protocol":"TCP","port":1}',
        b'{"protocol":"HTTP","URI":"http://sandbox:%s/"}' % PORT.encode(), b'{"protocol":"HTTP","URI":"http://example.org/"}', b"7"))
    body = b'{"schemaVersion":"2022-12-13","types":["platform","function","extension"],"buffering":{"timeoutMs":25},"destination":%s}' % destination
    exchange("PUT", choose(("/2022-07-01/telemetry", "/2022-07-01/telemetry", "/2020-08-15/logs")), body, choose((id, id, NOBODY)))

def fail():
    error_type = "Lambda-Extension-Function-Error-Type: " + choose(("Extension.Mine", "", "x" * 70000))
    exchange("POST", EXTENSION + choose(("init/error", "exit/error")), b"{}", choose((id, id, NOBODY)), error_type)

def crowd():
    for _ in range(40):
        Connection().send(b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\n" + id.encode() + b"\r\n\r\n")

def follow_by_many():
    for _ in range(3):
        if os.fork() == 0:
            fresh()
            try: exchange("GET", EXTENSION + "event/next", b"", id)
            finally: os._exit(0)

def end():
    if choose((True, False)): os.kill(os.getpid(), choose((9, 15, 11)))
    os._exit(choose((0, 1, 255)))

STEPS = (
    enrol_anyhow, enrol_anyhow, subscribe, subscribe, subscribe, fail, crowd, follow_by_many, fresh, end,
    lambda: exchange("GET", EXTENSION + "event/next", b"", choose((id, id, NOBODY, "Lambda-Extension-Identifier: x"))),
    lambda: exchange(choose(("GET", "POST", "PUT")), choose((EXTENSION, EXTENSION + "register", EXTENSION + "event/next", "/2022-07-01/telemetry"))),
    lambda: exchange("GET", BASE + "invocation/next"),
    lambda: exchange("POST", BASE + "init/error", b"{}"),
    lambda: kept.send(b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
    lambda: kept.send(bytes(choose(range(256)) for _ in range(choose((1, 100, 5000))))),
    lambda: os.write(choose((1, 2)), choose((b"a line\n", b"no end", b"\xff\xfe\0\n", b"y" * 300000, b"\n" * 100000))),
    lambda: os.close(choose((1, 2))),
)

def anything():
    try:
        choose(STEPS)()
    except (OSError, ValueError, IndexError):
        fresh()

def follow():
    """As an extension should, for the most part."""
    enrol(me, choose((b'{"events":["INVOKE","SHUTDOWN"]}', b'{"events":["INVOKE"]}', b'{"events":["SHUTDOWN"]}')))
    if choose((True, False)): subscribe()
    while True:
        fresh()
        kind, _ = extension_event(id)
        if choose((True, False, False)): anything()
        if kind == "SHUTDOWN": break
    note("told of the end")

def run():
    """As a runtime should, for the most part."""
    if choose((True, False, False)): anything()
    if choose((True, False, False)): enrol_anyhow()
    while True:
        fresh()
        event = next_event()
        if choose((True, False, False)): anything()
        # Beyond the timeout, whatever the extensions do.
        if choose((True,) + 7 * (False,)): time.sleep(3)
        fresh()
        if choose((True, False)):
            respond(event.id, event.body)
        else:
            stream = Stream(event.id)
            stream.write(event.body)
            if choose((True, True, False)): stream.end()

try:
    if choose((True, True, True, False)): (run if me == "bootstrap" else follow)()
    for _ in range(choose((2, 5, 10))): anything()
except (OSError, ValueError, IndexError, TypeError):
    # Refused, closed, nothing in time, not to be read.
    pass
time.sleep(choose((0, 0.1, 3)))
os._exit(choose((0, 1)))
"#;

/// What an extension does beside the steady function.
const HARMLESS: &str = r#"
if os.environ["AWS_LAMBDA_FUNCTION_NAME"] == "steady":
    id, _ = register(os.path.basename(sys.argv[0]), ["INVOKE", "SHUTDOWN"])
    while extension_event(id)[0] != "SHUTDOWN": pass
    os._exit(0)
"#;

#[test]
fn no_sequence_of_calls_hangs_a_caller_or_reaches_another() {
    let hostile = Function::scripted(&[SEEDED, HOSTILE].concat());
    play(&hostile, &[], &["Runtime.ExitError", "Task timed out"]);
    assert!(hostile.notes().len() >= SEQUENCES / 2, "{} sequences were played", hostile.notes().len());
}

#[test]
fn no_sequence_of_calls_of_extensions_does_either() {
    let extension = [HARMLESS, SEEDED, HOSTILE_TOGETHER].concat();
    let hostile = Function::scripted(&[SEEDED, HOSTILE_TOGETHER].concat())
        .with_extension("one", &extension)
        .with_extension("two", &extension);
    let ends = ["Extension.Crash", "Runtime.ExitError", "Task timed out", "Phase: invoke"];
    play(&hostile, &["--layer", &hostile.layer()], &ends);
    let notes = hostile.notes();
    assert!(notes.iter().any(|note| note == "told of the end"), "no extension was told of the end");
    assert!(notes.len() >= SEQUENCES, "{} sequences were played", notes.len());
}

/// Has the sequences of a function played, while another one is watched, until some have led to each of `ends`: that they
/// do reach into the lifecycle. Which ones meet in an environment hangs on how fast the machine is, and with it the ends.
fn play(hostile: &Function, arguments: &[&str], ends: &[&str]) {
    let steady = Function::scripted(ECHO);
    let timeout = TIMEOUT.as_secs().to_string();
    let arguments = [arguments, &["--timeout", &timeout]].concat();
    let server = Server::of_several(&[("hostile", hostile), ("steady", &steady)], &arguments);
    let mut watched = 0;
    for round in 1..=ROUNDS {
        watched += play_once(&server);
        let log = server.log_of(round * SEQUENCES + watched);
        if ends.iter().all(|end| log.contains(end)) {
            return;
        }
    }
    panic!("not all of {ends:?} were met");
}

/// Returns how often the steady function was invoked meanwhile.
fn play_once(server: &Server) -> usize {
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let watched = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(server, &over));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= SEQUENCES {
                            return;
                        }
                        let event = format!("\"of caller {number}\"");
                        let began = Instant::now();
                        let reply = server.invoke_named("hostile", &[], &event);
                        let took = began.elapsed();
                        assert!(took < TIMEOUT + SLACK, "caller {number} waited {took:?}");
                        check(&reply, &event);
                    }
                })
            })
            .collect();
        let results: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        let watched = watcher.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
        watched
    });
    assert!(watched > 10, "the steady function was watched only {watched} times");
    watched
}

/// Invokes the steady function until the others are through; returns how often.
fn watch(server: &Server, over: &AtomicBool) -> usize {
    let mut client = server.client();
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let event = format!("\"steady {count}\"");
        let reply = client.post(&invocations("steady"), &[], event.as_bytes());
        // Another environment's cold start may take longer than its timeout on a loaded machine; wrong it may not be.
        if reply.header("x-amz-function-error").is_some() {
            assert!(reply.text().contains("Sandbox.Timedout"), "{}", reply.text());
        } else {
            assert_eq!(reply.success(), event);
        }
        count += 1;
    }
    count
}

/// The caller's own event, if anything of any event came back; otherwise the error of a failure.
#[track_caller]
fn check(reply: &Reply, event: &str) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    if text.contains("of caller") {
        assert_eq!(text, event);
    } else if reply.header("x-amz-function-error").is_some() && text.contains("errorType") {
        let error: Value = serde_json::from_str(&text).unwrap();
        assert!(error["errorType"].is_string() && error["errorMessage"].is_string(), "{text}");
    } else {
        // What the sequences post besides: what they had before any event, or whatever they sent after a head that
        // promises a body.
        assert!(!text.contains("steady") && text.len() <= 100, "{text:?}");
    }
}

#[test]
fn the_end_of_a_sandbox_is_a_fault_of_its_own_environment_only() {
    let function = Function::scripted(
        r#"
def run(event):
    if event.body == b'"end"':
        note("in")
        time.sleep(60)
    return ENVIRONMENT
serve(run)
"#,
    );
    let server = Server::with_one_environment(&function, &["--timeout", "20"]);
    let before = server.invoke("{}").success();
    let reply = std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke("\"end\""));
        function.noted(1);
        // From outside, since not every sandbox lets a function do it.
        let (_, first) = process::runtime_and_first(&before);
        kill_process(first, Signal::KILL).unwrap();
        call.join().unwrap()
    });
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (500, Some("ServiceException")));
    assert_ne!(server.invoke("{}").success(), before, "that environment is gone");
    let said = server.logged("ERROR");
    assert!(!said.contains('\x1b'), "colours are for terminals: {said:?}");
}

#[test]
fn a_function_that_stops_itself_times_out() {
    let function = Function::scripted("next_event()\nos.kill(os.getpid(), 19)");
    let reply = Server::of(&function, &["--timeout", "1"]).invoke("{}");
    reply.failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
}

#[test]
fn a_function_that_floods_its_log_is_answered_and_its_end_is_in_the_log() {
    let function = Function::scripted(
        r#"
def run(event):
    block = (b"x" * 99 + b"\n") * 10000
    for _ in range(30): os.write(1, block)
    os.write(2, b"no newline at the end")
    return '"done"'
serve(run)
"#,
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let (reply, log) = server.invoke_with_log("{}");
    assert_eq!(reply.success(), "\"done\"");
    assert!(log.contains("\nno newline at the end\n") && log.contains("\nREPORT RequestId"), "{log}");
}

#[test]
fn a_function_whose_log_never_ends_is_answered_and_so_are_others() {
    let endless = Function::scripted(
        "if os.fork() == 0:\n    while True: os.write(1, b'y\\n' * 32768)\nserve(lambda event: event.body)",
    );
    let steady = Function::scripted(ECHO);
    let server = Server::of_several(&[("endless", &endless), ("steady", &steady)], &["--timeout", "25"]);
    for n in 0..2 {
        let event = n.to_string();
        assert_eq!(server.invoke_named("endless", &[], &event).success(), event);
        assert_eq!(server.invoke_named("steady", &[], &event).success(), event);
    }
}

#[test]
fn a_function_without_stdout_and_stderr_goes_on() {
    let function = Function::scripted("os.close(1)\nos.close(2)\nserve(lambda event: event.body)");
    let server = Server::with_one_environment(&function, &[]);
    for n in 0..3 {
        assert_eq!(server.invoke(&n.to_string()).success(), n.to_string());
    }
}

#[test]
fn a_function_with_too_many_connections_is_served_on_its_first() {
    let function = Function::scripted(
        r#"
event = next_event()
# More than are served at a time; the rest waits in the kernel.
connections = [Connection() for _ in range(200)]
respond(event.id, '"still here"')
next_event()
"#,
    );
    let steady = Function::scripted(ECHO);
    let server = Server::of_several(&[("greedy", &function), ("steady", &steady)], &["--timeout", "20"]);
    assert_eq!(server.invoke_named("greedy", &[], "{}").success(), "\"still here\"");
    assert_eq!(server.invoke_named("steady", &[], "1").success(), "1");
}

#[test]
fn a_function_of_many_processes_is_answered_although_measuring_them_takes_long() {
    let function = Function::scripted(
        r#"
shared = b"x" * (100 << 20)
for n in range(150):
    if os.fork() == 0:
        own = []
        while n == 0:
            own = own[:50] + [b"y" * (1 << 20)] if len(own) < 50 else []
            time.sleep(0.001)
        while True: time.sleep(60)
serve(lambda event: time.sleep(0.3) or event.body)
"#,
    );
    // What they share is a hundred mebibytes, and the rest is theirs.
    let server = Server::with_one_environment(&function, &["--timeout", "25", "--memory", "2048"]);
    for n in 0..3 {
        assert_eq!(server.invoke(&n.to_string()).success(), n.to_string());
    }
}

/// Calls without pause, on many connections, several calls at once.
const CALLS_WITHOUT_PAUSE: &str = r#"
def call_without_pause():
    for _ in range(4):
        if os.fork() == 0:
            break
    import _thread
    def flood():
        connection = Connection()
        calls = b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\nLambda-Extension-Identifier: 11111111-1111-1111-1111-111111111111\r\n\r\n" * 500
        def write():
            while True: connection.send(calls)
        _thread.start_new_thread(write, ())
        while True: connection.socket.recv(1 << 20)
    for _ in range(12): _thread.start_new_thread(flood, ())
"#;

#[test]
fn a_function_that_calls_without_pause_does_not_keep_the_server_from_ending() {
    let function = Function::scripted(&format!(
        "{CALLS_WITHOUT_PAUSE}\nnext_event()\ncall_without_pause()\nnote('calls')\ntime.sleep(600)"
    ));
    let mut server = Server::with_one_environment(&function, &["--timeout", "600"]);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| server.invoke("{}"));
        function.noted(1);
        server.signal(Signal::TERM);
        server.logged("finishing what runs");
        server.signal(Signal::TERM);
        assert_eq!(caller.join().unwrap().status, 500);
    });
    assert_eq!(server.wait().code(), Some(0));
}
