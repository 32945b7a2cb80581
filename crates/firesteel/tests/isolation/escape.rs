//! Every attempt of the hostile guest, with what it looks for really there: none reaches it.
//!
//! Two environments of the hostile function and a neighbour run side by side, on a host with files, sockets and
//! listeners that are to be found. After each attempt the server is alive, the neighbour has what it had, and the
//! hostile function answers again. In the end nobody has called on the host, and nothing is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::expectations::{By, End, MEMORY_MIB, ROWS, Row};
use crate::guests;
use crate::harness::client::Reply;
use crate::harness::function::Function;
use crate::harness::process::{eventually, marked};
use crate::harness::server::Server;
use crate::harness::{self};
use crate::neighbour::{self, Neighbour};
use crate::run::Run;

/// What lies on the host to be found.
pub(crate) struct Planted {
    /// Files with a secret, and folders that tell something.
    pub(crate) paths: Vec<String>,
    /// Where somebody listens, each `host:port`.
    pub(crate) addresses: Vec<String>,
    /// Likewise, for datagrams.
    pub(crate) datagrams: Vec<String>,
    /// Of an abstract socket.
    pub(crate) abstract_name: String,
    /// Of sockets.
    pub(crate) sockets: Vec<String>,
    /// In the server's environment.
    pub(crate) canary: String,
    /// On the server's command line: its data folder.
    pub(crate) data: String,
    listeners: Listeners,
    _folders: Vec<TempDir>,
}

/// Nobody may ever call here.
struct Listeners {
    tcp: Vec<TcpListener>,
    udp: UdpSocket,
    unix: Vec<UnixListener>,
}

const SECRET: &str = "the-hosts-own-91c2";

impl Planted {
    fn on_the_host(server: &Server, neighbour: &Function) -> Self {
        let data = server.data().path().to_str().unwrap().to_owned();
        let folders: Vec<TempDir> = vec![
            harness::folder(),
            tempfile::tempdir_in("/tmp").unwrap(),
            tempfile::tempdir_in("/var/tmp").unwrap(),
            tempfile::tempdir_in(home()).unwrap(),
        ];
        let mut paths = Vec::new();
        let mut plant = |folder: PathBuf| {
            let path = folder.join("secret.txt");
            fs::write(&path, SECRET).unwrap();
            paths.push(path.to_str().unwrap().to_owned());
        };
        folders.iter().for_each(|folder| plant(folder.path().to_owned()));
        plant(server.data().path().to_owned());
        plant(server.run_folder());
        paths.push(neighbour.code().join("secret.txt").to_str().unwrap().to_owned());
        paths.extend(
            ["/etc/shadow", "/etc/machine-id", "/home", "/run", "/var/lib", "/var/log", "/srv", "/boot"]
                .map(str::to_owned),
        );
        paths.extend(
            ["root/etc/shadow", "environ", "cwd", "fd"].map(|file| format!("/proc/{}/{file}", server.pid())),
        );
        paths.extend([format!("{data}/runs"), format!("{data}/logs"), "/sys/fs/cgroup".to_owned()]);

        let mut tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
        tcp.extend(TcpListener::bind("[::1]:0"));
        tcp.extend(address_of_this_host().and_then(|address| TcpListener::bind((address, 0)).ok()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let abstract_name = format!("firesteel-{}", folders[0].path().display());
        let address = UnixAddress::from_abstract_name(&abstract_name).unwrap();
        let mut unix = vec![UnixListener::bind_addr(&address).unwrap()];
        let mut sockets: Vec<_> = ["/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private"]
            .map(str::to_owned)
            .into();
        for folder in [folders[1].path(), server.data().path()] {
            let path = folder.join("socket");
            unix.push(UnixListener::bind(&path).unwrap());
            sockets.push(path.to_str().unwrap().to_owned());
        }
        let mut addresses: Vec<_> =
            tcp.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        addresses.push(server.address.to_string());
        // Of the neighbour and of the other hostile environment: they listen on all their addresses.
        addresses.extend([format!("127.0.0.1:{}", neighbour::PORT), "127.0.0.1:7078".to_owned()]);
        addresses.extend(["169.254.169.254:80", "169.254.170.2:80", "[fd00:ec2::254]:80"].map(str::to_owned));
        let datagrams = vec![
            udp.local_addr().unwrap().to_string(),
            "169.254.169.254:53".to_owned(),
            "127.0.0.53:53".to_owned(),
        ];
        let listeners = Listeners { tcp, udp, unix };
        listeners.set_nonblocking();
        Planted {
            paths,
            addresses,
            datagrams,
            abstract_name,
            sockets,
            // The harness gives it to every server.
            canary: "sings".to_owned(),
            data,
            listeners,
            _folders: folders,
        }
    }
}

impl Listeners {
    fn set_nonblocking(&self) {
        self.tcp.iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
        self.udp.set_nonblocking(true).unwrap();
        self.unix.iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
    }

    #[track_caller]
    fn heard_nobody(&self) {
        let nobody =
            |kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::WouldBlock), "somebody has called");
        self.tcp.iter().for_each(|listener| nobody(listener.accept().err().map(|error| error.kind())));
        nobody(self.udp.recv(&mut [0; 64]).err().map(|error| error.kind()));
        self.unix.iter().for_each(|listener| nobody(listener.accept().err().map(|error| error.kind())));
    }
}

