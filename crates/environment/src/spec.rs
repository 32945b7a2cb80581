//! What an environment is made from: everything about one version of a function that its execution needs.
//!
//! The `invoke` crate writes a [`Spec`]; this crate only reads it. It holds no catalog types, so that the
//! environment could one day stand on another host. Its paths are as the function sees them, but for those that say
//! otherwise.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firesteel_sandbox::CpuShare;

/// How long the init phase of an on-demand environment may take before it is cut off and done again inside
/// the invocation (AWS: "lambda-runtime-environment").
pub const INIT_LIMIT: Duration = Duration::from_secs(10);

/// One version of one function, as an execution environment needs it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name without ARN.
    pub function_name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// ARN without qualifier.
    pub function_arn: String,
    /// Region the function believes it is in.
    pub region: String,
    /// Handler, passed through in `_HANDLER`.
    pub handler: String,
    /// Memory in MiB; AWS prints it as "MB".
    pub memory_mib: u32,
    /// Time limit of one invocation.
    pub timeout: Duration,
    /// Time limit of the init phase.
    pub init_limit: Duration,
    /// Runtime and its version for INIT_START, such as `python:3.13.1`.
    pub runtime_version: String,
    /// Size of `/tmp` in MiB, where it has one: with [`Layout::Host`] it is as large as the host's disk.
    pub tmp_mib: u32,
    /// Which file system the function sees.
    pub layout: Layout,
    /// What the function sees of the host: code, layers, the managed runtimes' folder; with [`Layout::OwnRoot`] its
    /// interpreter and what else was asked for. One that lies in another comes after it.
    pub places: Vec<Placed>,
    /// The image that it is, if it is one; with [`Layout::OwnRoot`] alone.
    pub image: Option<Image>,
    /// How the runtime is started.
    pub entrypoint: Entrypoint,
    /// The function's code: `LAMBDA_TASK_ROOT`, and the working directory of what is no image.
    pub task_root: PathBuf,
    /// The layers' folder, if there are layers.
    pub opt: Option<PathBuf>,
    /// The managed runtimes' folder: `LAMBDA_RUNTIME_DIR`.
    pub runtime_dir: PathBuf,
    /// Variables that the runtime's launch sets: `PATH`, `LD_LIBRARY_PATH`, `AWS_EXECUTION_ENV` and the like. Of an image
    /// all that it has.
    pub runtime_variables: Vec<(String, String)>,
    /// The function's own variables.
    pub customer_variables: BTreeMap<String, String>,
    /// Credentials that the function finds in its variables.
    pub credentials: Credentials,
    /// Shape of the platform's log lines; `AWS_LAMBDA_LOG_FORMAT` when it was configured.
    pub log_format: Option<LogFormat>,
    /// Least level of the function's own lines that is kept, in JSON; `AWS_LAMBDA_LOG_LEVEL` when it was configured.
    pub application_log_level: Option<LogLevel>,
    /// Least level of the platform's lines that is kept, in JSON: INFO unless configured.
    pub system_log_level: Option<LogLevel>,
    /// Account that the function belongs to.
    pub account_id: String,
    /// Names of the external extensions: the files in `extensions` of the layers, see [`extension_files`] and
    /// [`extension_files_of_image`].
    pub extensions: Vec<String>,
    /// How environments are initialised, unless the pool makes them ahead of invocations.
    pub initialization: InitializationType,
    /// How many invocations an environment takes at a time, where that may be several: `AWS_LAMBDA_MAX_CONCURRENCY`.
    pub max_concurrency: Option<u16>,
    /// What must not go as long as there is an environment, such as the folder that the code was unpacked into. Dropped
    /// with the last of them.
    pub keeps_alive: Option<Arc<dyn Any + Send + Sync>>,
}

impl Spec {
    /// How many invocations an environment takes at a time.
    pub(crate) fn slots(&self) -> usize {
        self.max_concurrency.map_or(1, usize::from).max(1)
    }

    /// Processor time in proportion to memory (AWS: "configuration-memory").
    pub(crate) fn cpu(&self) -> CpuShare {
        CpuShare::from_thousandths(
            u32::try_from(u64::from(self.memory_mib) * 1000 / 1769).unwrap_or(u32::MAX),
        )
    }

