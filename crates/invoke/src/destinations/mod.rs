//! Where the outcome of an asynchronous event is told: queues, topics, event buses and buckets.
//!
//! ```text
//!  queue ──► Destinations::deliver ──► by the target's ARN ──► sqs · sns · event_bridge (AWS's SDK)
//!                                                         └──► s3 (object_store, the program's one S3 client)
//! ```
//!
//! One try each: whether there is another, the queue's rules say, so nothing is retried below. A refusal is told apart
//! from a target that cannot be reached. Records longer than a target takes are sent without their payloads. Functions
//! are no business of this module: the queue makes events for them.
//!
//! Account and region are those of the ARN; endpoint and credentials those of the [`DestinationSettings`].

mod event_bridge;
pub(crate) mod record;
mod s3;
mod sns;
mod sqs;
pub(crate) mod target;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use crate::queue::{Delivery, DeliveryError, Message};
use target::Target;

/// How long a target may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where destinations are reached, and as whom.
#[derive(Debug, Clone)]
pub struct DestinationSettings {
    /// One for all services, such as `http://127.0.0.1:5000`; `None` means AWS's own.
    pub endpoint_url: Option<String>,
    /// For targets whose ARN has no region: buckets.
    pub region: String,
    /// Sign every request.
    pub credentials: Credentials,
}

/// Tells destinations. Has its connections, which are kept.
#[derive(Debug)]
pub struct Destinations {
    sqs: sqs::Queues,
    sns: sns::Topics,
    event_bridge: event_bridge::Buses,
    s3: s3::Buckets,
}

impl Destinations {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(settings: &DestinationSettings) -> Self {
        let client = Client {
            settings: settings.clone(),
            http: aws_smithy_http_client::Builder::new()
                .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
                .build_https(),
        };
        Destinations {
            sqs: sqs::Queues::new(&client),
            sns: sns::Topics::new(&client),
            event_bridge: event_bridge::Buses::new(&client),
            s3: s3::Buckets::new(settings.clone()),
        }
    }

    /// Tells the target once.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let target = Target::parse(&delivery.target)
            .map_err(|error| Failure::Refused(error.to_string()).at(&delivery.target))?;
        let told = match &target {
            Target::Queue(queue) => self.sqs.tell(queue, delivery).await,
            Target::Topic(topic) => self.sns.tell(topic, delivery).await,
            Target::EventBus(bus) => self.event_bridge.tell(bus, delivery).await,
            Target::Bucket { name } => self.s3.tell(name, delivery).await,
            Target::Function { .. } => Err(Failure::Refused("a function cannot be told in this way".into())),
        };
        told.map_err(|failure| failure.at(&delivery.target))
    }
}

/// What a message says beside its body: name, type and value. Records say nothing.
fn attributes(delivery: &Delivery) -> Vec<(&'static str, &'static str, String)> {
    let Message::DeadLetter(error) = &delivery.message else { return Vec::new() };
    let mut attributes = vec![
        ("RequestID", "String", delivery.request_id.to_string()),
        ("ErrorCode", "Number", error.status.to_string()),
    ];
    // An attribute may not be empty; an error's message may.
    if !error.message.is_empty() {
        attributes.push(("ErrorMessage", "String", error.message.clone()));
    }
    attributes
}

/// The body, as long as the target takes it. An event is told as it is or not at all.
fn body(delivery: &Delivery, limit_bytes: usize) -> String {
    let body = match delivery.message {
        Message::Record { .. } => record::within(&delivery.body, limit_bytes),
        Message::DeadLetter(_) => delivery.body.clone(),
    };
    String::from_utf8_lossy(&body).into_owned()
}

/// What AWS's clients have in common.
struct Client {
    settings: DestinationSettings,
    http: aws_sdk_sqs::config::SharedHttpClient,
}

impl Client {
    fn retries(&self) -> RetryConfig {
        RetryConfig::disabled()
    }

    fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder().operation_timeout(PATIENCE).build()
    }
}

/// Why a target was not told, before it has a name.
enum Failure {
    Refused(String),
    Unavailable(String),
}

impl Failure {
    fn at(self, target: &str) -> DeliveryError {
        let target = target.to_owned();
        match self {
            Failure::Refused(reason) => DeliveryError::Refused { target, reason },
            Failure::Unavailable(reason) => DeliveryError::Unavailable { target, reason },
        }
    }

    /// By the answer's status and code. Without an answer the target is unavailable, unless the request could not even
    /// be made.
    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let reason = match error.as_service_error() {
            Some(error) => match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                _ => DisplayErrorContext(error).to_string(),
            },
            None => DisplayErrorContext(error).to_string(),
        };
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
        let passing = match (error, status) {
            (SdkError::ConstructionFailure(_), _) => false,
            (_, Some(status)) => status >= 500 || status == 429 || is_passing(code),
            (_, None) => true,
        };
        if passing { Failure::Unavailable(reason) } else { Failure::Refused(reason) }
    }
}

/// Codes that AWS gives with a status of 400 although another try may succeed.
fn is_passing(code: &str) -> bool {
    code.contains("Throttl") || matches!(code, "InternalFailure" | "InternalException" | "ServiceUnavailable")
}
