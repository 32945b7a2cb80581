//! One function's settings: as they are asked for ([`Settings`]) and as they were accepted
//! ([`Function`]).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::logging::{LogFormat, LogLevel};
use crate::name::FunctionName;
use crate::variables::{InvalidVariables, Variables};

const MEMORY_MIB: RangeInclusive<u32> = 128..=10_240;
const EPHEMERAL_STORAGE_MIB: RangeInclusive<u32> = 512..=10_240;
const TIMEOUT_S: RangeInclusive<u32> = 1..=900;
const MAX_CONCURRENCY: RangeInclusive<u16> = 1..=1600;
const HANDLER_CHARS: usize = 128;
const SYSTEM_LOG_LEVELS: RangeInclusive<LogLevel> = LogLevel::Debug..=LogLevel::Warn;

/// What somebody asks a function to be. Not yet checked: [`Function::new`] does that.
///
/// [`Settings::new`] fills in AWS's defaults; change the fields that differ.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How callers name it.
    pub name: FunctionName,
    /// Runtime identifier as text, for instance `python3.13`. What it means on this host is not this
    /// crate's business. None for images.
    pub runtime: Option<String>,
    /// Passed to the runtime in `_HANDLER`. None for images.
    pub handler: Option<String>,
    /// 128 to 10 240.
    pub memory_mib: u32,
    /// Size of `/tmp`, 512 to 10 240.
    pub ephemeral_storage_mib: u32,
    /// 1 to 900.
    pub timeout_s: u32,
    /// The customer's environment variables.
    pub variables: BTreeMap<String, String>,
    /// Folder of unpacked code, which the function finds in `LAMBDA_TASK_ROOT`. None for images.
    pub code_folder: Option<PathBuf>,
    /// Folder of all layers laid over each other, which the function knows as `/opt`.
    pub opt_folder: Option<PathBuf>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Least level of the function's own lines that is kept. Needs JSON.
    pub application_log_level: Option<LogLevel>,
    /// Least level of the platform's lines that is kept, DEBUG to WARN. Needs JSON.
    pub system_log_level: Option<LogLevel>,
    /// 1 to 1 600: an environment takes that many invocations at a time (Lambda Managed Instances).
    pub max_concurrency: Option<u16>,
    /// Environments are restored from a snapshot (SnapStart).
    pub snap_start: bool,
}

impl Settings {
    /// Settings with AWS's defaults: 128 MiB, 512 MiB of `/tmp`, 3 s, no variables, no layers, text logs.
    pub fn new(
        name: FunctionName,
        runtime: impl Into<String>,
        handler: impl Into<String>,
        code_folder: impl Into<PathBuf>,
    ) -> Self {
        Settings {
            runtime: Some(runtime.into()),
            handler: Some(handler.into()),
            code_folder: Some(code_folder.into()),
            ..Settings::of_image(name)
        }
    }

    /// Likewise of a container image.
    pub fn of_image(name: FunctionName) -> Self {
        Settings {
            name,
            runtime: None,
            handler: None,
            memory_mib: 128,
            ephemeral_storage_mib: 512,
            timeout_s: 3,
            variables: BTreeMap::new(),
            code_folder: None,
            opt_folder: None,
            log_format: LogFormat::Text,
            application_log_level: None,
            system_log_level: None,
            max_concurrency: None,
            snap_start: false,
        }
    }
}

/// Why a function cannot have these settings. The mistake of whoever wrote them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Outside what AWS sells.
    #[error("memory of {memory_mib} MiB is not between 128 and 10240 MiB")]
    Memory {
        /// As asked for.
        memory_mib: u32,
    },
    /// Outside what AWS sells.
    #[error("ephemeral storage of {ephemeral_storage_mib} MiB is not between 512 and 10240 MiB")]
    EphemeralStorage {
        /// As asked for.
        ephemeral_storage_mib: u32,
    },
    /// Outside what AWS allows.
    #[error("timeout of {timeout_s} s is not between 1 and 900 s")]
    Timeout {
        /// As asked for.
        timeout_s: u32,
    },
    /// Outside what AWS allows.
    #[error("concurrency of {max_concurrency} in one environment is not between 1 and 1600")]
    MaxConcurrency {
        /// As asked for.
        max_concurrency: u16,
    },
    /// A snapshot is restored for one invocation at a time.
    #[error("SnapStart and several invocations at a time in one environment exclude each other")]
    SnapStartWithConcurrency,
    /// Empty, longer than 128 characters, or with white space.
    #[error("handler `{handler}` is not 1 to 128 characters without white space")]
    Handler {
        /// As asked for.
        handler: String,
    },
    /// Text lines have no level.
    #[error("log levels cannot be chosen for logs in text format")]
    LogLevelOfText,
    /// The platform has nothing to say at the others.
    #[error("system log level `{}` is not one of DEBUG, INFO, WARN", level.name())]
    SystemLogLevel {
        /// As asked for.
        level: LogLevel,
    },
    /// See [`InvalidVariables`].
    #[error(transparent)]
    Variables(#[from] InvalidVariables),
}

