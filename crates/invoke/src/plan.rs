//! From a function's settings to what its environments are made from.
//!
//! Done once per version, when it is made: interpreters are looked for then, and not when a caller waits.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firesteel_catalog::{
    Code, Configuration, LogFormat, LogLevel, SnapStart, Variables, Version, VersionNumber,
};
use firesteel_environment::{Credentials, Entrypoint, InitializationType, Placed, Spec};
use firesteel_runtimes::{Interpreters, LaunchError, Layout, Place, Places, Runtime, launch};

use crate::images::LoadedImage;

/// What this machine offers to functions.
#[derive(Debug)]
pub struct Host {
    /// Its interpreters.
    pub interpreters: Interpreters,
    /// Where the managed runtimes were installed.
    pub runtime_dir: PathBuf,
    /// Which file system functions see of it.
    pub layout: Layout,
    /// What functions are shown of it beside their own, in a root of their own. One that lies in another comes after it.
    pub mounts: Vec<Placed>,
}

/// Where the code of a version is on this machine.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Its `LAMBDA_TASK_ROOT`.
    pub code: PathBuf,
    /// All layers laid over each other, its `/opt`.
    pub opt: Option<PathBuf>,
    /// What has to be held for them to stay.
    pub keeps_alive: Option<Arc<dyn Any + Send + Sync>>,
}

/// The spec of one version of a function.
pub fn spec(
    version: &Version,
    runtime: &Runtime,
    folders: &Folders,
    credentials: Credentials,
    host: &Host,
) -> Result<Spec, LaunchError> {
    let Configuration { variables, memory_mib, .. } = &version.configuration;
    let mut variables = variables.iter().flat_map(Variables::iter);
    let mounts = host.mounts.iter();
    let mounts = mounts.map(|mount| Place { on_host: mount.on_host.clone(), inside: mount.inside.clone() });
    let places = Places::new(host.layout, &folders.code, folders.opt.as_deref(), &host.runtime_dir)
        .with_mounts(mounts.collect());
    let wrapper = variables.find(|(key, _)| *key == "AWS_LAMBDA_EXEC_WRAPPER").map(|(_, value)| value);
    let handler = version.configuration.handler.as_deref().unwrap_or_default();
    let launch = launch(runtime, handler, &places, *memory_mib, &host.interpreters, wrapper)?;
    let started = Started {
        runtime_version: launch.version,
        layout: match host.layout {
            Layout::Host => firesteel_environment::Layout::Host,
            Layout::OwnRoot => firesteel_environment::Layout::OwnRoot,
        },
        places: placed(places.all().chain(&launch.interpreter), &host.mounts),
        image: None,
        entrypoint: Entrypoint { program: launch.program, arguments: launch.arguments },
        task_root: places.task_root.inside,
        opt: places.opt.map(|opt| opt.inside),
        runtime_dir: places.runtime_dir.inside,
        variables: launch.variables,
        extensions: folders.opt.as_deref().map(firesteel_environment::extension_files).unwrap_or_default(),
        keeps_alive: folders.keeps_alive.clone(),
    };
    Ok(spec_of(version, started, credentials))
}

/// The spec of one version of a function that is an image, in a root of its own.
///
/// Each of the function's own [`ImageConfig`](firesteel_catalog::ImageConfig) replaces the image's by itself: with another
/// entry point the image's command stays.
#[must_use]
pub fn spec_of_image(version: &Version, image: LoadedImage, credentials: Credentials, host: &Host) -> Spec {
    let asked = &version.configuration.image;
    // An empty list is none, as on AWS.
    let own = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let entrypoint = own(&asked.entry_point).unwrap_or(image.entrypoint);
    let command = own(&asked.command).unwrap_or(image.command);
    let working_dir = asked.working_directory.clone().filter(|folder| !folder.is_empty());
    let working_dir = working_dir.or(image.working_dir).unwrap_or_default();
    let mut arguments = entrypoint.iter().chain(&command).cloned();
    let started = Started {
        // Images have none, and no line that tells of it.
        runtime_version: String::new(),
        layout: firesteel_environment::Layout::OwnRoot,
        places: placed([].into_iter(), &host.mounts),
        entrypoint: Entrypoint {
            program: arguments.next().unwrap_or_default().into(),
            arguments: arguments.collect(),
        },
        task_root: "/var/task".into(),
        opt: Some("/opt".into()),
        runtime_dir: "/var/runtime".into(),
        variables: image.variables,
        extensions: firesteel_environment::extension_files_of_image(&image.root),
        image: Some(firesteel_environment::Image {
            tree: image.root,
            entrypoint,
            command,
            working_dir: Path::new("/").join(working_dir),
        }),
        keeps_alive: Some(image.keeps_alive),
    };
    spec_of(version, started, credentials)
}

