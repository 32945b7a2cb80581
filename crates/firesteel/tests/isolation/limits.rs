//! Just under and just over each limit, one after the other in the same environment where it lives on.

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::guests;
use crate::harness::client::Reply;
use crate::harness::process::eventually;
use crate::harness::server::Server;
use crate::run::Run;

/// Does what its event says: `[what, how much]`.
const GREEDY: &str = r#"
import json, mmap, errno, resource, signal
MIB = 1 << 20

def memory(mib):
    taken = mmap.mmap(-1, mib * MIB)
    for at in range(0, mib * MIB, 4096): taken[at] = 1
    taken.close()
    return "fits"

def until_refused(most, one):
    for count in range(most):
        try: one(count)
        except OSError as error: return [count, errno.errorcode[error.errno]]
    return [most, "fits"]

def disk(mib):
    block, written = os.urandom(MIB), 0
    file = os.open("/tmp/disk", os.O_CREAT | os.O_WRONLY)
    try:
        def write(_):
            nonlocal written
            at = 0
            while at < MIB:
                n = os.write(file, block[at:])
                at += n
                written += n
        count, refused = until_refused(mib, write)
        return [written, refused]
    finally:
        os.close(file)
        os.unlink("/tmp/disk")

def inodes(most):
    os.mkdir("/tmp/many")
    made = until_refused(most, lambda n: os.close(os.open("/tmp/many/%d" % n, os.O_CREAT | os.O_WRONLY)))
    for name in os.listdir("/tmp/many"): os.unlink("/tmp/many/" + name)
    os.rmdir("/tmp/many")
    return made

def descriptors(most):
    opened = []
    try:
        count, refused = until_refused(most, lambda _: opened.append(os.open("/dev/null", os.O_RDONLY)))
        # Those that it had already are counted, too.
        return [len(os.listdir("/proc/self/fd")) if refused == "fits" else max(opened) + 1, refused]
    finally:
        for one in opened: os.close(one)

def processes(most):
    children = []
    def one(_):
        child = os.fork()
        if child == 0:
            while True: signal.pause()
        children.append(child)
    count, refused = until_refused(most, one)
    for child in children: os.kill(child, 9)
    for child in children: os.waitpid(child, 0)
    return [count + 1, refused]

def threads(most):
    import _thread
    end = _thread.allocate_lock()
    end.acquire()
    _thread.stack_size(65536)
    ended = []
    def wait():
        with end: ended.append(1)
    try:
        for count in range(most): _thread.start_new_thread(wait, ())
    except RuntimeError: return [count + 1, "EAGAIN"]
    else: return [most + 1, "fits"]
    finally:
        end.release()
        while len(ended) < count: time.sleep(0.001)

def answer(event):
    what, much = json.loads(event.body)
    return json.dumps(globals()[what](much))
serve(answer)
"#;

/// A server with the greedy function in one environment.
struct Greedy {
    server: Server,
    run: Run,
}

impl Greedy {
    fn with(backend: &Backend, arguments: &[&str]) -> Self {
        let function = guests::scripted(GREEDY);
        let all = [&backend.arguments()[..], &["--timeout", "120"], arguments].concat();
        let server = Server::with_one_environment(&function, &all);
        let run = Run::of(&server);
        Greedy { server, run }
    }

    fn take(&self, what: &str, much: u64) -> Reply {
        self.server.invoke_with(&[("X-Amz-Log-Type", "Tail")], &json!([what, much]).to_string())
    }

    #[track_caller]
    fn taken(&self, what: &str, much: u64) -> (u64, String) {
        let answer: Value = serde_json::from_str(&self.take(what, much).success()).unwrap();
        (answer[0].as_u64().unwrap(), answer[1].as_str().unwrap().to_owned())
    }

    fn end(self) {
        let namespaces = self.run.namespaces();
        drop(self.server);
        self.run.left_nothing(&namespaces);
    }
}

