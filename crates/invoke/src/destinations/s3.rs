//! Buckets of S3: one object per failed event.
//!
//! Through `object_store`, as code packages are fetched: the program has one S3 client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStoreExt, RetryConfig};
use uuid::Uuid;

use super::target::Target;
use super::{DestinationSettings, Failure, PATIENCE};
use crate::queue::{Delivery, Message};

#[derive(Debug)]
pub(super) struct Buckets {
    settings: DestinationSettings,
    /// Each has its own connections; there are as many as functions name.
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
}

impl Buckets {
    pub(super) fn new(settings: DestinationSettings) -> Self {
        Buckets { settings, buckets: Mutex::new(HashMap::new()) }
    }

    pub(super) async fn tell(&self, bucket: &str, delivery: &Delivery) -> Result<(), Failure> {
        if delivery.message != (Message::Record { success: false }) {
            return Err(Failure::Refused("a bucket takes records of failures only".into()));
        }
        let bucket = self.bucket(bucket).map_err(|error| Failure::Refused(error.to_string()))?;
        bucket.put(&key(delivery), delivery.body.clone().into()).await.map(drop).map_err(
            |error| match error {
                Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                    Failure::Refused(error.to_string())
                }
                error => Failure::Unavailable(error.to_string()),
            },
        )
    }

    fn bucket(&self, name: &str) -> Result<Arc<AmazonS3>, Error> {
        // A map of what can be made anew is whole even after a panic.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        let DestinationSettings { endpoint_url, region, credentials } = &self.settings;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(region)
            .with_access_key_id(credentials.access_key_id())
            .with_secret_access_key(credentials.secret_access_key())
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_timeout(PATIENCE).with_allow_http(true));
        if let Some(token) = credentials.session_token() {
            builder = builder.with_token(token);
        }
        if let Some(endpoint_url) = endpoint_url {
            builder = builder.with_endpoint(endpoint_url);
        }
        let bucket = Arc::new(builder.build()?);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }
}

/// Where AWS puts it. The end of the name is derived, so that another try after a crash writes the same object.
fn key(delivery: &Delivery) -> Path {
    let function = match Target::parse(&delivery.function_arn) {
        Ok(Target::Function { function_arn, .. }) => {
            function_arn.rsplit(':').next().unwrap_or_default().to_owned()
        }
        _ => delivery.function_arn.clone(),
    };
    let ended = i64::try_from(delivery.ended_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let ended = ended.unwrap_or(Timestamp::MAX).strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S");
    let name = Uuid::new_v5(&delivery.request_id, &delivery.ended_ms.to_be_bytes());
    Path::from(format!("aws/lambda/async/{function}/{ended}-{name}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_object_is_named_by_function_and_moment() {
        let delivery = Delivery {
            request_id: Uuid::from_u128(1),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f:blue".into(),
            target: "arn:aws:s3:::failed".into(),
            trace: None,
            message: Message::Record { success: false },
            ended_ms: 1_573_755_365_568,
            failures: 0,
            body: Bytes::new(),
        };
        let name = key(&delivery).to_string();
        let (folder, id) = name.split_at("aws/lambda/async/f/2019/11/14/2019-11-14T18.16.05-".len());
        assert_eq!(folder, "aws/lambda/async/f/2019/11/14/2019-11-14T18.16.05-");
        assert!(Uuid::parse_str(id).is_ok(), "{id}");
        assert_eq!(key(&Delivery { failures: 3, ..delivery }).to_string(), name);
    }
}
