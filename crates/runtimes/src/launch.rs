//! How a function's runtime is started: program, arguments, and the variables that belong to the
//! runtime rather than to the platform.
//!
//! | function | program and arguments |
//! |---|---|
//! | Python | `<python> <runtime_dir>/python/bootstrap.py` |
//! | Python with `awslambdaric` | `<python> -m awslambdaric <handler>` |
//! | Node.js | `<node> <flags> <runtime_dir>/nodejs/index.mjs` |
//! | Node.js with `aws-lambda-ric` | `<node> <flags> <its bin> <handler>` |
//! | `provided*` | the first executable `bootstrap` of code, layers, runtime folder; no arguments |
//!
//! The working directory is the code folder in every case; setting it, and the platform's variables
//! (`_HANDLER`, `LAMBDA_TASK_ROOT`, …), is left to whoever starts the process. Files are looked at on the host; every
//! path in a [`Launch`] is as the function sees it: wherever AWS says `/opt`, `/var/task` or `/var/runtime`, that of its
//! [`Places`] stands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::bootstraps::{NODEJS_ENTRY, PYTHON_ENTRY};
use crate::interpreter::{Interpreter, InterpreterNotFound, Interpreters};
use crate::places::{OPT, Place, Places, RUNTIME_DIR, TASK_ROOT};
use crate::runtime::{AmazonLinux, Runtime};

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// An absolute path.
    pub program: PathBuf,
    /// What the function must see beside its own folders for the program to work. Nothing, where it sees all of the host.
    pub interpreter: Vec<Place>,
    /// Without the program itself.
    pub arguments: Vec<String>,
    /// To be set before the customer's own, which may replace all of them but `AWS_EXECUTION_ENV`
    /// (a reserved key, so customers cannot have it).
    pub variables: Vec<(String, String)>,
    /// For the `INIT_START` line, for instance `python:3.13.1`.
    pub version: String,
}

