//! What every line and event may say of its environment.

use std::sync::Arc;

use uuid::Uuid;

use crate::spec::{InitializationType, LogFormat, LogLevel, Spec};

/// The variable by which runtimes that AWS manages are known.
const OF_MANAGED_RUNTIMES: &str = "AWS_EXECUTION_ENV";

/// One environment, as its log speaks of it.
#[derive(Debug)]
pub(super) struct About {
    pub(super) spec: Arc<Spec>,
    /// Name of the log stream.
    pub(super) stream: String,
    pub(super) initialization: InitializationType,
}

impl About {
    pub(super) fn is_json(&self) -> bool {
        self.spec.log_format == Some(LogFormat::Json)
    }

    /// Whether a platform line of this level is written, in JSON.
    pub(super) fn wants(&self, level: LogLevel) -> bool {
        level >= self.spec.system_log_level.unwrap_or(LogLevel::Info)
    }

    /// The least level of the function's own lines, where it is ours to look at: in JSON, and of runtimes that do
    /// not do it themselves. Managed runtimes leave out what is too low where it is logged, write levels that
    /// nobody else knows (Python's WARNING) and let functions set another level.
    pub(super) fn application_level(&self) -> Option<LogLevel> {
        let managed = self.spec.runtime_variables.iter().any(|(name, _)| name == OF_MANAGED_RUNTIMES);
        (self.is_json() && !managed).then(|| self.spec.application_log_level.unwrap_or(LogLevel::Info))
    }

    /// Version and ARN of the runtime; images have none.
    ///
    /// On AWS the ARN ends in a digest of the runtime; ours is made of its version, so that the same interpreter
    /// has the same ARN everywhere.
    pub(super) fn runtime(&self) -> Option<(&str, String)> {
        let version = self.spec.runtime_version.as_str();
        let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, version.as_bytes()).simple();
        (!version.is_empty())
            .then(|| (version, format!("arn:aws:lambda:{}::runtime:{name}{name}", self.spec.region)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::spec::tests::spec;

    pub(in crate::logs) const STREAM: &str = "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef";

    pub(in crate::logs) fn about(initialization: InitializationType) -> About {
        About { spec: Arc::new(spec()), stream: STREAM.into(), initialization }
    }

    fn with(change: impl FnOnce(&mut Spec)) -> About {
        let mut spec = spec();
        change(&mut spec);
        About { spec: Arc::new(spec), stream: STREAM.into(), initialization: InitializationType::OnDemand }
    }

    #[test]
    fn application_levels_are_ours_only_in_json_and_for_custom_runtimes() {
        assert_eq!(with(|_| {}).application_level(), None);
        assert_eq!(with(|spec| spec.log_format = Some(LogFormat::Text)).application_level(), None);
        let json = with(|spec| spec.log_format = Some(LogFormat::Json));
        assert_eq!(json.application_level(), Some(LogLevel::Info));
        let error = with(|spec| {
            spec.log_format = Some(LogFormat::Json);
            spec.application_log_level = Some(LogLevel::Error);
        });
        assert_eq!(error.application_level(), Some(LogLevel::Error));
        let python = with(|spec| {
            spec.log_format = Some(LogFormat::Json);
            spec.runtime_variables = vec![("AWS_EXECUTION_ENV".into(), "AWS_Lambda_python3.13".into())];
        });
        assert_eq!(python.application_level(), None);
    }
}
