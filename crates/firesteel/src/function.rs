//! From TARGET and flags on the command line to a function that can be run.
//!
//! ```text
//!  TARGET ─► image: folder, zip or executable ─► code folder ─┐        (of a container image: ─► images ─► a tree ─► Spec)
//!  --layer ─► image: layers over each other ─► /opt folder ───┼─► runtimes: which runtime and handler
//!  flags ─► catalog: settings within AWS's limits ────────────┘      └─► catalog: a version ─► invoke::plan ─► Spec
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesteel_catalog::{
    CatalogError, Code, Configuration, Function, FunctionName, InvalidSetting, Logging, NewFunction, Refusal,
    Settings, Settlement, SnapStart, Store, Tags, Version,
};
use firesteel_environment::{Credentials, Spec};
use firesteel_image::{Limits, Package, UnpackError};
use firesteel_invoke::plan::{self, Folders, Host};
use firesteel_invoke::{ImageError, ImageReference, Images};
use firesteel_runtimes::{Layout, Runtime};

use crate::advice;
use crate::cli::{FunctionArguments, LogFormat, LogLevel, ServerArguments};
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Failure};
use crate::mount;
use crate::target::Target;
use crate::variables_file;

/// A function, ready to be served, and how it was understood.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) version: Arc<Version>,
    pub(crate) spec: Arc<Spec>,
    /// None of an image.
    pub(crate) runtime: Option<Runtime>,
    /// One line for people: which runtime, which handler, and why these.
    pub(crate) why: String,
}

/// What all functions of a run share.
#[derive(Debug)]
pub(crate) struct Workshop<'a> {
    pub(crate) data: &'a DataFolder,
    pub(crate) host: &'a Host,
    pub(crate) images: &'a Images,
    /// Where it is kept, as long as the program runs.
    pub(crate) store: &'a Store,
    pub(crate) server: &'a ServerArguments,
    pub(crate) arguments: &'a FunctionArguments,
    /// How many invocations an environment takes at a time, where that may be several.
    pub(crate) max_concurrency: Option<u16>,
}

