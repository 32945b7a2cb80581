//! The same for a user who is not root: this executable is started once more, as one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use firesteel_sandbox::{Bind, Means};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, LIMITS};
use crate::{test, tree};

/// First argument of this executable, as that user.
pub(crate) const MODE: &str = "rootless";

const USER: u32 = 12345;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("without root a sandbox is isolated all the same", as_a_user)]
}

async fn as_a_user() {
    // Where that user can reach it.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let executable = folder.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(USER), Some(USER)).unwrap();
    let output = Command::new(&executable)
        .arg(MODE)
        .env_clear()
        .env("TMPDIR", &data)
        .current_dir(&data)
        .uid(USER)
        .gid(USER)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Fails by a panic.
pub(crate) fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(isolated());
    ExitCode::SUCCESS
}

async fn isolated() {
    let fixture = Fixture::new(1);
    let enforcement = fixture.backend.enforcement().unwrap();
    assert!(
        !matches!(&enforcement.memory, Means::By(_))
            || fs::metadata("/sys/fs/cgroup/cgroup.controllers").is_ok(),
        "nobody has delegated v1's groups to this user: {enforcement:?}"
    );
    assert!(fixture.backend.tmp_in_memory().is_some());
    let code = fixture.folder.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("secret"), "for the owner").unwrap();
    fs::set_permissions(code.join("secret"), Permissions::from_mode(0o600)).unwrap();
    let bind = Bind { from: code, at: "/var/task".into(), read_only: true };
    let mut sandbox = fixture.sandbox_with("a", LIMITS, vec![bind]).await;
    assert_eq!(sandbox.says("id -u; id -g").await, "993\n990");
    assert_eq!(sandbox.says("cat /var/task/secret").await, "for the owner");
    assert_eq!(sandbox.says("set -- /proc/[0-9]*; echo $#").await, "2");
    assert_eq!(sandbox.says("tail -n +3 /proc/net/dev | cut -d: -f1").await.trim(), "lo");
    let status = sandbox.says("cat /proc/self/status").await;
    for held in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(held), "{held} is not in {status}");
    }
    let home = fixture.folder.path().display().to_string();
    let (_, said) = sandbox.run(&format!("ls {home}; echo x > /var/task/written; echo x > /written")).await;
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    assert_eq!(said.matches("Read-only").count(), 2, "{said}");
    let _listener = sandbox.sandbox.listen().unwrap();
    sandbox.close().await;

    let tree = fixture.folder.path().join("tree");
    tree::grow(&tree);
    let bind = tree::data(fixture.folder.path());
    let mut sandbox = fixture.sandbox_of("b", tree::of_tree(&tree, vec![bind])).await;
    tree::inspect(&mut sandbox).await;
    sandbox.close().await;
    fixture.close().await;
}