/// What is started, and what it finds.
struct Started {
    runtime_version: String,
    layout: firesteel_environment::Layout,
    places: Vec<Placed>,
    image: Option<firesteel_environment::Image>,
    entrypoint: Entrypoint,
    task_root: PathBuf,
    opt: Option<PathBuf>,
    runtime_dir: PathBuf,
    variables: Vec<(String, String)>,
    extensions: Vec<String>,
    keeps_alive: Option<Arc<dyn Any + Send + Sync>>,
}

fn spec_of(version: &Version, started: Started, credentials: Credentials) -> Spec {
    let Configuration { variables, logging, memory_mib, handler, .. } = &version.configuration;
    let variables = variables.iter().flat_map(Variables::iter);
    let initialization = initialization(version);
    let timeout = Duration::from_secs(u64::from(version.configuration.timeout_s));
    Spec {
        function_name: version.name().to_string(),
        version: version.number.to_string(),
        function_arn: version.function_arn().to_string(),
        region: version.arn.region.clone(),
        handler: handler.clone().unwrap_or_default(),
        memory_mib: *memory_mib,
        timeout,
        init_limit: initialization.init_limit(timeout),
        runtime_version: started.runtime_version,
        tmp_mib: version.configuration.ephemeral_storage_mib,
        layout: started.layout,
        places: started.places,
        image: started.image,
        entrypoint: started.entrypoint,
        task_root: started.task_root,
        opt: started.opt,
        runtime_dir: started.runtime_dir,
        runtime_variables: started.variables,
        customer_variables: variables.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        credentials,
        log_format: match logging.format {
            LogFormat::Text => None,
            LogFormat::Json => Some(firesteel_environment::LogFormat::Json),
        },
        // INFO unless chosen, in JSON: runtimes would else print from WARN on.
        application_log_level: match logging.format {
            LogFormat::Text => None,
            LogFormat::Json => Some(logging.application_level.map_or(INFO, log_level)),
        },
        system_log_level: logging.system_level.map(log_level),
        account_id: version.arn.account.clone(),
        extensions: started.extensions,
        initialization,
        max_concurrency: version.configuration.max_concurrency,
        keeps_alive: started.keeps_alive,
    }
}

/// `$LATEST` is not restored from snapshots, unless it was given on the command line, where there is no other.
fn initialization(version: &Version) -> InitializationType {
    let Configuration { max_concurrency, snap_start, .. } = &version.configuration;
    let restored = match (&version.code, version.number) {
        (Code::Folder { .. }, _) | (_, VersionNumber::Published(_)) => {
            *snap_start == SnapStart::PublishedVersions
        }
        (_, VersionNumber::Latest) => false,
    };
    match (max_concurrency, restored) {
        (Some(_), _) => InitializationType::ManagedInstances,
        (None, true) => InitializationType::SnapStart,
        (None, false) => InitializationType::OnDemand,
    }
}

/// What the function needs and what was asked for, outer ones first: an inner one would be hidden else.
fn placed<'a>(needed: impl Iterator<Item = &'a Place>, mounts: &[Placed]) -> Vec<Placed> {
    let read_only = |place: &Place| Placed {
        on_host: place.on_host.clone(),
        inside: place.inside.clone(),
        writable: false,
    };
    let mut all: Vec<Placed> = needed.map(read_only).chain(mounts.iter().cloned()).collect();
    all.sort_by_key(|place| place.inside.components().count());
    all
}

