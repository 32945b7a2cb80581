//! What a guest is, sees and reaches.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use firesteel_sandbox::{Bind, CreateError, Exit, Limits, Mounts};

use crate::Test;
use crate::fixture::{Host, eventually};

pub(crate) const TESTS: &[Test] = &[
    ("a_guest_has_no_rights", |host| Box::pin(a_guest_has_no_rights(host))),
    ("a_guest_goes_before_the_first_process", |host| Box::pin(a_guest_goes_before_the_first_process(host))),
    ("a_guest_sees_its_own_files_only", |host| Box::pin(a_guest_sees_its_own_files_only(host))),
    ("nothing_can_be_written_to_but_tmp", |host| Box::pin(nothing_can_be_written_to_but_tmp(host))),
    ("the_root_may_be_a_tree", |host| Box::pin(the_root_may_be_a_tree(host))),
    ("what_is_mounted_below_a_place_is_read_only_too", |host| {
        Box::pin(what_is_mounted_below_a_place_is_read_only_too(host))
    }),
    ("private_folders_are_the_guests_or_refused", |host| {
        Box::pin(private_folders_are_the_guests_or_refused(host))
    }),
    ("a_listener_is_reached_by_its_own_sandbox_only", |host| {
        Box::pin(a_listener_is_reached_by_its_own_sandbox_only(host))
    }),
];

async fn a_guest_has_no_rights(host: Host) {
    let mut guest = host.guest("confined").await;
    let (text, status) = guest
        .run("id -u; id -g; id -G; hostname; echo $$; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; cat /proc/self/cgroup")
        .await;
    assert_eq!(status, Exit::Code(0), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let user: u32 = lines[0].parse().unwrap();
    assert!(user >= 1_900_000_000, "a user of its own: {text}");
    assert_eq!(&lines[1..4], [lines[0], lines[0], "sandbox"], "{text}");
    let mut other = host.guest("other").await;
    assert_ne!(other.run("id -u").await.0.trim(), lines[0]);
    other.close().await;
    assert!(lines[4].parse::<u32>().unwrap() < 10, "its process numbers are its own: {text}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(lines.contains(&format!("{set}:\t0000000000000000").as_str()), "{set}: {text}");
    }
    assert!(lines.contains(&"NoNewPrivs:\t1"), "{text}");
    assert!(lines.contains(&"Seccomp:\t2"), "{text}");
    assert!(!text.contains(&host.id), "no names of control groups: {text}");
    for refused in
        ["unshare -r true", "kill -9 1", "cat /proc/1/environ", "ls /proc/1/fd", "/usr/sbin/chroot / true"]
    {
        let (text, status) = guest.run(refused).await;
        assert_ne!(status, Exit::Code(0), "{refused}: {text}");
        let said = ["Operation not permitted", "Permission denied"];
        assert!(said.iter().any(|said| text.contains(said)), "{refused}: {text}");
    }
    guest.close().await;
    host.close().await;
}

/// When memory runs out; also on a machine that keeps from root what it would take to spare the first process.
async fn a_guest_goes_before_the_first_process(host: Host) {
    let mut guest = host.guest("scored").await;
    let (text, status) = guest.run("cat /proc/self/oom_score_adj /proc/1/oom_score_adj").await;
    assert_eq!(status, Exit::Code(0), "{text}");
    let scores: Vec<i32> = text.lines().map(|score| score.parse().unwrap()).collect();
    assert!(scores[0] >= 0 && scores[0] > scores[1], "{text}");
    guest.close().await;
    host.close().await;
}

async fn a_guest_sees_its_own_files_only(host: Host) {
    let code = host.folder.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("handler"), "mine").unwrap();
    // Whatever the mask of who runs this.
    fs::set_permissions(&code, fs::Permissions::from_mode(0o755)).unwrap();
    let mounts = Mounts {
        binds: vec![Bind { from: code.clone(), at: "/var/task".into(), read_only: true }],
        ..Mounts::default()
    };
    let limits = Limits { tmp_mib: 16, ..Limits::default() };
    let mut one = host.try_guest("one", limits, mounts).await.unwrap();
    let mut other = host.guest("other").await;
    let (text, _) =
        one.run("cat /var/task/handler; echo; ls -A /tmp; echo secret >/tmp/secret; ls -A /").await;
    let root = ".firesteel bin dev etc home lib lib64 mnt opt proc root run sbin sys tmp usr var";
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "mine", "{text}");
    for name in rest.split_whitespace() {
        assert!(root.contains(name) || ["lib32", "libx32", "nix"].contains(&name), "{name} in {text}");
    }
    let (text, _) =
        other.run("ls -A /tmp /var/task /root /home; ls /proc | grep -cE '^[0-9]+$'; cat /proc/keys /proc/kcore | wc -c").await;
    assert_eq!(text.split_once("/var/task:\n").unwrap().1.lines().last(), Some("0"), "masked: {text}");
    assert!(!text.contains("secret") && !text.contains("handler"), "{text}");
    let (text, _) =
        other.run(&format!("ls {} /work /etc/shadow /sys/fs /dev/vda", host.folder.path().display())).await;
    assert_eq!(text.matches("No such file").count(), 5, "{text}");
    one.close().await;
    other.close().await;
    host.close().await;
}

