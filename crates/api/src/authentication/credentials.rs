//! Who may sign, and what they may do: the file of credentials.
//!
//! ```json
//! { "Credentials": [ {
//!     "AccessKeyId": "AKIDEXAMPLE",
//!     "SecretAccessKey": "…",
//!     "SessionToken": "…",  "Expiration": "2030-01-01T00:00:00Z",
//!     "Arn": "arn:aws:iam::123456789012:user/alice",  "UserId": "AIDAEXAMPLE",
//!     "Policy": { "Version": "2012-10-17", "Statement": [
//!         { "Effect": "Allow", "Action": "lambda:Invoke*", "Resource": "arn:aws:lambda:*:*:function:orders*" } ] }
//! } ] }
//! ```
//!
//! JSON, because policies are JSON wherever people have them already, and with the names that the tools of AWS print
//! credentials with. `SessionToken`, `Expiration`, `UserId` and `Policy` may be left out; who has no policy may do nothing,
//! unless it is an account's `:root`. The file is its owner's alone, or is not read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Error as _;

use super::SERVICE;
use super::refusal::Refusal;
use crate::authorization::{InvalidPolicy, Policy};

/// Who a request is from.
#[derive(Debug)]
pub struct Identity {
    /// The key that signed.
    pub access_key_id: String,
    /// `arn:aws:iam::123456789012:user/alice`
    pub arn: String,
    /// The account in the ARN.
    pub account: String,
    /// What AWS calls the unique id; the access key's where none is given.
    pub user_id: String,
    /// What it may do.
    pub policy: Policy,
}

