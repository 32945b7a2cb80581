//! What is left of a sandbox when it is over: nothing, however it ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firesteel_sandbox::namespace::Network;
use firesteel_sandbox::oci::OciRuntime;
use firesteel_sandbox::{Event, Exit, InitProgram, Limits, Mounts, Spec};
use rustix::process::{PidfdFlags, Signal};

use crate::fixture::{
    self, Guest, Host, children, eventually, field, first_process, groups_of, loop_devices, processes,
};
use crate::{SERVER, Test};

pub(crate) const TESTS: &[Test] = &[
    ("a_closed_sandbox_leaves_nothing", |host| Box::pin(a_closed_sandbox_leaves_nothing(host))),
    ("a_killed_first_process_is_told_of", |host| Box::pin(a_killed_first_process_is_told_of(host))),
    ("one_that_cannot_be_made_leaves_nothing", |host| Box::pin(one_that_cannot_be_made_leaves_nothing(host))),
    ("a_killed_server_leaves_nothing_that_the_next_does_not_remove", |host| {
        Box::pin(a_killed_server_leaves_nothing_that_the_next_does_not_remove(host))
    }),
];

const DAEMON: &str = "(setsid sleep 1000 </dev/null >/dev/null 2>&1 &); echo ready; sleep 1000";

async fn a_closed_sandbox_leaves_nothing(host: Host) {
    host.backend.probe().await.unwrap();
    assert!(host.containers().is_empty());
    let mut guest = host.guest("closed").await;
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
    let first = first_process();
    assert_eq!(host.containers().len(), 2, "listed, and a bundle");

    let mut output = guest.shell("a", DAEMON);
    assert_eq!(output.line(), "ready");
    guest.sandbox.end_all().unwrap();
    assert!(matches!(guest.event().await, Event::Started { .. }));
    assert_eq!(guest.event().await, Event::Exited { name: "a".to_owned(), status: Exit::Signal(9) });
    assert_eq!(guest.event().await, Event::Emptied);
    // Still of use.
    drop(guest.sandbox.listen().unwrap());
    let (text, _) = guest.run("cat /proc/[0-9]*/comm").await;
    assert_eq!(text, "sandbox-init\ncat\n");

    let mut output = guest.shell("b", DAEMON);
    assert_eq!(output.line(), "ready");
    let namespace = std::fs::read_link(format!("/proc/{}/ns/pid", first.as_raw_pid())).unwrap();
    guest.close().await;
    let inside = |pid: &rustix::process::Pid| {
        std::fs::read_link(format!("/proc/{}/ns/pid", pid.as_raw_pid())).is_ok_and(|it| it == namespace)
    };
    assert!(!processes().iter().any(inside));
    assert!(field(first, "State:").is_none());
    assert_eq!(host.containers(), Vec::<PathBuf>::new());
    assert!(!host.groups().iter().any(|group| group.join("closed").exists()));
    assert_eq!(std::fs::read("/proc/self/mountinfo").unwrap(), mounts);
    for places in ["/run/crun", "/run/runc", "/run/youki"] {
        assert!(children(Path::new(places)).is_empty(), "{places}");
    }
    host.close().await;
}

async fn a_killed_first_process_is_told_of(host: Host) {
    let mut guest = host.guest("killed").await;
    let mut output = guest.shell("a", DAEMON);
    assert_eq!(output.line(), "ready");
    assert!(matches!(guest.event().await, Event::Started { .. }));
    let first = first_process();
    rustix::process::kill_process(first, Signal::KILL).unwrap();
    assert_eq!(guest.event().await, Event::Lost);
    assert_eq!(guest.end_or_event().await, None);
    assert!(field(first, "State:").is_none());
    // The output is closed by the last of them.
    assert_eq!(output.all(), "");
    guest.close().await;
    assert_eq!(host.containers(), Vec::<PathBuf>::new());
    host.close().await;
}

async fn one_that_cannot_be_made_leaves_nothing(host: Host) {
    // Not a program: the runtime makes the container and then finds that out.
    let folder = host.folder.path().join("second");
    std::fs::create_dir(&folder).unwrap();
    let settings = firesteel_sandbox::namespace::Settings {
        id: format!("{}-second", host.id),
        folder: folder.clone(),
        blanks: 0,
        network: Network::None,
        init: InitProgram::CurrentExe,
    };
    let runtime = OciRuntime::find(Some(host.runtime)).unwrap();
    let broken = firesteel_sandbox::Backend::oci(settings, runtime).unwrap();
    let init = folder.join("oci/init");
    std::fs::remove_file(&init).unwrap();
    std::fs::write(&init, "not a program").unwrap();
    let error = broken.probe().await.unwrap_err();
    let text = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(text.contains(host.runtime), "{error}: {text}");
    assert_eq!(children(&folder.join("oci/state")), Vec::<PathBuf>::new());
    assert!(!folder.join("oci/c0").exists());
    assert_eq!(loop_devices(&folder), Vec::<String>::new());
    drop(broken);
    host.close().await;
}

async fn a_killed_server_leaves_nothing_that_the_next_does_not_remove(host: Host) {
    let folder = host.folder.path().join("server");
    std::fs::create_dir(&folder).unwrap();
    let id = format!("{}-server", host.id);
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
    let mut server = Command::new("/proc/self/exe")
        .args([SERVER, host.runtime, &id])
        .arg(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let guest = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    let guest = rustix::process::pidfd_open(guest, PidfdFlags::empty()).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();

    // The first process sees the end of its server, and ends all.
    eventually("its guest has ended", || {
        rustix::process::pidfd_send_signal(&guest, Signal::CONT) == Err(rustix::io::Errno::SRCH)
    })
    .await;
    eventually("its disks are given up", || loop_devices(&folder).is_empty()).await;
    assert!(!groups_of(&id).is_empty(), "there is something to remove");
    // As the next server does.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    drop(fixture::backend(OciRuntime::find(Some(host.runtime)).unwrap(), &id, &folder, Network::None));
    assert_eq!(groups_of(&id), Vec::<PathBuf>::new());
    assert_eq!(std::fs::read("/proc/self/mountinfo").unwrap(), mounts);
    host.close().await;
}

/// A server with one sandbox, in which a process runs whose number on the host is written.
pub(crate) async fn serve(runtime: &str, id: &str, folder: &str) {
    let backend =
        fixture::backend(OciRuntime::find(Some(runtime)).unwrap(), id, Path::new(folder), Network::None);
    let spec = Spec {
        id: "of-a-server-that-dies".to_owned(),
        folder: folder.into(),
        mounts: Mounts::default(),
        limits: Limits { tmp_mib: 16, ..Limits::default() },
        init: InitProgram::CurrentExe,
    };
    let (sandbox, events) = backend.create(spec).await.unwrap();
    let guest = Guest { sandbox, events };
    let mut output = guest.shell("a", DAEMON);
    assert_eq!(output.line(), "ready");
    let parent = first_process().as_raw_pid().to_string();
    let started =
        processes().into_iter().find(|pid| field(*pid, "PPid:").is_some_and(|it| it == parent)).unwrap();
    let mut stdout = std::io::stdout();
    std::io::Write::write_all(&mut stdout, format!("{}\n", started.as_raw_pid()).as_bytes()).unwrap();
    std::future::pending::<()>().await;
}
