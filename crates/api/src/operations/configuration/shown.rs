//! A version of the catalog's as `FunctionConfiguration`. Members are there or absent as in recordings of the service.

use firesteel_catalog::{
    Architecture, Configuration, ImageConfig, LogFormat, LogLevel, Logging, PackageType, SnapStart, Tracing,
    Variables, Version, VersionNumber,
};
use firesteel_image::Sha256;
use serde::de::DeserializeOwned;

use crate::model;
use crate::model::{
    DeadLetterConfig, EnvironmentResponse, EphemeralStorage, FunctionConfiguration, ImageConfigResponse,
    Layer, LoggingConfig, RuntimeVersionConfig, SnapStartResponse, TracingConfigResponse, VpcConfig,
    VpcConfigResponse,
};

/// A version by itself, under the ARN that it was asked for by.
pub(in crate::operations) fn of_version(version: &Version, arn: String) -> FunctionConfiguration {
    let (reason, update) = (version.state.reason(), version.last_update.as_ref());
    let update_reason = update.and_then(|update| update.reason());
    let runtime = version.configuration.runtime.as_deref();
    FunctionConfiguration {
        state: Some(version.state.name().to_owned()),
        state_reason: reason.map(|reason| reason.text.clone()),
        state_reason_code: reason.map(|reason| reason.code.clone()),
        last_update_status: update.map(|update| update.name().to_owned()),
        last_update_status_reason: update_reason.map(|reason| reason.text.clone()),
        last_update_status_reason_code: update_reason.map(|reason| reason.code.clone()),
        runtime_version_config: runtime.map(|runtime| RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version_arn(&version.arn.region, runtime)),
            error: None,
        }),
        ..in_list(version, arn)
    }
}

/// A version among others: without all that changes by itself.
pub(in crate::operations) fn in_list(version: &Version, arn: String) -> FunctionConfiguration {
    let Configuration { runtime, handler, role, description, .. } = &version.configuration;
    let configuration = &version.configuration;
    FunctionConfiguration {
        function_name: Some(version.name().to_string()),
        function_arn: Some(arn),
        version: Some(version.number.to_string()),
        runtime: runtime.clone(),
        role: Some(role.clone()),
        handler: handler.clone(),
        code_size: Some(size(version.code.size_bytes())),
        code_sha256: version.code.sha256(),
        description: Some(description.clone()),
        timeout: Some(configuration.timeout_s.into()),
        memory_size: Some(configuration.memory_mib.into()),
        ephemeral_storage: Some(EphemeralStorage { size: configuration.ephemeral_storage_mib.into() }),
        last_modified: Some(version.last_modified_text()),
        revision_id: Some(version.revision_id.clone()),
        package_type: Some(package_type(version.code.package_type()).to_owned()),
        architectures: Some(vec![architecture(configuration.architecture).to_owned()]),
        environment: configuration.variables.as_ref().map(environment),
        dead_letter_config: configuration
            .dead_letter_target
            .clone()
            .map(|target| DeadLetterConfig { target_arn: Some(target) }),
        tracing_config: Some(TracingConfigResponse { mode: Some(tracing(configuration.tracing).to_owned()) }),
        logging_config: Some(logging(&configuration.logging, version.name().as_str())),
        snap_start: Some(snap_start(configuration.snap_start, version.number)),
        layers: layers(version),
        image_config_response: image(&configuration.image),
        vpc_config: kept(configuration, "VpcConfig").map(vpc),
        kms_key_arn: kept(configuration, "KMSKeyArn"),
        file_system_configs: kept(configuration, "FileSystemConfigs"),
        capacity_provider_config: kept(configuration, "CapacityProviderConfig"),
        runtime_config: kept(configuration, "RuntimeConfig"),
        accelerator_config: kept(configuration, "AcceleratorConfig"),
        ..FunctionConfiguration::default()
    }
}

/// There is one runtime of each name here, which never changes under a function: its version is named after it.
fn runtime_version_arn(region: &str, runtime: &str) -> String {
    format!("arn:aws:lambda:{region}::runtime:{}", Sha256::of(runtime.as_bytes()))
}

/// A member that is only shown, as it was sent.
fn kept<T: DeserializeOwned>(configuration: &Configuration, member: &str) -> Option<T> {
    T::deserialize(configuration.shown.get(member)?).ok()
}

/// AWS's sizes are of 64 bits with a sign, which no package exceeds.
fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn package_type(package_type: PackageType) -> &'static str {
    match package_type {
        PackageType::Zip => "Zip",
        PackageType::Image => "Image",
    }
}

fn architecture(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "arm64",
    }
}

fn tracing(tracing: Tracing) -> &'static str {
    match tracing {
        Tracing::PassThrough => "PassThrough",
        Tracing::Active => "Active",
    }
}

fn environment(variables: &Variables) -> EnvironmentResponse {
    let variables = variables.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    EnvironmentResponse { variables: Some(variables.collect()), error: None }
}

fn logging(logging: &Logging, function: &str) -> LoggingConfig {
    let format = match logging.format {
        LogFormat::Text => "Text",
        LogFormat::Json => "JSON",
    };
    let level = |level: Option<LogLevel>| level.map(|level| level.name().to_owned());
    let group = logging.group.clone().unwrap_or_else(|| format!("/aws/lambda/{function}"));
    LoggingConfig {
        log_format: Some(format.to_owned()),
        application_log_level: level(logging.application_level),
        system_log_level: level(logging.system_level),
        log_group: Some(group),
    }
}

/// Only published versions start from snapshots.
fn snap_start(snap_start: SnapStart, number: VersionNumber) -> SnapStartResponse {
    let (apply_on, status) = match (snap_start, number) {
        (SnapStart::None, _) => ("None", "Off"),
        (SnapStart::PublishedVersions, VersionNumber::Latest) => ("PublishedVersions", "Off"),
        (SnapStart::PublishedVersions, VersionNumber::Published(_)) => ("PublishedVersions", "On"),
    };
    SnapStartResponse { apply_on: Some(apply_on.to_owned()), optimization_status: Some(status.to_owned()) }
}

fn layers(version: &Version) -> Option<Vec<Layer>> {
    let layers = version.layers.iter().map(|layer| Layer {
        arn: Some(layer.arn.clone()),
        code_size: Some(size(layer.size_bytes)),
        ..Layer::default()
    });
    Some(layers.collect()).filter(|layers: &Vec<Layer>| !layers.is_empty())
}

fn image(image: &ImageConfig) -> Option<ImageConfigResponse> {
    if *image == ImageConfig::default() {
        return None;
    }
    let ImageConfig { entry_point, command, working_directory } = image.clone();
    let image_config = model::ImageConfig { entry_point, command, working_directory };
    Some(ImageConfigResponse { image_config: Some(image_config), error: None })
}

/// Which VPC the subnets belong to is not known here. None is the empty text, as on AWS.
fn vpc(asked: VpcConfig) -> VpcConfigResponse {
    let VpcConfig { subnet_ids, security_group_ids, ipv6_allowed_for_dual_stack } = asked;
    let subnet_ids = subnet_ids.unwrap_or_default();
    VpcConfigResponse {
        vpc_id: subnet_ids.is_empty().then(String::new),
        subnet_ids: Some(subnet_ids),
        security_group_ids: Some(security_group_ids.unwrap_or_default()),
        ipv6_allowed_for_dual_stack: Some(ipv6_allowed_for_dual_stack.unwrap_or(false)),
    }
}
