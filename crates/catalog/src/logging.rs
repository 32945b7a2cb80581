//! How a function's log lines are written: format, least levels, group.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// How the platform and the managed runtimes write log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines as they come, with `START`, `END` and `REPORT` between them.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Levels of log lines, by the names of `LoggingConfig`, least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// `LoggingConfig`. Text has no levels; JSON has both, `INFO` unless chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// How lines are written.
    pub format: LogFormat,
    /// Least level of the function's own lines that is kept.
    pub application_level: Option<LogLevel>,
    /// Least level of the platform's lines that is kept, DEBUG to WARN.
    pub system_level: Option<LogLevel>,
    /// Absent: `/aws/lambda/` and the function's name.
    pub group: Option<String>,
}

/// What is to change; absent members stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggingUpdate {
    /// Text drops the levels.
    pub format: Option<LogFormat>,
    /// See [`Logging`].
    pub application_level: Option<LogLevel>,
    /// See [`Logging`].
    pub system_level: Option<LogLevel>,
    /// See [`Logging`].
    pub group: Option<String>,
}

impl LogLevel {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "TRACE",
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
            LogLevel::Fatal => "FATAL",
        }
    }
}

impl Logging {
    /// This with the changes; a new function's is the default with its own.
    pub fn updated(&self, update: LoggingUpdate) -> Result<Self, Refusal> {
        let LoggingUpdate { format, application_level, system_level, group } = update;
        let group = group.or_else(|| self.group.clone());
        match format.unwrap_or(self.format) {
            LogFormat::Text if application_level.is_some() || system_level.is_some() => {
                Err(Refusal::LogLevelOfText)
            }
            LogFormat::Text => {
                Ok(Logging { format: LogFormat::Text, application_level: None, system_level: None, group })
            }
            LogFormat::Json => Ok(Logging {
                format: LogFormat::Json,
                application_level: application_level.or(self.application_level).or(Some(LogLevel::Info)),
                system_level: system_level.or(self.system_level).or(Some(LogLevel::Info)),
                group,
            }),
        }
    }
}
