//! Roots that are trees of files, such as an image's.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use firesteel_sandbox::{Bind, Event, Mounts, Process, Program, StartStep};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, Sandboxed};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("the root is the tree and what every root has", as_root),
        test("a tree that was mounted after a blank was made is seen by it", mounted_later),
        test("what lies behind a link of the tree is refused as a place", behind_a_link),
        test("a name is looked for in the tree, and what cannot be started is told apart", started),
    ]
}

/// Where Debian's busybox-static has it.
const BUSYBOX: &str = "/bin/busybox";

/// Fills a folder with a tree that lacks much, and has links and files where folders should be.
pub(crate) fn grow(tree: &Path) {
    for folder in ["bin", "etc", "srv/private", "var"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::set_permissions(tree, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(tree.join("srv/private"), Permissions::from_mode(0o711)).unwrap();
    fs::copy(BUSYBOX, tree.join("bin/busybox")).unwrap();
    for name in ["sh", "ls", "cat", "stat", "readlink", "touch", "id", "tr"] {
        symlink("busybox", tree.join("bin").join(name)).unwrap();
    }
    symlink("/nowhere", tree.join("tmp")).unwrap();
    symlink("../run/resolv.conf", tree.join("etc/resolv.conf")).unwrap();
    symlink("/srv", tree.join("var/link")).unwrap();
    fs::write(tree.join("dev"), "no folder").unwrap();
    fs::write(tree.join("etc/hostname"), "of the tree").unwrap();
}

pub(crate) fn of_tree(tree: &Path, binds: Vec<Bind>) -> Mounts {
    Mounts { tree: Some(tree.to_owned()), binds, ..Mounts::default() }
}

/// What must hold of a sandbox with a tree that was grown here, in which `/srv/private/data` was put.
pub(crate) async fn inspect(sandbox: &mut Sandboxed) {
    assert_eq!(sandbox.says("ls / | tr '\\n' ' '").await, "bin dev etc proc srv sys tmp var");
    assert_eq!(sandbox.says("cat /etc/hostname").await, "of the tree");
    assert!(sandbox.says("cat /etc/hosts").await.contains("sandbox.localdomain"));
    assert_eq!(sandbox.says("cat /etc/resolv.conf").await, "");
    assert_eq!(
        sandbox.says("ls /dev | tr '\\n' ' '").await,
        "fd full null random stderr stdin stdout urandom zero"
    );
    assert_eq!(sandbox.says("readlink /proc/self/fd/0").await, "/dev/null");
    assert_eq!(sandbox.says("echo x >/dev/null; cat /proc/sys/kernel/ostype").await, "Linux");
    assert_eq!(sandbox.says("ls /sys").await, "devices");
    assert_eq!(sandbox.says("stat -c %a /srv/private /tmp | tr '\\n' ' '").await, "711 1777");
    assert_eq!(sandbox.says("cat /srv/private/data/file").await, "a place");
    assert_eq!(sandbox.says("echo x > /tmp/x && cat /tmp/x").await, "x");
    let (_, said) =
        sandbox.run("for at in / /bin /etc /dev /sys /srv /srv/private/data; do touch $at/x; done").await;
    assert_eq!(said.matches("Read-only file system").count(), 7, "{said}");
    // The host's is out of reach.
    assert_eq!(sandbox.says("ls /tree /layer /joined /usr 2>/dev/null || echo nothing").await, "nothing");
}

/// Something to be put into the tree.
pub(crate) fn data(folder: &Path) -> Bind {
    let from = folder.join("data");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("file"), "a place").unwrap();
    Bind { from, at: "/srv/private/data".into(), read_only: true }
}

async fn as_root() {
    let fixture = Fixture::new(0);
    let tree = fixture.folder.path().join("a:tree, with\\all");
    grow(&tree);
    let bind = data(fixture.folder.path());
    let mut sandbox = fixture.sandbox_of("a", of_tree(&tree, vec![bind])).await;
    inspect(&mut sandbox).await;
    sandbox.close().await;
    assert_eq!(fs::read_link(tree.join("tmp")).unwrap(), Path::new("/nowhere"), "the tree is as it was");
    fixture.close().await;
}

/// Unmounted when dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::empty()).unwrap();
    }
}