impl Workshop<'_> {
    /// Makes a function of a target. Nothing is left behind of one that cannot be made: what was unpacked is in
    /// the run's folder.
    pub(crate) async fn prepare(&self, name: FunctionName, target: &str) -> Result<Prepared, Failure> {
        match Target::of(target)? {
            Target::Path(path) => self.prepare_package(name, path),
            Target::Image(uri) => self.prepare_image(name, uri).await,
        }
    }

    async fn prepare_image(&self, name: FunctionName, uri: String) -> Result<Prepared, Failure> {
        let FunctionArguments { handler, runtime, layer, snap_start, .. } = self.arguments;
        if handler.is_some() || runtime.is_some() || !layer.is_empty() || *snap_start {
            return Err(Failure::usage(format!(
                "the image {uri} says itself how it is started and what is in it"
            ))
            .try_next("without --handler, --runtime, --layer and --snap-start"));
        }
        if self.host.layout == Layout::Host {
            return Err(Failure::usage(format!("the image {uri} cannot be run without isolation")).try_next(
                if cfg!(target_os = "linux") {
                    "--isolation namespace; firesteel doctor says what that takes"
                } else {
                    "a Linux machine: functions of images are run there alone"
                },
            ));
        }
        let image = self.images.load(ImageReference { uri: uri.clone(), digest: None }).await;
        let image = image.map_err(|error| {
            let next = match &error {
                ImageError::Unreachable { stored: Some(stored), .. } => stored,
                ImageError::Unreachable { .. } => {
                    "another host with the same images by --registry-mirror REGISTRY=HOST:PORT; or oci:FOLDER, docker-archive:FILE"
                }
                ImageError::Failed { .. } => "firesteel doctor, which says how images are mounted here",
                ImageError::AccessDenied { .. } => "--registry-config FILE with credentials of the registry",
                _ => "REGISTRY/REPOSITORY:TAG, oci:FOLDER, docker-archive:FILE, or unpacked:PATH with rootfs/ and config.json",
            };
            Failure::from_error(Exit::Usage, &error).try_next(next)
        })?;
        let (settings, credentials) = self.settings(Settings::of_image(name))?;
        let function = Function::new(settings).map_err(|error| invalid_setting(&error))?;
        let digest = image.digest.clone();
        let code = Code::Image { uri: uri.clone(), digest: None };
        let version = self.create(&function, code, Some(digest.clone()))?;
        let spec = plan::spec_of_image(&version, image, credentials, self.host);
        mount::check(&self.host.mounts, &spec.places)?;
        let why = format!("image {uri}, {digest}");
        Ok(Prepared { version, spec: Arc::new(spec), runtime: None, why })
    }

    fn prepare_package(&self, name: FunctionName, target: &Path) -> Result<Prepared, Failure> {
        let package = Package::open(target).map_err(|error| {
            Failure::from_error(Exit::Usage, &error).try_next(
                "a folder with the function's code, a .zip of it, an executable, or a container image",
            )
        })?;
        let (code, opt) = self.unpack(&name, &package)?;

        let arguments = self.arguments;
        let detected = firesteel_runtimes::detect(
            &code,
            opt.as_deref(),
            arguments.runtime.as_deref(),
            arguments.handler.as_deref(),
            &self.host.interpreters,
        )
        .map_err(|error| Failure::from_error(Exit::Usage, &error).try_next(advice::on_detection(&error)))?;

        if self.max_concurrency.is_some() && !matches!(detected.runtime, Runtime::Provided(_)) {
            let runtime = detected.runtime.to_string();
            return Err(Failure::usage(format!("the runtime {runtime} takes one invocation at a time here"))
                .try_next("--max-concurrency with a runtime of your own (a bootstrap) alone"));
        }

        let of_package = Settings {
            opt_folder: opt.clone(),
            ..Settings::new(name, detected.runtime.to_string(), detected.handler, &code)
        };
        let (settings, credentials) = self.settings(of_package)?;
        let function = Function::new(settings).map_err(|error| invalid_setting(&error))?;
        let folders = Folders { code, opt, keeps_alive: None };
        let code = Code::Folder { path: folders.code.clone(), opt: folders.opt.clone() };
        let version = self.create(&function, code, None)?;
        let spec = plan::spec(&version, &detected.runtime, &folders, credentials, self.host)
            .map_err(|error| Failure::from_error(Exit::Usage, &error).try_next(advice::on_launch(&error)))?;
        mount::check(&self.host.mounts, &spec.places)?;
        Ok(Prepared { version, spec: Arc::new(spec), runtime: Some(detected.runtime), why: detected.why })
    }

    /// With all that does not depend on the kind of target; and the function's own credentials.
    fn settings(&self, otherwise: Settings) -> Result<(Settings, Credentials), Failure> {
        let arguments = self.arguments;
        let mut variables = variables_file::read(arguments.env_file.as_deref(), &arguments.env)?;
        let credentials = credentials(&mut variables);
        let settings = Settings {
            memory_mib: arguments.memory,
            ephemeral_storage_mib: arguments.ephemeral_storage,
            timeout_s: arguments.timeout,
            variables,
            log_format: self.log_format()?,
            application_log_level: arguments.log_level.map(log_level),
            system_log_level: arguments.system_log_level.map(log_level),
            max_concurrency: self.max_concurrency,
            snap_start: arguments.snap_start,
            ..otherwise
        };
        Ok((settings, credentials))
    }

    /// Puts it into the catalog, where it is until the next start.
    fn create(
        &self,
        function: &Function,
        code: Code,
        image_digest: Option<String>,
    ) -> Result<Arc<Version>, Failure> {
        let new = NewFunction {
            name: function.name().clone(),
            configuration: configuration(function, self.server),
            layers: Vec::new(),
            code,
            code_signing_config: None,
            tags: Tags::default(),
            publish: false,
        };
        let ready = Settlement::Ready { image_digest };
        let created = self
            .store
            .create_fleeting_function(new)
            .and_then(|version| Ok(self.store.settle(&version, &ready)?.unwrap_or(version)));
        created.map_err(|error| match error {
            CatalogError::Refused(Refusal::FunctionExists { name }) => {
                Failure::usage(format!("the data folder has a function named `{name}` already"))
                    .try_next("another name: NAME=TARGET, or another folder by --data")
            }
            CatalogError::Refused(_) => Failure::from_error(Exit::Usage, &error),
            CatalogError::Failed(_) => Failure::from_error(Exit::Platform, &error),
        })
    }

    /// JSON where invocations overlap, as on AWS: lines of text would not say whose they are.
    fn log_format(&self) -> Result<firesteel_catalog::LogFormat, Failure> {
        match (self.arguments.log_format, self.max_concurrency) {
            (Some(LogFormat::Text), Some(_)) => Err(Failure::usage(
                "with --max-concurrency the log is JSON, and --log-format text cannot be had",
            )
            .try_next("--log-format json, or neither")),
            (Some(LogFormat::Json), _) | (None, Some(_)) => Ok(firesteel_catalog::LogFormat::Json),
            (Some(LogFormat::Text) | None, None) => Ok(firesteel_catalog::LogFormat::Text),
        }
    }

    /// The code folder, and the layers' if there are any. A folder is used where it stands.
    fn unpack(&self, name: &FunctionName, package: &Package) -> Result<(PathBuf, Option<PathBuf>), Failure> {
        let unusable = |error: UnpackError| {
            Failure::usage(format!("the package of function {name} cannot be used"))
                .because(&error)
                .try_next(advice::on_unpacking(&error))
        };
        let packages = self.data.subfolder(&format!("packages/{name}"))?;
        let limits = Limits::default();
        let (code, used) = match package {
            Package::Folder(folder) => {
                let used = firesteel_image::measure(folder, limits).map_err(unusable)?;
                let folder = folder
                    .canonicalize()
                    .map_err(|source| unusable(UnpackError::Open { path: folder.clone(), source }))?;
                (folder, used)
            }
            Package::Zip(archive) => {
                let code = packages.join("code");
                let used = firesteel_image::unpack_zip(archive, &code, limits).map_err(unusable)?;
                (code, used)
            }
            Package::Executable(program) => {
                let code = packages.join("code");
                let used =
                    firesteel_image::package_from_executable(program, &code, limits).map_err(unusable)?;
                (code, used)
            }
        };
        if self.arguments.layer.is_empty() {
            return Ok((code, None));
        }
        let opt = packages.join("opt");
        firesteel_image::stack_layers(&self.arguments.layer, &opt, limits.after(used)).map_err(|error| {
            Failure::usage(format!("the layers of function {name} cannot be used"))
                .because(&error)
                .try_next(advice::on_layers(&error))
        })?;
        Ok((code, Some(opt)))
    }
}

