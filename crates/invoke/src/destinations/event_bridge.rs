//! Event buses of EventBridge: a record in the envelope that AWS gives it.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{BehaviorVersion, Config, Region};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::target::Place;
use super::{Failure, body, is_passing};
use crate::queue::{Delivery, Message};

/// The longest entry is 256 KiB; this much of it is left to the envelope.
const DETAIL_LIMIT_BYTES: usize = 255 * 1024;

#[derive(Debug)]
pub(super) struct Buses {
    client: Client,
}

impl Buses {
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
        Buses { client: Client::from_conf(config.build()) }
    }

    pub(super) async fn tell(&self, bus: &Place, delivery: &Delivery) -> Result<(), Failure> {
        let Message::Record { success } = delivery.message else {
            return Err(Failure::Refused("an event bus is no dead-letter queue".into()));
        };
        let result = if success { "Success" } else { "Failure" };
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&bus.arn)
            .source("lambda")
            .detail_type(format!("Lambda Function Invocation Result - {result}"))
            .resources(&bus.arn)
            .resources(&delivery.function_arn)
            .detail(body(delivery, DETAIL_LIMIT_BYTES))
            .set_trace_header(delivery.trace.clone())
            .build();
        let region = Config::builder().region(Region::new(bus.region.clone()));
        let put = self.client.put_events().entries(entry).customize().config_override(region).send().await;
        let put = put.map_err(|error| Failure::of(&error))?;
        // The request as a whole succeeds also when its only entry is not taken.
        let refused = put.entries().iter().find_map(|entry| {
            Some((entry.error_code()?, entry.error_message().unwrap_or("without a message")))
        });
        match refused {
            None => Ok(()),
            Some((code, message)) if is_passing(code) => {
                Err(Failure::Unavailable(format!("{code}: {message}")))
            }
            Some((code, message)) => Err(Failure::Refused(format!("{code}: {message}"))),
        }
    }
}
