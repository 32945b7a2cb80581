//! Functions of container images: what they see, what is started, and what is told when it cannot be.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::isolation::{isolated, not_for_this_backend};
use crate::harness::program::Program;
use crate::harness::server::Server;
use crate::harness::{folder, forking};

/// Where Debian's busybox-static has it: all programs of these images.
const BUSYBOX: &str = "/bin/busybox";

const PROGRAMS: [&str; 10] = ["sh", "wget", "sed", "tr", "cat", "ls", "id", "env", "touch", "grep"];

/// A runtime that runs the event, a string without anything to be escaped, as a script with its own arguments, and answers
/// with what that prints.
const RUNTIME: &str = r#"#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while wget -q -S -O /tmp/event "$api/next" 2>/tmp/headers; do
    id=$(sed -n 's/^ *lambda-runtime-aws-request-id: *//Ip' /tmp/headers | tr -d '\r')
    sed 's/^"//; s/"$//' /tmp/event >/tmp/script
    sh /tmp/script "$@" >/tmp/answer 2>&1 </dev/null
    wget -q -O /dev/null --post-file=/tmp/answer "$api/$id/response"
done
"#;

/// An extension that waits for what it has not asked for.
const EXTENSION: &str = r#"#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2020-01-01/extension
wget -q -S -O /dev/null --header "Lambda-Extension-Name: ${0##*/}" --post-data '{"events":[]}' "$api/register" 2>/tmp/registered
id=$(sed -n 's/^ *lambda-extension-identifier: *//Ip' /tmp/registered | tr -d '\r')
exec wget -q -O /dev/null --header "Lambda-Extension-Identifier: $id" "$api/event/next"
"#;

/// An image in a folder, gone with it.
pub(crate) struct Image {
    folder: TempDir,
}

impl Image {
    /// With these members in its configuration beside `Env`.
    fn new(config: &Value) -> Self {
        let folder = folder();
        let image = Image { folder };
        for name in ["bin", "app", "etc", "srv"] {
            fs::create_dir_all(image.root().join(name)).unwrap();
        }
        {
            let _guard = forking();
            fs::copy(BUSYBOX, image.root().join("bin/busybox")).unwrap();
        }
        for name in PROGRAMS {
            symlink("busybox", image.root().join("bin").join(name)).unwrap();
        }
        let mut all = json!({"Env": ["PATH=/app:/bin", "GREETING=of the image", "AWS_REGION=mars"]});
        for (name, value) in config.as_object().unwrap() {
            all[name] = value.clone();
        }
        let config = json!({"architecture": "amd64", "os": "linux", "config": all});
        fs::write(image.folder.path().join("config.json"), config.to_string()).unwrap();
        image.with("app/bootstrap", RUNTIME, 0o755)
    }

    /// One whose runtime is found in its `PATH`.
    pub(crate) fn running() -> Self {
        Self::new(&json!({"Entrypoint": ["bootstrap"], "Cmd": ["app.handler", "more"], "WorkingDir": "/app"}))
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("rootfs")
    }

    fn with(self, name: &str, content: &str, mode: u32) -> Self {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _guard = forking();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// As images have it.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.folder.path().join("config.json")).unwrap()
    }

    /// As an argument.
    fn target(&self) -> String {
        format!("unpacked:{}", self.folder.path().display())
    }

    /// A server of it by the name `f`.
    fn served(&self, arguments: &[&str]) -> Server {
        let target = format!("f={}", self.target());
        Server::without_functions(&[], &[&[target.as_str()], arguments].concat())
    }
}

/// What a script prints in a server's function.
#[track_caller]
fn run(server: &Server, script: &str) -> String {
    server.invoke(&json!(script).to_string()).success()
}

/// Whether images can be run in this run of the tests; says so if not.
fn can_be_run(test: &str) -> bool {
    if !isolated() {
        not_for_this_backend(test, "an image needs a root of its own");
    }
    isolated()
}

#[test]
fn an_image_is_the_root_of_its_function() {
    if !can_be_run("an_image_is_the_root_of_its_function") {
        let image = Image::running();
        let run = Program::invoke(&[&image.target()]).run();
        return run.refused(2, &["cannot be run without isolation", "--isolation namespace"]);
    }
    let image = Image::running();
    let server = image.served(&[]);
    let says = |script: &str| run(&server, script);
    let seen = says("ls /");
    for (name, expected) in [("app", true), ("srv", true), ("dev", true), ("usr", false), ("lib", false)] {
        assert_eq!(seen.lines().any(|line| line == name), expected, "{name} in {seen}");
    }
    assert_eq!(says("echo $#: $*; pwd"), "2: app.handler more\n/app\n");
    assert_eq!(says("echo $GREETING, $PATH, $AWS_REGION"), "of the image, /app:/bin, us-east-1\n");
    let variables = says("env");
    assert!(variables.contains("LAMBDA_TASK_ROOT=/var/task\n"), "{variables}");
    for absent in ["_HANDLER", "LANG", "TZ", "LD_LIBRARY_PATH"] {
        assert!(!variables.lines().any(|line| line.starts_with(&format!("{absent}="))), "{variables}");
    }
    assert_ne!(says("id -u"), "0\n");
    let tried = says("for at in / /app /etc /srv /dev; do touch $at/x; done; touch /tmp/x && ls /tmp/x");
    assert_eq!(tried.matches("Read-only file system").count(), 5, "{tried}");
    assert!(tried.ends_with("/tmp/x\n"), "{tried}");
    assert!(says("cat /etc/hosts").contains("sandbox.localdomain"));
    let start = server.log();
    assert!(!start.contains("INIT_START"), "an image has no version of a runtime: {start}");
}