/// As the catalog has them.
fn configuration(function: &Function, server: &ServerArguments) -> Configuration {
    Configuration {
        role: format!("arn:aws:iam::{}:role/firesteel", server.account_id),
        runtime: function.runtime().map(str::to_owned),
        handler: function.handler().map(str::to_owned),
        timeout_s: function.timeout_s(),
        memory_mib: function.memory_mib(),
        ephemeral_storage_mib: function.ephemeral_storage_mib(),
        variables: Some(function.variables().clone()).filter(|variables| !variables.is_empty()),
        logging: Logging {
            format: function.log_format(),
            application_level: function.application_log_level(),
            system_level: function.system_log_level(),
            group: None,
        },
        snap_start: if function.snap_start() { SnapStart::PublishedVersions } else { SnapStart::None },
        max_concurrency: function.max_concurrency(),
        ..Configuration::default()
    }
}

/// A function's own credentials may be given on the command line, which AWS has no need for: there they come
/// from its role.
fn credentials(variables: &mut BTreeMap<String, String>) -> Credentials {
    let placeholder = Credentials::placeholder();
    let access_key_id = variables.remove("AWS_ACCESS_KEY_ID");
    let secret_access_key = variables.remove("AWS_SECRET_ACCESS_KEY");
    let session_token = variables.remove("AWS_SESSION_TOKEN");
    // Real keys without a token are those of a user; a placeholder token would spoil them.
    let token_otherwise = if access_key_id.is_some() { String::new() } else { placeholder.session_token };
    Credentials {
        access_key_id: access_key_id.unwrap_or(placeholder.access_key_id),
        secret_access_key: secret_access_key.unwrap_or(placeholder.secret_access_key),
        session_token: session_token.unwrap_or(token_otherwise),
    }
}

fn log_level(level: LogLevel) -> firesteel_catalog::LogLevel {
    match level {
        LogLevel::Trace => firesteel_catalog::LogLevel::Trace,
        LogLevel::Debug => firesteel_catalog::LogLevel::Debug,
        LogLevel::Info => firesteel_catalog::LogLevel::Info,
        LogLevel::Warn => firesteel_catalog::LogLevel::Warn,
        LogLevel::Error => firesteel_catalog::LogLevel::Error,
        LogLevel::Fatal => firesteel_catalog::LogLevel::Fatal,
    }
}