async fn nothing_can_be_written_to_but_tmp(host: Host) {
    let folder = host.folder.path().join("writable");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let bind = |at: &str, read_only| Bind { from: folder.clone(), at: at.into(), read_only };
    let mounts =
        Mounts { binds: vec![bind("/var/task", true), bind("/mnt/out", false)], ..Mounts::default() };
    let limits = Limits { tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("writing", limits, mounts).await.unwrap();
    let places = "/ /dev /etc /usr /var/task /opt /.firesteel /sys/devices/system/cpu /proc/sys/kernel";
    let (text, _) =
        guest.run(&format!("for place in {places}; do touch $place/new && echo $place; done")).await;
    assert_eq!(text.lines().count(), 9, "{text}");
    assert!(text.lines().all(|line| line.starts_with("touch: ")), "{text}");
    // The one that lets everybody in would be writable but for its mount.
    assert!(text.contains("'/var/task/new': Read-only file system"), "{text}");
    let (text, status) = guest.run("echo it >/mnt/out/file && stat -c '%a %u' /tmp && df -BM --output=size /tmp | tail -1 && dd if=/dev/zero of=/tmp/big bs=1M count=20").await;
    assert_eq!(status, Exit::Code(1), "{text}");
    assert!(text.starts_with("1777 0\n") && text.contains("No space left on device"), "{text}");
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "it\n");
    guest.close().await;
    host.close().await;
}

