//! Folders are read-only, and elsewhere than on the host, where the host can make them so; else the tests say that they
//! did not run.

use std::fs;
use std::io::Write;
use std::path::Path;

use firesteel_sandbox::{Bind, Mounted, Mounts};
use libtest_mimic::Trial;

use crate::fixture::Fixture;
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    let reason = host_cannot();
    if let Some(reason) = &reason {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: this host cannot make folders read-only: {reason}").unwrap();
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
    }
    vec![
        test("read_only_folders_cannot_be_written_to", cannot_be_written).with_ignored_flag(reason.is_some()),
        test("no_mount_is_seen_by_the_host_or_left_behind", no_mount_is_left)
            .with_ignored_flag(reason.is_some()),
        test("an_own_folder_takes_the_place_of_the_hosts", own_folder).with_ignored_flag(reason.is_some()),
        test("a_folder_is_seen_in_two_places_and_writable_in_neither", two_places)
            .with_ignored_flag(reason.is_some()),
        test("an_own_file_takes_the_place_of_the_hosts", own_file).with_ignored_flag(reason.is_some()),
        test("what_cannot_be_mounted_is_told_and_the_rest_is", told_and_rest)
            .with_ignored_flag(reason.is_some()),
        test("a_folder_that_cannot_be_protected_is_told", told),
    ]
}

/// Asks a sandbox.
fn host_cannot() -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::protecting("probe", |folder| protected(vec![folder.to_owned()])).await;
        let reason = match fixture.sandbox.mounted() {
            Mounted::AsAsked => None,
            Mounted::Not { reason } => Some(reason.clone()),
        };
        fixture.close().await;
        reason
    })
}

fn protected(folders: Vec<std::path::PathBuf>) -> Mounts {
    Mounts { read_only: folders, binds: Vec::new(), ..Mounts::default() }
}

fn inner(folder: &Path) -> Mounts {
    let inner = folder.join("code");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("file"), "as it was").unwrap();
    protected(vec![inner])
}

async fn cannot_be_written() {
    let fixture = Fixture::protecting("protected", inner).await;
    assert_eq!(fixture.sandbox.mounted(), &Mounted::AsAsked);
    let script = "echo x > code/file; echo x > code/new; rm -f code/file; chmod 777 code/file; echo x > beside; \
         echo x > /proc/$PPID/cwd/code/file";
    let output = fixture.shell("it", script).all();
    let refused = |why| output.matches(why).count();
    // The way through the first process is closed to whoever may not look into it.
    assert_eq!(refused("Read-only file system") + refused("cwd/code/file: Permission denied"), 5, "{output}");
    let folder = fixture.folder.path();
    assert_eq!(fs::read_to_string(folder.join("code/file")).unwrap(), "as it was");
    assert_eq!(fs::read_to_string(folder.join("beside")).unwrap(), "x\n");
    fs::write(folder.join("code/file"), "the server may").unwrap();
    fixture.close().await;
}

async fn no_mount_is_left() {
    let fixture = Fixture::protecting("mounts", inner).await;
    let folder = fixture.folder.path().canonicalize().unwrap();
    let seen = || fs::read_to_string("/proc/self/mountinfo").unwrap().contains(folder.to_str().unwrap());
    assert!(!seen());
    let Fixture { sandbox, folder: owned, .. } = fixture;
    sandbox.close().await;
    assert!(!seen());
    // Fails while anything is mounted below.
    owned.close().unwrap();
}

async fn own_folder() {
    let place = |folder: &Path| {
        let (own, at) = (folder.join("own"), folder.join("place"));
        fs::create_dir(&own).unwrap();
        fs::create_dir(&at).unwrap();
        fs::write(at.join("hidden"), "the host's").unwrap();
        Mounts {
            read_only: Vec::new(),
            binds: vec![Bind { from: own, at, read_only: false }],
            ..Mounts::default()
        }
    };
    let fixture = Fixture::protecting("own", place).await;
    assert_eq!(fixture.sandbox.mounted(), &Mounted::AsAsked);
    let output = fixture.shell("it", "ls place; echo mine > place/file; cat place/file").all();
    assert_eq!(output, "mine\n");
    let folder = fixture.folder.path();
    assert_eq!(fs::read_to_string(folder.join("own/file")).unwrap(), "mine\n");
    assert!(!folder.join("place/file").exists() && folder.join("place/hidden").exists());
    fixture.close().await;
}

/// As layers are: protected where they are, and bound where they are expected.
async fn two_places() {
    let place = |folder: &Path| {
        let (layers, at) = (folder.join("layers"), folder.join("place"));
        fs::create_dir(&layers).unwrap();
        fs::create_dir(&at).unwrap();
        fs::write(layers.join("file"), "of a layer\n").unwrap();
        Mounts {
            read_only: vec![layers.clone()],
            binds: vec![Bind { from: layers, at, read_only: true }],
            ..Mounts::default()
        }
    };
    let fixture = Fixture::protecting("two places", place).await;
    assert_eq!(fixture.sandbox.mounted(), &Mounted::AsAsked);
    let output =
        fixture.shell("it", "cat place/file layers/file; echo x > place/file; echo x > layers/new").all();
    assert!(output.starts_with("of a layer\nof a layer\n"), "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    fixture.close().await;
}

/// As `/etc/hosts` is.
async fn own_file() {
    let place = |folder: &Path| {
        let (own, at) = (folder.join("own"), folder.join("place"));
        fs::write(&own, "the sandbox's\n").unwrap();
        fs::write(&at, "the host's\n").unwrap();
        Mounts {
            read_only: Vec::new(),
            binds: vec![Bind { from: own, at, read_only: true }],
            ..Mounts::default()
        }
    };
    let fixture = Fixture::protecting("own file", place).await;
    assert_eq!(fixture.sandbox.mounted(), &Mounted::AsAsked);
    let output = fixture.shell("it", "cat place; echo x > place; rm place").all();
    assert!(output.starts_with("the sandbox's\n"), "{output}");
    assert!(output.contains("Read-only file system") && output.contains("busy"), "{output}");
    assert_eq!(fs::read_to_string(fixture.folder.path().join("place")).unwrap(), "the host's\n");
    fixture.close().await;
}

async fn told_and_rest() {
    let place = |folder: &Path| {
        let (own, at) = (folder.join("own"), folder.join("place"));
        fs::create_dir(&own).unwrap();
        fs::create_dir(&at).unwrap();
        fs::write(own.join("file"), "mine\n").unwrap();
        let bind = |at| Bind { from: own.clone(), at, read_only: false };
        Mounts {
            read_only: vec![folder.join("unknown")],
            binds: vec![bind(folder.join("nowhere")), bind(at)],
            ..Mounts::default()
        }
    };
    let fixture = Fixture::protecting("partly", place).await;
    match fixture.sandbox.mounted() {
        Mounted::Not { reason } => {
            assert!(reason.contains("/unknown") && reason.contains("/nowhere"), "{reason}");
        }
        Mounted::AsAsked => panic!("two were impossible"),
    }
    assert_eq!(fixture.shell("it", "cat place/file").all(), "mine\n");
    fixture.close().await;
}

async fn told() {
    let fixture = Fixture::protecting("unprotected", |folder| protected(vec![folder.join("missing")])).await;
    assert!(matches!(fixture.sandbox.mounted(), Mounted::Not { .. }));
    let output = fixture.shell("it", "echo works").all();
    assert_eq!(output, "works\n");
    fixture.close().await;
}