fn invalid_setting(error: &InvalidSetting) -> Failure {
    let failure = Failure::from_error(Exit::Usage, error);
    match error {
        InvalidSetting::Memory { .. } => failure.try_next("--memory with 128 to 10240"),
        InvalidSetting::EphemeralStorage { .. } => failure.try_next("--ephemeral-storage with 512 to 10240"),
        InvalidSetting::Timeout { .. } => failure.try_next("--timeout with 1 to 900"),
        InvalidSetting::MaxConcurrency { .. } => failure.try_next("--max-concurrency with 1 to 1600"),
        InvalidSetting::SnapStartWithConcurrency => {
            failure.try_next("either --snap-start or --max-concurrency")
        }
        InvalidSetting::Handler { .. } => failure.try_next("--handler FILE.FUNCTION"),
        InvalidSetting::LogLevelOfText => failure.try_next("--log-format json with it, or no level"),
        InvalidSetting::SystemLogLevel { .. } => {
            failure.try_next("--system-log-level with DEBUG, INFO or WARN")
        }
        InvalidSetting::Variables(_) => failure.try_next("--env with other names, or smaller values"),
    }
}

/// The name that was given, or one made from the target.
pub(crate) fn name_of(given: Option<&str>, target: &str) -> Result<FunctionName, Failure> {
    match given {
        None => Ok(match Target::of(target)? {
            Target::Path(path) => name_from(path),
            Target::Image(uri) => name_of_image(&uri),
        }),
        Some(name) => name.parse().map_err(|error| {
            Failure::usage(format!("`{name}` cannot be the name of a function"))
                .because(&error)
                .try_next("a name of letters, digits, - and _, at most 64 of them")
        }),
    }
}

/// The last part of the repository, or of the path.
fn name_of_image(uri: &str) -> FunctionName {
    let last = uri.split('@').next().unwrap_or(uri).rsplit('/').next().unwrap_or_default();
    let stem = last.split(':').next().unwrap_or_default();
    name_like(stem.strip_suffix(".tar").unwrap_or(stem))
}

/// What says nothing about a function: the file that every custom runtime has, and the folders builds put it in.
const NAMELESS: [&str; 4] = ["bootstrap", "release", "debug", "target"];

/// The target's own name, with what a function's name cannot have replaced; if that says nothing, the name of a folder
/// it is in.
fn name_from(target: &Path) -> FunctionName {
    let absolute = target.canonicalize().unwrap_or_else(|_| target.to_path_buf());
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let own = if absolute.is_dir() {
        absolute.file_name().map(|name| name.to_string_lossy().into_owned())
    } else {
        stem(&absolute)
    };
    let named = |name: &String| !NAMELESS.contains(&name.as_str());
    let own = own.filter(named).or_else(|| absolute.ancestors().skip(1).filter_map(stem).find(named));
    name_like(&own.unwrap_or_default())
}

/// With what a function's name cannot have replaced.
fn name_like(text: &str) -> FunctionName {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .take(64)
        .collect();
    name.parse().unwrap_or_else(|_| "function".parse().expect("a word of letters is a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_from_targets() {
        let folder = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            name_from(&path).to_string()
        };
        assert_eq!(make("a/hello.zip"), "hello");
        assert_eq!(make("b/my function.v2.zip"), "my-function-v2");
        assert_eq!(make("greeter/bootstrap"), "greeter");
        assert_eq!(make("crab/target/release/bootstrap"), "crab");
        assert_eq!(name_from(&folder.path().join("greeter")).as_str(), "greeter");
        assert_eq!(name_from(Path::new("/")).as_str(), "function");
        assert_eq!(name_of_image("registry.example:5000/team/app.web:1").as_str(), "app-web");
        assert_eq!(name_of_image("registry.example/app@sha256:00").as_str(), "app");
        assert_eq!(name_of_image("docker-archive:/srv/greeter.tar").as_str(), "greeter");
    }

    #[test]
    fn credentials_are_placeholders_unless_given() {
        let mut variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert!(!credentials(&mut variables).session_token.is_empty());
        variables.insert("AWS_ACCESS_KEY_ID".into(), "AKIA".into());
        variables.insert("AWS_SECRET_ACCESS_KEY".into(), "secret".into());
        let given = credentials(&mut variables);
        assert_eq!((given.access_key_id.as_str(), given.session_token.as_str()), ("AKIA", ""));
        assert_eq!(variables.len(), 1);
    }
}