const INFO: firesteel_environment::LogLevel = firesteel_environment::LogLevel::Info;

fn log_level(level: LogLevel) -> firesteel_environment::LogLevel {
    match level {
        LogLevel::Trace => firesteel_environment::LogLevel::Trace,
        LogLevel::Debug => firesteel_environment::LogLevel::Debug,
        LogLevel::Info => firesteel_environment::LogLevel::Info,
        LogLevel::Warn => firesteel_environment::LogLevel::Warn,
        LogLevel::Error => firesteel_environment::LogLevel::Error,
        LogLevel::Fatal => firesteel_environment::LogLevel::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use firesteel_catalog::{Account, ImageConfig, NewFunction, Store};

    use super::*;

    /// A function with a bootstrap and an extension, and its spec in this layout.
    fn planned(layout: Layout, folder: &std::path::Path, mounts: Vec<Placed>) -> Spec {
        for file in ["code/bootstrap", "layers/extensions/watcher"] {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        }
        let folders =
            Folders { code: folder.join("code"), opt: Some(folder.join("layers")), keeps_alive: None };
        let store = Store::in_memory(Account::new("us-east-1", "000000000000")).unwrap();
        let configuration = Configuration {
            ephemeral_storage_mib: 1024,
            runtime: Some("provided.al2023".into()),
            handler: Some("f.handler".into()),
            ..Configuration::default()
        };
        let function = NewFunction {
            name: "f".parse().unwrap(),
            configuration,
            layers: Vec::new(),
            code: Code::Folder { path: folders.code.clone(), opt: folders.opt.clone() },
            tags: Default::default(),
            publish: false,
            code_signing_config: None,
        };
        let version = store.create_function(function).unwrap();
        let host = Host {
            interpreters: Interpreters::searching(Vec::new(), None),
            runtime_dir: folder.join("runtime"),
            layout,
            mounts,
        };
        let runtime = "provided.al2023".parse().unwrap();
        spec(&version, &runtime, &folders, Credentials::placeholder(), &host).unwrap()
    }

    fn paths(spec: &Spec) -> [PathBuf; 4] {
        let opt = spec.opt.clone().unwrap();
        [spec.entrypoint.program.clone(), spec.task_root.clone(), opt, spec.runtime_dir.clone()]
    }

    #[test]
    fn on_the_host_everything_is_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let spec = planned(Layout::Host, folder.path(), Vec::new());
        let at = |name: &str| folder.path().join(name);
        assert_eq!(paths(&spec), ["code/bootstrap", "code", "layers", "runtime"].map(at));
        let same = |name: &str| Placed { on_host: at(name), inside: at(name), writable: false };
        assert_eq!(spec.places, ["code", "layers", "runtime"].map(same));
        assert_eq!(spec.layout, firesteel_environment::Layout::Host);
    }

    #[test]
    fn in_a_root_of_its_own_a_function_has_the_places_of_aws() {
        let folder = tempfile::tempdir().unwrap();
        let spec = planned(Layout::OwnRoot, folder.path(), Vec::new());
        let inside = ["/var/task/bootstrap", "/var/task", "/opt", "/var/runtime"].map(PathBuf::from);
        assert_eq!(paths(&spec), inside);
        let placed = |name: &str, inside: &str| Placed {
            on_host: folder.path().join(name),
            inside: inside.into(),
            writable: false,
        };
        assert_eq!(
            spec.places,
            [placed("layers", "/opt"), placed("code", "/var/task"), placed("runtime", "/var/runtime")]
        );
        assert_eq!(spec.layout, firesteel_environment::Layout::OwnRoot);
        assert_eq!(spec.extensions, ["watcher"], "looked for on the host");
        assert_eq!(spec.tmp_mib, 1024);
    }

    /// An image with all there is, of a function with these settings of its own.
    fn planned_image(own: ImageConfig) -> Spec {
        let store = Store::in_memory(Account::new("us-east-1", "000000000000")).unwrap();
        let function = NewFunction {
            name: "f".parse().unwrap(),
            configuration: Configuration { image: own, ..Configuration::default() },
            layers: Vec::new(),
            code: Code::Image { uri: "registry/image:1".into(), digest: None },
            tags: Default::default(),
            publish: false,
            code_signing_config: None,
        };
        let version = store.create_function(function).unwrap();
        let mount = Placed { on_host: "/data".into(), inside: "/srv/data".into(), writable: true };
        let host = Host {
            interpreters: Interpreters::searching(Vec::new(), None),
            runtime_dir: "/runtime".into(),
            layout: Layout::OwnRoot,
            mounts: vec![mount],
        };
        let image = LoadedImage {
            digest: "sha256:00".into(),
            root: "/images/1".into(),
            entrypoint: vec!["sh".into(), "-c".into()],
            command: vec!["run".into()],
            variables: vec![("PATH".into(), "/bin".into())],
            working_dir: Some("/app".into()),
            keeps_alive: Arc::new(()),
        };
        spec_of_image(&version, image, Credentials::placeholder(), &host)
    }

    fn command_line(spec: &Spec) -> String {
        [vec![spec.entrypoint.program.display().to_string()], spec.entrypoint.arguments.clone()]
            .concat()
            .join(" ")
    }

    #[test]
    fn each_setting_of_a_function_replaces_that_of_its_image_alone() {
        let list = |text: &str| Some(text.split_whitespace().map(str::to_owned).collect());
        for (own, expected, working_dir) in [
            (ImageConfig::default(), "sh -c run", "/app"),
            (ImageConfig { entry_point: list("node"), ..ImageConfig::default() }, "node run", "/app"),
            (ImageConfig { command: list("a b"), ..ImageConfig::default() }, "sh -c a b", "/app"),
            (
                ImageConfig { entry_point: list(""), command: list(""), working_directory: Some("".into()) },
                "sh -c run",
                "/app",
            ),
            (
                ImageConfig { working_directory: Some("/srv".into()), ..ImageConfig::default() },
                "sh -c run",
                "/srv",
            ),
        ] {
            let spec = planned_image(own);
            assert_eq!(
                (command_line(&spec).as_str(), spec.working_dir()),
                (expected, Path::new(working_dir))
            );
        }
    }

    #[test]
    fn an_image_finds_its_own_tree_and_what_is_mounted() {
        let spec = planned_image(ImageConfig::default());
        assert_eq!(spec.image.as_ref().unwrap().tree, Path::new("/images/1"));
        let places: Vec<_> = spec.places.iter().map(|place| place.inside.to_str().unwrap()).collect();
        assert_eq!(places, ["/srv/data"], "no code, no layers, no runtimes of ours");
        assert_eq!(spec.runtime_variables, [("PATH".to_owned(), "/bin".to_owned())]);
        assert_eq!((spec.handler.as_str(), spec.runtime_version.as_str()), ("", ""));
    }

    #[test]
    fn what_is_mounted_in_a_function_s_folders_lies_over_them_and_links_may_lead_there() {
        let folder = tempfile::tempdir().unwrap();
        let mount = |name: &str, inside: &str| Placed {
            on_host: folder.path().join(name),
            inside: inside.into(),
            writable: true,
        };
        let mounts = vec![mount("data", "/var/task/data"), mount("all", "/var"), mount("tool", "/tool")];
        let spec = planned(Layout::OwnRoot, folder.path(), mounts.clone());
        let inside: Vec<_> = spec.places.iter().map(|place| place.inside.to_str().unwrap()).collect();
        assert_eq!(inside, ["/opt", "/var", "/tool", "/var/task", "/var/runtime", "/var/task/data"]);
        assert!(mounts.iter().all(|mount| spec.places.contains(mount)));
    }
}
