//! How a server is reached: who may call, by TLS or without, and what it calls itself.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_credential_types::Credentials as AwsCredentials;
use firesteel_api::authentication::{Authenticator, Credentials, Replay};
use firesteel_api::server::{self, Tls};
use firesteel_image::{S3Credentials, S3Settings, S3Store};
use firesteel_invoke::destinations::DestinationSettings;

use crate::cli::DoorArguments;
use crate::exit::{Exit, Failure};

/// Who may call, if anybody is asked.
pub(crate) fn credentials(arguments: &DoorArguments) -> Result<Option<Arc<Credentials>>, Failure> {
    let Some(path) = &arguments.credentials else { return Ok(None) };
    let credentials = Credentials::read(path).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).try_next(format!(
            "a file of mode 600, as `firesteel serve --help` shows one: {}",
            path.display()
        ))
    })?;
    Ok(Some(Arc::new(credentials)))
}

/// One that decides who sent a request to this server.
pub(crate) fn authenticator(
    credentials: Option<&Arc<Credentials>>,
    region: &str,
    replay: Replay,
) -> Option<Arc<Authenticator>> {
    credentials.map(|credentials| Arc::new(Authenticator::new(Arc::clone(credentials), region, replay)))
}

/// How connections are served.
pub(crate) fn settings(arguments: &DoorArguments) -> Result<server::Settings, Failure> {
    let tls = match (&arguments.tls_certificate, &arguments.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = Tls::of_files(certificate, key).map_err(|error| {
                Failure::from_error(Exit::Usage, &error)
                    .try_next("--tls-certificate and --tls-key with PEM files that belong together")
            })?;
            Some(Arc::new(tls))
        }
        _ => None,
    };
    Ok(server::Settings { tls, ..server::Settings::default() })
}

/// What callers put before a path, unless it was said.
pub(crate) fn origin(arguments: &DoorArguments, address: SocketAddr) -> String {
    let scheme = if arguments.tls_certificate.is_some() { "https" } else { "http" };
    let given = arguments.origin.clone().map(|origin| origin.trim_end_matches('/').to_owned());
    given.unwrap_or_else(|| format!("{scheme}://{address}"))
}

/// The server's own credentials for AWS's other services, or for what plays them.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    endpoint: Option<String>,
    region: String,
    keys: Option<(String, String, Option<String>)>,
}

impl Outside {
    pub(crate) fn new(endpoint: Option<&str>, region: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let keys = variable("AWS_ACCESS_KEY_ID")
            .zip(variable("AWS_SECRET_ACCESS_KEY"))
            .map(|(key, secret)| (key, secret, variable("AWS_SESSION_TOKEN")));
        Outside { endpoint: endpoint.map(str::to_owned), region: region.to_owned(), keys }
    }

    /// How S3 is reached, for code and for images.
    pub(crate) fn s3_settings(&self) -> S3Settings {
        let credentials = self.keys.clone().map(|(access_key_id, secret_access_key, session_token)| {
            S3Credentials { access_key_id, secret_access_key, session_token }
        });
        S3Settings {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            credentials,
            path_style: self.endpoint.is_some(),
        }
    }

    /// Where code is fetched from.
    pub(crate) fn s3(&self) -> Result<S3Store, Failure> {
        S3Store::new(self.s3_settings()).map_err(|error| {
            Failure::from_error(Exit::Usage, &error).try_next("--aws-endpoint http://127.0.0.1:5000")
        })
    }

    /// Where outcomes of asynchronous events are told.
    pub(crate) fn destinations(&self) -> DestinationSettings {
        // What plays AWS on this machine wants a signature, and does not look at it.
        let keys = self.keys.clone().unwrap_or_else(|| ("firesteel".into(), "firesteel".into(), None));
        let (key, secret, token) = keys;
        DestinationSettings {
            endpoint_url: self.endpoint.clone(),
            region: self.region.clone(),
            credentials: AwsCredentials::from_keys(key, secret, token),
        }
    }
}