/// All who may sign.
#[derive(Debug)]
pub struct Credentials {
    by_key: HashMap<String, Credential>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("the credentials in `{}` cannot be read", path.display())]
    Unreadable {
        /// Where the file should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the secrets.
    #[error("`{}` has mode {mode:o}: others than its owner can get at the secrets in it (600 is right)", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not the JSON that is described above.
    #[error("the credentials are not in their form")]
    Form(#[source] serde_json::Error),
    /// Nobody could sign.
    #[error("there are no credentials in the file")]
    Empty,
    /// A key that is there twice would be one of two identities.
    #[error("access key `{0}` is there twice")]
    Twice(String),
    /// Something that no signature could hold.
    #[error("access key `{0}` is empty, or has a `/`, a `,` or a blank in it")]
    KeyId(String),
    /// A secret that everybody knows.
    #[error("the secret of access key `{0}` is empty")]
    NoSecret(String),
    /// Not the ARN of one who acts.
    #[error("`{arn}` of access key `{access_key_id}` is no ARN of a user, role or session")]
    Arn {
        /// Whose it is.
        access_key_id: String,
        /// What was given.
        arn: String,
    },
    /// A policy that could be misunderstood.
    #[error("the policy of access key `{access_key_id}` is invalid")]
    Policy {
        /// Whose it is.
        access_key_id: String,
        /// What is wrong with it.
        #[source]
        source: InvalidPolicy,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct File {
    credentials: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Record {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    #[serde(default, deserialize_with = "timestamp")]
    expiration: Option<Timestamp>,
    arn: String,
    user_id: Option<String>,
    policy: Option<serde_json::Value>,
}

fn timestamp<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

impl Credentials {
    /// Reads the file of credentials.
    ///
    /// # Errors
    ///
    /// The file is not there, not its owner's alone, or not in its form.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(unreadable)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// The credentials in such a file's text.
    ///
    /// # Errors
    ///
    /// It is not in its form, or ambiguous.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let file: File = serde_json::from_str(text).map_err(CredentialsError::Form)?;
        let mut by_key = HashMap::new();
        for record in file.credentials {
            let credential = Credential::of(record)?;
            match by_key.entry(credential.identity.access_key_id.clone()) {
                Entry::Vacant(place) => {
                    place.insert(credential);
                }
                Entry::Occupied(place) => return Err(CredentialsError::Twice(place.key().clone())),
            }
        }
        if by_key.is_empty() { Err(CredentialsError::Empty) } else { Ok(Credentials { by_key }) }
    }

    pub(super) fn find(&self, access_key_id: &str) -> Option<&Credential> {
        self.by_key.get(access_key_id)
    }
}

/// What one identity signs with.
pub(super) struct Credential {
    pub(super) identity: Arc<Identity>,
    secret: String,
    token: Option<String>,
    expiration: Option<Timestamp>,
    /// Derived from the secret, for the day of the last request: it takes four signatures to make.
    key_of_the_day: Mutex<Option<(String, Arc<hmac::Key>)>>,
}

/// Secrets are not printed.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Credential {
    fn of(record: Record) -> Result<Self, CredentialsError> {
        let Record { access_key_id, secret_access_key, session_token, expiration, arn, user_id, policy } =
            record;
        if access_key_id.is_empty() || access_key_id.contains(['/', ',', ' ']) {
            return Err(CredentialsError::KeyId(access_key_id));
        }
        if secret_access_key.is_empty() {
            return Err(CredentialsError::NoSecret(access_key_id));
        }
        let Some(account) = account_of(&arn).map(str::to_owned) else {
            return Err(CredentialsError::Arn { access_key_id, arn });
        };
        let policy = match policy {
            Some(document) => Policy::of_identity(&document).map_err(|source| CredentialsError::Policy {
                access_key_id: access_key_id.clone(),
                source,
            })?,
            None if arn.ends_with(":root") => Policy::everything(),
            None => Policy::default(),
        };
        let user_id = user_id.unwrap_or_else(|| access_key_id.clone());
        let identity = Arc::new(Identity { access_key_id, arn, account, user_id, policy });
        Ok(Credential {
            identity,
            secret: secret_access_key,
            token: session_token,
            expiration,
            key_of_the_day: Mutex::default(),
        })
    }

    /// The token is this credential's, and still good.
    pub(super) fn check_token(&self, given: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let (expected, given) = (self.token.as_deref().unwrap_or_default(), given.unwrap_or_default());
        verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).map_err(|_| Refusal::UnknownKey)?;
        if self.expiration.is_some_and(|expiration| expiration <= now) {
            Err(Refusal::ExpiredToken)
        } else {
            Ok(())
        }
    }

    /// The key for requests of one day, `YYYYMMDD`.
    pub(super) fn signing_key(&self, day: &str, region: &str) -> Arc<hmac::Key> {
        let mut kept = self.key_of_the_day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = kept.as_ref().filter(|(kept, _)| kept == day) {
            return Arc::clone(key);
        }
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", self.secret).as_bytes());
        for part in [day, region, SERVICE, "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        let key = Arc::new(key);
        *kept = Some((day.to_owned(), Arc::clone(&key)));
        key
    }
}

/// The account of `arn:aws:iam::123456789012:user/alice`, or of a session of a role.
fn account_of(arn: &str) -> Option<&str> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam" | "sts", "", account, resource] = parts[..] else { return None };
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !resource.is_empty()).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::{Access, Caller, Context, decide};
    use std::os::unix::fs::PermissionsExt;

    fn one(members: &str) -> String {
        format!(r#"{{"Credentials": [{{{members}}}]}}"#)
    }

    const ALICE: &str = r#""AccessKeyId": "AK", "SecretAccessKey": "hush-hush", "Arn": "arn:aws:iam::123456789012:user/alice""#;

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), one(ALICE)).unwrap();
        for mode in [0o644, 0o640, 0o602] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Credentials::read(file.path()).unwrap_err();
            assert!(
                matches!(error, CredentialsError::Exposed { mode: found, .. } if found == mode),
                "{error}"
            );
        }
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = Credentials::read(file.path()).unwrap();
        let identity = &credentials.find("AK").unwrap().identity;
        assert_eq!((identity.account.as_str(), identity.user_id.as_str()), ("123456789012", "AK"));
        let missing = Credentials::read(&file.path().join("missing")).unwrap_err();
        assert!(matches!(missing, CredentialsError::Unreadable { .. }));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        use CredentialsError as E;
        let refused = |text: &str| Credentials::parse(text).unwrap_err();
        assert!(matches!(refused("{}"), E::Form(_)));
        assert!(matches!(refused(r#"{"Credentials": []}"#), E::Empty));
        assert!(matches!(refused(&one(&format!(r#"{ALICE}, "Polcy": {{}}"#))), E::Form(_)));
        assert!(matches!(refused(&one(&format!(r#"{ALICE}, "Expiration": "tomorrow""#))), E::Form(_)));
        assert!(matches!(refused(&one(&format!(r#"{ALICE}, "Policy": {{}}"#))), E::Policy { .. }));
        assert!(matches!(refused(&one(&ALICE.replace("AK", "A/K"))), E::KeyId(_)));
        assert!(matches!(refused(&one(&ALICE.replace("hush-hush", ""))), E::NoSecret(_)));
        for arn in
            ["alice", "arn:aws:iam::12:user/alice", "arn:aws:s3:::bucket", "arn:aws:iam::123456789012:"]
        {
            let text = one(&ALICE.replace("arn:aws:iam::123456789012:user/alice", arn));
            assert!(matches!(refused(&text), E::Arn { .. }), "{arn}");
        }
        assert!(matches!(refused(&format!(r#"{{"Credentials": [{{{ALICE}}}, {{{ALICE}}}]}}"#)), E::Twice(_)));
    }

    #[test]
    fn who_has_no_policy_may_nothing_unless_he_is_root() {
        for (who, allowed) in [("user/alice", false), ("root", true)] {
            let credentials = Credentials::parse(&one(&ALICE.replace("user/alice", who))).unwrap();
            let access = Access {
                caller: Caller::Identity(&credentials.find("AK").unwrap().identity),
                action: "lambda:ListFunctions",
                resource: "*",
                context: Context::default(),
            };
            assert_eq!(decide(access, None).is_ok(), allowed, "{who}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let token = r#""SessionToken": "hush-token""#;
        let credentials = Credentials::parse(&one(&format!("{ALICE}, {token}"))).unwrap();
        let printed = format!("{credentials:?}");
        assert!(printed.contains("alice") && !printed.contains("hush"), "{printed}");
    }
}
