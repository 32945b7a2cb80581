//! `--mount`: what a function is shown of the host beside its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::folder;
use crate::harness::function::{ECHO, Function};
use crate::harness::isolation::{Isolation, isolated, not_for_this_backend};
use crate::harness::program::{Program, Run};
use crate::harness::server::Server;

/// Data of the host: `file`, `sub/`, and `link` to `file`.
fn data() -> TempDir {
    let data = folder();
    fs::write(data.path().join("file"), "of the host").unwrap();
    fs::create_dir(data.path().join("sub")).unwrap();
    symlink("file", data.path().join("link")).unwrap();
    for name in ["", "sub"] {
        fs::set_permissions(data.path().join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    data
}

fn mount(path: &Path, rest: &str) -> String {
    format!("{}{rest}", path.display())
}

/// What comes of reading, or of making, each path of the event.
const TRIES: &str = r#"
import errno, json
def attempt(action):
    try:
        return action()
    except OSError as error:
        return errno.errorcode[error.errno]
def make(path):
    with open(path, "x") as file: file.write("of the function")
    return "made"
serve(lambda event: json.dumps([attempt(lambda: make(path) if how == "make" else open(path).read()) for how, path in json.loads(event.body)]))
"#;

#[track_caller]
fn tries(mounts: &[&str], event: &Value) -> Value {
    let arguments: Vec<&str> = mounts.iter().flat_map(|mount| ["--mount", mount]).collect();
    Server::of(&Function::scripted(TRIES), &arguments).invoke(&event.to_string()).json()
}

#[test]
fn a_function_reads_what_is_mounted_and_nothing_beside_it() {
    let data = data();
    let own = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    // In its own place, which is there with every backend, and by whatever name.
    let event = json!([["read", own("file")], ["read", own("link")]]);
    let whole = mount(data.path(), "");
    assert_eq!(tries(&[&whole], &event), json!(["of the host", "of the host"]));
    let (file, link) = (own("file"), own("link"));
    assert_eq!(tries(&[&file, &link], &event), json!(["of the host", "of the host"]));
    if !isolated() {
        let test = "a_function_reads_what_is_mounted_and_nothing_beside_it";
        return not_for_this_backend(test, "functions see all of the host");
    }
    assert_eq!(tries(&[&link], &event), json!(["ENOENT", "of the host"]));
    assert_eq!(tries(&[], &event), json!(["ENOENT", "ENOENT"]));
}

#[test]
fn a_mount_may_be_elsewhere_and_is_written_to_only_if_asked_for() {
    if !isolated() {
        let test = "a_mount_may_be_elsewhere_and_is_written_to_only_if_asked_for";
        return not_for_this_backend(test, "functions see the host as it is");
    }
    let data = data();
    let (ro, rw) = (mount(data.path(), ":/mnt/data"), mount(data.path(), ":/srv/data:rw"));
    let event = json!([
        ["read", "/mnt/data/link"],
        ["make", "/mnt/data/new"],
        ["make", "/srv/data/sub/new"],
        ["read", "/mnt/data/sub/new"],
        ["make", "/srv/new"],
    ]);
    let came = tries(&[&ro, &rw], &event);
    assert_eq!(came, json!(["of the host", "EROFS", "made", "of the function", "EROFS"]));
    let made = data.path().join("sub/new");
    assert_eq!(fs::read_to_string(&made).unwrap(), "of the function");
    // What only root may write to stays so.
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(tries(&[&rw], &json!([["make", "/srv/data/new"]])), json!(["EACCES"]));
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(tries(&[&rw], &json!([["make", "/srv/data/new"]])), json!(["EACCES"]));
        if Isolation::of_this_run().shows_private_folders() {
            let read = tries(&[&ro], &json!([["read", "/mnt/data/file"]]));
            assert_eq!(read, json!(["of the host"]), "closed to others, and shown to be read");
        }
    }
}

#[test]
fn a_mount_may_lie_in_another_in_the_code_and_in_tmp() {
    if !isolated() {
        let test = "a_mount_may_lie_in_another_in_the_code_and_in_tmp";
        return not_for_this_backend(test, "functions see the host as it is");
    }
    let (outer, inner) = (data(), data());
    fs::write(inner.path().join("file"), "of the inner one").unwrap();
    let function = Function::scripted(TRIES).with("data/empty", "", 0o644).with("a-file", "", 0o644);
    let at = |place: &str| mount(inner.path(), &format!(":{place}"));
    let file = mount(&inner.path().join("file"), ":/var/task/a-file");
    let mounts = [
        at("/srv/data/sub"),
        mount(outer.path(), ":/srv/data"),
        at("/var/task/data"),
        at("/tmp/deep/er"),
        file,
    ];
    let arguments: Vec<&str> = mounts.iter().flat_map(|mount| ["--mount", mount]).collect();
    let event = json!([
        ["read", "/srv/data/file"],
        ["read", "/srv/data/sub/file"],
        ["read", "/var/task/data/file"],
        ["read", "/var/task/a-file"],
        ["read", "/tmp/deep/er/file"],
        ["make", "/tmp/new"],
    ]);
    let inner = "of the inner one";
    for size in ["512", "600"] {
        let server = Server::of(&function, &[&arguments[..], &["--ephemeral-storage", size]].concat());
        let came: Value = server.invoke(&event.to_string()).json();
        assert_eq!(came, json!(["of the host", inner, inner, inner, inner, "made"]), "/tmp of {size} MiB");
    }
}

#[test]
fn a_bootstrap_may_be_a_link_to_what_is_mounted() {
    let program = Function::scripted(ECHO);
    let tool = program.code().join("bootstrap");
    let function = Function::empty();
    symlink(&tool, function.code().join("bootstrap")).unwrap();
    let server = Server::of(&function, &["--mount", tool.to_str().unwrap()]);
    assert_eq!(server.invoke("1").success(), "1");
}

#[track_caller]
fn refused(mount: &str, arguments: &[&str], words: &[&str]) {
    let function = Function::scripted(ECHO);
    let run: Run = Program::invoke(&[&[&*function.target(), "--mount", mount], arguments].concat()).run();
    run.refused(2, words);
}

#[test]
fn mounts_that_cannot_be() {
    let data = data();
    let at = |place: &str| mount(data.path(), place);
    refused("/no/such/folder", &[], &["/no/such/folder cannot be mounted", "No such file", "\n  try:   "]);
    for place in ["/", "/proc", "/proc/1", "/dev/shm", "/sys"] {
        let words =
            [&format!("nothing can be mounted at {place}: "), "\n  try:   another place for it: --mount "];
        refused(&at(&format!(":{place}")), &[], &words.map(|word| word as &str));
    }
    for wrong in [":there", ":", ":/mnt/../etc", ":/a:/b"] {
        refused(&at(wrong), &[], &["is no absolute path", "--mount", "--help"]);
    }
    refused(":rw", &[], &["there is no path in it", "--help"]);
}

#[test]
fn without_isolation_nothing_is_shown_elsewhere() {
    let data = data();
    let process = ["--isolation", "process"];
    let words = ["without isolation functions see this machine as it is", "\n  try:   --mount "];
    refused(&mount(data.path(), ":/mnt/data"), &process, &words);
    // Its own place, by two names.
    let file: PathBuf = data.path().join("file");
    let same = mount(&data.path().join("link"), &format!(":{}", file.display()));
    let function = Function::scripted(ECHO);
    let arguments = [&*function.target(), "1", "--mount", &same, "--isolation", "process"];
    assert_eq!(Program::invoke(&arguments).run().success(), "1\n");
}

#[test]
fn mounts_over_what_a_function_has() {
    if !isolated() {
        return not_for_this_backend("mounts_over_what_a_function_has", "functions see the host as it is");
    }
    let data = data();
    let at = |place: &str| mount(data.path(), &format!(":{place}"));
    let advice = "\n  try:   another place for it";
    refused(&at("/var/task"), &[], &["cannot be mounted at /var/task, where the function has", advice]);
    refused(
        &at("/var/task/none"),
        &[],
        &["cannot be mounted at /var/task/none", "nothing is made there", advice],
    );
    refused(&at("/usr/bin/env"), &[], &["must be of its kind", advice]);
    refused(&at("/usr/none"), &[], &["nothing is made there", advice]);
    // The code would have no place in it.
    refused(&at("/var"), &[], &["cannot be mounted at /var/task", advice]);
    refused(
        &at("/srv"),
        &["--mount", &at("/srv")],
        &["two mounts are at /srv", "\n  try:   one of them elsewhere"],
    );
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 3, "nothing was made");
}

#[test]
fn a_mount_is_for_functions_that_run_here() {
    let run = Program::invoke(&["f", "--endpoint", "http://127.0.0.1:1", "--mount", "/srv"]).run();
    run.refused(2, &["--endpoint", "--mount"]);
}
