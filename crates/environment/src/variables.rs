//! Environment variables of the runtime's process and of extensions: exactly those that AWS sets, nothing of the
//! host's.
//!
//! Order of precedence, weakest first: defaults that a function may change (`LANG`, `PATH`, …), the function's
//! own variables, then the reserved ones. A function's variable whose name starts with `_` never arrives. Extensions
//! get what the runtime gets but for what is the runtime's own business.
//!
//! Of an image its own variables are the weakest, and no defaults are set beside them. `_HANDLER` is not set either, as there
//! is no handler: the entry scripts of AWS's images set it from their argument.
//! Source: recordings of the service's introspection functions ("Variables present in a zip function").

use std::collections::BTreeMap;

use firesteel_runtime_api::Surface;

use crate::spec::{InitializationType, LogFormat, LogLevel, Spec};

/// What only a particular environment knows.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    /// `host:port` of the environment's Runtime API.
    pub(crate) runtime_api: &'a str,
    /// Token of the metadata endpoint, which listens on the same port.
    pub(crate) metadata_token: &'a str,
    /// Name of the environment's log stream.
    pub(crate) log_stream: &'a str,
}

/// Address at which X-Ray's clients look for their daemon. Nobody listens; the clients log and go on.
const XRAY_DAEMON: (&str, &str) = ("127.0.0.1", "2000");

/// SDKs ask again before they expire.
const CREDENTIALS_LAST: jiff::SignedDuration = jiff::SignedDuration::from_hours(6);

/// What the port serves beyond what every environment's does.
pub(crate) fn surface(spec: &Spec, authorization_token: &str) -> Surface {
    match spec.initialization {
        InitializationType::SnapStart => Surface {
            snap_start: true,
            credentials: Some(firesteel_runtime_api::Credentials {
                authorization_token: authorization_token.to_owned(),
                access_key_id: spec.credentials.access_key_id.clone(),
                secret_access_key: spec.credentials.secret_access_key.clone(),
                session_token: spec.credentials.session_token.clone(),
                expiration: (jiff::Timestamp::now() + CREDENTIALS_LAST).to_string(),
            }),
        },
        InitializationType::OnDemand
        | InitializationType::ProvisionedConcurrency
        | InitializationType::ManagedInstances => Surface::default(),
    }
}

/// What extensions do not get (AWS: "runtimes-extensions-api"), beside everything that begins with `_`.
const RUNTIME_ONLY: [&str; 8] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

/// The complete environment of an external extension's process.
pub(crate) fn of_extension(spec: &Spec, local: &Local<'_>) -> BTreeMap<String, String> {
    let mut all = of_runtime(spec, local);
    all.retain(|name, _| !name.starts_with('_') && !RUNTIME_ONLY.contains(&name.as_str()));
    all
}

/// The complete environment of the runtime's first process.
pub(crate) fn of_runtime(spec: &Spec, local: &Local<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        all.insert(name.to_owned(), value.to_owned());
    };

    if spec.image.is_none() {
        set("LANG", "en_US.UTF-8");
        set("TZ", ":UTC");
    }
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    set("AWS_XRAY_DAEMON_ADDRESS", &format!("{}:{}", XRAY_DAEMON.0, XRAY_DAEMON.1));
    if let Some(format) = spec.log_format {
        set("AWS_LAMBDA_LOG_FORMAT", format.name());
    }
    if let Some(level) = spec.application_log_level {
        set("AWS_LAMBDA_LOG_LEVEL", level.name());
    }
    // Of what the launch sets, a function may change all but the platform's own names, set again below.
    for (name, value) in &spec.runtime_variables {
        set(name, value);
    }
    for (name, value) in &spec.customer_variables {
        if !name.starts_with('_') {
            set(name, value);
        }
    }

    for (name, value) in &spec.runtime_variables {
        if name.starts_with('_') || name == "AWS_EXECUTION_ENV" {
            set(name, value);
        }
    }
    if spec.image.is_none() {
        set("_HANDLER", &spec.handler);
    }
    set("_AWS_XRAY_DAEMON_ADDRESS", XRAY_DAEMON.0);
    set("_AWS_XRAY_DAEMON_PORT", XRAY_DAEMON.1);
    set("AWS_REGION", &spec.region);
    set("AWS_DEFAULT_REGION", &spec.region);
    if spec.initialization == InitializationType::SnapStart {
        // A snapshot must hold no credentials and no name of a log stream.
        let uri = format!("http://{}/2021-04-23/credentials", local.runtime_api);
        set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri);
        set("AWS_CONTAINER_AUTHORIZATION_TOKEN", local.metadata_token);
    } else {
        set("AWS_ACCESS_KEY_ID", &spec.credentials.access_key_id);
        set("AWS_SECRET_ACCESS_KEY", &spec.credentials.secret_access_key);
        set("AWS_SESSION_TOKEN", &spec.credentials.session_token);
        set("AWS_LAMBDA_LOG_GROUP_NAME", &spec.log_group());
        set("AWS_LAMBDA_LOG_STREAM_NAME", local.log_stream);
    }
    set("AWS_LAMBDA_FUNCTION_NAME", &spec.function_name);
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &spec.memory_mib.to_string());
    set("AWS_LAMBDA_FUNCTION_VERSION", &spec.version);
    set("AWS_LAMBDA_INITIALIZATION_TYPE", spec.initialization.name());
    if let Some(max_concurrency) = spec.max_concurrency {
        set("AWS_LAMBDA_MAX_CONCURRENCY", &max_concurrency.to_string());
    }
    set("AWS_LAMBDA_RUNTIME_API", local.runtime_api);
    set("AWS_LAMBDA_METADATA_API", local.runtime_api);
    set("AWS_LAMBDA_METADATA_TOKEN", local.metadata_token);
    set("LAMBDA_TASK_ROOT", &spec.task_root.to_string_lossy());
    set("LAMBDA_RUNTIME_DIR", &spec.runtime_dir.to_string_lossy());
    all
}

