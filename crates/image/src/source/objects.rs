//! A bucket as a store of objects.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::s3_settings::S3Settings;

/// A reader waits: a store that is down is told of soon.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(20);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of one object, none of which is larger than a few megabytes.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

impl S3Settings {
    /// Its client of one bucket, which creates objects only if there are none, where that is asked for.
    pub(crate) fn objects(&self, bucket: &str) -> object_store::Result<AmazonS3> {
        let backoff = BackoffConfig { init_backoff: FIRST_BACKOFF, ..BackoffConfig::default() };
        let options = ClientOptions::new()
            .with_allow_http(self.is_plain_http())
            .with_no_system_certificates(self.is_plain_http())
            .with_timeout(ANSWER_WITHIN)
            .with_connect_timeout(CONNECT_WITHIN);
        // To the builder, an endpoint that has the bucket in it already is one of the virtual-hosted style.
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(self.bucket_endpoint(bucket))
            .with_virtual_hosted_style_request(true)
            .with_region(&self.region)
            .with_client_options(options)
            // Else it overrides what is said above of plain HTTP.
            .with_allow_http(self.is_plain_http())
            .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_FOR });
        let builder = match &self.credentials {
            None => builder.with_skip_signature(true),
            Some(credentials) => {
                let builder = builder
                    .with_access_key_id(&credentials.access_key_id)
                    .with_secret_access_key(&credentials.secret_access_key);
                match &credentials.session_token {
                    Some(token) => builder.with_token(token),
                    None => builder,
                }
            }
        };
        builder.build()
    }
}
