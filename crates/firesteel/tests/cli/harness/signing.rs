//! Credentials of callers: files of them, and signatures made by the SDKs' own signer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;
use tempfile::TempDir;

use super::client::Reply;
use super::server::Server;

/// A file of credentials. Gone when dropped.
pub(crate) struct CredentialsFile(TempDir);

impl CredentialsFile {
    /// With this in it, whatever that is, for its owner alone.
    pub(crate) fn of(content: impl AsRef<[u8]>) -> Self {
        let file = CredentialsFile(super::folder());
        fs::write(file.0.path().join("credentials.json"), content).unwrap();
        file.chmod(0o600);
        file
    }

    pub(crate) fn chmod(&self, mode: u32) {
        fs::set_permissions(self.0.path().join("credentials.json"), fs::Permissions::from_mode(mode))
            .unwrap();
    }

    /// As an argument.
    pub(crate) fn path(&self) -> String {
        self.0.path().join("credentials.json").to_str().unwrap().to_owned()
    }
}

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signer {
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
}

impl Signer {
    /// Any operation of the API, signed now.
    pub(crate) fn call(self, server: &Server, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = self.headers(method, path, body.as_bytes());
        Self::send(server, method, path, &headers, body.as_bytes())
    }

    /// A request with the headers of a signature, which need not be its own.
    pub(crate) fn send(
        server: &Server,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Reply {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.client().request(method, path, &headers, body)
    }

    /// The headers of a signature. Clients of these tests call every server `localhost`.
    pub(crate) fn headers(self, method: &str, path: &str, body: &[u8]) -> Vec<(String, String)> {
        let identity = Credentials::from_keys(self.key, self.secret, None).into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = format!("http://localhost{path}");
        let request = SignableRequest::new(method, url, std::iter::empty(), SignableBody::Bytes(body));
        let (instructions, _) = sign(request.unwrap(), &parameters).unwrap().into_parts();
        instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
