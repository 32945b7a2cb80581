//! Signature version 4 for the program's own requests.
//!
//! With the environment variables that the AWS CLI reads: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`
//! and `AWS_REGION` (or `AWS_DEFAULT_REGION`). Without a key nothing is signed, which a server without authentication
//! is content with.

use std::env;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::Request;

use crate::exit::Failure;

const SERVICE: &str = "lambda";
const DEFAULT_REGION: &str = "us-east-1";

/// Who signs.
#[derive(Debug)]
pub(super) struct Signer {
    identity: Identity,
    region: String,
}

impl Signer {
    pub(super) fn of_environment() -> Option<Self> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let key = variable("AWS_ACCESS_KEY_ID")?;
        let secret = variable("AWS_SECRET_ACCESS_KEY")?;
        let credentials = Credentials::from_keys(key, secret, variable("AWS_SESSION_TOKEN"));
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        Some(Signer {
            identity: credentials.into(),
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        })
    }

    /// Adds the headers of the signature.
    pub(super) fn sign(&self, request: &mut Request<Bytes>) -> Result<(), Failure> {
        let unsignable =
            |error: &dyn std::error::Error| Failure::usage("the request cannot be signed").because(error);
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(SERVICE)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsignable(&error))?
            .into();
        let headers = request.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers,
            SignableBody::Bytes(request.body()),
        )
        .map_err(|error| unsignable(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| unsignable(&error))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}
