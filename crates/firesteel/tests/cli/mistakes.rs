//! What people get wrong, and what they are told: what is wrong, why, and what to type next.
//!
//! Every run in here is also checked for what it leaves behind; see `harness::program`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::folder;
use crate::harness::function::{ECHO, Function, zip};
use crate::harness::program::{Program, Run};
use crate::harness::server::Server;

/// A zip archive with these files in it.
fn zipped(files: &[(&str, &[u8], u32)]) -> (TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("function.zip");
    zip(&path, files);
    (folder, path)
}

/// Exit code 2, with a cause among the words and advice after `try:`.
#[track_caller]
fn advised(run: &Run, words: &[&str]) {
    run.refused(2, &[words, &["\n  try:   "]].concat());
}

#[test]
fn a_target_that_does_not_exist() {
    advised(&Program::invoke(&["./no/such/folder"]).run(), &["./no/such/folder does not exist"]);
}

#[test]
fn a_target_that_is_neither_folder_nor_zip_nor_program() {
    let function = Function::python("");
    let source = function.code().join("lambda_function.py");
    let run = Program::invoke(&[source.to_str().unwrap()]).run();
    advised(&run, &["is neither a folder, nor a zip archive, nor a program"]);
}

#[test]
fn a_folder_without_code() {
    advised(
        &Program::invoke(&[&Function::empty().target()]).run(),
        &["no runtime found in", "bootstrap, *.py", "--runtime"],
    );
}

#[test]
fn a_folder_without_a_handler() {
    let function = Function::empty().with("app.py", "x = 1\n", 0o644);
    let run = Program::invoke(&[&function.target()]).run();
    advised(&run, &["no handler found in", "app.py", "--handler app.lambda_handler"]);
}

#[test]
fn a_folder_with_several_handlers() {
    let handler = "def handler(event, context): pass\n";
    let function = Function::empty().with("one.py", handler, 0o644).with("two.py", handler, 0o644);
    let run = Program::invoke(&[&function.target()]).run();
    advised(&run, &["more than one way", "one.handler, two.handler", "--handler one.handler"]);
}

#[test]
fn a_folder_of_two_languages() {
    let function = Function::python("def lambda_handler(event, context): pass\n").with(
        "index.mjs",
        "export const handler = async () => 1;\n",
        0o644,
    );
    advised(&Program::invoke(&[&function.target()]).run(), &["as Python", "as Node.js", "--runtime"]);
}

#[test]
fn no_interpreter() {
    let function = Function::python("def lambda_handler(event, context): pass\n");
    let empty = folder();
    for runtime in [&[][..], &["--runtime", "python3.12", "--handler", "lambda_function.lambda_handler"]] {
        let run = Program::invoke(&[&[function.target().as_str()], runtime].concat())
            .variable("PATH", empty.path())
            .variable("HOME", empty.path())
            .run();
        advised(&run, &["Python 3.", "is not installed", "uv python install"]);
    }
}

#[test]
fn a_runtime_that_does_not_exist() {
    let function = Function::python("def lambda_handler(event, context): pass\n");
    advised(&Program::invoke(&[&function.target(), "--runtime", "python9"]).run(), &["python9"]);
    advised(&Program::invoke(&[&function.target(), "--runtime", "java21"]).run(), &["java21"]);
}

#[test]
fn a_handler_that_does_not_exist_fails_as_on_aws() {
    let function = Function::python("def lambda_handler(event, context): pass\n");
    for (handler, error_type) in [
        ("lambda_function.missing", "Runtime.HandlerNotFound"),
        ("missing.lambda_handler", "Runtime.ImportModuleError"),
        ("lambda_function", "Runtime.MalformedHandlerName"),
    ] {
        let run = Program::invoke(&[&function.target(), "--handler", handler]).run();
        let error: Value = serde_json::from_str(run.function_error()).unwrap();
        assert_eq!(error["errorType"], error_type, "{error}");
    }
}

#[test]
fn a_handler_that_aws_would_not_take() {
    let function = Function::scripted(ECHO);
    advised(
        &Program::invoke(&[&function.target(), "--handler", "a b"]).run(),
        &["a b", "--handler FILE.FUNCTION"],
    );
}

#[test]
fn a_bootstrap_that_is_not_executable() {
    let function = Function::empty().with("bootstrap", "#!/bin/sh\n", 0o644);
    advised(&Program::invoke(&[&function.target()]).run(), &["bootstrap: permission denied", "chmod +x"]);
}

#[test]
fn no_bootstrap() {
    let function = Function::empty().with("main", "", 0o755);
    let run = Program::invoke(&[&function.target(), "--runtime", "provided.al2023"]).run();
    advised(&run, &["Couldn't find valid bootstrap(s): [", "bootstrap"]);
}

