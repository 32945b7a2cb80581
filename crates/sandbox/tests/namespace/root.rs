//! What is to be seen, and by whom.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use firesteel_sandbox::{Bind, CreateError};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, LIMITS};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("nothing of the host is seen but what was given", nothing_else_is_seen),
        test("a guest has no rights", a_guest_has_no_rights),
        test("nothing but tmp can be written to", nothing_can_be_written),
        test("what only its owner may read is shown to the guest", private_folders),
        test("what is counted for each user is not used up by another", counted_apart),
        test("a place that cannot be had is an error", impossible_places),
        test("a guest is alone with its processes", alone),
        test("what is written to tmp is gone with the sandbox", tmp_is_its_own),
    ]
}

async fn nothing_else_is_seen() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    assert_eq!(
        sandbox.says("ls /").await.split('\n').collect::<Vec<_>>().join(" "),
        format!("bin dev etc home lib {}mnt opt proc root run sbin sys tmp usr var", lib_folders()),
    );
    assert_eq!(
        sandbox.says("ls /home /root /run /mnt /opt /tmp").await.matches('\n').count(),
        10,
        "only names of folders"
    );
    let folder = fixture.folder.path().display().to_string();
    assert_eq!(sandbox.says(&format!("test -e {folder} && echo seen || echo not seen")).await, "not seen");
    assert_eq!(
        sandbox.says("ls /dev | tr '\\n' ' '").await,
        "fd full null random stderr stdin stdout urandom zero"
    );
    assert_eq!(sandbox.says("cat /etc/hostname; hostname").await, "sandboxsandbox");
    assert!(!sandbox.says("ls /etc").await.contains("shadow"));
    sandbox.close().await;
    fixture.close().await;
}

/// Some systems have more of them.
fn lib_folders() -> String {
    let folders =
        ["lib32", "lib64", "libx32"].into_iter().filter(|name| fs::exists(format!("/{name}")).unwrap());
    folders.map(|name| format!("{name} ")).collect()
}

async fn a_guest_has_no_rights() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let id = sandbox.says("id").await;
    let uid: u32 = id.strip_prefix("uid=").unwrap().split('(').next().unwrap().parse().unwrap();
    assert!((1_900_000_000..2_100_000_000).contains(&uid), "{id}");
    assert_eq!(id, format!("uid={uid}(sbx_user1051) gid={uid}(sbx_user1051) groups={uid}(sbx_user1051)"));
    let mut neighbour = fixture.sandbox("b").await;
    assert_ne!(neighbour.says("id -u").await, uid.to_string(), "what is counted for each user is its own");
    neighbour.close().await;
    let status = sandbox.says("cat /proc/self/status").await;
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!((value("NoNewPrivs:"), value("Seccomp:")), ("1", "2"));
    let (exit, said) = sandbox.run("unshare --user true").await;
    assert!(exit != firesteel_sandbox::Exit::Code(0) && said.contains("not permitted"), "{said}");
    sandbox.close().await;
    fixture.close().await;
}

async fn nothing_can_be_written() {
    let fixture = Fixture::new(0);
    let code = fixture.folder.path().join("code");
    fs::create_dir(&code).unwrap();
    // Even where the host would let everybody.
    fs::set_permissions(&code, Permissions::from_mode(0o777)).unwrap();
    let bind = Bind { from: code.clone(), at: "/var/task".into(), read_only: true };
    let mut sandbox = fixture.sandbox_with("a", LIMITS, vec![bind]).await;
    for place in ["/", "/var/task", "/etc", "/usr", "/dev", "/opt", "/home", "/run"] {
        let (_, said) = sandbox.run(&format!("echo x > {place}/written")).await;
        assert!(
            said.contains("Read-only file system") || said.contains("Permission denied"),
            "{place}: {said}"
        );
    }
    let (_, said) = sandbox.run("echo 1 > /proc/sys/kernel/panic; echo x > /proc/sysrq-trigger").await;
    assert_eq!(said.matches("cannot create").count(), 2, "{said}");
    assert_eq!(sandbox.says("echo x > /tmp/written && cat /tmp/written").await, "x");
    sandbox.close().await;
    assert_eq!(fs::read_dir(&code).unwrap().count(), 0);
    fixture.close().await;
}

async fn private_folders() {
    let fixture = Fixture::new(0);
    let code = fixture.folder.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("secret"), "for the owner").unwrap();
    fs::set_permissions(code.join("secret"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&code, Permissions::from_mode(0o700)).unwrap();
    let bind = Bind { from: code.clone(), at: "/var/task".into(), read_only: true };
    let mut sandbox = fixture.sandbox_with("a", LIMITS, vec![bind]).await;
    assert_eq!(sandbox.says("cat /var/task/secret").await, "for the owner");
    sandbox.close().await;
    let mode = fs::metadata(&code).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nothing was changed on the disk");
    fixture.close().await;
}

/// With a blank and without.
async fn impossible_places() {
    for blanks in [0, 1] {
        let fixture = Fixture::new(blanks);
        fixture.backend.probe().await.unwrap();
        let made = fixture.try_sandbox("/nowhere".into()).await;
        assert!(
            matches!(&made, Err(CreateError::Root { reason, .. }) if reason.contains("/nowhere")),
            "{made:?}"
        );
        // What cannot even be said to the first process is not waited for.
        let made = fixture.try_sandbox(OsStr::from_bytes(b"/\xff").into()).await;
        assert!(matches!(made, Err(CreateError::Start { .. })), "{made:?}");
        fixture.close().await;
    }
}

async fn counted_apart() {
    let fixture = Fixture::new(0);
    let eater = fixture.sandbox("eater").await;
    let script = "import ctypes, time\nlibc = ctypes.CDLL(None)\nwhile libc.inotify_init1(0) >= 0: pass\n\
                  print(\"full\", flush=True)\ntime.sleep(1000)";
    let mut output = eater.start("eater", &format!("exec python3 -c '{script}'"));
    let mut full = [0; 5];
    std::io::Read::read_exact(&mut output, &mut full).unwrap();
    let mut other = fixture.sandbox("other").await;
    let script = "import ctypes; print(ctypes.CDLL(None).inotify_init1(0) >= 0)";
    assert_eq!(other.says(&format!("python3 -c '{script}'")).await, "True");
    eater.close().await;
    other.close().await;
    fixture.close().await;
}

async fn alone() {
    let fixture = Fixture::new(0);
    let neighbour = fixture.sandbox("neighbour").await;
    let _running = neighbour.start("long", "sleep 1000");
    let mut sandbox = fixture.sandbox("a").await;
    // The first process and the shell.
    assert_eq!(sandbox.says("set -- /proc/[0-9]*; echo $#").await, "2");
    let (_, said) = sandbox.run("kill -9 1; cat /proc/1/environ; ls /proc/1/cwd/").await;
    assert_eq!(said.matches("ermi").count(), 3, "{said}");
    sandbox.close().await;
    neighbour.close().await;
    fixture.close().await;
}

async fn tmp_is_its_own() {
    let fixture = Fixture::new(0);
    let mut first = fixture.sandbox("first").await;
    assert_eq!(first.says("touch /tmp/mine && ls /tmp").await, "mine");
    let mut second = fixture.sandbox("second").await;
    assert_eq!(second.says("ls /tmp").await, "");
    first.close().await;
    second.close().await;
    fixture.close().await;
}
