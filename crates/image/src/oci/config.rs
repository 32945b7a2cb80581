//! An image's configuration: how its process is started, and what its layers are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// What counts for a function. `USER`, `VOLUME`, `EXPOSE`, `HEALTHCHECK` and the signal to stop with do not, as on AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`, in order. What is set twice is in it twice; the last counts.
    pub environment: Vec<(String, String)>,
    /// `WORKDIR`, if it is not empty.
    pub working_dir: Option<String>,
    /// As images name it: `amd64`, `arm64`. Empty if it does not say.
    pub architecture: String,
    /// `linux`, or empty.
    pub os: String,
    /// `LABEL`.
    pub labels: BTreeMap<String, String>,
}

/// Why a configuration is none. The mistake of who published it.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// Not even the right form.
    #[error("it is no image configuration")]
    Malformed(#[source] serde_json::Error),
    /// Larger than anybody's.
    #[error("it is larger than {limit_bytes} bytes")]
    TooLarge {
        /// [`OciLimits::config_bytes`](super::OciLimits::config_bytes).
        limit_bytes: u64,
    },
    /// Which layer has which hash is not clear.
    #[error("it tells the hashes of {config} layers, and the manifest names {manifest}")]
    Layers {
        /// In the configuration.
        config: usize,
        /// In the manifest.
        manifest: usize,
    },
    /// Nothing that a process could be given.
    #[error("{0} has a zero byte in it")]
    ZeroByte(&'static str),
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    config: Option<Process>,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Process {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

/// The configuration, and of each layer the digest of its tar file.
pub(super) fn parse(bytes: &[u8], layers: usize) -> Result<(ImageConfig, Vec<Digest>), BadConfig> {
    let document: Document = serde_json::from_slice(bytes).map_err(BadConfig::Malformed)?;
    let diff_ids = document.rootfs.diff_ids.unwrap_or_default();
    if diff_ids.len() != layers {
        return Err(BadConfig::Layers { config: diff_ids.len(), manifest: layers });
    }
    let process = document.config.unwrap_or_default();
    // Without `=` or a name it sets nothing.
    let split =
        |entry: &String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = process.env.unwrap_or_default();
    let environment = environment.iter().filter_map(split).filter(|(name, _)| !name.is_empty());
    let config = ImageConfig {
        entrypoint: process.entrypoint.unwrap_or_default(),
        command: process.cmd.unwrap_or_default(),
        environment: environment.collect(),
        working_dir: process.working_dir.filter(|folder| !folder.is_empty()),
        architecture: document.architecture.unwrap_or_default(),
        os: document.os.unwrap_or_default(),
        labels: process.labels.unwrap_or_default(),
    };
    let zero = |text: &String| text.contains('\0');
    if config.entrypoint.iter().any(zero) || config.command.iter().any(zero) {
        return Err(BadConfig::ZeroByte("the command line"));
    }
    if config.environment.iter().any(|(name, value)| zero(name) || zero(value)) {
        return Err(BadConfig::ZeroByte("the environment"));
    }
    if config.working_dir.iter().any(zero) {
        return Err(BadConfig::ZeroByte("the working directory"));
    }
    Ok((config, diff_ids))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn diff_id() -> String {
        Digest::of(b"layer").to_string()
    }

    fn parse_json(document: &serde_json::Value, layers: usize) -> Result<ImageConfig, BadConfig> {
        parse(document.to_string().as_bytes(), layers).map(|(config, _)| config)
    }

    #[test]
    fn what_counts_is_read_and_the_rest_is_passed_over() {
        let config = parse_json(
            &json!({
                "architecture": "arm64", "os": "linux", "history": [{"created_by": "x"}],
                "config": {
                    "Entrypoint": ["/lambda-entrypoint.sh"], "Cmd": ["app.handler"], "User": "root", "WorkingDir": "/var/task",
                    "Env": ["A=b=c", "EMPTY=", "NOTHING", "=x"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
                    "Labels": {"k": "v"}, "Healthcheck": {"Test": ["NONE"]}, "StopSignal": "SIGINT",
                },
                "rootfs": {"type": "layers", "diff_ids": [diff_id()]},
            }),
            1,
        )
        .unwrap();
        assert_eq!(config.entrypoint, ["/lambda-entrypoint.sh"]);
        assert_eq!(config.command, ["app.handler"]);
        assert_eq!(config.working_dir.as_deref(), Some("/var/task"));
        let environment: Vec<_> =
            config.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(environment, [("A", "b=c"), ("EMPTY", "")]);
        assert_eq!((&*config.architecture, &*config.os, &*config.labels["k"]), ("arm64", "linux", "v"));
    }

    #[test]
    fn what_is_not_there_is_empty() {
        let root = json!({"type": "layers", "diff_ids": null});
        for document in [
            json!({"rootfs": root}),
            json!({"rootfs": root, "config": null, "os": null}),
            json!({"rootfs": root, "config": {"Entrypoint": null, "Cmd": null, "Env": null, "WorkingDir": "", "Labels": null}}),
        ] {
            assert_eq!(parse_json(&document, 0).unwrap(), ImageConfig::default());
        }
    }

    #[test]
    fn mistakes_are_told() {
        let root = json!({"type": "layers", "diff_ids": [diff_id()]});
        let error = |document, layers| parse_json(&document, layers).unwrap_err();
        assert!(matches!(error(json!({}), 0), BadConfig::Malformed(_)));
        assert!(matches!(error(json!({"rootfs": {"diff_ids": ["md5:0"]}}), 1), BadConfig::Malformed(_)));
        assert!(matches!(error(json!({"rootfs": root}), 2), BadConfig::Layers { config: 1, manifest: 2 }));
        for process in [json!({"Cmd": ["a\0"]}), json!({"Env": ["A=\0"]}), json!({"WorkingDir": "/\0"})] {
            assert!(matches!(error(json!({"rootfs": root, "config": process}), 1), BadConfig::ZeroByte(_)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_configuration_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 0);
        }

        #[test]
        fn any_process_can_be_read(
            command in proptest::collection::vec("[^\0]{0,10}", 0..4),
            environment in proptest::collection::vec(("[^=\0]{1,5}", "[^\0]{0,5}"), 0..4),
        ) {
            let env: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let document = json!({"config": {"Cmd": command, "Env": env}, "rootfs": {"diff_ids": []}});
            let config = parse_json(&document, 0).unwrap();
            prop_assert_eq!(config.command, command);
            prop_assert_eq!(config.environment, environment);
        }
    }
}