/// Why a function cannot be started. For [`LaunchError::NoBootstrap`] and
/// [`LaunchError::NotExecutable`] the caller of a function receives the text, under the type
/// `Runtime.InvalidEntrypoint`; so it is AWS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// No file of that name in any place.
    #[error("Couldn't find valid bootstrap(s): [{}]", joined(.looked_in))]
    NoBootstrap {
        /// In the order of preference.
        looked_in: Vec<PathBuf>,
    },
    /// There is one, without the executable bit.
    #[error("fork/exec {}: permission denied", path.display())]
    NotExecutable {
        /// The first that is there, as the function sees it.
        path: PathBuf,
        /// The same on the host.
        on_host: PathBuf,
    },
    /// There is one, but the function would not find it: it sees its own folders and those of the system only.
    #[error("{} is a symbolic link to {}, which lies outside of what the function sees", on_host.display(), target.display())]
    LinkLeadsOutside {
        /// The link, on the host.
        on_host: PathBuf,
        /// As it stands in the link.
        target: PathBuf,
    },
    /// The language is not installed.
    #[error(transparent)]
    Interpreter(#[from] InterpreterNotFound),
    /// A path cannot be written in a variable or an argument.
    #[error("path {} is not UTF-8", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A path would fall apart in `PATH` and its like.
    #[error("path {} contains a colon, which separates folders in PATH", path.display())]
    Colon {
        /// The path.
        path: PathBuf,
    },
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

const BOOTSTRAP: &str = "bootstrap";

/// What AWS's start scripts do with a wrapper, before they execute it: these words, these exit codes.
/// Run where the function runs, because only there its paths mean what the function's author meant.
const RUN_WRAPPER: &str = r#"if [ ! -f "$0" ]; then echo "$0: does not exist"; exit 127; fi
if [ ! -x "$0" ]; then echo "$0: is not an executable"; exit 126; fi
exec "$0" "$@""#;

/// Plans the start of `runtime`.
///
/// `wrapper` is the value of `AWS_LAMBDA_EXEC_WRAPPER`. It is obeyed for managed runtimes only, as on
/// AWS; if its file is missing the launch succeeds and the process ends with 127 after saying so, or
/// with 126 if the file cannot be executed.
pub fn launch(
    runtime: &Runtime,
    handler: &str,
    places: &Places,
    memory_mib: u32,
    interpreters: &Interpreters,
    wrapper: Option<&str>,
) -> Result<Launch, LaunchError> {
    let folders = Folders::of(places)?;
    let mut launch = match runtime {
        Runtime::Provided(system) => return provided(*system, places, &folders),
        Runtime::Python { minor } => python(interpreters.python(*minor)?, handler, places, &folders)?,
        Runtime::Nodejs { major } => {
            nodejs(interpreters.nodejs(*major)?, handler, places, &folders, memory_mib)?
        }
    };
    launch.variables.push(("AWS_EXECUTION_ENV".to_owned(), format!("AWS_Lambda_{runtime}")));
    match wrapper.filter(|wrapper| !wrapper.is_empty()) {
        Some(wrapper) => wrapped(launch, &folders.translated(wrapper)),
        None => Ok(launch),
    }
}

fn python(
    interpreter: Interpreter,
    handler: &str,
    places: &Places,
    folders: &Folders<'_>,
) -> Result<Launch, LaunchError> {
    let Folders { task_root, opt, runtime_dir } = folders;
    let (program, interpreter_places) = places.of_interpreter(interpreter.program);
    let mut variables = folders.variables(Some(&program))?;
    let layer_packages = format!("{opt}/python/lib/python3.{}/site-packages", interpreter.version.minor);
    let layers = format!("{opt}/python");
    let brought = [*task_root, &layer_packages, &layers];
    let client = |folder: &&str| places.is_file(&Path::new(folder).join("awslambdaric/__main__.py"));
    let arguments = if brought.iter().any(client) {
        // Its own start puts only the code on the path; ours, below, does that for layers by itself.
        variables.push(("PYTHONPATH".to_owned(), format!("{layer_packages}:{layers}:{runtime_dir}")));
        vec!["-m".to_owned(), "awslambdaric".to_owned(), handler.to_owned()]
    } else {
        variables.push(("PYTHONPATH".to_owned(), (*runtime_dir).to_owned()));
        if *opt != OPT {
            // Taken away again by the bootstrap before any code of the function runs.
            variables.push(("_FIRESTEEL_OPT".to_owned(), (*opt).to_owned()));
        }
        vec![format!("{runtime_dir}/{PYTHON_ENTRY}")]
    };
    let version = format!("python:{}", interpreter.version);
    Ok(Launch { program, interpreter: interpreter_places, arguments, variables, version })
}

fn nodejs(
    interpreter: Interpreter,
    handler: &str,
    places: &Places,
    folders: &Folders<'_>,
    memory_mib: u32,
) -> Result<Launch, LaunchError> {
    let Folders { task_root, opt, runtime_dir } = folders;
    let (program, interpreter_places) = places.of_interpreter(interpreter.program);
    let mut variables = folders.variables(Some(&program))?;
    let major = interpreter.version.major;
    let node_path = format!(
        "{opt}/nodejs/node{major}/node_modules:{opt}/nodejs/node_modules:{runtime_dir}/node_modules:\
         {runtime_dir}:{task_root}"
    );
    variables.push(("NODE_PATH".to_owned(), node_path));

    let mut arguments = node_flags(memory_mib);
    let brought = [
        Path::new(task_root).join("node_modules"),
        Path::new(opt).join(format!("nodejs/node{major}/node_modules")),
        Path::new(opt).join("nodejs/node_modules"),
    ];
    match brought.iter().find_map(|modules| client_entry(places, &modules.join("aws-lambda-ric"))) {
        Some(entry) => arguments.extend([text(&entry)?.to_owned(), handler.to_owned()]),
        None => arguments.push(format!("{runtime_dir}/{NODEJS_ENTRY}")),
    }
    let version = format!("nodejs:{}", interpreter.version);
    Ok(Launch { program, interpreter: interpreter_places, arguments, variables, version })
}

/// AWS's flags. A tenth of the memory is for young objects, which V8 divides into two semi spaces; the
/// rest is for old ones.
fn node_flags(memory_mib: u32) -> Vec<String> {
    let young_mib = memory_mib / 10;
    vec![
        "--expose-gc".to_owned(),
        "--max-http-header-size".to_owned(),
        "81920".to_owned(),
        format!("--max-semi-space-size={}", (young_mib / 2).max(1)),
        format!("--max-old-space-size={}", memory_mib - young_mib),
    ]
}

/// The program a package of AWS's client for Node.js declares in `bin`.
fn client_entry(places: &Places, package: &Path) -> Option<PathBuf> {
    let declaration = places.on_host(&package.join("package.json"))?;
    let declared: serde_json::Value = serde_json::from_slice(&fs::read(declaration).ok()?).ok()?;
    let bin = declared.get("bin")?;
    let entry = bin.as_str().or_else(|| bin.get("aws-lambda-ric")?.as_str())?;
    Some(package.join(entry.trim_start_matches("./"))).filter(|path| places.is_file(path))
}

fn provided(system: AmazonLinux, places: &Places, folders: &Folders<'_>) -> Result<Launch, LaunchError> {
    let looked_in: Vec<PathBuf> = places.all().map(|place| place.inside.join(BOOTSTRAP)).collect();
    let mut program = None;
    let mut not_executable = None;
    for (place, path) in places.all().zip(&looked_in) {
        let on_host = place.on_host.join(BOOTSTRAP);
        let Some(end) = places.on_host(path) else {
            // Else the function would be told that there is none, where its author sees one.
            let target = fs::read_link(&on_host).unwrap_or_default();
            return Err(LaunchError::LinkLeadsOutside { on_host, target });
        };
        match fs::metadata(end).ok().filter(fs::Metadata::is_file) {
            Some(file) if file.permissions().mode() & 0o111 != 0 => {
                program = Some(path.clone());
                break;
            }
            Some(_) => not_executable = not_executable.or(Some((path.clone(), on_host))),
            None => {}
        }
    }
    let Some(program) = program else {
        return Err(match not_executable {
            Some((path, on_host)) => LaunchError::NotExecutable { path, on_host },
            None => LaunchError::NoBootstrap { looked_in },
        });
    };
    let system = match system {
        AmazonLinux::Al2 => "al2",
        AmazonLinux::Al2023 => "al2023",
    };
    let variables = folders.variables(None)?;
    let version = format!("provided:{system}");
    Ok(Launch { program, interpreter: Vec::new(), arguments: Vec::new(), variables, version })
}

fn wrapped(launch: Launch, wrapper: &str) -> Result<Launch, LaunchError> {
    let mut arguments = vec!["-c".to_owned(), RUN_WRAPPER.to_owned(), wrapper.to_owned()];
    arguments.push(text(&launch.program)?.to_owned());
    arguments.extend(launch.arguments);
    Ok(Launch { program: PathBuf::from("/bin/sh"), arguments, ..launch })
}

/// [`Places`] as the function sees them, as text.
struct Folders<'a> {
    task_root: &'a str,
    opt: &'a str,
    runtime_dir: &'a str,
}