/// The same, for a runtime that somebody else than an environment starts, with its Runtime API at `runtime_api`.
#[must_use]
pub fn variables_of_runtime(spec: &Spec, runtime_api: &str, log_stream: &str) -> BTreeMap<String, String> {
    of_runtime(spec, &Local { runtime_api, metadata_token: &uuid::Uuid::new_v4().to_string(), log_stream })
}

impl LogFormat {
    /// The value of `AWS_LAMBDA_LOG_FORMAT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "Text",
            LogFormat::Json => "JSON",
        }
    }
}

impl LogLevel {
    /// The value of `AWS_LAMBDA_LOG_LEVEL`.
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::spec;

    fn variables(spec: &Spec) -> BTreeMap<String, String> {
        let local = Local {
            runtime_api: "127.0.0.1:9001",
            metadata_token: "token",
            log_stream: "2026/11/21/[$LATEST]00",
        };
        of_runtime(spec, &local)
    }

    #[test]
    fn the_names_are_those_of_an_os_only_function_on_aws_and_no_others() {
        let mut names: Vec<String> = variables(&spec()).into_keys().collect();
        names.sort_unstable();
        let expected = [
            "AWS_ACCESS_KEY_ID",
            "AWS_DEFAULT_REGION",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_LAMBDA_METADATA_API",
            "AWS_LAMBDA_METADATA_TOKEN",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_XRAY_CONTEXT_MISSING",
            "AWS_XRAY_DAEMON_ADDRESS",
            "LAMBDA_RUNTIME_DIR",
            "LAMBDA_TASK_ROOT",
            "LANG",
            "TZ",
            "_AWS_XRAY_DAEMON_ADDRESS",
            "_AWS_XRAY_DAEMON_PORT",
            "_HANDLER",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_image_has_its_own_variables_below_the_function_s_and_the_platform_s() {
        let image = crate::Image {
            tree: "/images/1".into(),
            entrypoint: vec![],
            command: vec![],
            working_dir: "/app".into(),
        };
        let of_image = [
            ("PATH", "/app/bin"),
            ("MINE", "of the image"),
            ("AWS_REGION", "mars"),
            ("LAMBDA_TASK_ROOT", "/app"),
            ("_HANDLER", "app.handler"),
        ];
        let all = variables(&Spec {
            image: Some(image),
            handler: String::new(),
            runtime_variables: of_image.map(|(name, value)| (name.into(), value.into())).into(),
            customer_variables: [("MINE".to_owned(), "of the function".to_owned())].into(),
            ..spec()
        });
        assert_eq!((all["PATH"].as_str(), all["MINE"].as_str()), ("/app/bin", "of the function"));
        assert_eq!(
            (all["AWS_REGION"].as_str(), all["LAMBDA_TASK_ROOT"].as_str()),
            ("us-east-1", "/var/task")
        );
        assert_eq!(all["_HANDLER"], "app.handler");
        assert!(!all.contains_key("LANG") && !all.contains_key("TZ"));
    }

    #[test]
    fn the_log_is_described_where_it_was_configured() {
        let mut spec = spec();
        spec.log_format = Some(LogFormat::Json);
        assert!(!variables(&spec).contains_key("AWS_LAMBDA_LOG_LEVEL"));
        spec.application_log_level = Some(LogLevel::Warn);
        let all = variables(&spec);
        assert_eq!(
            (all["AWS_LAMBDA_LOG_FORMAT"].as_str(), all["AWS_LAMBDA_LOG_LEVEL"].as_str()),
            ("JSON", "WARN")
        );
    }

    #[test]
    fn only_where_several_invocations_run_at_a_time_their_number_is_told() {
        let managed = Spec {
            max_concurrency: Some(64),
            initialization: InitializationType::ManagedInstances,
            ..spec()
        };
        let all = variables(&managed);
        assert_eq!(all["AWS_LAMBDA_MAX_CONCURRENCY"], "64");
        assert_eq!(all["AWS_LAMBDA_INITIALIZATION_TYPE"], "lambda-managed-instances");
        let local = Local { runtime_api: "127.0.0.1:9001", metadata_token: "token", log_stream: "" };
        assert!(!of_extension(&managed, &local).contains_key("AWS_LAMBDA_MAX_CONCURRENCY"));
    }

    #[test]
    fn a_function_may_change_defaults_but_not_what_is_reserved() {
        let mut spec = spec();
        spec.runtime_variables = vec![
            ("PATH".into(), "/opt/bin".into()),
            ("AWS_EXECUTION_ENV".into(), "AWS_Lambda_python3.13".into()),
        ];
        for (name, value) in [
            ("TZ", "Asia/Tokyo"),
            ("PATH", "/mine"),
            ("AWS_REGION", "mars"),
            ("_HANDLER", "x"),
            ("_SECRET", "x"),
            ("MINE", "1"),
            ("AWS_EXECUTION_ENV", "mine"),
        ] {
            spec.customer_variables.insert(name.into(), value.into());
        }
        let all = variables(&spec);
        assert_eq!(all["TZ"], "Asia/Tokyo");
        assert_eq!(all["PATH"], "/mine");
        assert_eq!(all["MINE"], "1");
        assert_eq!(all["AWS_REGION"], "us-east-1");
        assert_eq!(all["_HANDLER"], "app.handler");
        assert_eq!(all["AWS_EXECUTION_ENV"], "AWS_Lambda_python3.13");
        assert!(!all.contains_key("_SECRET"));
    }
}