/// Of whoever runs the tests.
fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// By which it would call another. Nothing is sent.
fn address_of_this_host() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

/// A server with the hostile function, twice, and the neighbour.
struct Stage {
    server: Server,
    run: Run,
    neighbour: Function,
    namespaces: BTreeSet<String>,
}

impl Stage {
    fn with(backend: &Backend, timeout: &str) -> Self {
        let (hostile, neighbour) = (guests::hostile(), neighbour::function());
        let functions = [("one", &hostile), ("other", &hostile), (neighbour::NAME, &neighbour)];
        let memory = MEMORY_MIB.to_string();
        let arguments =
            ["--timeout", timeout, "--memory", &memory, "--handler", "app.handler", "--network", "none"];
        let server = Server::of_several(&functions, &[&backend.arguments()[..], &arguments].concat());
        let run = Run::of(&server);
        let mut stage = Stage { server, run, neighbour, namespaces: BTreeSet::new() };
        for by in [By::One, By::Other] {
            stage.has_no_rights(by);
        }
        stage.namespaces = stage.run.namespaces();
        stage
    }

    fn attempt(&self, by: By, name: &str, mut event: Value) -> Reply {
        event["try"] = json!(name);
        let function = match by {
            By::One => "one",
            By::Other => "other",
        };
        // With the log, for which the answer waits until the environment is free again: the next attempt is made in the
        // same one, where it finds what this one has left.
        self.server.invoke_named(function, &[("X-Amz-Log-Type", "Tail")], &event.to_string())
    }

    /// Waits until what an attempt started has ended, which takes a busy machine its time: the next one is not to be refused
    /// processes for want of room.
    #[track_caller]
    fn settle(&self, by: By) {
        eventually("what was started has ended", || {
            let reply = self.attempt(by, "see_processes", json!({ "at_most": u32::MAX }));
            let answer: Value = serde_json::from_str(&reply.text()).unwrap_or_default();
            answer["detail"].as_object().is_some_and(|seen| seen.len() < 20)
        });
    }

