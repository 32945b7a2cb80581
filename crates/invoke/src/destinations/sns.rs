//! Topics of SNS: a record, or a dead letter with its attributes.

use aws_sdk_sns::Client;
use aws_sdk_sns::config::{BehaviorVersion, Config, Region};
use aws_sdk_sns::types::MessageAttributeValue;

use super::target::Place;
use super::{Failure, attributes, body};
use crate::queue::Delivery;

/// The longest message: 256 KiB.
const MESSAGE_LIMIT_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Topics {
    client: Client,
}

impl Topics {
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
        Topics { client: Client::from_conf(config.build()) }
    }

    pub(super) async fn tell(&self, topic: &Place, delivery: &Delivery) -> Result<(), Failure> {
        let mut message = self.client.publish().topic_arn(&topic.arn);
        for (name, kind, value) in attributes(delivery) {
            message = message.message_attributes(name, attribute(kind, &value)?);
        }
        let region = Config::builder().region(Region::new(topic.region.clone()));
        let message = message.message(body(delivery, MESSAGE_LIMIT_BYTES));
        let published = message.customize().config_override(region).send().await;
        published.map(drop).map_err(|error| Failure::of(&error))
    }
}

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, Failure> {
    let attribute = MessageAttributeValue::builder().data_type(kind).string_value(value).build();
    attribute.map_err(|error| Failure::Refused(error.to_string()))
}
