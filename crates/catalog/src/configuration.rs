//! What a function is asked to be, apart from its code: `FunctionConfiguration`.
//!
//! The shapes of single members are the front door's to check, by AWS's model; here is what must hold
//! whoever asks: limits that running depends on, and what goes together. Serialized, it is the form in the
//! store's file: members are only ever added, each with a default.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::code::PackageType;
use crate::logging::{Logging, LoggingUpdate};
use crate::refusal::Refusal;
use crate::variables::Variables;

const MEMORY_MIB: RangeInclusive<u32> = 128..=10_240;
const EPHEMERAL_STORAGE_MIB: RangeInclusive<u32> = 512..=10_240;
const TIMEOUT_S: RangeInclusive<u32> = 1..=900;
const MAX_CONCURRENCY: RangeInclusive<u16> = 1..=1600;
const HANDLER_CHARS: usize = 128;
const DESCRIPTION_CHARS: usize = 256;

/// Settings of one version. [`Configuration::default`] has AWS's defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// ARN of the role that the function would have on AWS.
    pub role: String,
    /// At most 256 characters.
    pub description: String,
    /// Identifier; what it means on this host is not this crate's business. None for images.
    pub runtime: Option<String>,
    /// What the runtime is told to call. None for images.
    pub handler: Option<String>,
    /// 1 to 900.
    pub timeout_s: u32,
    /// 128 to 10 240.
    pub memory_mib: u32,
    /// Size of `/tmp`, 512 to 10 240.
    pub ephemeral_storage_mib: u32,
    /// The customer's environment variables, which AWS does not show at all if none were ever given. Sealed
    /// apart from the rest.
    #[serde(skip)]
    pub variables: Option<Variables>,
    /// What the code was built for.
    pub architecture: Architecture,
    /// ARN of the queue or topic that gets events which failed.
    pub dead_letter_target: Option<String>,
    /// Whether traces are begun.
    pub tracing: Tracing,
    /// How logs are written.
    pub logging: Logging,
    /// Whether published versions start from a snapshot.
    pub snap_start: SnapStart,
    /// What replaces the image's own settings.
    pub image: ImageConfig,
    /// 1 to 1 600: an environment takes that many invocations at a time (Lambda Managed Instances).
    pub max_concurrency: Option<u16>,
    /// Members of AWS's model that are accepted and shown and have no effect here, as AWS spells them:
    /// `VpcConfig`, `KMSKeyArn`, `FileSystemConfigs`, …
    pub shown: Map<String, Value>,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "as in Configuration, but where said")]
pub struct ConfigurationUpdate {
    pub role: Option<String>,
    pub description: Option<String>,
    pub runtime: Option<String>,
    pub handler: Option<String>,
    pub timeout_s: Option<u32>,
    pub memory_mib: Option<u32>,
    pub ephemeral_storage_mib: Option<u32>,
    pub variables: Option<Variables>,
    /// Empty takes it away.
    pub dead_letter_target: Option<String>,
    pub tracing: Option<Tracing>,
    pub logging: Option<LoggingUpdate>,
    pub snap_start: Option<SnapStart>,
    /// Replaces it whole; the default takes it away.
    pub image: Option<ImageConfig>,
    pub max_concurrency: Option<u16>,
    /// Each member replaces one of the same name; `null` takes it away.
    pub shown: Map<String, Value>,
}

/// Instruction set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// `x86_64`
    #[default]
    X86_64,
    /// `arm64`
    Arm64,
}

/// `TracingConfig.Mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracing {
    /// Traces of callers go on.
    #[default]
    PassThrough,
    /// Traces are begun, too.
    Active,
}

/// `SnapStart.ApplyOn`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapStart {
    /// Every environment runs its own init.
    #[default]
    None,
    /// Environments of published versions are restored from a snapshot.
    PublishedVersions,
}

/// `ImageConfig`: each member replaces that of the image, none leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Program and its first arguments.
    pub entry_point: Option<Vec<String>>,
    /// Further arguments.
    pub command: Option<Vec<String>>,
    /// Where it starts.
    pub working_directory: Option<String>,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration {
            role: String::new(),
            description: String::new(),
            runtime: None,
            handler: None,
            timeout_s: 3,
            memory_mib: 128,
            ephemeral_storage_mib: 512,
            variables: None,
            architecture: Architecture::default(),
            dead_letter_target: None,
            tracing: Tracing::default(),
            logging: Logging::default(),
            snap_start: SnapStart::default(),
            image: ImageConfig::default(),
            max_concurrency: None,
            shown: Map::new(),
        }
    }
}

