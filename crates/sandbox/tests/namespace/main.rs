//! The promises of the namespace backend, each against real sandboxes.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use firesteel_sandbox::namespace::{Network, Settings};
use firesteel_sandbox::{Backend, Event, InitProgram, Limits, Mounts, Process, Program, Spec};

fn main() {
    firesteel_sandbox_init::enter_if_asked();
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(run());
}

async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let blanks = std::env::var("BLANKS").map_or(0, |n| n.parse().unwrap());
    let backend = Backend::namespace(Settings {
        id: format!("test-{}", std::process::id()),
        folder: folder.path().to_owned(),
        blanks,
        network: Network::None,
        init: InitProgram::CurrentExe,
    })
    .unwrap();
    for (what, by) in backend.enforcement().unwrap().rows() {
        println!("{what}: {by}");
    }
    let script = std::env::args().nth(1).unwrap_or("id; ls -la / /tmp /dev /proc/1 2>&1 | head -80; cat /proc/self/status | grep -i -E 'cap|seccomp|nonew'; df -h; ps ax; cat /proc/self/cgroup; cat /proc/mounts".into());
    for n in 0..std::env::var("N").map_or(1, |n| n.parse().unwrap()) {
        let began = Instant::now();
        let spec = Spec {
            id: format!("s{n}"),
            folder: folder.path().to_owned(),
            mounts: Mounts::default(),
            limits: Limits { memory_bytes: Some(128 << 20), processes: Some(1024), cpu: None, tmp_mib: 512 },
            init: InitProgram::CurrentExe,
        };
        let (sandbox, mut events) = backend.create(spec).await.unwrap();
        let created = began.elapsed();
        let (mut reading, writing) = std::io::pipe().unwrap();
        let program = Program {
            name: "a".into(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.clone()],
            variables: BTreeMap::from([("PATH".into(), "/usr/bin:/bin:/usr/sbin".into())]),
            working_dir: "/tmp".into(),
        };
        let stderr = writing.try_clone().unwrap().into();
        sandbox.spawn(Process { program, stdout: writing.into(), stderr }).unwrap();
        let started = loop {
            match events.recv().await {
                Some(Event::Started { .. }) => break began.elapsed(),
                other => println!("{other:?}"),
            }
        };
        println!("{:?}", events.recv().await);
        let mut text = String::new();
        reading.read_to_string(&mut text).unwrap();
        println!("{text}");
        println!("memory {:?} oom {}", sandbox.memory(), sandbox.out_of_memory_kills());
        let closing = Instant::now();
        sandbox.close().await;
        println!("created {created:?} started {started:?} closed {:?}", closing.elapsed());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    backend.close().await;
}
