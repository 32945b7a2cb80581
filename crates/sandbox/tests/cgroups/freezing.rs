//! What is frozen stands still, goes on where it was, and can be killed.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::fixture::{Guest, count, eventually, folders, group, id, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what_is_frozen_stands_still_and_goes_on", &[|it| &it.freeze], stands_still),
        test("a_frozen_group_is_killed", &[|it| &it.freeze, |it| &it.kill], killed),
        test("who_enters_only_v1_is_not_frozen_and_not_killed", &[|it| &it.freeze, |it| &it.kill], outside),
        test("the_folder_to_clone_into_is_that_of_cgroup2", &[|it| &it.freeze], clone_into),
    ]
}

fn stands_still() {
    let (_groups, group) = group("freeze");
    let folder = tempfile::tempdir().unwrap();
    let (frozen_file, free_file) = (folder.path().join("frozen"), folder.path().join("free"));
    let _frozen = Guest::inside(&group, &["count", frozen_file.to_str().unwrap()]);
    let mut free = Guest::start(&["count", free_file.to_str().unwrap()]);
    free.go();
    // While one that is free counts on, the other does not: no time has to be trusted.
    let free_counts = || {
        let before = count(&free_file);
        eventually("the free one counts", || count(&free_file) > before + 1000);
    };
    for _ in 0..3 {
        let before = count(&frozen_file);
        eventually("it counts", || count(&frozen_file) > before);
        group.freeze().unwrap();
        eventually("it is frozen", || group.is_frozen().unwrap());
        let at = count(&frozen_file);
        free_counts();
        assert_eq!(count(&frozen_file), at);
        group.thaw().unwrap();
        assert!(!group.is_frozen().unwrap());
        eventually("it goes on", || count(&frozen_file) > at);
    }
}

fn killed() {
    let (_groups, group) = group("kill");
    let mut guest = Guest::inside(&group, &["family"]);
    guest.line();
    group.freeze().unwrap();
    eventually("it is frozen", || group.is_frozen().unwrap());
    group.kill().unwrap();
    assert_eq!(guest.status().signal(), Some(Signal::KILL.as_raw()));
    // Its children had its stdout too.
    assert_eq!(guest.line(), "");
}

fn outside() {
    let (_groups, group) = group("outside");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("count");
    let mut guest = Guest::start(&["count", file.to_str().unwrap()]);
    group.enter(guest.pid()).unwrap();
    guest.go();
    group.freeze().unwrap();
    eventually("the group is frozen", || group.is_frozen().unwrap());
    group.kill().unwrap();
    let before = count(&file);
    eventually("it counts", || count(&file) > before + 1000);
    assert!(guest.is_alive());
}

fn clone_into() {
    let (_groups, group) = group("clone");
    let directory = rustix::fs::fstat(group.clone_into().unwrap().as_fd()).unwrap();
    let own = folders(&format!("firesteel-{}", id("clone")));
    let found = own.iter().filter_map(|own| fs::metadata(own.join("sandbox")).ok()).collect::<Vec<_>>();
    assert!(found.iter().any(|it| (it.dev(), it.ino()) == (directory.st_dev, directory.st_ino)));
}
