//! As whom registries are asked: what the caller says, else what container tools have written down.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::RegistryError;

/// A helper may have to ask a service, and does not ask a person.
const HELPER_WITHIN: Duration = Duration::from_secs(30);

/// What a registry, or its token server, is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A name and a password.
    Password {
        /// Who.
        username: String,
        /// Never shown.
        password: String,
    },
    /// A token that others can be had for.
    IdentityToken(String),
}

/// Without the secrets.
impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::Password { username, .. } => write!(formatter, "Password({username:?})"),
            Login::IdentityToken(_) => write!(formatter, "IdentityToken"),
        }
    }
}

/// Why a file with credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCredentials {
    /// It cannot be read.
    #[error("reading it")]
    Read(#[source] io::Error),
    /// Not the right form.
    #[error("it is malformed")]
    Malformed(#[source] serde_json::Error),
    /// Neither a name and a password nor anything else that is known.
    #[error("the entry of `{registry}` is malformed")]
    Entry {
        /// Of the entry.
        registry: String,
    },
    /// The program that it names.
    #[error("`docker-credential-{helper}`, which it names, {problem}")]
    Helper {
        /// The last part of its name.
        helper: String,
        /// In short.
        problem: String,
    },
}

/// Of registries. None by default: everything is asked for without.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    given: HashMap<String, Login>,
    files: Vec<PathBuf>,
}

impl Credentials {
    /// Those that container tools have of this user: `config.json` and `auth.json`, where their variables and
    /// conventions say. What such a file says is read when it is needed.
    pub fn of_container_tools() -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = variable("HOME");
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let files = [
            variable("REGISTRY_AUTH_FILE"),
            variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
            in_home(".config/containers/auth.json"),
            variable("DOCKER_CONFIG")
                .map(|folder| folder.join("config.json"))
                .or(in_home(".docker/config.json")),
        ];
        Credentials { given: HashMap::new(), files: files.into_iter().flatten().collect() }
    }

    /// Also reads such a file, after those that are known already.
    #[must_use]
    pub fn with_file(mut self, path: PathBuf) -> Self {
        self.files.push(path);
        self
    }

    /// Uses `login` for `registry` (`HOST[:PORT]`), whatever files say.
    #[must_use]
    pub fn with(mut self, registry: &str, login: Login) -> Self {
        self.given.insert(registry.to_owned(), login);
        self
    }

    /// As whom a repository is asked for.
    pub(super) async fn login(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Login>, RegistryError> {
        if let Some(login) = self.given.get(registry) {
            return Ok(Some(login.clone()));
        }
        for path in &self.files {
            let bad = |source| RegistryError::Credentials { path: path.clone(), source };
            let text = match tokio::fs::read(path).await {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(bad(BadCredentials::Read(error))),
            };
            let file: AuthFile =
                serde_json::from_slice(&text).map_err(|error| bad(BadCredentials::Malformed(error)))?;
            if let Some(login) = file.login(registry, repository).map_err(bad)? {
                return Ok(Some(login));
            }
            if let Some(helper) = file.cred_helpers.get(registry).or(file.creds_store.as_ref())
                && let Some(login) = ask_helper(helper, registry).await.map_err(bad)?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl AuthFile {
    /// The entry of the repository, else of the nearest path above it.
    fn login(&self, registry: &str, repository: &str) -> Result<Option<Login>, BadCredentials> {
        let wanted = format!("{registry}/{repository}");
        let above = |key: &str| {
            let rest = wanted.strip_prefix(key);
            !key.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let entries = self.auths.iter().map(|(key, entry)| (bare(key), entry));
        match entries.filter(|(key, _)| above(key)).max_by_key(|(key, _)| key.len()) {
            Some((key, entry)) => {
                entry.login().ok_or_else(|| BadCredentials::Entry { registry: key.to_owned() })
            }
            None => Ok(None),
        }
    }
}

/// Some tools write a URL with the version of the protocol.
fn bare(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, key)| key).trim_end_matches('/');
    key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key)
}

impl Entry {
    /// `None` if it is malformed. An empty one says that a helper knows.
    fn login(&self) -> Option<Option<Login>> {
        if !self.identitytoken.is_empty() {
            return Some(Some(Login::IdentityToken(self.identitytoken.clone())));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let text = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
            let (username, password) = text.split_once(':')?;
            (username.to_owned(), password.trim_end_matches('\0').to_owned())
        };
        Some((!username.is_empty()).then_some(Login::Password { username, password }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the program that keeps a user's credentials. It ends with this, if this ends first.
async fn ask_helper(helper: &str, registry: &str) -> Result<Option<Login>, BadCredentials> {
    let failed =
        |problem: String| BadCredentials::Helper { helper: helper.escape_debug().to_string(), problem };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if helper.is_empty() || !helper.bytes().all(allowed) {
        return Err(failed("is no name of a program".to_owned()));
    }
    let asked = async {
        let mut child = Command::new(format!("docker-credential-{helper}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(registry.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = match timeout(HELPER_WITHIN, asked).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(failed(format!("cannot be asked: {error}"))),
        Err(_) => return Err(failed("does not answer".to_owned())),
    };
    if !output.status.success() {
        // It knows nothing of this registry, which most say in these words.
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(format!("fails ({})", output.status)));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("gives an answer that is malformed".to_owned()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::IdentityToken(answer.secret),
        _ => Login::Password { username: answer.username, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(file: &serde_json::Value, registry: &str, repository: &str) -> Option<String> {
        let file: AuthFile = serde_json::from_value(file.clone()).unwrap();
        file.login(registry, repository).unwrap().map(|login| match login {
            Login::Password { username, password } => format!("{username}:{password}"),
            Login::IdentityToken(token) => token,
        })
    }

    #[test]
    fn the_nearest_entry_counts() {
        let auth = |text: &str| serde_json::json!({ "auth": STANDARD.encode(text) });
        let file = serde_json::json!({"auths": {
            "https://a.example/v1/": auth("a:1"), "a.example/team": auth("team:x:y"), "a.example:5000": auth("port:2"),
            "b.example": {"identitytoken": "token", "auth": "x"}, "c.example": {}, "d.example": {"username": "d", "password": "3"},
        }, "other": 1});
        for (registry, repository, expected) in [
            ("a.example", "x/y", Some("a:1")),
            ("a.example", "team/y", Some("team:x:y")),
            ("a.example", "teams", Some("a:1")),
            ("a.example:5000", "team", Some("port:2")),
            ("b.example", "x", Some("token")),
            ("c.example", "x", None),
            ("d.example", "x", Some("d:3")),
            ("e.example", "x", None),
        ] {
            assert_eq!(login(&file, registry, repository).as_deref(), expected, "{registry}/{repository}");
        }
        let file: AuthFile = serde_json::from_str(r#"{"auths": {"a.example": {"auth": "?"}}}"#).unwrap();
        assert!(matches!(file.login("a.example", "x"), Err(BadCredentials::Entry { .. })));
    }

    #[test]
    fn secrets_are_not_shown() {
        let login = Login::Password { username: "user".to_owned(), password: "secret".to_owned() };
        let shown = format!("{:?}", Credentials::default().with("a.example", login));
        assert!(shown.contains("user") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_entry_is_a_login_or_an_error(key in "[a-z:/.0-9]{0,12}", auth in ".{0,12}", registry in "[a-z:.]{1,6}") {
            let entry = Entry { auth, ..Entry::default() };
            let file = AuthFile { auths: HashMap::from([(key, entry)]), ..AuthFile::default() };
            let _ = file.login(&registry, "x");
        }
    }
}
