//! A bucket as a store of objects.

use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::s3_settings::S3Settings;

const RETRY_FOR: Duration = Duration::from_secs(20);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of one object, none of which is larger than a few megabytes.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

impl S3Settings {
    /// Its client of one bucket, which creates objects only if there are none, where that is asked for. `retries`: of a request
    /// that came to nothing.
    pub(crate) fn objects(&self, bucket: &str, retries: usize) -> object_store::Result<AmazonS3> {
        let backoff = BackoffConfig { init_backoff: FIRST_BACKOFF, ..BackoffConfig::default() };
        let options = ClientOptions::new()
            .with_allow_http(self.is_plain_http())
            .with_no_system_certificates(self.is_plain_http())
            .with_timeout(ANSWER_WITHIN)
            .with_connect_timeout(CONNECT_WITHIN);
        self.client(bucket, self.bucket_endpoint(bucket))
            .with_client_options(options)
            // Else it overrides what is said above of plain HTTP.
            .with_allow_http(self.is_plain_http())
            .with_retry(RetryConfig { backoff, max_retries: retries, retry_timeout: RETRY_FOR })
            .build()
    }
}
