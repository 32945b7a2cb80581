//! `firesteel doctor`: what it tells is what happens.

use std::process::Command;

use serde_json::Value;

use crate::harness;
use crate::harness::function::Function;
use crate::harness::process::{self, eventually};
use crate::harness::program::Program;
use crate::harness::server::Server;

/// A managed function, as it runs everywhere.
const HELLO: &str = "def lambda_handler(event, context): return 1\n";

/// The report, after what holds for every report.
#[track_caller]
fn examined(arguments: &[&str]) -> Value {
    let run = Program::doctor(&[&["--json"], arguments].concat()).run();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(run.code, Some(if report["ok"] == true { 0 } else { 1 }), "{}", run.stderr);
    for check in checks(&report) {
        assert!(["ok", "degraded", "missing"].contains(&text(check, "state")), "{check}");
        assert!(!text(check, "found").is_empty(), "{check}");
    }
    let decides = |check: &&Value| check["decides"] == true;
    assert_eq!(
        report["ok"] == true,
        checks(&report).iter().filter(decides).all(|check| check["state"] == "ok")
    );
    report
}

fn checks(report: &Value) -> &[Value] {
    report["checks"].as_array().unwrap()
}

fn text<'a>(check: &'a Value, name: &str) -> &'a str {
    check[name].as_str().unwrap()
}

#[track_caller]
fn check<'a>(report: &'a Value, area: &str, name: &str) -> &'a Value {
    let found = checks(report).iter().find(|check| check["area"] == area && check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} of {area} in {report}"))
}

#[test]
fn the_table_says_the_same_without_colours_where_no_terminal_is() {
    let report = examined(&[]);
    let run = Program::doctor(&[]).run();
    assert_eq!(run.code, Some(if report["ok"] == true { 0 } else { 1 }));
    assert!(!run.stdout.contains('\x1b'), "{}", run.stdout);
    for area in ["isolation\n", "limits\n", "network\n", "host\n", "interpreters\n", "OCI runtimes\n"] {
        assert!(run.stdout.contains(area), "{}", run.stdout);
    }
    for check in checks(&report) {
        let line = run.stdout.lines().find(|line| line.contains(&format!("  {} ", text(check, "name"))));
        assert!(line.is_some(), "{check} is not in:\n{}", run.stdout);
    }
    let verdict = format!("functions run with isolation `{}`", text(&report, "isolation"));
    assert!(run.stdout.lines().last().unwrap().starts_with(&verdict), "{}", run.stdout);
}

#[test]
fn a_server_says_at_its_start_what_doctor_says_and_runs_as_it_says() {
    let report = examined(&["--isolation", "auto"]);
    let server = Server::of(&Function::python(HELLO), &["--isolation", "auto"]);
    assert_eq!(server.invoke("{}").success(), "1");
    let log = server.log();
    let isolated = text(&report, "isolation") == "namespace";
    assert_eq!(log.contains("firesteel: no isolation: "), !isolated, "{log}");
    assert_eq!(
        log.contains("each environment has namespaces, a file system and limits of its own"),
        isolated
    );
    if isolated {
        let limits = [
            ("memory", "memory is not limited"),
            ("processor time", "processor time is not limited"),
            ("processes", "processes are not limited"),
            ("freezing", "functions are frozen by signals"),
            ("/tmp", "/tmp is in memory"),
        ];
        for (name, said) in limits {
            let held = check(&report, "limits", name)["state"] == "ok";
            assert_eq!(log.contains(&format!("firesteel: {said}")), !held, "{name}\n{log}");
        }
    }
}

#[test]
fn who_asks_for_no_isolation_is_told_that_nothing_is_limited() {
    let report = examined(&["--isolation", "process"]);
    assert_eq!((text(&report, "isolation"), &report["ok"]), ("process", &Value::Bool(false)));
    assert_eq!(check(&report, "isolation", "process")["state"], "ok");
    assert_eq!(check(&report, "limits", "memory")["state"], "missing");
}

#[test]
fn a_data_folder_that_cannot_be_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let run = Program::doctor(&[]).data(file.path()).run();
    run.refused(2, &["the data folder", "cannot be used", "--data DIR"]);
}

/// A mount namespace in which this machine has no control groups that one could write to.
fn without_control_groups(arguments: &[&str]) -> Option<std::process::Output> {
    let data = harness::folder();
    let script = "mount -t tmpfs none /sys/fs/cgroup && mount -o remount,ro /sys/fs/cgroup && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", harness::FIRESTEEL]).args(arguments);
    command.arg("--data").arg(data.path());
    let output = {
        let _guard = harness::forking();
        command.output().ok()?
    };
    assert_eq!(process::marked(data.path().to_str().unwrap()), [0; 0], "processes are left");
    Some(output)
}

#[test]
fn a_limit_that_cannot_be_held_is_said_once_with_what_to_type() {
    let report = examined(&["--isolation", "auto"]);
    if !rustix::process::geteuid().is_root() || report["isolation"] != "namespace" {
        return harness::skipped(
            "a_limit_that_cannot_be_held_is_said_once_with_what_to_type",
            "only root can take control groups away, and only from what is isolated",
        );
    }
    let output = without_control_groups(&["doctor", "--json", "--isolation", "auto"]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["isolation"], "namespace", "what can be had is not given up");
    for name in ["memory", "processor time", "processes", "freezing"] {
        let check = check(&report, "limits", name);
        assert!(check["state"] == "degraded" && text(check, "try").contains("/sys/fs/cgroup"), "{check}");
    }
    let function = Function::python(HELLO);
    let output = without_control_groups(&["invoke", &function.target(), "--isolation", "auto"]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"1\n"[..]), "{said}");
    for limit in ["memory is", "processor time is", "processes are"] {
        let lines: Vec<_> =
            said.lines().filter(|line| line.contains(&format!("{limit} not limited"))).collect();
        assert!(lines.len() == 1 && lines[0].contains("; try: "), "{limit}: {said}");
    }
}

/// Folders of control groups, mounts and loop devices that have this in their names.
fn left_of(run: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut folders = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.file_name().to_string_lossy().contains(run) {
                left.push(entry.path().display().to_string());
            }
            folders.push(entry.path());
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    left.extend(mounts.lines().filter(|line| line.contains(run)).map(str::to_owned));
    for device in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = std::fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        left.extend(Some(file).filter(|file| file.contains(run)));
    }
    left
}

#[test]
fn what_a_killed_server_left_is_removed_by_the_next() {
    let function = Function::python(HELLO);
    let server = Server::of(&function, &["--isolation", "auto"]);
    server.invoke("{}").success();
    let run = server.run_folder().file_name().unwrap().to_str().unwrap().to_owned();
    if !left_of(&run).iter().any(|left| left.contains("firesteel-")) {
        return harness::skipped(
            "what_a_killed_server_left_is_removed_by_the_next",
            "this host lets nobody have control groups",
        );
    }
    let data = server.data();
    server.kill();
    let next = Server::start_in(data, &[("f", &function)], &["--isolation", "auto"]);
    // By this one, or by another that has started meanwhile: they all look everywhere.
    eventually("nothing of it is left", || left_of(&run).is_empty());
    assert_ne!(next.run_folder().file_name().unwrap().to_str().unwrap(), run);
    assert_eq!(next.invoke("{}").success(), "1");
}