    /// While it is initialised: at least two processors, as observed on AWS.
    pub(crate) fn cpu_of_init(&self) -> CpuShare {
        CpuShare::from_thousandths(self.cpu().thousandths().max(2000))
    }

    /// The same for environments that are made ahead of invocations.
    pub(crate) fn provisioned(&self) -> Self {
        let initialization = InitializationType::ProvisionedConcurrency;
        Spec { initialization, init_limit: initialization.init_limit(self.timeout), ..self.clone() }
    }

    /// Where the runtime starts.
    #[must_use]
    pub fn working_dir(&self) -> &Path {
        self.image.as_ref().map_or(&self.task_root, |image| &image.working_dir)
    }

    /// Name of the function's log group.
    #[must_use]
    pub fn log_group(&self) -> String {
        format!("/aws/lambda/{}", self.function_name)
    }

    /// The zone that the metadata endpoint tells of: `use1-az1` in `us-east-1`. Area and number keep their
    /// letters, the direction its first ones.
    pub(crate) fn availability_zone_id(&self) -> String {
        let mut parts = self.region.split('-');
        let area = parts.next().unwrap_or_default();
        let direction: String = match parts.next().unwrap_or_default() {
            "northeast" => "ne".into(),
            "northwest" => "nw".into(),
            "southeast" => "se".into(),
            "southwest" => "sw".into(),
            other => other.chars().take(1).collect(),
        };
        format!("{area}{direction}{}-az1", parts.next().unwrap_or_default())
    }
}

/// Which file system a function sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The host's: every place is where it is on the host.
    Host,
    /// One of its own, with the system's folders and its [`Spec::places`] and nothing else of the host.
    OwnRoot,
}

/// A folder or file of the host that the function sees. Both paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it is.
    pub on_host: PathBuf,
    /// Where the function sees it.
    pub inside: PathBuf,
    /// Whether it may write to it. With [`Layout::Host`] nothing is.
    pub writable: bool,
}

/// A container image, as the root of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// On the host: the folder whose tree is the function's root. Nothing can be written to it.
    pub tree: PathBuf,
    /// As it will be told of if the start fails.
    pub entrypoint: Vec<String>,
    /// Likewise.
    pub command: Vec<String>,
    /// Absolute. May not exist, which the function's caller is told then.
    pub working_dir: PathBuf,
}

/// Program and arguments of the runtime's first process.
#[derive(Debug, Clone)]
pub struct Entrypoint {
    /// Absolute path. Of an image also relative to its working directory, or a name to be looked for in its `PATH`; empty
    /// if it has none.
    pub program: PathBuf,
    /// Arguments after the program's name.
    pub arguments: Vec<String>,
}

/// What a function signs its own calls with.
#[derive(Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`
    pub session_token: String,
}

impl Credentials {
    /// Values that are present, as code expects, and open nothing.
    #[must_use]
    pub fn placeholder() -> Self {
        Credentials {
            access_key_id: "ASIAFIRESTEEL0000000".into(),
            secret_access_key: "firesteel-placeholder-secret".into(),
            session_token: "firesteel-placeholder-token".into(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    // A secret in a log outlives the function.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Shape of log lines, by the names of `LoggingConfig.LogFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people; the default.
    Text,
    /// One JSON object a line.
    Json,
}

/// Levels of log lines, least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
    /// `FATAL`
    Fatal,
}

/// How an environment comes to be initialised, by the names of `AWS_LAMBDA_INITIALIZATION_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InitializationType {
    /// `on-demand`
    #[default]
    OnDemand,
    /// `provisioned-concurrency`
    ProvisionedConcurrency,
    /// `snap-start`
    SnapStart,
    /// `lambda-managed-instances`
    ManagedInstances,
}

impl InitializationType {
    /// As AWS spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InitializationType::OnDemand => "on-demand",
            InitializationType::ProvisionedConcurrency => "provisioned-concurrency",
            InitializationType::SnapStart => "snap-start",
            InitializationType::ManagedInstances => "lambda-managed-instances",
        }
    }

    /// Whether the first REPORT after an init bills it. Elsewhere it is billed when the environment is made.
    pub(crate) fn bills_init(self) -> bool {
        self == InitializationType::OnDemand
    }

    /// How long an init may take (AWS: "lambda-runtime-environment").
    #[must_use]
    pub fn init_limit(self, timeout: Duration) -> Duration {
        match self {
            InitializationType::OnDemand => INIT_LIMIT,
            _ => timeout.clamp(Duration::from_secs(130), Duration::from_secs(900)),
        }
    }
}

