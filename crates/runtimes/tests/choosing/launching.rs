use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use firesteel_runtimes::{
    Interpreters, Launch, LaunchError, Layout, Place, Places, Runtime, install_bootstraps, launch,
};

use crate::{Project, relative};

impl Project {
    fn launch_with(
        &self,
        runtime: Runtime,
        opt: Option<&Path>,
        wrapper: Option<&str>,
        interpreters: &Interpreters,
    ) -> Result<Launch, LaunchError> {
        let places = Places::new(Layout::Host, &self.code(), opt, &self.path("runtime"));
        launch(&runtime, "app.handler", &places, 1024, interpreters, wrapper)
    }

    /// In a root file system of its own, with the project's layers.
    fn launch_in_own_root(&self, runtime: &str, wrapper: Option<&str>) -> Result<Launch, LaunchError> {
        let layers = self.path("layers");
        let opt = layers.is_dir().then_some(layers.as_path());
        let places = Places::new(Layout::OwnRoot, &self.code(), opt, &self.path("runtime"));
        let runtime = runtime.parse().unwrap();
        launch(&runtime, "app.handler", &places, 1024, &self.interpreters("24.1.0"), wrapper)
    }

    fn launch(
        &self,
        runtime: &str,
        opt: Option<&Path>,
        wrapper: Option<&str>,
    ) -> Result<Launch, LaunchError> {
        self.launch_with(runtime.parse().unwrap(), opt, wrapper, &self.interpreters("24.1.0"))
    }

    /// The command line, with `{}` for the project's folder.
    fn command_line(&self, launch: &Launch) -> String {
        let words = [vec![launch.program.display().to_string()], launch.arguments.clone()].concat();
        relative(&words.join(" "), self.0.path())
    }

    fn variables(&self, launch: &Launch) -> BTreeMap<String, String> {
        let entries = launch.variables.iter();
        entries.map(|(key, value)| (key.clone(), relative(value, self.0.path()))).collect()
    }

    /// Runs it as a function is run: its variables only, its folder as working directory.
    fn run(&self, launch: &Launch) -> Output {
        Command::new(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.variables.iter().cloned())
            .current_dir(self.code())
            .output()
            .unwrap()
    }
}

