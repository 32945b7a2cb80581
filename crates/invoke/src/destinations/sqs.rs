//! Queues of SQS: a record, or a dead letter with its attributes.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Region};
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};

use super::target::Place;
use super::{Failure, attributes, body};
use crate::queue::Delivery;

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
        for (name, kind, value) in attributes(delivery) {
            message = message.message_attributes(name, attribute(kind, &value)?);
        }
        if let Some(trace) = &delivery.trace {
            let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
            message = message.message_system_attributes(
                MessageSystemAttributeNameForSends::AwsTraceHeader,
                trace.build().map_err(|error| unbuildable(&error))?,
            );
        }
        let region = Config::builder().region(Region::new(queue.region.clone()));
        let message = message.message_body(body(delivery, MESSAGE_LIMIT_BYTES - ATTRIBUTES_BYTES));
        let sent = message.customize().config_override(region).send().await;
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

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, Failure> {
    let attribute = MessageAttributeValue::builder().data_type(kind).string_value(value).build();
    attribute.map_err(|error| unbuildable(&error))
}

fn unbuildable(error: &BuildError) -> Failure {
    Failure::Refused(error.to_string())
}