async fn mounted_later() {
    let fixture = Fixture::new(1);
    fixture.backend.probe().await.unwrap();
    let at = tempfile::tempdir().unwrap();
    rustix::mount::mount("test", at.path(), "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
    let mounted = Mounted(at.path().to_owned());
    grow(at.path());
    let bind = data(fixture.folder.path());
    for id in ["a", "b"] {
        let mut sandbox = fixture.sandbox_of(id, of_tree(at.path(), vec![bind.clone()])).await;
        inspect(&mut sandbox).await;
        sandbox.close().await;
    }
    fixture.close().await;
    drop(mounted);
}

async fn behind_a_link() {
    let fixture = Fixture::new(0);
    let tree = fixture.folder.path().join("tree");
    grow(&tree);
    let bind = Bind { at: "/var/link/data".into(), ..data(fixture.folder.path()) };
    let error = fixture.try_sandbox_of("a", of_tree(&tree, vec![bind])).await.unwrap_err();
    assert!(error.to_string().contains("/var/link/data lies behind a link or file"), "{error}");
    let error = fixture.try_sandbox_of("b", of_tree(Path::new("/no/such/tree"), vec![])).await.unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    fixture.close().await;
}

async fn started() {
    let fixture = Fixture::new(0);
    let tree = fixture.folder.path().join("tree");
    grow(&tree);
    for (name, mode, content) in [
        ("opt/first/tool", 0o644, "#!/bin/sh\n"),
        ("opt/second/tool", 0o755, "#!/bin/sh\necho found $0 $1\n"),
        ("srv/orphan", 0o755, "#!/no/such/interpreter\n"),
        ("srv/garbage", 0o755, "\x7fELF of another kind"),
    ] {
        let file = tree.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    }
    let mut sandbox = fixture.sandbox_of("a", of_tree(&tree, Vec::new())).await;
    const NO_FILE: i32 = 2;
    for (program, working_dir, expected) in [
        ("tool", "/", None),
        ("second/tool", "/opt", None),
        ("no-such-tool", "/", Some((StartStep::Search, NO_FILE))),
        ("", "/", Some((StartStep::Search, NO_FILE))),
        ("/no/such/tool", "/", Some((StartStep::Search, NO_FILE))),
        ("/opt/second/tool", "/no/such/folder", Some((StartStep::WorkingDir, NO_FILE))),
        ("/opt/first/tool", "/", Some((StartStep::Execution, 13))),
        ("/srv/orphan", "/", Some((StartStep::Execution, NO_FILE))),
        ("/srv/garbage", "/", Some((StartStep::Execution, 8))),
    ] {
        let (_reading, writing) = std::io::pipe().unwrap();
        let process = Program {
            name: "it".into(),
            program: program.into(),
            arguments: vec!["argument".into()],
            variables: BTreeMap::from([("PATH".to_owned(), "/none:/opt/first:/opt/second".to_owned())]),
            working_dir: working_dir.into(),
        };
        let stderr = writing.try_clone().unwrap().into();
        sandbox.sandbox.spawn(Process { program: process, stdout: writing.into(), stderr }).unwrap();
        match (sandbox.event().await, expected) {
            (Event::Started { .. }, None) => {
                assert!(matches!(sandbox.event().await, Event::Exited { .. }));
            }
            (Event::SpawnFailed { step, errno, .. }, Some(expected)) => {
                assert_eq!((step, errno), expected, "{program} in {working_dir}");
            }
            (event, _) => panic!("{program} in {working_dir}: {event:?}"),
        }
    }
    sandbox.close().await;
    fixture.close().await;
}
