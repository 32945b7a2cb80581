//! What requests ask a function to be, as the catalog takes it.

use firesteel_catalog::{
    Architecture, Configuration, ConfigurationUpdate, ImageConfig, LogFormat, LogLevel, LoggingUpdate,
    Refusal, SnapStart, Tracing, Variables,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::model::{
    self, CapacityProviderConfig, CreateFunctionRequest, UpdateFunctionConfigurationRequest, exception,
};

/// A new function's settings.
pub(in crate::operations) fn new(request: &CreateFunctionRequest) -> Result<Configuration, ApiError> {
    let absent = [
        ("TenancyConfig", request.tenancy_config.is_some()),
        ("DurableConfig", request.durable_config.is_some()),
        ("PublishTo", request.publish_to.is_some()),
    ];
    refuse_absent(&absent)?;
    let default = Configuration::default();
    let mut shown = shown([
        ("VpcConfig", json(&request.vpc_config)),
        ("KMSKeyArn", json(&request.kms_key_arn)),
        ("FileSystemConfigs", json(&request.file_system_configs)),
        ("CapacityProviderConfig", json(&request.capacity_provider_config)),
        ("RuntimeConfig", json(&request.runtime_config)),
        ("AcceleratorConfig", json(&request.accelerator_config)),
    ]);
    shown.retain(|_, value| !value.is_null());
    let dead_letter = request.dead_letter_config.as_ref().and_then(|config| config.target_arn.clone());
    Ok(Configuration {
        role: request.role.clone(),
        description: request.description.clone().unwrap_or_default(),
        runtime: request.runtime.clone(),
        handler: request.handler.clone(),
        timeout_s: request.timeout.map_or(default.timeout_s, number),
        memory_mib: request.memory_size.map_or(default.memory_mib, number),
        ephemeral_storage_mib: request
            .ephemeral_storage
            .as_ref()
            .map_or(default.ephemeral_storage_mib, |storage| number(storage.size)),
        variables: request.environment.as_ref().map(variables).transpose()?,
        architecture: architecture(request.architectures.as_deref()).unwrap_or_default(),
        dead_letter_target: dead_letter.filter(|target| !target.is_empty()),
        tracing: request.tracing_config.as_ref().and_then(tracing).unwrap_or_default(),
        logging: match &request.logging_config {
            Some(config) => default.logging.updated(logging(config)).map_err(refused)?,
            None => default.logging,
        },
        snap_start: snap_start(request.snap_start.as_ref(), request.runtime.as_deref())?.unwrap_or_default(),
        image: request.image_config.as_ref().map(image).unwrap_or_default(),
        max_concurrency: request.capacity_provider_config.as_ref().and_then(max_concurrency),
        shown,
    })
}

/// Changes to a function whose runtime is `runtime`, unless they name another.
pub(in crate::operations) fn update(
    request: &UpdateFunctionConfigurationRequest,
    runtime: Option<&str>,
) -> Result<ConfigurationUpdate, ApiError> {
    refuse_absent(&[("DurableConfig", request.durable_config.is_some())])?;
    let shown = shown([
        ("VpcConfig", json(&request.vpc_config)),
        ("KMSKeyArn", json(&request.kms_key_arn)),
        ("FileSystemConfigs", json(&request.file_system_configs)),
        ("CapacityProviderConfig", json(&request.capacity_provider_config)),
        ("RuntimeConfig", json(&request.runtime_config)),
        ("AcceleratorConfig", json(&request.accelerator_config)),
    ]);
    let runtime = request.runtime.as_deref().or(runtime);
    let dead_letter = request.dead_letter_config.as_ref();
    Ok(ConfigurationUpdate {
        role: request.role.clone(),
        description: request.description.clone(),
        runtime: request.runtime.clone(),
        handler: request.handler.clone(),
        timeout_s: request.timeout.map(number),
        memory_mib: request.memory_size.map(number),
        ephemeral_storage_mib: request.ephemeral_storage.as_ref().map(|storage| number(storage.size)),
        variables: request.environment.as_ref().map(variables).transpose()?,
        dead_letter_target: dead_letter.map(|config| config.target_arn.clone().unwrap_or_default()),
        tracing: request.tracing_config.as_ref().and_then(tracing),
        logging: request.logging_config.as_ref().map(logging),
        snap_start: snap_start(request.snap_start.as_ref(), runtime)?,
        image: request.image_config.as_ref().map(image),
        max_concurrency: request.capacity_provider_config.as_ref().and_then(max_concurrency),
        shown,
    })
}

/// The one that a request may name.
pub(in crate::operations) fn architecture(given: Option<&[String]>) -> Option<Architecture> {
    match given?.first()?.as_str() {
        "arm64" => Some(Architecture::Arm64),
        _ => Some(Architecture::X86_64),
    }
}

/// Taken and not kept, these would make a function do something else than was asked for.
fn refuse_absent(members: &[(&str, bool)]) -> Result<(), ApiError> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => Err(ApiError::refused(
            &exception::INVALID_PARAMETER_VALUE,
            format!("Firesteel does not have {member}."),
        )),
        None => Ok(()),
    }
}

