//! Programs run inside sandboxes, where a shell script would not do.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, ExitCode};

use firesteel_sandbox::{InitProgram, Mounts, Process, Program, Sandbox, Spec};

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["allocate", mib] => {
            let memory = touched(mib);
            say("allocated");
            park_holding(&memory);
        }
        ["allocate-and-end", mib] => {
            std::hint::black_box(touched(mib));
        }
        ["allocate-in-child", mib] => {
            let executable = std::env::current_exe().expect("a running executable has a path");
            let child = Command::new(executable).args([crate::GUEST, "allocate-and-end", mib]).status();
            assert!(child.expect("the child starts").success());
        }
        ["count", threads] => count(threads.parse().expect("a number")),
        ["cycles", n] => runtime().block_on(crate::hygiene::cycles(n.parse().expect("a number"))),
        ["server", folder, script] => serve(folder, script),
        other => panic!("no such guest: {other:?}"),
    }
    ExitCode::SUCCESS
}

/// A server with one sandbox, in which a script runs whose output is this process's.
fn serve(folder: &str, script: &str) {
    runtime().block_on(async {
        let spec = Spec {
            id: "of a server that dies".into(),
            folder: folder.into(),
            mounts: Mounts::default(),
            limits: firesteel_sandbox::Limits::default(),
            init: InitProgram::CurrentExe,
        };
        let (sandbox, mut events) = Sandbox::create(spec).await.expect("a sandbox");
        let stdout = rustix::io::dup(rustix::stdio::stdout()).expect("stdout can be duplicated");
        let program = Program {
            name: "script".into(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            variables: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            working_dir: folder.into(),
        };
        let stderr = std::fs::File::create("/dev/null").expect("a host has /dev/null").into();
        sandbox.spawn(Process { program, stdout, stderr }).expect("the request is sent");
        while events.recv().await.is_some() {}
    });
}

fn runtime() -> tokio::runtime::Runtime {
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a host has resources")
}

fn touched(mib: &str) -> Vec<u8> {
    let bytes = mib.parse::<usize>().expect("a number of mebibytes") << 20;
    // Not zero: zeroed memory is not given by the kernel before it is written to.
    vec![1; bytes]
}

/// Threads that count, each in a file of its own.
fn count(threads: usize) {
    let files: Vec<_> = (0..threads)
        .map(|n| std::fs::File::create(format!("count-{n}")).expect("the folder can be written to"))
        .collect();
    let counters: Vec<_> = files
        .into_iter()
        .map(|file| {
            std::thread::spawn(move || {
                for count in 0_u64.. {
                    file.write_all_at(&count.to_le_bytes(), 0).expect("a count is written");
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    say("counting");
    for counter in counters {
        counter.join().expect("it counts for ever");
    }
}

fn park_holding(memory: &[u8]) {
    loop {
        std::hint::black_box(memory);
        std::thread::park();
    }
}

fn say(line: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("the test reads");
}