/// Names of the files that are started as extensions: every entry of `extensions` in the layers' folder but folders,
/// in the order of their names, as the platform lists them. `opt` is where the layers are on the host.
#[must_use]
pub fn extension_files(opt: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(opt.join("extensions")) else { return Vec::new() };
    // What a link leads to counts; one that leads nowhere is a file that cannot be started.
    let is_folder = |entry: &std::fs::DirEntry| std::fs::metadata(entry.path()).is_ok_and(|at| at.is_dir());
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| !is_folder(entry))
        // A name that is no text cannot be told to the sandbox: as it is written here there is no such file, which is
        // said, where passing it over would not be.
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

/// Likewise of an image, whose tree is on the host: no link of it is followed out of it.
#[cfg(target_os = "linux")]
#[must_use]
pub fn extension_files_of_image(tree: &Path) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};

    let Ok(root) = rustix::fs::open(tree, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    else {
        return Vec::new();
    };
    let open = |path: &Path, flags| {
        rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
    };
    let extensions = Path::new("opt/extensions");
    let Ok(entries) = open(extensions, OFlags::RDONLY | OFlags::DIRECTORY).and_then(Dir::new) else {
        return Vec::new();
    };
    let is_folder = |entry: &rustix::fs::DirEntry| match entry.file_type() {
        FileType::Directory => true,
        FileType::Symlink | FileType::Unknown => {
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            open(&extensions.join(name), OFlags::PATH | OFlags::DIRECTORY).is_ok()
        }
        _ => false,
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| !is_folder(entry))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

/// There are none where images are not run.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn extension_files_of_image(_: &Path) -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn extensions_of_an_image_are_looked_for_in_its_own_tree() {
        use std::fs;
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("srv/all/folder")).unwrap();
        fs::create_dir_all(folder.path().join("srv/extensions")).unwrap();
        fs::write(folder.path().join("srv/extensions/outside"), "").unwrap();
        assert_eq!(extension_files_of_image(&tree), [] as [&str; 0]);
        // Links of an image mean places in it.
        symlink("/srv", tree.join("opt")).unwrap();
        symlink("../../srv/all", tree.join("srv/extensions")).unwrap();
        fs::write(tree.join("srv/all/b"), "").unwrap();
        symlink("/no/such/file", tree.join("srv/all/a")).unwrap();
        symlink("/srv/all", tree.join("srv/all/link-to-folder")).unwrap();
        assert_eq!(extension_files_of_image(&tree), ["a", "b"]);
    }

    /// A function that says as little as a function can.
    pub(crate) fn spec() -> Spec {
        Spec {
            function_name: "hello".into(),
            version: "$LATEST".into(),
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:hello".into(),
            region: "us-east-1".into(),
            handler: "app.handler".into(),
            memory_mib: 128,
            timeout: Duration::from_secs(3),
            init_limit: INIT_LIMIT,
            runtime_version: "provided:al2023".into(),
            tmp_mib: 512,
            layout: Layout::Host,
            places: ["/var/task", "/var/runtime"]
                .map(|path| Placed { on_host: path.into(), inside: path.into(), writable: false })
                .into(),
            image: None,
            entrypoint: Entrypoint { program: "/var/task/bootstrap".into(), arguments: vec![] },
            task_root: "/var/task".into(),
            opt: None,
            runtime_dir: "/var/runtime".into(),
            runtime_variables: vec![],
            customer_variables: BTreeMap::new(),
            credentials: Credentials::placeholder(),
            log_format: None,
            application_log_level: None,
            system_log_level: None,
            account_id: "000000000000".into(),
            extensions: vec![],
            initialization: InitializationType::OnDemand,
            max_concurrency: None,
            keeps_alive: None,
        }
    }
}