#[test]
fn a_zip_that_is_broken() {
    let (_folder, path) = zipped(&[("lambda_function.py", &[b'x'; 5000], 0o644)]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    advised(
        &Program::invoke(&[path.to_str().unwrap()]).run(),
        &["cannot be used", "cause: not a readable zip archive"],
    );
}

#[test]
fn a_zip_whose_content_does_not_match_its_checksum() {
    let (_folder, path) = zipped(&[("bootstrap", b"#!/bin/sh\nexit 0\n", 0o755)]);
    let mut bytes = fs::read(&path).unwrap();
    let name = bytes.windows(9).position(|window| window == b"bootstrap").unwrap();
    bytes[name + 12] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    advised(&Program::invoke(&[path.to_str().unwrap()]).run(), &["cause: reading entry `bootstrap`"]);
}

#[test]
fn a_file_that_only_calls_itself_a_zip() {
    let folder = folder();
    let path = folder.path().join("function.zip");
    fs::write(&path, "not at all").unwrap();
    advised(&Program::invoke(&[path.to_str().unwrap()]).run(), &["is not a zip archive, despite its name"]);
}

#[test]
fn a_zip_that_writes_outside_its_folder() {
    for name in ["../evil.py", "/tmp/evil.py", "a/../../evil.py"] {
        let (folder, path) = zipped(&[("bootstrap", b"#!/bin/sh\n", 0o755), (name, b"evil", 0o644)]);
        let run = Program::invoke(&[path.to_str().unwrap()]).run();
        advised(&run, &["cannot be used", "the path of entry", "evil.py"]);
        assert!(!folder.path().join("evil.py").exists());
    }
}

#[test]
fn a_zip_with_a_link_that_leads_out() {
    for target in ["/etc/passwd", "../../../../etc/passwd"] {
        let folder = folder();
        let path = folder.path().join("function.zip");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        archive.add_symlink("secrets", target, zip::write::SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap();
        let run = Program::invoke(&[path.to_str().unwrap()]).run();
        advised(&run, &["symbolic link `secrets`", target, "the target"]);
    }
}

#[test]
fn a_zip_that_unpacks_to_more_than_what_is_left_of_250_mib() {
    let function = Function::scripted(ECHO);
    fs::File::create(function.code().join("sparse")).unwrap().set_len(261_000_000).unwrap();
    let (_folder, path) = zipped(&[("zeros", &vec![0; 2_000_000], 0o644)]);
    assert!(fs::metadata(&path).unwrap().len() < 10_000, "small to look at");
    let run = Program::invoke(&[&function.target(), "--layer", path.to_str().unwrap()]).run();
    advised(&run, &["unpacking layer", "more than 262144000 bytes", "`zeros`"]);
}

#[test]
fn a_folder_of_more_than_250_mib() {
    let function = Function::scripted(ECHO);
    fs::File::create(function.code().join("sparse")).unwrap().set_len(262_144_000).unwrap();
    advised(&Program::invoke(&[&function.target()]).run(), &["more than 262144000 bytes"]);
}

#[test]
fn a_folder_with_a_link_that_leads_nowhere_or_out_is_used_where_it_stands() {
    let function = Function::scripted("serve(lambda event: open('notes').read())");
    fs::write(function.notes_folder().join("outside"), "\"from outside\"").unwrap();
    symlink(function.notes_folder().join("outside"), function.code().join("notes")).unwrap();
    symlink("nowhere", function.code().join("dangling")).unwrap();
    assert_eq!(Program::invoke(&[&function.target()]).run().success(), "\"from outside\"\n");
}

#[test]
fn a_file_that_cannot_be_read() {
    // Not even by root, which may be who runs this.
    let unreadable = "/proc/self/mem";
    let function = Function::empty();
    symlink(unreadable, function.code().join("lambda_function.py")).unwrap();
    advised(
        &Program::invoke(&[&function.target()]).run(),
        &["reading ", "lambda_function.py", "cause: Input/output error"],
    );
    let function = Function::scripted(ECHO);
    let run = Program::invoke(&[&function.target(), &format!("@{unreadable}")]).run();
    advised(&run, &["the event file /proc/self/mem could not be read", "cause: Input/output error"]);
}

#[test]
fn a_layer_that_does_not_exist() {
    let function = Function::scripted(ECHO);
    let run = Program::invoke(&[&function.target(), "--layer", "/no/such/layer"]).run();
    advised(&run, &["the layers of function code cannot be used", "/no/such/layer does not exist"]);
}

#[test]
fn more_layers_than_five() {
    let function = Function::scripted(ECHO);
    let layer = Function::empty();
    let target = layer.target();
    let layers = ["--layer", &target].repeat(6);
    let run = Program::invoke(&[&[function.target().as_str()], layers.as_slice()].concat()).run();
    advised(&run, &["Cannot reference more than 5 layers."]);
}

#[test]
fn an_event_that_is_not_json() {
    let function = Function::scripted(ECHO);
    let run = Program::invoke(&[&function.target(), "{name: Ada}"]).run();
    advised(
        &run,
        &["the event on the command line is not JSON", "cause: key must be a string", "quote the event"],
    );
    let run = Program::invoke(&[&function.target(), "-"]).stdin(b"{").run();
    advised(&run, &["the event on stdin is not JSON"]);
}

#[test]
fn an_event_file_that_does_not_exist_or_lacks_its_at_sign() {
    let function = Function::scripted(ECHO);
    let run = Program::invoke(&[&function.target(), "@/no/such/event.json"]).run();
    advised(&run, &["the event file /no/such/event.json could not be read", "No such file"]);
    let path = function.write("event.json", "{}", 0o644);
    let run = Program::invoke(&[&function.target(), path.to_str().unwrap()]).run();
    advised(&run, &["put @ before its name", path.to_str().unwrap()]);
}

#[test]
fn settings_outside_awss_limits() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    for (arguments, words) in [
        (["--memory", "127"], ["127", "--memory with 128 to 10240"]),
        (["--memory", "10241"], ["10241", "--memory with 128 to 10240"]),
        (["--ephemeral-storage", "511"], ["511", "--ephemeral-storage with 512 to 10240"]),
        (["--ephemeral-storage", "10241"], ["10241", "--ephemeral-storage with 512 to 10240"]),
        (["--timeout", "0"], ["0", "--timeout with 1 to 900"]),
        (["--timeout", "901"], ["901", "--timeout with 1 to 900"]),
        (["--function-name", "a b"], ["`a b` cannot be the name of a function", "letters"]),
        (["--client-context", "[1]"], ["the client context is not a JSON object", "--client-context"]),
    ] {
        advised(&Program::invoke(&[&[target.as_str()], &arguments[..]].concat()).run(), &words);
    }
}

#[test]
fn flags_that_cannot_be_read() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    for arguments in [
        ["--memory", "lots"],
        ["--timeout", "-1"],
        ["--region", "mars"],
        ["--account-id", "1"],
        ["--log-format", "xml"],
        ["--log-level", "loud"],
        ["--system-log-level", "loud"],
    ] {
        let run = Program::invoke(&[&[target.as_str()], &arguments[..]].concat()).run();
        run.refused(2, &[arguments[0], arguments[1], "--help"]);
    }
}