impl Configuration {
    /// This with the changes, not yet checked.
    pub(crate) fn updated(&self, update: ConfigurationUpdate) -> Result<Self, Refusal> {
        let logging = match update.logging {
            Some(logging) => self.logging.updated(logging)?,
            None => self.logging.clone(),
        };
        let dead_letter_target = match update.dead_letter_target {
            Some(target) => Some(target).filter(|target| !target.is_empty()),
            None => self.dead_letter_target.clone(),
        };
        let mut shown = self.shown.clone();
        shown.extend(update.shown);
        shown.retain(|_, value| !value.is_null());
        Ok(Configuration {
            role: update.role.unwrap_or_else(|| self.role.clone()),
            description: update.description.unwrap_or_else(|| self.description.clone()),
            runtime: update.runtime.or_else(|| self.runtime.clone()),
            handler: update.handler.or_else(|| self.handler.clone()),
            timeout_s: update.timeout_s.unwrap_or(self.timeout_s),
            memory_mib: update.memory_mib.unwrap_or(self.memory_mib),
            ephemeral_storage_mib: update.ephemeral_storage_mib.unwrap_or(self.ephemeral_storage_mib),
            variables: update.variables.or_else(|| self.variables.clone()),
            architecture: self.architecture,
            dead_letter_target,
            tracing: update.tracing.unwrap_or(self.tracing),
            logging,
            snap_start: update.snap_start.unwrap_or(self.snap_start),
            image: update.image.unwrap_or_else(|| self.image.clone()),
            max_concurrency: update.max_concurrency.or(self.max_concurrency),
            shown,
        })
    }

    /// Whether a function of this kind of package may be so.
    pub(crate) fn check(&self, package_type: PackageType) -> Result<(), Refusal> {
        within("memorySize", self.memory_mib, MEMORY_MIB)?;
        within("ephemeralStorage.size", self.ephemeral_storage_mib, EPHEMERAL_STORAGE_MIB)?;
        within("timeout", self.timeout_s, TIMEOUT_S)?;
        if let Some(max_concurrency) = self.max_concurrency {
            within("perExecutionEnvironmentMaxConcurrency", max_concurrency, MAX_CONCURRENCY)?;
            if self.snap_start == SnapStart::PublishedVersions {
                return Err(Refusal::SnapStartWithConcurrency);
            }
        }
        if self.description.chars().count() > DESCRIPTION_CHARS {
            return Err(too_long("description", &self.description, DESCRIPTION_CHARS));
        }
        match (package_type, &self.runtime, &self.handler) {
            (PackageType::Zip, Some(_), Some(handler)) => check_handler(handler)?,
            (PackageType::Zip, ..) => return Err(Refusal::RuntimeOrHandlerMissing),
            (PackageType::Image, None, None) => return Ok(()),
            (PackageType::Image, ..) => return Err(Refusal::RuntimeOrHandlerOfImage),
        }
        if self.image != ImageConfig::default() {
            return Err(Refusal::ImageConfigOfZip);
        }
        Ok(())
    }
}

/// NUL is no white space, but no process can be started with it in `_HANDLER`.
fn check_handler(handler: &str) -> Result<(), Refusal> {
    if handler.chars().count() > HANDLER_CHARS {
        return Err(too_long("handler", handler, HANDLER_CHARS));
    }
    if handler.is_empty()
        || handler.contains(|character: char| character.is_whitespace() || character == '\0')
    {
        let constraint = r"Member must satisfy regular expression pattern: [^\s]+".to_owned();
        return Err(Refusal::Constraint { member: "handler", value: handler.to_owned(), constraint });
    }
    Ok(())
}

fn within<T: Copy + PartialOrd + Display>(
    member: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Refusal> {
    let constraint = if value < *range.start() {
        format!("Member must have value greater than or equal to {}", range.start())
    } else if value > *range.end() {
        format!("Member must have value less than or equal to {}", range.end())
    } else {
        return Ok(());
    };
    Err(Refusal::Constraint { member, value: value.to_string(), constraint })
}

fn too_long(member: &'static str, value: &str, most: usize) -> Refusal {
    let constraint = format!("Member must have length less than or equal to {most}");
    Refusal::Constraint { member, value: value.to_owned(), constraint }
}
