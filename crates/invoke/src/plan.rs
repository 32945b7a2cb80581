//! From a function's settings to what its environments are made from.
//!
//! Done once per version, when it is registered: interpreters are looked for then, and not when a caller waits.

use std::path::PathBuf;
use std::time::Duration;

use firesteel_catalog::{Arn, Function, LogFormat, LogLevel};
use firesteel_environment::{Credentials, Entrypoint, InitializationType, Spec};
use firesteel_runtimes::{Interpreters, LaunchError, Places, Runtime, launch};

/// What this machine offers to functions.
#[derive(Debug)]
pub struct Host {
    /// Its interpreters.
    pub interpreters: Interpreters,
    /// Where the managed runtimes were installed.
    pub runtime_dir: PathBuf,
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
    let places = Places {
        task_root: function.code_folder(),
        opt: function.opt_folder(),
        runtime_dir: &host.runtime_dir,
    };
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
        entrypoint: Entrypoint { program: launch.program, arguments: launch.arguments },
        task_root: places.task_root.to_path_buf(),
        opt: places.opt.map(PathBuf::from),
        runtime_dir: host.runtime_dir.clone(),
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
        extensions: places.opt.map(firesteel_environment::extension_files).unwrap_or_default(),
        initialization,
        max_concurrency: function.max_concurrency(),
    })
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
