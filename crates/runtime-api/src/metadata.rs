//! `GET /2026-01-15/metadata/execution-environment`: where an environment runs.
//!
//! Open to runtimes and extensions alike, and the one route of this port that needs a token. It never
//! changes during an environment's life, so the answer may be cached.

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use crate::rendering::{self, Answer};

/// What the metadata endpoint of one environment knows.
#[derive(Clone)]
pub struct Metadata {
    /// Bearer token the guest finds in `AWS_LAMBDA_METADATA_TOKEN`.
    pub token: String,
    /// For instance `use1-az1`.
    pub availability_zone_id: String,
}

impl std::fmt::Debug for Metadata {
    /// Leaves out the token, so that no log has it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Metadata");
        shown.field("availability_zone_id", &self.availability_zone_id).finish_non_exhaustive()
    }
}

impl Metadata {
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Answer {
        if !self.authorizes(headers) {
            // Status and body of the refusal are unverified: AWS documents only that a token is needed.
            return rendering::json(
                StatusCode::UNAUTHORIZED,
                Bytes::from_static(
                    b"{\"errorMessage\":\"Invalid metadata token\",\"errorType\":\"Unauthorized\"}\n",
                ),
            );
        }
        let zone = rendering::json_string(&self.availability_zone_id);
        let body = format!("{{\"AvailabilityZoneID\":{zone}}}\n");
        let mut answer = rendering::json(StatusCode::OK, body.into());
        // AWS sends a `max-age`; its length is unverified.
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=43200"));
        answer
    }

    /// Compared plainly: the token guards against requests forged through the guest, and whoever can time
    /// this connection runs inside the guest and has the token.
    fn authorizes(&self, headers: &HeaderMap) -> bool {
        let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        presented.and_then(|value| value.split_once(' ')).is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("Bearer") && token.trim_start() == self.token
        })
    }
}