fn refused(refusal: Refusal) -> ApiError {
    firesteel_catalog::CatalogError::from(refusal).into()
}

/// Within the model, so never negative; what is too large for AWS is refused by the catalog.
fn number(given: i64) -> u32 {
    u32::try_from(given).unwrap_or(u32::MAX)
}

/// Members that are there; null where AWS shows nothing and an update takes away what was there.
fn shown(members: [(&str, Option<Value>); 6]) -> Map<String, Value> {
    let given = members.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?)));
    given.map(|(member, value)| (member, if is_nothing(&value) { Value::Null } else { value })).collect()
}

fn json<T: Serialize>(given: &Option<T>) -> Option<Value> {
    serde_json::to_value(given.as_ref()?).ok()
}

/// An empty `VpcConfig` is shown.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn variables(environment: &model::Environment) -> Result<Variables, ApiError> {
    let given = environment.variables.clone().unwrap_or_default();
    Variables::new(given).map_err(|invalid| refused(invalid.into()))
}

fn tracing(config: &model::TracingConfig) -> Option<Tracing> {
    match config.mode.as_deref()? {
        "Active" => Some(Tracing::Active),
        _ => Some(Tracing::PassThrough),
    }
}

fn logging(config: &model::LoggingConfig) -> LoggingUpdate {
    LoggingUpdate {
        format: config.log_format.as_deref().map(|format| match format {
            "JSON" => LogFormat::Json,
            _ => LogFormat::Text,
        }),
        application_level: config.application_log_level.as_deref().and_then(level),
        system_level: config.system_log_level.as_deref().and_then(level),
        group: config.log_group.clone(),
    }
}

fn level(given: &str) -> Option<LogLevel> {
    use LogLevel::{Debug, Error, Fatal, Info, Trace, Warn};
    [Trace, Debug, Info, Warn, Error, Fatal].into_iter().find(|level| level.name() == given)
}

fn image(config: &model::ImageConfig) -> ImageConfig {
    let model::ImageConfig { entry_point, command, working_directory } = config.clone();
    ImageConfig { entry_point, command, working_directory }
}

/// Of a function on managed instances, which has one invocation at a time if it does not say otherwise.
fn max_concurrency(config: &CapacityProviderConfig) -> Option<u16> {
    let instances = &config.lambda_managed_instances_capacity_provider_config;
    let given = instances.per_execution_environment_max_concurrency?;
    Some(u16::try_from(given).unwrap_or(u16::MAX))
}

fn snap_start(
    config: Option<&model::SnapStart>,
    runtime: Option<&str>,
) -> Result<Option<SnapStart>, ApiError> {
    match config.and_then(|config| config.apply_on.as_deref()) {
        None => Ok(None),
        Some("PublishedVersions") => match runtime.filter(|runtime| !is_restorable(runtime)) {
            Some(runtime) => Err(ApiError::refused(
                &exception::INVALID_PARAMETER_VALUE,
                format!("{runtime} is not supported for SnapStart enabled functions."),
            )),
            None => Ok(Some(SnapStart::PublishedVersions)),
        },
        Some(_) => Ok(Some(SnapStart::None)),
    }
}

/// Which managed runtimes AWS restores from snapshots: Java from 11, Python from 3.12, .NET from 8.
fn is_restorable(runtime: &str) -> bool {
    let at_least = |prefix: &str, least: u32| {
        let rest = runtime.strip_prefix(prefix).unwrap_or_default();
        let digits = rest.split('.').next().unwrap_or_default();
        digits.parse::<u32>().is_ok_and(|number| number >= least)
    };
    at_least("java", 11) || at_least("python3.", 12) || at_least("dotnet", 8)
}
