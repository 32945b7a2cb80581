//! What is beyond a limit is not had, what is below it is.

use std::os::unix::process::ExitStatusExt;

use firesteel_sandbox::{CpuShare, Groups, Means};
use libtest_mimic::Trial;
use rustix::process::Signal;
use rustix::thread::CpuSet;

use crate::fixture::{Guest, group, id, test};

const MIB: u64 = 1 << 20;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test(
            "memory_beyond_the_limit_is_killed_for_and_counted",
            &[|it| &it.memory, |it| &it.oom_count],
            memory,
        ),
        test("the_peak_is_at_least_what_was_touched", &[|it| &it.peak], peak),
        test("a_memory_limit_can_be_raised_and_lowered", &[|it| &it.memory], memory_changes),
        test("processes_beyond_the_limit_cannot_be_started", &[|it| &it.processes], processes),
        test("processor_time_is_what_the_share_says", &[|it| &it.cpu], cpu),
        test("too_little_processor_time_is_divided_like_the_shares", &[|it| &it.cpu], division),
    ]
}

fn memory() {
    let (_groups, group) = group("memory");
    group.limit_memory(64 * MIB).unwrap();
    assert_eq!(group.oom_kills().unwrap(), 0);

    let mut under = Guest::inside(&group, &["allocate", &(56 * MIB).to_string()]);
    assert_eq!(under.line(), "allocated");
    under.go();
    assert!(under.status().success());
    assert_eq!(group.oom_kills().unwrap(), 0);

    let mut over = Guest::inside(&group, &["allocate", &(72 * MIB).to_string()]);
    assert_eq!(over.line(), "");
    assert_eq!(over.status().signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(group.oom_kills().unwrap(), 1);
    assert!(group.memory().unwrap().peak_bytes <= 64 * MIB);
}

fn peak() {
    let (_groups, group) = group("peak");
    let mut guest = Guest::inside(&group, &["allocate", &(40 * MIB).to_string()]);
    assert_eq!(guest.line(), "allocated");
    let held = group.memory().unwrap();
    assert!(held.current_bytes >= 40 * MIB && held.peak_bytes >= held.current_bytes, "{held:?}");
    guest.go();
    assert!(guest.status().success());
    let after = group.memory().unwrap();
    assert!(after.current_bytes < 20 * MIB, "{after:?}");
    assert!((40 * MIB..60 * MIB).contains(&after.peak_bytes), "{after:?}");
}

fn memory_changes() {
    let (_groups, group) = group("changes");
    for mib in [64, 128, 32, 1024, 16] {
        group.limit_memory(mib * MIB).unwrap();
    }
    let mut guest = Guest::inside(&group, &["allocate", &(24 * MIB).to_string()]);
    assert_eq!(guest.line(), "");
}

fn processes() {
    const EAGAIN: u64 = 11;
    let (groups, group) = group("processes");
    group.limit_processes(10).unwrap();
    // It stands for the first process in v1, which is not counted; in cgroup2 it is one of the ten.
    let mut guest = Guest::start(&["start", "20"]);
    group.enter_all(guest.pid()).unwrap();
    guest.go();
    let started =
        if groups.enforcement().processes == Means::By("pids.max of cgroup v1".to_owned()) { 10 } else { 9 };
    assert_eq!(guest.number(), started);
    assert_eq!(guest.number(), EAGAIN);
    group.limit_processes(30).unwrap();
    let mut other = Guest::inside(&group, &["start", "5"]);
    assert_eq!((other.number(), other.number()), (5, 0));
    drop(groups);
}

fn cpu() {
    let (_groups, group) = group("cpu");
    let used_us = |share: Option<u32>, wall_ms: u64| {
        group.limit_cpu(share.map(CpuShare::from_thousandths)).unwrap();
        Guest::inside(&group, &["spin", &wall_ms.to_string()]).number()
    };
    // A slice of a processor is given out whole, so a little more than the share can be had.
    let quarter = used_us(Some(250), 800);
    assert!((100_000..260_000).contains(&quarter), "200000 expected, {quarter} had");
    let small = used_us(Some(20), 1200);
    assert!((10_000..40_000).contains(&small), "24000 expected, {small} had");
    let all = used_us(None, 300);
    assert!(all > 120_000, "300000 expected on an idle host, {all} had");
}

fn division() {
    let groups = Groups::open(&id("division"));
    let (less, more) = (groups.make("less").unwrap(), groups.make("more").unwrap());
    // On one and the same processor, for which half of one and a whole one are too much.
    let mut processor = CpuSet::new();
    processor.set(0);
    let mut guests = [(&less, 500), (&more, 1000)].map(|(group, thousandths)| {
        group.limit_cpu(Some(CpuShare::from_thousandths(thousandths))).unwrap();
        let guest = Guest::start(&["spin", "2000"]);
        group.enter_all(guest.pid()).unwrap();
        rustix::thread::sched_setaffinity(Some(guest.pid()), &processor).unwrap();
        guest
    });
    guests.iter_mut().for_each(Guest::go);
    let [less_us, more_us] = guests.each_mut().map(Guest::number);
    // Twice as much, within a tenth.
    assert!((18 * less_us..22 * less_us).contains(&(10 * more_us)), "{less_us} and {more_us} us");
}