async fn what_is_mounted_below_a_place_is_read_only_too(host: Host) {
    // Of the host's: devices on a file system of their own, which root may write to.
    let mounts = Mounts {
        binds: vec![Bind { from: "/dev".into(), at: "/mnt/devices".into(), read_only: true }],
        ..Mounts::default()
    };
    let limits = Limits { tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("below", limits, mounts).await.unwrap();
    let (text, _) = guest.run("grep ' /mnt/devices' /proc/self/mounts; : </mnt/devices/null").await;
    let options: Vec<&str> =
        text.lines().filter(|line| line.contains(" /mnt/devices") && !line.contains("bash:")).collect();
    assert!(options.len() > 1, "the host has something mounted below /dev: {text}");
    for line in options {
        let options = line.split(' ').nth(3).unwrap_or_default();
        for option in ["ro", "nosuid", "nodev"] {
            assert!(options.split(',').any(|it| it == option), "{option}: {line}");
        }
    }
    assert!(text.contains("ermission denied"), "{text}");
    guest.close().await;
    host.close().await;
}

async fn private_folders_are_the_guests_or_refused(host: Host) {
    let code = host.folder.path().join("private");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("handler"), "mine").unwrap();
    fs::set_permissions(code.join("handler"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&code, fs::Permissions::from_mode(0o700)).unwrap();
    let mounts = Mounts {
        binds: vec![Bind { from: code.clone(), at: "/var/task".into(), read_only: true }],
        ..Mounts::default()
    };
    let limits = Limits { tmp_mib: 16, ..Limits::default() };
    match (host.runtime, host.try_guest("private", limits, mounts).await) {
        ("crun", Ok(mut guest)) => {
            let (text, _) = guest.run("cd /var/task && cat handler").await;
            assert_eq!(text, "mine");
            guest.close().await;
        }
        ("runc", Err(CreateError::Root { reason, .. })) => {
            assert!(reason.contains(&format!("try `chmod -R o+rX {}`", code.display())), "{reason}");
        }
        (runtime, other) => panic!("{runtime}: {:?}", other.map(|guest| guest.sandbox)),
    }
    assert!(host.containers().is_empty());
    host.close().await;
}

async fn a_listener_is_reached_by_its_own_sandbox_only(host: Host) {
    let one = host.guest("one").await;
    let mut other = host.guest("other").await;
    let listener = one.sandbox.listen().unwrap();
    assert_eq!(listener.local_addr().unwrap().to_string(), "127.0.0.1:9001");
    let call = "exec 3<>/dev/tcp/127.0.0.1/9001 && cat <&3";
    let (text, status) = other.run(call).await;
    assert_eq!(status, Exit::Code(1), "{text}");
    assert!(text.contains("Connection refused"), "{text}");

    listener.set_nonblocking(true).unwrap();
    let mut output = one.shell("caller", call);
    let mut accepted = None;
    eventually("a call is accepted", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    })
    .await;
    let (mut stream, _) = accepted.unwrap();
    std::io::Write::write_all(&mut stream, b"an event\n").unwrap();
    assert_eq!(output.line(), "an event");
    one.close().await;
    other.close().await;
    host.close().await;
}

/// One that lacks much, and has links and files where folders should be.
async fn the_root_may_be_a_tree(host: Host) {
    let tree = host.folder.path().join("a:tree, with\\all");
    for folder in ["bin", "etc", "srv"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)).unwrap();
    // Debian's busybox-static.
    fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
    for name in ["sh", "ls", "cat", "touch"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(name)).unwrap();
    }
    let bash = tree.join("bin/bash");
    fs::write(&bash, "#!/bin/sh\nexec sh \"$@\"\n").unwrap();
    fs::set_permissions(bash, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("/nowhere", tree.join("tmp")).unwrap();
    std::os::unix::fs::symlink("../run/resolv.conf", tree.join("etc/resolv.conf")).unwrap();
    fs::write(tree.join("dev"), "no folder").unwrap();
    let data = host.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "a place").unwrap();
    let mounts = Mounts {
        tree: Some(tree.clone()),
        binds: vec![Bind { from: data, at: "/srv/data".into(), read_only: true }],
        ..Mounts::default()
    };
    let limits = Limits { tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("tree", limits, mounts).await.unwrap();
    let (text, status) = guest
        .run("ls /; echo -; cat /srv/data/file /etc/resolv.conf; echo; cat /etc/hosts; echo x >/dev/null; echo x >/tmp/x && cat /tmp/x")
        .await;
    assert_eq!(status, Exit::Code(0), "{text}");
    assert!(text.starts_with("bin\ndev\netc\nproc\nsrv\nsys\ntmp\n-\na place\n127.0.0.1 "), "{text}");
    assert!(text.ends_with("\nx\n"), "{text}");
    let (text, _) = guest.run("for at in / /bin /etc /dev /srv /srv/data; do touch $at/x; done").await;
    assert_eq!(text.matches("Read-only file system").count(), 6, "{text}");
    guest.close().await;
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(host.folder.path().to_str().unwrap()), "mounts are left: {mounts}");
    host.close().await;
}