#[test]
fn an_image_is_invoked_by_its_reference_and_its_function_named_after_it() {
    if !can_be_run("an_image_is_invoked_by_its_reference_and_its_function_named_after_it") {
        return;
    }
    let image = Image::running();
    let script = "echo $AWS_LAMBDA_FUNCTION_NAME $GREETING $MINE";
    let named = ["--function-name", "greeter", "--env", "GREETING=of the function", "--env", "MINE=x"];
    let invocation = Program::invoke(&[&[image.target().as_str(), "-"], named.as_slice()].concat());
    let ran = invocation.stdin(json!(script).to_string().as_bytes()).run();
    assert_eq!(ran.success(), "greeter of the function x\n");
    assert!(ran.stderr.contains("firesteel: image unpacked:/"), "{}", ran.stderr);
    let server = image.served(&named[2..]);
    assert_eq!(run(&server, script), "f of the function x\n");
}

#[test]
fn extensions_of_an_image_are_started() {
    if !can_be_run("extensions_of_an_image_are_started") {
        return;
    }
    let image = Image::running().with("opt/extensions/watcher", EXTENSION, 0o755);
    let server = image.served(&[]);
    assert_eq!(run(&server, "echo answered"), "answered\n");
    let log = server.logged("EXTENSION");
    assert!(log.contains("EXTENSION\tName: watcher\tState: Ready\tEvents: []"), "{log}");
}

#[test]
fn what_is_mounted_lies_in_the_image() {
    if !can_be_run("what_is_mounted_lies_in_the_image") {
        return;
    }
    let data = folder();
    fs::write(data.path().join("file"), "of the host").unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let image = Image::running();
    let mount = format!("{}:/srv/data", data.path().display());
    let server = image.served(&["--mount", &mount]);
    assert_eq!(run(&server, "cat /srv/data/file; ls /srv"), "of the hostdata\n");
}

#[test]
fn an_image_that_cannot_be_started_says_why() {
    if !can_be_run("an_image_that_cannot_be_started_says_why") {
        return;
    }
    let entrypoint = "Runtime.InvalidEntrypoint";
    for (config, error_type, message, columns) in [
        (
            json!({"Entrypoint": ["no-such", "a"], "Cmd": ["b", "c"], "WorkingDir": "/app"}),
            entrypoint,
            "Couldn't find valid bootstrap(s): [no-such]",
            "Entrypoint: [no-such,a]\tCmd: [b,c]\tWorkingDir: [/app]",
        ),
        (
            json!({"Cmd": null}),
            entrypoint,
            "Couldn't find valid bootstrap(s): []",
            "Entrypoint: []\tCmd: []\tWorkingDir: [/]",
        ),
        (
            json!({"Entrypoint": ["/app/garbage"]}),
            entrypoint,
            "fork/exec /app/garbage: exec format error",
            "Entrypoint: [/app/garbage]\tCmd: []\tWorkingDir: [/]",
        ),
        (
            json!({"Cmd": ["/app/plain"]}),
            entrypoint,
            "fork/exec /app/plain: permission denied",
            "Entrypoint: []\tCmd: [/app/plain]\tWorkingDir: [/]",
        ),
        (
            json!({"Entrypoint": ["/app/orphan"]}),
            entrypoint,
            "fork/exec /app/orphan: no such file or directory",
            "Entrypoint: [/app/orphan]\tCmd: []\tWorkingDir: [/]",
        ),
        (
            json!({"Entrypoint": ["bootstrap"], "WorkingDir": "/no/such"}),
            "Runtime.InvalidWorkingDir",
            "chdir /no/such: no such file or directory",
            "Entrypoint: [bootstrap]\tCmd: []\tWorkingDir: [/no/such]",
        ),
    ] {
        let image = Image::new(&config)
            .with("app/garbage", "\x7fELF of another kind", 0o755)
            .with("app/plain", RUNTIME, 0o644)
            .with("app/orphan", "#!/no/such/interpreter\n", 0o755);
        let server = image.served(&[]);
        server.invoke("{}").failed(error_type, message);
        let line = server.logged("IMAGE\t");
        assert!(line.ends_with(&format!("IMAGE\tLaunch error: {message}\t{columns}")), "{line}");
    }
    let image = Image::new(&json!({"Entrypoint": ["sh", "-c", "exit 3"]}));
    let reply = image.served(&[]).invoke("{}");
    reply.failed("Runtime.ExitError", "Runtime exited with error: exit status 3");
}

#[test]
fn what_an_image_says_itself_is_not_said_again() {
    if !can_be_run("what_an_image_says_itself_is_not_said_again") {
        return;
    }
    let image = Image::running();
    let run = Program::invoke(&[&image.target(), "--handler", "app.handler"]).run();
    run.refused(2, &["says itself how it is started", "--handler"]);
    let nowhere = format!("{}/nowhere", image.target());
    Program::invoke(&[&nowhere]).run().refused(2, &["does not exist", "unpacked:"]);
}

#[test]
fn images_of_this_machine_are_not_for_the_front_door() {
    let image = Image::running();
    let server = Server::without_functions(&[], &[]);
    let uri = image.target();
    let asked = json!({
        "FunctionName": "f",
        "Role": "arn:aws:iam::000000000000:role/r",
        "PackageType": "Image",
        "Code": {"ImageUri": uri},
    });
    let text = format!("Source image {uri} is not valid. Provide a valid source image.");
    server.call("POST", "/2015-03-31/functions", &asked).refused(
        400,
        "InvalidParameterValueException",
        &json!({"Type": "User", "message": text}),
    );
}