#[test]
fn variables_that_are_reserved_or_malformed_or_too_large() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    let large = format!("LARGE={}", "x".repeat(4096));
    for (variable, word) in [
        ("AWS_REGION=x", "Reserved keys used in this request: AWS_REGION"),
        ("_HANDLER=x", "Reserved keys used in this request: _HANDLER"),
        ("1A=x", "Value '1A' at 'environment.variables'"),
        ("novalue", "--env novalue is not K=V"),
        (&large, "exceeded the 4KB limit"),
    ] {
        advised(&Program::invoke(&[&target, "--env", variable]).run(), &[word]);
    }
    let run = Program::invoke(&[&target, "--env-file", "/no/such/file"]).run();
    advised(&run, &["the variables file /no/such/file could not be read", "No such file"]);
}

#[test]
fn a_port_that_is_in_use() {
    let function = Function::scripted(ECHO);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = Program::serve(&[&function.target(), "--listen", &address]).run();
    advised(&run, &["cannot listen on", &address, "Address already in use", "--listen 127.0.0.1:0"]);
}

#[test]
fn an_address_that_others_could_reach() {
    let run = Program::serve(&[&Function::scripted(ECHO).target(), "--listen", "0.0.0.0:0"]).run();
    advised(&run, &["refusing to listen on 0.0.0.0:0", "not authenticated", "--listen 127.0.0.1:9000"]);
}

#[test]
fn two_functions_of_one_name() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    let run = Program::serve(&[&target, &target, "--listen", "127.0.0.1:0"]).run();
    advised(&run, &["two functions are named `code`", "NAME=TARGET"]);
    let (_folder, path) = zipped(&[("bootstrap", b"#!/bin/sh\n", 0o755)]);
    let path = path.to_str().unwrap();
    let run = Program::serve(&[path, path, "--listen", "127.0.0.1:0"]).run();
    advised(&run, &["two functions are named `function`", "NAME=TARGET"]);
}

#[test]
fn one_bad_function_of_several_keeps_the_server_from_starting() {
    let good = Function::scripted(ECHO);
    let run = Program::serve(&[&good.target(), "bad=/no/such/folder", "--listen", "127.0.0.1:0"]).run();
    advised(&run, &["/no/such/folder does not exist"]);
}

#[test]
fn a_data_folder_that_cannot_be_used() {
    let function = Function::scripted(ECHO);
    let file = function.notes_folder().join("a file");
    fs::write(&file, "").unwrap();
    let run = Program::invoke(&[&function.target()]).data(&file).run();
    advised(&run, &["the data folder", "cannot be used", "--data DIR"]);
}

#[test]
fn a_server_started_twice_on_one_data_folder_is_no_mistake() {
    let function = Function::scripted(ECHO);
    let first = Server::of(&function, &[]);
    first.invoke("1").success();
    let data = first.data();
    {
        let other = Program::invoke(&[&function.target(), "2"]).data(data.path()).run();
        assert_eq!(other.success(), "2\n");
    }
    first.invoke("3").success();
}
