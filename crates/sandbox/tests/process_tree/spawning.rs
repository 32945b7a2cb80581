//! What a process is started with, and what its owner hears of it.

use firesteel_sandbox::{Event, Exit, RequestError, Signal};
use libtest_mimic::Trial;
use rustix::io::Errno;

use crate::fixture::Fixture;
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_process_sees_only_the_variables_it_was_given", only_given_variables),
        test("a_process_has_no_descriptors_but_the_three", only_three_descriptors),
        test("a_process_starts_with_default_signals", default_signals),
        test("a_process_has_empty_input_and_its_own_folder", empty_input_and_folder),
        test("outputs_are_two", two_outputs),
        test("failures_to_execute_carry_the_kernels_reason", exec_errors),
        test("a_name_in_use_is_refused", name_in_use),
        test("exit_codes_and_signals_are_told_apart", exit_codes_and_signals),
        test("a_signal_reaches_the_group_of_the_named_process", signal_reaches_group),
        test("what_cannot_be_described_is_refused_at_once", unsendable),
        test("a_start_by_hand_is_refused", started_by_hand),
    ]
}

async fn only_given_variables() {
    let fixture = Fixture::new("variables").await;
    let output = fixture.run("env", "/usr/bin/env", &[], &[("A", "1"), ("B", "two words")]).all();
    assert_eq!(output, "A=1\nB=two words\n");
    fixture.close().await;
}

async fn only_three_descriptors() {
    let fixture = Fixture::new("descriptors").await;
    // The listing's own descriptor is the fourth.
    let output = fixture.shell("ls", "ls /proc/self/fd | wc -l").all();
    assert_eq!(output.trim(), "4");
    fixture.close().await;
}

async fn default_signals() {
    let fixture = Fixture::new("signals").await;
    // By a program that catches none itself.
    let output = fixture.run("cat", "/bin/cat", &["/proc/self/status"], &[]).all();
    let masks: Vec<_> = output
        .lines()
        .filter(|line| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|mask| line.starts_with(mask)))
        .collect();
    assert_eq!(masks.len(), 3);
    for line in masks {
        let (_, mask) = line.split_once('\t').unwrap();
        // 32 and 33 are the C library's own; its `posix_spawn` leaves them ignored, for every program it starts.
        let mask = u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31);
        assert_eq!(mask, 0, "{line}");
    }
    fixture.close().await;
}

async fn empty_input_and_folder() {
    let fixture = Fixture::new("input").await;
    let output = fixture.shell("sh", "cat; pwd; umask").all();
    let folder = fixture.folder.path().canonicalize().unwrap();
    assert_eq!(output, format!("{}\n0022\n", folder.display()));
    fixture.close().await;
}

async fn two_outputs() {
    use firesteel_sandbox::{Process, Program};
    let fixture = Fixture::new("outputs").await;
    let (out, stdout) = std::io::pipe().unwrap();
    let (err, stderr) = std::io::pipe().unwrap();
    let program = Program {
        name: "sh".into(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "echo to out; echo to err >&2".into()],
        variables: [].into(),
        working_dir: "/".into(),
    };
    fixture.sandbox.spawn(Process { program, stdout: stdout.into(), stderr: stderr.into() }).unwrap();
    assert_eq!(std::io::read_to_string(out).unwrap(), "to out\n");
    assert_eq!(std::io::read_to_string(err).unwrap(), "to err\n");
    fixture.close().await;
}

