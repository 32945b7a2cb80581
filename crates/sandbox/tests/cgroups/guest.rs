//! Programs run inside groups. Each waits for a line first.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use firesteel_sandbox::Groups;
use rustix::time::ClockId;

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments != ["wait"] {
        line();
    }
    match arguments.as_slice() {
        ["wait"] => {
            line();
        }
        ["allocate", bytes] => {
            let memory = vec![1_u8; bytes.parse().expect("a number")];
            say("allocated");
            line();
            std::hint::black_box(memory);
        }
        ["start", many] => start(many.parse().expect("a number")),
        ["family"] => {
            let shell = Command::new("sh").args(["-c", "setsid sleep 1000 & sleep 1000"]).spawn();
            say(&shell.expect("a shell").id().to_string());
            line();
        }
        ["fork-for-ever"] => {
            say("begun");
            loop {
                // Refused at the limit.
                let _ = waiting();
            }
        }
        ["spin", wall_ms] => spin(Duration::from_millis(wall_ms.parse().expect("a number"))),
        ["count", file] => {
            let file = File::create(file).expect("a file");
            for count in 1_u64.. {
                file.write_all_at(&count.to_ne_bytes(), 0).expect("room");
            }
        }
        ["server", id] => {
            let groups = Groups::open(id);
            let group = groups.make("sandbox").expect("a group");
            let mut child = waiting().expect("a child");
            group.enter_all(rustix::process::Pid::from_child(&child)).expect("a group takes a child");
            group.freeze().expect("cgroup2");
            say(&child.id().to_string());
            line();
            drop(group);
            child.wait().expect("it was killed");
        }
        other => panic!("no such guest: {other:?}"),
    }
    ExitCode::SUCCESS
}

/// Says how many processes could be started, and what the kernel said to the next.
fn start(many: usize) {
    let mut children = Vec::new();
    let refused = loop {
        if children.len() == many {
            break 0;
        }
        match waiting() {
            Ok(child) => children.push(child),
            Err(error) => break error.raw_os_error().expect("the kernel's refusal"),
        }
    };
    say(&children.len().to_string());
    say(&refused.to_string());
    line();
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Says how much processor time it got, in microseconds.
fn spin(wall: Duration) {
    let used = || rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    let (begin, before) = (Instant::now(), used());
    while begin.elapsed() < wall {
        std::hint::spin_loop();
    }
    let after = used();
    let us = (after.tv_sec - before.tv_sec) * 1_000_000 + (after.tv_nsec - before.tv_nsec) / 1_000;
    say(&us.to_string());
}

fn waiting() -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([crate::GUEST, "wait"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
}

/// Until a line comes, or its writer is gone.
fn line() {
    std::io::stdin().read_line(&mut String::new()).expect("a stdin");
}

fn say(line: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("a test that listens");
}