impl<'a> Folders<'a> {
    fn of(places: &'a Places) -> Result<Self, LaunchError> {
        Ok(Folders {
            task_root: listable(&places.task_root.inside)?,
            // Without layers AWS's lists name a folder that is empty.
            opt: listable(places.opt_inside())?,
            runtime_dir: listable(&places.runtime_dir.inside)?,
        })
    }

    /// Where the function sees what it would see on AWS at `path`.
    fn translated(&self, path: &str) -> String {
        let places = [(OPT, self.opt), (TASK_ROOT, self.task_root), (RUNTIME_DIR, self.runtime_dir)];
        let found = places.into_iter().find_map(|(theirs, ours)| {
            let below = path.strip_prefix(theirs).filter(|below| below.starts_with('/'))?;
            Some(format!("{ours}{below}"))
        });
        found.unwrap_or_else(|| path.to_owned())
    }

    /// `PATH` and `LD_LIBRARY_PATH` as on AWS. The interpreter's own folders stand where AWS has
    /// `/var/lang`, in front, so that a child named `python3` or `node` is the same one.
    fn variables(&self, interpreter: Option<&Path>) -> Result<Vec<(String, String)>, LaunchError> {
        let Folders { task_root, opt, runtime_dir } = self;
        let bin = interpreter.and_then(Path::parent).map(listable).transpose()?;
        let lib = bin.and_then(|bin| bin.strip_suffix("/bin")).map(|prefix| format!("{prefix}/lib"));
        // The loader looks there anyway, after what an interpreter itself prefers.
        let lib = lib.filter(|lib| !["/lib", "/usr/lib", "/usr/local/lib"].contains(&lib.as_str()));

        let opt_bin = format!("{opt}/bin");
        let path = bin.into_iter().chain(["/usr/local/bin", "/usr/bin", "/bin", &opt_bin]);
        let (runtime_lib, task_lib) = (format!("{runtime_dir}/lib"), format!("{task_root}/lib"));
        let opt_lib = format!("{opt}/lib");
        let aws = ["/lib64", "/usr/lib64", runtime_dir, &runtime_lib, task_root, &task_lib, &opt_lib];
        let libraries = lib.as_deref().into_iter().chain(aws);
        Ok(vec![("PATH".to_owned(), list(path)), ("LD_LIBRARY_PATH".to_owned(), list(libraries))])
    }
}

/// With colons, each folder once, at its first place.
fn list<'a>(folders: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for folder in folders {
        if !seen.contains(&folder) {
            seen.push(folder);
        }
    }
    seen.join(":")
}

fn text(path: &Path) -> Result<&str, LaunchError> {
    path.to_str().ok_or_else(|| LaunchError::NotUtf8 { path: path.to_owned() })
}

fn listable(path: &Path) -> Result<&str, LaunchError> {
    match text(path)? {
        text if text.contains(':') => Err(LaunchError::Colon { path: path.to_owned() }),
        text => Ok(text),
    }
}