/// A function that can be run: every setting is within AWS's limits.
///
/// It never changes; an update is another value put in its place, so that an environment started from
/// the old one keeps a consistent view.
#[derive(Clone, Debug)]
pub struct Function {
    name: FunctionName,
    runtime: Option<String>,
    handler: Option<String>,
    memory_mib: u32,
    ephemeral_storage_mib: u32,
    timeout_s: u32,
    variables: Variables,
    code_folder: Option<PathBuf>,
    opt_folder: Option<PathBuf>,
    log_format: LogFormat,
    application_log_level: Option<LogLevel>,
    system_log_level: Option<LogLevel>,
    max_concurrency: Option<u16>,
    snap_start: bool,
}

impl Function {
    /// Checks the settings; the first that AWS would refuse is the error.
    pub fn new(settings: Settings) -> Result<Self, InvalidSetting> {
        let Settings {
            name,
            runtime,
            handler,
            memory_mib,
            ephemeral_storage_mib,
            timeout_s,
            variables,
            code_folder,
            opt_folder,
            log_format,
            application_log_level,
            system_log_level,
            max_concurrency,
            snap_start,
        } = settings;
        if !MEMORY_MIB.contains(&memory_mib) {
            return Err(InvalidSetting::Memory { memory_mib });
        }
        if !EPHEMERAL_STORAGE_MIB.contains(&ephemeral_storage_mib) {
            return Err(InvalidSetting::EphemeralStorage { ephemeral_storage_mib });
        }
        if !TIMEOUT_S.contains(&timeout_s) {
            return Err(InvalidSetting::Timeout { timeout_s });
        }
        if let Some(max_concurrency) = max_concurrency.filter(|asked| !MAX_CONCURRENCY.contains(asked)) {
            return Err(InvalidSetting::MaxConcurrency { max_concurrency });
        }
        if snap_start && max_concurrency.is_some() {
            return Err(InvalidSetting::SnapStartWithConcurrency);
        }
        // NUL is no white space, but no process can be started with it in `_HANDLER`.
        let unusable = |character: char| character.is_whitespace() || character == '\0';
        let is_invalid = |handler: &String| {
            handler.is_empty() || handler.chars().count() > HANDLER_CHARS || handler.contains(unusable)
        };
        if let Some(handler) = handler.clone().filter(is_invalid) {
            return Err(InvalidSetting::Handler { handler });
        }
        if log_format == LogFormat::Text && (application_log_level.is_some() || system_log_level.is_some()) {
            return Err(InvalidSetting::LogLevelOfText);
        }
        if let Some(level) = system_log_level.filter(|level| !SYSTEM_LOG_LEVELS.contains(level)) {
            return Err(InvalidSetting::SystemLogLevel { level });
        }
        let variables = Variables::new(variables)?;
        Ok(Function {
            name,
            runtime,
            handler,
            memory_mib,
            ephemeral_storage_mib,
            timeout_s,
            variables,
            code_folder,
            opt_folder,
            log_format,
            application_log_level,
            system_log_level,
            max_concurrency,
            snap_start,
        })
    }

    /// How callers name it.
    pub fn name(&self) -> &FunctionName {
        &self.name
    }

    /// Runtime identifier as text. None of an image.
    pub fn runtime(&self) -> Option<&str> {
        self.runtime.as_deref()
    }

    /// What the runtime is told to call. None of an image.
    pub fn handler(&self) -> Option<&str> {
        self.handler.as_deref()
    }

    /// 128 to 10 240.
    pub fn memory_mib(&self) -> u32 {
        self.memory_mib
    }

    /// Size of `/tmp`, 512 to 10 240.
    pub fn ephemeral_storage_mib(&self) -> u32 {
        self.ephemeral_storage_mib
    }

    /// 1 to 900.
    pub fn timeout_s(&self) -> u32 {
        self.timeout_s
    }

    /// The customer's environment variables.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Folder of unpacked code. None of an image.
    pub fn code_folder(&self) -> Option<&Path> {
        self.code_folder.as_deref()
    }

    /// Folder of all layers, if there are any.
    pub fn opt_folder(&self) -> Option<&Path> {
        self.opt_folder.as_deref()
    }

    /// How logs are written.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// Least level of the function's own lines that is kept, if one was chosen.
    pub fn application_log_level(&self) -> Option<LogLevel> {
        self.application_log_level
    }

    /// Least level of the platform's lines that is kept, if one was chosen.
    pub fn system_log_level(&self) -> Option<LogLevel> {
        self.system_log_level
    }

    /// How many invocations an environment takes at a time, where that may be several.
    pub fn max_concurrency(&self) -> Option<u16> {
        self.max_concurrency
    }

    /// Whether environments are restored from a snapshot.
    pub fn snap_start(&self) -> bool {
        self.snap_start
    }