    /// Nothing hostile is asked of a function that has any.
    #[track_caller]
    fn has_no_rights(&self, by: By) {
        let answer = self.attempt(by, "see_rights", json!({})).success();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let rights = &answer["detail"];
        for (name, expected) in [
            ("CapEff", "0000000000000000"),
            ("CapBnd", "0000000000000000"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(rights[name][0], expected, "{name}");
        }
        let user: u32 = rights["Uid"][0].as_str().unwrap().parse().unwrap();
        assert!(user == 993 || user >= 1_900_000_000, "{user} is somebody");
    }

    fn end(self) {
        let Stage { server, run, namespaces, .. } = self;
        drop(server);
        run.left_nothing(&namespaces);
    }
}

/// What is wrong with the answer to an attempt; `None` if nothing.
fn wrong(row: &Row, reply: &Reply) -> Option<String> {
    let text = reply.text();
    let ended = reply.header("x-amz-function-error").is_some();
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let (outcome, detail) = (answer["outcome"].as_str().unwrap_or_default(), answer["detail"].to_string());
    let is_so = reply.status == 200
        && match row.end {
            End::Refused => !ended && outcome == "refused",
            End::Contained(says) => {
                !ended && outcome == "contained" && text_of(&answer["detail"], &detail).contains(says)
            }
            End::Ended(error) => ended && answer["errorType"] == error,
            End::OutOfMemory => outcome == "refused" || answer["errorType"] == "Runtime.OutOfMemory",
        };
    (!is_so).then(|| format!("{}: {} {text}, not {:?}", row.name, reply.status, row.end))
}

fn text_of<'a>(value: &'a Value, otherwise: &'a str) -> &'a str {
    value.as_str().unwrap_or(otherwise)
}

fn report(line: &str) {
    // Past the harness, which shows nothing of tests that pass.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn every_attempt_is_refused_or_contained_and_the_neighbour_notices_nothing() {
    let Some(backend) = Backend::for_test("every_attempt_is_refused_or_contained…") else { return };
    let stage = Stage::with(&backend, "60");
    let planted = Planted::on_the_host(&stage.server, &stage.neighbour);
    let mut neighbour = Neighbour::meet(&stage.server);
    let before = neighbour.ask_times(300);
    report(&format!("neighbour before: {before}"));
    let mut wrongs = Vec::new();
    // Takes as long as the function's timeout; see below.
    for row in ROWS.iter().filter(|row| !matches!(row.end, End::Ended("Sandbox.Timedout"))) {
        let stop = AtomicBool::new(false);
        let reply = std::thread::scope(|scope| {
            let asking = row.eats.then(|| scope.spawn(|| neighbour.ask_until(&stop)));
            let reply = stage.attempt(row.by, row.name, (row.event)(&planted));
            stop.store(true, Ordering::Relaxed);
            if let Some(asking) = asking {
                report(&format!("neighbour during {}: {}", row.name, asking.join().unwrap()));
            }
            reply
        });
        wrongs.extend(wrong(row, &reply));
        if row.eats {
            stage.settle(row.by);
        }
        stage.has_no_rights(row.by);
        neighbour.ask();
    }
    report(&format!("neighbour after: {}", neighbour.ask_times(300)));
    planted.listeners.heard_nobody();
    let untouched = |path: &String| fs::read_to_string(path).is_ok_and(|text| text == SECRET);
    assert!(planted.paths[..6].iter().all(untouched));
    drop(planted);
    stage.end();
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

#[test]
fn a_runtime_that_stops_itself_is_ended_by_its_timeout() {
    let Some(backend) = Backend::for_test("a_runtime_that_stops_itself_is_ended_by_its_timeout") else {
        return;
    };
    let stage = Stage::with(&backend, "3");
    let mut neighbour = Neighbour::meet(&stage.server);
    let planted = Planted::on_the_host(&stage.server, &stage.neighbour);
    for row in ROWS.iter().filter(|row| matches!(row.end, End::Ended("Sandbox.Timedout"))) {
        let reply = stage.attempt(row.by, row.name, (row.event)(&planted));
        assert_eq!(wrong(row, &reply), None);
        stage.has_no_rights(row.by);
        neighbour.ask();
    }
    drop(planted);
    stage.end();
}

#[test]
fn no_attempt_is_forgotten() {
    let Some(backend) = Backend::for_test("no_attempt_is_forgotten") else { return };
    let stage = Stage::with(&backend, "20");
    let answer = stage.attempt(By::One, "list", json!({})).json();
    let known: BTreeSet<_> = answer["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["name"].as_str().unwrap())
        .collect();
    let listed: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(known, listed);
    stage.end();
}

/// A daemon that ignores what can be ignored, in a session of its own: it ends with its environment, however that ends.
#[test]
fn what_leaves_its_session_and_its_parent_does_not_outlive_its_environment() {
    let Some(backend) = Backend::for_test("what_leaves_its_session_and_its_parent_does_not_outlive…")
    else {
        return;
    };
    let hostile = guests::hostile();
    let arguments = ["--handler", "app.handler", "--timeout", "20", "--env", "LEFT_BY=the-hostile-one"];
    let daemon = json!({"try": "leave_a_daemon", "name": "heartbeat"}).to_string();
    let mark = "LEFT_BY=the-hostile-one";
    // By idling, by a crash of its runtime, by the server's end, by the server's sudden end.
    for ending in ["idle", "crash", "term", "kill"] {
        let idle = if ending == "idle" { "1" } else { "300" };
        let all = [&backend.arguments()[..], &arguments, &["--idle-timeout", idle]].concat();
        let server = Server::with_one_environment(&hostile, &all);
        let run = Run::of(&server);
        server.invoke(&daemon).success();
        let (members, namespaces) = (run.members(), run.namespaces());
        let clinging = run.members_with(mark);
        assert!(clinging.len() >= 2, "{ending}: the runtime and the daemon, {clinging:?}");
        let is_gone = || {
            let there = run.members();
            clinging.iter().all(|member| !there.contains(member))
        };
        match ending {
            "idle" => harness::process::eventually("the daemon ends with its idle environment", is_gone),
            "crash" => {
                server
                    .invoke(r#"{"try": "end_itself"}"#)
                    .failed("Runtime.ExitError", "Runtime exited without providing a reason");
                harness::process::eventually("the daemon ends with its environment", is_gone);
            }
            "term" => {}
            "kill" => {
                server.kill();
                run.is_over(&namespaces);
                continue;
            }
            _ => unreachable!(),
        }
        drop(server);
        assert_eq!(marked(mark), [0; 0], "{ending}, {members:?}");
        run.left_nothing(&namespaces);
    }
}

/// A host may close folders that every root shows. In a mount namespace of the test's own, there is such a host.
#[test]
fn what_the_system_keeps_from_its_users_is_kept_from_guests() {
    let name = "what_the_system_keeps_from_its_users_is_kept_from_guests";
    let Some(backend) = Backend::for_test(name) else { return };
    if !rustix::process::geteuid().is_root() {
        return harness::skipped(name, "only root can close folders of the system");
    }
    let hostile = guests::hostile();
    let data = harness::folder();
    // Of those that are shown, one that interpreters do without.
    let script = r#"
mount -t tmpfs -o mode=700 closed /etc/fonts && echo secret > /etc/fonts/secret.txt || exit 9
exec "$0" invoke "$1" '{"try": "read_files", "paths": ["/etc/fonts", "/etc/fonts/secret.txt"]}' \
    --data "$2" --handler app.handler --timeout 20 --isolation "$3"
"#;
    let [_, isolation] = backend.arguments();
    let output = {
        let _guard = harness::forking();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, harness::FIRESTEEL, &hostile.target()]);
        command.arg(data.path()).arg(isolation).stdin(Stdio::null()).output().unwrap()
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !fs::exists("/etc/fonts").unwrap() || output.status.code() == Some(9) {
        return harness::skipped(name, "this host has no /etc/fonts that could be closed");
    }
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(
        (answer["outcome"].as_str(), answer["detail"].as_str()),
        (Some("refused"), Some("EACCES")),
        "{answer}"
    );
}