fn expect_variables(actual: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let actual: Vec<_> = actual.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(actual, expected);
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn python_runs_our_bootstrap() {
    let project = Project::new(&[]);
    let launch = project.launch("python3.13", None, None).unwrap();
    assert_eq!(project.command_line(&launch), "{}/prefix/bin/python3.13 {}/runtime/python/bootstrap.py");
    assert_eq!(launch.version, "python:3.13.1");
    expect_variables(
        &project.variables(&launch),
        &[
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13"),
            (
                "LD_LIBRARY_PATH",
                "{}/prefix/lib:/lib64:/usr/lib64:{}/runtime:{}/runtime/lib:{}/code:{}/code/lib:/opt/lib",
            ),
            ("PATH", "{}/prefix/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin"),
            ("PYTHONPATH", "{}/runtime"),
        ],
    );
}

#[test]
fn node_runs_our_bootstrap_with_the_flags_of_aws() {
    let project = Project::new(&[]);
    let opt = project.path("layers");
    let launch = project.launch("nodejs24.x", Some(&opt), None).unwrap();
    assert_eq!(
        project.command_line(&launch),
        "{}/prefix/bin/node --expose-gc --max-http-header-size 81920 --max-semi-space-size=51 \
         --max-old-space-size=922 {}/runtime/nodejs/index.mjs"
    );
    assert_eq!(launch.version, "nodejs:24.1.0");
    let variables = project.variables(&launch);
    assert_eq!(
        variables["NODE_PATH"],
        "{}/layers/nodejs/node24/node_modules:{}/layers/nodejs/node_modules:{}/runtime/node_modules:{}/runtime:{}/code"
    );
    assert_eq!(variables["PATH"], "{}/prefix/bin:/usr/local/bin:/usr/bin:/bin:{}/layers/bin");
    assert_eq!(variables["AWS_EXECUTION_ENV"], "AWS_Lambda_nodejs24.x");
}

#[test]
fn the_python_bootstrap_is_told_where_the_layers_are() {
    let project = Project::new(&[]);
    let opt = project.path("layers");
    let launch = project.launch("python3.13", Some(&opt), None).unwrap();
    assert_eq!(project.variables(&launch)["_FIRESTEEL_OPT"], "{}/layers");
    let launch = project.launch("python3.13", Some(Path::new("/opt")), None).unwrap();
    assert!(!project.variables(&launch).contains_key("_FIRESTEEL_OPT"));
}

#[test]
fn aws_own_client_is_run_where_the_function_brings_it() {
    let project = Project::new(&[
        ("awslambdaric/__main__.py", ""),
        ("node_modules/aws-lambda-ric/package.json", r#"{"bin": {"aws-lambda-ric": "./bin/index.mjs"}}"#),
        ("node_modules/aws-lambda-ric/bin/index.mjs", ""),
    ]);
    let launch = project.launch("python3.13", None, None).unwrap();
    assert_eq!(project.command_line(&launch), "{}/prefix/bin/python3.13 -m awslambdaric app.handler");
    let launch = project.launch("nodejs24.x", None, None).unwrap();
    let command_line = project.command_line(&launch);
    assert!(
        command_line.ends_with(" {}/code/node_modules/aws-lambda-ric/bin/index.mjs app.handler"),
        "{command_line}"
    );
    assert!(command_line.contains("--expose-gc"));
}

#[test]
fn aws_own_client_may_come_in_a_layer() {
    let project = Project::new(&[]);
    project.write("layers/python/lib/python3.13/site-packages/awslambdaric/__main__.py", "");
    project.write("layers/nodejs/node_modules/aws-lambda-ric/package.json", r#"{"bin": "main.js"}"#);
    project.write("layers/nodejs/node_modules/aws-lambda-ric/main.js", "");
    let opt = project.path("layers");
    let launch = project.launch("python3.13", Some(&opt), None).unwrap();
    assert_eq!(
        project.variables(&launch)["PYTHONPATH"],
        "{}/layers/python/lib/python3.13/site-packages:{}/layers/python:{}/runtime"
    );
    let launch = project.launch("nodejs24.x", Some(&opt), None).unwrap();
    assert!(project.command_line(&launch).ends_with("aws-lambda-ric/main.js app.handler"));
}

#[test]
fn a_client_without_its_program_is_none() {
    let project = Project::new(&[
        ("awslambdaric/readme.txt", ""),
        ("node_modules/aws-lambda-ric/package.json", r#"{"bin": "gone.js"}"#),
    ]);
    for (runtime, ending) in [("python3.13", "bootstrap.py"), ("nodejs24.x", "index.mjs")] {
        let launch = project.launch(runtime, None, None).unwrap();
        assert!(project.command_line(&launch).ends_with(ending));
    }
}

#[test]
fn provided_runs_the_first_executable_bootstrap() {
    let project = Project::new(&[]);
    let opt = project.path("layers");
    let launch_with_opt = || project.launch("provided.al2023", Some(&opt), None);
    let looked_in = ["code", "layers", "runtime"].map(|place| project.path(place).join("bootstrap"));
    let error = launch_with_opt().unwrap_err();
    assert_eq!(error, LaunchError::NoBootstrap { looked_in: looked_in.to_vec() });
    assert_eq!(
        relative(&error.to_string(), project.0.path()),
        "Couldn't find valid bootstrap(s): [{}/code/bootstrap {}/layers/bootstrap {}/runtime/bootstrap]"
    );

    project.write("code/bootstrap", "#!/bin/sh\n");
    let error = launch_with_opt().unwrap_err();
    assert_eq!(
        relative(&error.to_string(), project.0.path()),
        "fork/exec {}/code/bootstrap: permission denied"
    );

    for place in ["runtime", "layers", "code"] {
        project.script(&format!("{place}/bootstrap"), "");
        let launch = launch_with_opt().unwrap();
        assert_eq!(project.command_line(&launch), format!("{{}}/{place}/bootstrap"));
        assert_eq!(launch.version, "provided:al2023");
        let variables = project.variables(&launch);
        assert_eq!(variables.keys().collect::<Vec<_>>(), ["LD_LIBRARY_PATH", "PATH"]);
        assert_eq!(variables["PATH"], "/usr/local/bin:/usr/bin:/bin:{}/layers/bin");
    }
}

#[test]
fn a_folder_named_bootstrap_is_none() {
    let project = Project::new(&[("bootstrap/file", "")]);
    assert!(matches!(project.launch("provided.al2", None, None), Err(LaunchError::NoBootstrap { .. })));
}

#[test]
fn wrappers_get_the_command_line_of_managed_runtimes() {
    let project = Project::new(&[]);
    let wrapper = project.script("wrapper", "echo wrapped \"$@\"");
    let launch = project.launch("python3.13", None, wrapper.to_str()).unwrap();
    let output = project.run(&launch);
    let expected = "wrapped {}/prefix/bin/python3.13 {}/runtime/python/bootstrap.py\n";
    assert_eq!(relative(&printed(&output), project.0.path()), expected);

    project.script("code/bootstrap", "echo plain");
    let launch = project.launch("provided.al2023", None, wrapper.to_str()).unwrap();
    assert_eq!(printed(&project.run(&launch)), "plain\n");
    let launch = project.launch("python3.13", None, Some("")).unwrap();
    assert!(launch.program.ends_with("python3.13"));
}

#[test]
fn wrappers_named_by_the_paths_of_aws_are_found_where_they_are_here() {
    let project = Project::new(&[]);
    project.script("layers/bootstrap", "echo from a layer");
    project.script("code/run.sh", "echo from the code");
    let opt = project.path("layers");
    for (wrapper, expected) in [("/opt/bootstrap", "from a layer\n"), ("/var/task/run.sh", "from the code\n")]
    {
        let launch = project.launch("nodejs24.x", Some(&opt), Some(wrapper)).unwrap();
        assert_eq!(printed(&project.run(&launch)), expected);
    }
}

#[test]
fn a_wrapper_that_cannot_run_ends_as_on_aws() {
    let project = Project::new(&[("wrapper", "#!/bin/sh\n")]);
    let outcome = |wrapper: PathBuf| {
        let launch = project.launch("python3.13", None, wrapper.to_str()).unwrap();
        let output = project.run(&launch);
        (relative(&printed(&output), project.0.path()), output.status.code())
    };
    assert_eq!(outcome(project.path("none")), ("{}/none: does not exist\n".to_owned(), Some(127)));
    assert_eq!(outcome(project.code()), ("{}/code: does not exist\n".to_owned(), Some(127)));
    assert_eq!(
        outcome(project.path("code/wrapper")),
        ("{}/code/wrapper: is not an executable\n".to_owned(), Some(126))
    );
}

#[test]
fn paths_that_lists_cannot_hold_are_refused() {
    let project = Project::new(&[]);
    let opt = project.path("la:yers");
    assert!(matches!(project.launch("python3.13", Some(&opt), None), Err(LaunchError::Colon { .. })));
}

/// Nothing in a launch tells of the host.
fn assert_inside(project: &Project, launch: &Launch) {
    let shown = format!("{:?} {:?} {:?}", launch.program, launch.arguments, launch.variables);
    let host = project.path("");
    assert!(!shown.contains(host.to_str().unwrap()), "{shown}");
}

#[test]
fn in_a_root_of_its_own_python_is_told_of_the_places_of_aws() {
    let project = Project::new(&[]);
    let launch = project.launch_in_own_root("python3.13", None).unwrap();
    assert_inside(&project, &launch);
    // The host's `/tmp`, where this prefix lies, is not the function's.
    assert_eq!(project.command_line(&launch), "/var/lang/bin/python3.13 /var/runtime/python/bootstrap.py");
    let bin = Place { on_host: project.path("prefix/bin"), inside: "/var/lang/bin".into() };
    assert_eq!(launch.interpreter, [bin]);
    expect_variables(
        &project.variables(&launch),
        &[
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13"),
            (
                "LD_LIBRARY_PATH",
                "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
            ),
            ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin"),
            ("PYTHONPATH", "/var/runtime"),
        ],
    );
    // Its bootstrap looks for layers at `/opt` unless told otherwise.
    project.write("layers/python/module.py", "");
    assert_eq!(project.launch_in_own_root("python3.13", None).unwrap(), launch);
}

#[test]
fn in_a_root_of_its_own_node_is_told_of_the_places_of_aws() {
    let project = Project::new(&[]);
    let launch = project.launch_in_own_root("nodejs24.x", None).unwrap();
    assert_inside(&project, &launch);
    assert_eq!(launch.program, Path::new("/var/lang/bin/node"));
    assert_eq!(launch.arguments.last().unwrap(), "/var/runtime/nodejs/index.mjs");
    assert_eq!(
        project.variables(&launch)["NODE_PATH"],
        "/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    );
}

#[test]
fn in_a_root_of_its_own_clients_are_looked_for_on_the_host_and_named_as_seen() {
    let project = Project::new(&[("awslambdaric/__main__.py", "")]);
    project.write("layers/nodejs/node_modules/aws-lambda-ric/package.json", r#"{"bin": "./main.js"}"#);
    project.write("layers/nodejs/node_modules/aws-lambda-ric/main.js", "");
    let launch = project.launch_in_own_root("python3.13", None).unwrap();
    assert_inside(&project, &launch);
    assert_eq!(launch.arguments, ["-m", "awslambdaric", "app.handler"]);
    assert_eq!(
        project.variables(&launch)["PYTHONPATH"],
        "/opt/python/lib/python3.13/site-packages:/opt/python:/var/runtime"
    );
    let launch = project.launch_in_own_root("nodejs24.x", None).unwrap();
    assert_inside(&project, &launch);
    let client = "/opt/nodejs/node_modules/aws-lambda-ric/main.js";
    assert!(launch.arguments.ends_with(&[client.to_owned(), "app.handler".to_owned()]));
}

#[test]
fn a_client_that_a_link_brings_from_elsewhere_is_none() {
    let project = Project::new(&[]);
    project.write("elsewhere/__main__.py", "");
    symlink("../elsewhere", project.path("code/awslambdaric")).unwrap();
    let arguments = |launch: Result<Launch, LaunchError>| launch.unwrap().arguments;
    assert_eq!(arguments(project.launch("python3.13", None, None))[1], "awslambdaric");
    let in_own_root = project.launch_in_own_root("python3.13", None);
    assert_eq!(arguments(in_own_root), ["/var/runtime/python/bootstrap.py"]);
}

#[test]
fn in_a_root_of_its_own_a_bootstrap_is_named_as_the_function_sees_it() {
    let project = Project::new(&[]);
    fs::create_dir(project.path("layers")).unwrap();
    let launch = || project.launch_in_own_root("provided.al2023", None);
    assert_eq!(
        launch().unwrap_err().to_string(),
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap /var/runtime/bootstrap]"
    );
    let on_host = project.write("code/bootstrap", "#!/bin/sh\n");
    let error = launch().unwrap_err();
    assert_eq!(error.to_string(), "fork/exec /var/task/bootstrap: permission denied");
    assert_eq!(error, LaunchError::NotExecutable { path: "/var/task/bootstrap".into(), on_host });
    for (file, seen) in [("layers/bootstrap", "/opt/bootstrap"), ("code/bootstrap", "/var/task/bootstrap")] {
        project.script(file, "");
        let launch = launch().unwrap();
        assert_inside(&project, &launch);
        assert_eq!((launch.program.to_str().unwrap(), launch.interpreter), (seen, vec![]));
    }
}

#[test]
fn a_bootstrap_that_a_link_brings_from_elsewhere_is_refused_where_it_would_not_be_found() {
    let project = Project::new(&[]);
    let built = project.script("target/bootstrap", "");
    let link = project.path("code/bootstrap");
    for target in [built.as_path(), Path::new("../target/bootstrap")] {
        symlink(target, &link).unwrap();
        assert!(project.launch("provided.al2023", None, None).is_ok());
        let error = project.launch_in_own_root("provided.al2023", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is a symbolic link to {}, which lies outside of what the function sees",
                link.display(),
                target.display()
            )
        );
        fs::remove_file(&link).unwrap();
    }

    project.script("layers/bin/runtime", "");
    for target in ["/opt/bin/runtime", "/bin/sh", "../../opt/bin/runtime"] {
        symlink(target, &link).unwrap();
        let launch = project.launch_in_own_root("provided.al2023", None).unwrap();
        assert_eq!(launch.program, Path::new("/var/task/bootstrap"), "{target}");
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn in_a_root_of_its_own_wrappers_stay_where_they_are_named() {
    let project = Project::new(&[]);
    fs::create_dir(project.path("layers")).unwrap();
    for wrapper in ["/opt/bootstrap", "/var/task/run.sh", "/var/runtime/x", "/usr/bin/env"] {
        let launch = project.launch_in_own_root("nodejs24.x", Some(wrapper)).unwrap();
        assert_inside(&project, &launch);
        assert_eq!(launch.program, Path::new("/bin/sh"));
        assert_eq!(launch.arguments[2..4], [wrapper, "/var/lang/bin/node"]);
        assert_eq!(launch.interpreter.len(), 1, "it is needed all the same");
    }
}

#[test]
fn paths_of_the_host_that_lists_cannot_hold_are_of_no_matter_in_a_root_of_its_own() {
    let project = Project::new(&[]);
    let opt = project.path("la:yers");
    let places = Places::new(Layout::OwnRoot, &project.code(), Some(&opt), &project.path("runtime"));
    let interpreters = project.interpreters("24.1.0");
    let runtime = "python3.13".parse().unwrap();
    assert!(launch(&runtime, "app.handler", &places, 1024, &interpreters, None).is_ok());
}

#[test]
fn the_pythons_of_this_host_run_what_they_are_given() {
    let interpreters = Interpreters::of_host();
    let project = Project::new(&[(
        "awslambdaric/__main__.py",
        "import sys, os, json; print(*sys.argv[1:], sys.version.split()[0], os.environ['AWS_EXECUTION_ENV'])",
    )]);
    let mut ran = 0;
    for minor in 8..=15 {
        let runtime = Runtime::Python { minor };
        match project.launch_with(runtime, None, None, &interpreters) {
            Ok(launch) => {
                let output = project.run(&launch);
                let version = launch.version.strip_prefix("python:").unwrap();
                let expected = format!("app.handler {version} AWS_Lambda_{runtime}\n");
                assert_eq!(printed(&output), expected, "{output:?}");
                ran += 1;
            }
            Err(LaunchError::Interpreter(error)) => skipped(&error),
            Err(error) => panic!("{error}"),
        }
    }
    eprintln!("ran {ran} versions of Python");
}

#[test]
fn the_node_of_this_host_takes_the_flags() {
    let interpreters = Interpreters::of_host();
    let newest = match interpreters.newest_nodejs() {
        Ok(newest) => newest,
        Err(error) => return skipped(&error),
    };
    let project = Project::new(&[
        ("node_modules/aws-lambda-ric/package.json", r#"{"bin": "main.js"}"#),
        ("node_modules/aws-lambda-ric/main.js", "console.log(typeof gc, process.argv[2], process.version)"),
    ]);
    let runtime = Runtime::Nodejs { major: newest.version.major };
    let launch = project.launch_with(runtime, None, None, &interpreters).unwrap();
    let output = project.run(&launch);
    assert_eq!(printed(&output), format!("function app.handler v{}\n", newest.version), "{output:?}");
}

#[test]
fn what_is_installed_is_what_is_launched() {
    let project = Project::new(&[]);
    install_bootstraps(&project.path("runtime")).unwrap();
    for runtime in ["python3.13", "nodejs24.x"] {
        let launch = project.launch(runtime, None, None).unwrap();
        assert!(Path::new(launch.arguments.last().unwrap()).is_file());
    }
}

/// Past the harness, which shows nothing of tests that pass.
fn skipped(reason: &dyn std::error::Error) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