    /// The version this is: the unpublished code is the only one there is.
    pub fn version(&self) -> &'static str {
        "$LATEST"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("f".parse().unwrap(), "python3.13", "app.handler", "/code")
    }

    fn refusal(change: impl FnOnce(&mut Settings)) -> Option<InvalidSetting> {
        let mut settings = settings();
        change(&mut settings);
        Function::new(settings).err()
    }

    #[test]
    fn defaults_are_those_of_aws() {
        let function = Function::new(settings()).unwrap();
        assert_eq!((function.memory_mib(), function.timeout_s()), (128, 3));
        assert_eq!(function.ephemeral_storage_mib(), 512);
        assert_eq!(function.log_format(), LogFormat::Text);
        assert_eq!(function.version(), "$LATEST");
        assert_eq!(function.opt_folder(), None);
    }

    #[test]
    fn limits_are_inclusive() {
        for memory_mib in [128, 10_240] {
            assert_eq!(refusal(|settings| settings.memory_mib = memory_mib), None);
        }
        for memory_mib in [0, 127, 10_241] {
            let expected = InvalidSetting::Memory { memory_mib };
            assert_eq!(refusal(|settings| settings.memory_mib = memory_mib), Some(expected));
        }
        for ephemeral_storage_mib in [512, 10_240] {
            let asked = |settings: &mut Settings| settings.ephemeral_storage_mib = ephemeral_storage_mib;
            assert_eq!(refusal(asked), None);
        }
        for ephemeral_storage_mib in [0, 511, 10_241] {
            let asked = |settings: &mut Settings| settings.ephemeral_storage_mib = ephemeral_storage_mib;
            assert_eq!(refusal(asked), Some(InvalidSetting::EphemeralStorage { ephemeral_storage_mib }));
        }
        for timeout_s in [1, 900] {
            assert_eq!(refusal(|settings| settings.timeout_s = timeout_s), None);
        }
        for timeout_s in [0, 901] {
            let expected = InvalidSetting::Timeout { timeout_s };
            assert_eq!(refusal(|settings| settings.timeout_s = timeout_s), Some(expected));
        }
    }

    #[test]
    fn handlers_have_no_white_space_and_128_characters_at_most() {
        assert_eq!(refusal(|settings| settings.handler = Some("h".repeat(128))), None);
        for bad in ["", "a b", "a\n", "a\0", &"h".repeat(129)] {
            let expected = InvalidSetting::Handler { handler: bad.to_owned() };
            assert_eq!(refusal(|settings| settings.handler = Some(bad.to_owned())), Some(expected));
        }
    }

    #[test]
    fn levels_need_json_and_the_platform_has_three() {
        const ALL: [LogLevel; 6] = [
            LogLevel::Trace,
            LogLevel::Debug,
            LogLevel::Info,
            LogLevel::Warn,
            LogLevel::Error,
            LogLevel::Fatal,
        ];
        for level in ALL {
            let application = |settings: &mut Settings| settings.application_log_level = Some(level);
            let system = |settings: &mut Settings| settings.system_log_level = Some(level);
            assert_eq!(refusal(application), Some(InvalidSetting::LogLevelOfText));
            assert_eq!(refusal(system), Some(InvalidSetting::LogLevelOfText));
            let json = |change: fn(&mut Settings, LogLevel)| {
                refusal(|settings| {
                    settings.log_format = LogFormat::Json;
                    change(settings, level);
                })
            };
            assert_eq!(json(|settings, level| settings.application_log_level = Some(level)), None);
            let expected = match level.name() {
                "DEBUG" | "INFO" | "WARN" => None,
                _ => Some(InvalidSetting::SystemLogLevel { level }),
            };
            assert_eq!(json(|settings, level| settings.system_log_level = Some(level)), expected);
        }
    }

    #[test]
    fn concurrency_in_one_environment_has_awss_limits_and_excludes_snapshots() {
        for max_concurrency in [1, 1600] {
            assert_eq!(refusal(|settings| settings.max_concurrency = Some(max_concurrency)), None);
        }
        for max_concurrency in [0, 1601] {
            let expected = InvalidSetting::MaxConcurrency { max_concurrency };
            assert_eq!(refusal(|settings| settings.max_concurrency = Some(max_concurrency)), Some(expected));
        }
        let both = |settings: &mut Settings| {
            (settings.max_concurrency, settings.snap_start) = (Some(2), true);
        };
        assert_eq!(refusal(both), Some(InvalidSetting::SnapStartWithConcurrency));
    }

    #[test]
    fn variables_are_checked_too() {
        let expected = InvalidVariables::Reserved { keys: vec!["AWS_REGION".into()] };
        let reserved = |settings: &mut Settings| {
            settings.variables.insert("AWS_REGION".into(), "x".into());
        };
        assert_eq!(refusal(reserved), Some(InvalidSetting::Variables(expected)));
    }
}
