//! That it ends, however it ends, and leaves nothing.

use firesteel_sandbox::{Event, Exit, Signal};
use libtest_mimic::Trial;
use rustix::process::Pid;

use crate::fixture::{Fixture, eventually, processes_with};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a daemon in a session of its own ends with the others", daemons),
        test("a frozen sandbox closes", frozen),
        test("a killed first process takes all with it", killed),
        test("a program that is not there is told of", missing),
        test("a sandbox that was never used leaves nothing", unused),
    ]
}

async fn daemons() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let marker = "sleep 98761";
    sandbox.says(&format!("setsid sh -c '{marker} & {marker} &' >/dev/null 2>&1; echo started")).await;
    eventually("they run", || processes_with(&marker.replace(' ', "\0")).len() == 2).await;
    sandbox.sandbox.end_all().unwrap();
    assert_eq!(sandbox.event().await, Event::Emptied);
    assert_eq!(processes_with(&marker.replace(' ', "\0")), [0; 0]);
    sandbox.close().await;
    fixture.close().await;
}

async fn frozen() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let _output = sandbox.start("long", "exec sleep 98762");
    assert!(matches!(sandbox.event().await, Event::Started { .. }));
    sandbox.sandbox.freeze().unwrap();
    sandbox.sandbox.signal("long", Signal::Terminate).unwrap();
    assert_eq!(sandbox.event().await, Event::Exited { name: "long".into(), status: Exit::Signal(15) });
    let _output = sandbox.start("longer", "exec sleep 98762");
    assert!(matches!(sandbox.event().await, Event::Started { .. }));
    sandbox.sandbox.freeze().unwrap();
    sandbox.close().await;
    assert_eq!(processes_with("sleep\098762"), [0; 0]);
    fixture.close().await;
}

async fn killed() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let _output = sandbox.start("long", "exec sleep 98763");
    assert!(matches!(sandbox.event().await, Event::Started { .. }));
    eventually("it runs", || !processes_with("sleep\098763").is_empty()).await;
    let guest = processes_with("sleep\098763")[0];
    let stat = std::fs::read_to_string(format!("/proc/{guest}/stat")).unwrap();
    let first: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(first).unwrap(), rustix::process::Signal::KILL).unwrap();
    assert_eq!(sandbox.event().await, Event::Lost);
    assert_eq!(processes_with("sleep\098763"), [0; 0]);
    sandbox.close().await;
    fixture.close().await;
}

async fn missing() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let (_reading, writing) = std::io::pipe().unwrap();
    let program = firesteel_sandbox::Program {
        name: "a".into(),
        program: "/var/task/bootstrap".into(),
        arguments: Vec::new(),
        variables: std::collections::BTreeMap::new(),
        working_dir: "/".into(),
    };
    let stderr = writing.try_clone().unwrap().into();
    sandbox.sandbox.spawn(firesteel_sandbox::Process { program, stdout: writing.into(), stderr }).unwrap();
    match sandbox.event().await {
        Event::SpawnFailed { errno, .. } => assert_eq!(errno, 2),
        other => panic!("expected a failure, got {other:?}"),
    }
    assert_eq!(sandbox.says("echo on").await, "on");
    sandbox.close().await;
    fixture.close().await;
}

async fn unused() {
    let fixture = Fixture::new(0);
    fixture.sandbox("a").await.close().await;
    fixture.close().await;
}
