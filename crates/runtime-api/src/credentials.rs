//! `GET /2021-04-23/credentials`: the role's credentials, for environments with SnapStart.
//!
//! A snapshot must not hold credentials, so AWS leaves them out of its environment variables; the AWS SDKs find
//! this endpoint by `AWS_CONTAINER_CREDENTIALS_FULL_URI` and `AWS_CONTAINER_AUTHORIZATION_TOKEN` instead.

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};

use crate::rendering::{self, Answer, json_string};

/// What the credentials endpoint of one environment gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What the guest finds in `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub authorization_token: String,
    /// `AccessKeyId`
    pub access_key_id: String,
    /// `SecretAccessKey`
    pub secret_access_key: String,
    /// `Token`
    pub session_token: String,
    /// RFC 3339, for instance `2026-11-21T20:00:00Z`. SDKs ask again when it comes near.
    pub expiration: String,
}

impl std::fmt::Debug for Credentials {
    /// Leaves out what is secret, so that no log has it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Credentials");
        shown.field("access_key_id", &self.access_key_id);
        shown.field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Answer {
        // The bare token: no scheme stands before it. Compared plainly, as the metadata's.
        if headers
            .get(AUTHORIZATION)
            .is_none_or(|sent| sent.as_bytes() != self.authorization_token.as_bytes())
        {
            let mut answer = rendering::text("cannot get credentials for the provided token\n");
            *answer.status_mut() = StatusCode::NOT_FOUND;
            return answer;
        }
        let body = format!(
            "{{\"AccessKeyId\":{},\"SecretAccessKey\":{},\"Token\":{},\"Expiration\":{}}}\n",
            json_string(&self.access_key_id),
            json_string(&self.secret_access_key),
            json_string(&self.session_token),
            json_string(&self.expiration),
        );
        rendering::json(StatusCode::OK, body.into())
    }
}