async fn exec_errors() {
    use std::os::unix::fs::PermissionsExt;
    let mut fixture = Fixture::new("errors").await;
    let folder = fixture.folder.path().to_owned();
    let file = |name: &str, content: &str, mode: u32| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cases = [
        (folder.join("missing").to_str().unwrap().to_owned(), Errno::NOENT),
        (file("not-executable", "#!/bin/sh\n", 0o644), Errno::ACCESS),
        // Some libraries hand such a file to a shell; the kernel refuses it.
        (file("no-magic", "echo hello\n", 0o755), Errno::NOEXEC),
        (file("no-interpreter", "#!/no/such/interpreter\n", 0o755), Errno::NOENT),
        (folder.to_str().unwrap().to_owned(), Errno::ACCESS),
        ("sh".to_owned(), Errno::INVAL),
    ];
    for (program, expected) in cases {
        fixture.run("it", &program, &[], &[]);
        match fixture.event().await {
            Event::SpawnFailed { name, errno, message, .. } => {
                assert_eq!((name.as_str(), errno), ("it", expected.raw_os_error()), "{program}: {message}");
            }
            other => panic!("{program}: {other:?}"),
        }
    }
    fixture.close().await;
}

async fn name_in_use() {
    let mut fixture = Fixture::new("names").await;
    fixture.shell("a", "exec sleep 1000");
    fixture.started().await;
    fixture.shell("a", "exec sleep 1000");
    let second = fixture.event().await;
    assert!(
        matches!(&second, Event::SpawnFailed { errno, .. } if *errno == Errno::EXIST.raw_os_error()),
        "{second:?}"
    );
    fixture.close().await;
}

async fn exit_codes_and_signals() {
    let mut fixture = Fixture::new("exits").await;
    let cases =
        [("exit 0", Exit::Code(0)), ("exit 200", Exit::Code(200)), ("kill -SEGV $$", Exit::Signal(11))];
    for (script, status) in cases {
        fixture.shell("it", script);
        fixture.started().await;
        assert_eq!(fixture.event().await, Event::Exited { name: "it".into(), status }, "{script}");
    }
    fixture.shell("asked", "echo up; exec sleep 1000").line();
    fixture.started().await;
    fixture.sandbox.signal("asked", Signal::Terminate).unwrap();
    assert_eq!(fixture.event().await, Event::Exited { name: "asked".into(), status: Exit::Signal(15) });
    fixture.close().await;
}

async fn signal_reaches_group() {
    let mut fixture = Fixture::new("groups").await;
    let mut output = fixture.shell("it", "sleep 1000 & echo $!; wait");
    let grandchild = crate::fixture::watch(output.pid());
    fixture.started().await;
    fixture.sandbox.signal("nobody", Signal::Kill).unwrap();
    fixture.sandbox.signal("it", Signal::Kill).unwrap();
    grandchild.ends();
    assert_eq!(fixture.event().await, Event::Exited { name: "it".into(), status: Exit::Signal(9) });
    fixture.close().await;
}

async fn unsendable() {
    use firesteel_sandbox::{Process, Program};
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new("unsendable").await;
    let null = || std::fs::File::create("/dev/null").unwrap().into();
    let program = |program: &[u8], argument: usize| Program {
        name: "it".into(),
        program: std::ffi::OsStr::from_bytes(program).into(),
        arguments: vec!["x".repeat(argument)],
        variables: [].into(),
        working_dir: "/".into(),
    };
    for program in [program(b"/\xff", 0), program(b"/bin/true", 5 << 20)] {
        let refused = fixture.sandbox.spawn(Process { program, stdout: null(), stderr: null() });
        assert!(matches!(refused, Err(RequestError::Unsendable { .. })), "{refused:?}");
    }
    // And what is merely large is not: this does not fit into the socket's buffer at once.
    let mut fixture = fixture;
    let program = program(b"/bin/true", 1 << 20);
    fixture.sandbox.spawn(Process { program, stdout: null(), stderr: null() }).unwrap();
    let event = fixture.event().await;
    assert!(
        matches!(&event, Event::SpawnFailed { errno, .. } if *errno == Errno::TOOBIG.raw_os_error()),
        "{event:?}"
    );
    fixture.close().await;
}

async fn started_by_hand() {
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg(firesteel_sandbox_init::HIDDEN_MODE)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("started by a server"));
}