/// What REPORT says, in MB.
#[track_caller]
fn max_memory_used_mb(log: &str) -> u64 {
    let text = log.split("Max Memory Used: ").nth(1).unwrap_or_else(|| panic!("{log}"));
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn memory() {
    let Some(backend) = Backend::for_test("limits::memory") else { return };
    for size in [128, 512] {
        let greedy = Greedy::with(&backend, &["--memory", &size.to_string()]);
        // The interpreter has the rest.
        for _ in 0..2 {
            let fits = greedy.take("memory", size - 16);
            assert_eq!(fits.success(), "\"fits\"");
            let used = max_memory_used_mb(&fits.log_tail());
            assert!((size - 16..=size).contains(&used), "{used} of {size} MB");
        }
        let refused = greedy.take("memory", size + 1);
        refused.failed("Runtime.OutOfMemory", "Runtime exited with error: signal: killed");
        let used = max_memory_used_mb(&refused.log_tail());
        assert!((size - 1..=size).contains(&used), "{used} of {size} MB");
        // What was used is given back.
        assert_eq!(greedy.take("memory", size - 16).success(), "\"fits\"");
        greedy.end();
    }
}

#[test]
fn the_disk() {
    let Some(backend) = Backend::for_test("limits::the_disk") else { return };
    for size in [512, 1024] {
        let greedy = Greedy::with(&backend, &["--ephemeral-storage", &size.to_string(), "--memory", "512"]);
        let bytes = |mib: u64| mib << 20;
        // All of it is for the function's data; what the file system sets aside for itself is never quite used up.
        let beyond = size * 106 / 100;
        assert_eq!(greedy.taken("disk", size), (bytes(size), "fits".to_owned()));
        let (written, refused) = greedy.taken("disk", beyond);
        assert_eq!(refused, "ENOSPC");
        assert!(written >= bytes(size) && written < bytes(beyond), "{written} of {size} MiB");
        // What was removed is free again.
        assert_eq!(greedy.taken("disk", size).1, "fits");
        greedy.end();
    }
}

#[test]
fn the_disk_is_not_memory() {
    let Some(backend) = Backend::for_test("limits::the_disk_is_not_memory") else { return };
    let greedy = Greedy::with(&backend, &["--memory", "128"]);
    for _ in 0..2 {
        assert_eq!(greedy.taken("disk", 400), (400 << 20, "fits".to_owned()));
    }
    greedy.end();
}

#[test]
fn files() {
    let Some(backend) = Backend::for_test("limits::files") else { return };
    let greedy = Greedy::with(&backend, &["--memory", "1769"]);
    let (made, refused) = greedy.taken("inodes", 100_000);
    assert_eq!(refused, "ENOSPC");
    assert!((32_000..=36_000).contains(&made), "{made} files");
    // What was removed is free again.
    assert_eq!(greedy.taken("inodes", 1000), (1000, "fits".to_owned()));
    greedy.end();
}

#[test]
fn descriptors() {
    let Some(backend) = Backend::for_test("limits::descriptors") else { return };
    let greedy = Greedy::with(&backend, &["--memory", "512"]);
    assert_eq!(greedy.taken("descriptors", 2000), (1024, "EMFILE".to_owned()));
    assert_eq!(greedy.taken("descriptors", 1000).1, "fits");
    greedy.end();
}

#[test]
fn processes_and_threads() {
    let Some(backend) = Backend::for_test("limits::processes_and_threads") else { return };
    // A sandbox's own, all in all.
    let greedy = Greedy::with(&backend, &["--memory", "1769"]);
    for what in ["processes", "threads"] {
        // Threads that have ended may be there for a moment.
        eventually("as many as there may be", || {
            let (count, refused) = greedy.taken(what, 2000);
            assert_eq!(refused, "EAGAIN");
            assert!(count <= 1024, "{count} {what}");
            count == 1024
        });
        eventually("almost as many", || greedy.taken(what, 1000) == (1001, "fits".to_owned()));
    }
    greedy.end();
}
