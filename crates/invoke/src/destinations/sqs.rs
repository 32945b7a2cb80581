//! Queues of SQS: a record, or a dead letter with its attributes.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Region};
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};

use super::target::Place;
use super::{ERROR_CODE, ERROR_MESSAGE, Failure, REQUEST_ID, record};
use crate::queue::{Delivery, Message};

/// The longest message: 1 MiB, its attributes included.
const MESSAGE_LIMIT_BYTES: usize = 1024 * 1024;
/// More than the trace of a record is long.
const ATTRIBUTES_BYTES: usize = 4096;

#[derive(Debug)]
pub(super) struct Queues {
    client: Client,
    endpoint_url: Option<String>,
}

impl Queues {
    pub(super) fn new(shared: &super::Client) -> Self {
        let settings = &shared.settings;
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(settings.credentials.clone())
            .http_client(shared.http.clone())
            .retry_config(shared.retries())
            .timeout_config(shared.timeouts());
        config.set_endpoint_url(settings.endpoint_url.clone());
        Queues { client: Client::from_conf(config.build()), endpoint_url: settings.endpoint_url.clone() }
    }

    pub(super) async fn tell(&self, queue: &Place, delivery: &Delivery) -> Result<(), Failure> {
        let mut message = self.client.send_message().queue_url(self.url(queue));
        let body = match &delivery.message {
            Message::Record { .. } => record::within(&delivery.body, MESSAGE_LIMIT_BYTES - ATTRIBUTES_BYTES),
            Message::DeadLetter(error) => {
                let request_id = delivery.request_id.to_string();
                let status = error.status.to_string();
                for (name, kind, value) in [
                    (REQUEST_ID, "String", &request_id),
                    (ERROR_CODE, "Number", &status),
                    (ERROR_MESSAGE, "String", &error.message),
                ] {
                    // An attribute may not be empty; an error's message may.
                    if !value.is_empty() {
                        message =
                            message.message_attributes(name, attribute(kind, value).map_err(unbuildable)?);
                    }
                }
                delivery.body.clone()
            }
        };
        if let Some(trace) = &delivery.trace {
            let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
            message = message.message_system_attributes(
                MessageSystemAttributeNameForSends::AwsTraceHeader,
                trace.build().map_err(unbuildable)?,
            );
        }
        let region = Config::builder().region(Region::new(queue.region.clone()));
        let sent = message
            .message_body(String::from_utf8_lossy(&body))
            .customize()
            .config_override(region)
            .send()
            .await;
        sent.map(drop).map_err(|error| Failure::of(&error))
    }

    fn url(&self, queue: &Place) -> String {
        let Place { partition, region, account, name, .. } = queue;
        match &self.endpoint_url {
            Some(endpoint_url) => format!("{}/{account}/{name}", endpoint_url.trim_end_matches('/')),
            None if partition == "aws-cn" => {
                format!("https://sqs.{region}.amazonaws.com.cn/{account}/{name}")
            }
            None => format!("https://sqs.{region}.amazonaws.com/{account}/{name}"),
        }
    }
}

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build()
}

fn unbuildable(error: BuildError) -> Failure {
    Failure::Refused(error.to_string())
}
