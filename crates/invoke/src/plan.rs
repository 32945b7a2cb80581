//! From a function's settings to what its environments are made from.
//!
//! Done once per version, when it is registered: interpreters are looked for then, and not when a caller waits.

use std::path::PathBuf;
use std::time::Duration;

use firesteel_catalog::{Arn, Function, LogFormat, LogLevel};
use firesteel_environment::{Credentials, Entrypoint, InitializationType, Placed, Spec};
use firesteel_runtimes::{Interpreters, LaunchError, Layout, Place, Places, Runtime, launch};

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

/// The spec of one version of a function.
pub fn spec(
    function: &Function,
    runtime: &Runtime,
    credentials: Credentials,
    region: &str,
    account: &str,
    host: &Host,
) -> Result<Spec, LaunchError> {
    let mounts = host.mounts.iter();
    let mounts = mounts.map(|mount| Place { on_host: mount.on_host.clone(), inside: mount.inside.clone() });
    let places = Places::new(host.layout, function.code_folder(), function.opt_folder(), &host.runtime_dir)
        .with_mounts(mounts.collect());
    let wrapper = function.variables().get("AWS_LAMBDA_EXEC_WRAPPER");
    let launch =
        launch(runtime, function.handler(), &places, function.memory_mib(), &host.interpreters, wrapper)?;
    let arn = Arn {
        region: region.to_owned(),
        account: account.to_owned(),
        name: function.name().clone(),
        qualifier: None,
    };
    let initialization = match (function.max_concurrency(), function.snap_start()) {
        (Some(_), _) => InitializationType::ManagedInstances,
        (None, true) => InitializationType::SnapStart,
        (None, false) => InitializationType::OnDemand,
    };
    let timeout = Duration::from_secs(u64::from(function.timeout_s()));
    Ok(Spec {
        function_name: function.name().to_string(),
        version: function.version().to_owned(),
        function_arn: arn.to_string(),
        region: region.to_owned(),
        handler: function.handler().to_owned(),
        memory_mib: function.memory_mib(),
        timeout,
        init_limit: initialization.init_limit(timeout),
        runtime_version: launch.version,
        tmp_mib: function.ephemeral_storage_mib(),
        layout: match host.layout {
            Layout::Host => firesteel_environment::Layout::Host,
            Layout::OwnRoot => firesteel_environment::Layout::OwnRoot,
        },
        places: placed(places.all().chain(&launch.interpreter), &host.mounts),
        entrypoint: Entrypoint { program: launch.program, arguments: launch.arguments },
        task_root: places.task_root.inside,
        opt: places.opt.map(|opt| opt.inside),
        runtime_dir: places.runtime_dir.inside,
        runtime_variables: launch.variables,
        customer_variables: function
            .variables()
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        credentials,
        log_format: match function.log_format() {
            LogFormat::Text => None,
            LogFormat::Json => Some(firesteel_environment::LogFormat::Json),
        },
        // INFO unless chosen, in JSON: runtimes would else print from WARN on.
        application_log_level: match function.log_format() {
            LogFormat::Text => None,
            LogFormat::Json => Some(function.application_log_level().map_or(INFO, log_level)),
        },
        system_log_level: function.system_log_level().map(log_level),
        account_id: account.to_owned(),
        extensions: function.opt_folder().map(firesteel_environment::extension_files).unwrap_or_default(),
        initialization,
        max_concurrency: function.max_concurrency(),
        keeps_alive: None,
    })
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

    use firesteel_catalog::Settings;

    use super::*;

    /// A function with a bootstrap and an extension, and its spec in this layout.
    fn planned(layout: Layout, folder: &std::path::Path, mounts: Vec<Placed>) -> Spec {
        for file in ["code/bootstrap", "layers/extensions/watcher"] {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        }
        let settings = Settings {
            opt_folder: Some(folder.join("layers")),
            ephemeral_storage_mib: 1024,
            ..Settings::new("f".parse().unwrap(), "provided.al2023", "f.handler", folder.join("code"))
        };
        let host = Host {
            interpreters: Interpreters::searching(Vec::new(), None),
            runtime_dir: folder.join("runtime"),
            layout,
            mounts,
        };
        let function = Function::new(settings).unwrap();
        let runtime = "provided.al2023".parse().unwrap();
        spec(&function, &runtime, Credentials::placeholder(), "us-east-1", "000000000000", &host).unwrap()
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
