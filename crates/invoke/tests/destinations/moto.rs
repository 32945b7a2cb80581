//! The process of `moto_server`, and the clients of whoever listens at the other end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use firesteel_invoke::destinations::{DestinationSettings, Destinations};

pub(super) const REGION: &str = "eu-west-1";
pub(super) const ACCOUNT: &str = "123456789012";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, ended when dropped.
#[derive(Debug)]
pub(super) struct Moto {
    server: Child,
    endpoint_url: String,
}

impl Moto {
    /// Starts it on a free port; why not, if it is not installed.
    pub(super) fn start() -> Result<Self, String> {
        let program = std::env::var_os("FIRESTEEL_MOTO_SERVER").unwrap_or_else(|| "moto_server".into());
        let mut server = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let mut log = BufReader::new(server.stderr.take().expect("it was asked for"));
        let mut said = String::new();
        let endpoint_url = loop {
            let mut line = String::new();
            if !log.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                let _ = server.wait();
                return Err(format!("{} ended at once: {said}", program.display()));
            }
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
            said.push_str(&line);
        };
        // It writes a line for each request, and would stop once the pipe is full.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Moto { server, endpoint_url })
    }

    pub(super) fn settings(&self) -> DestinationSettings {
        settings(&self.endpoint_url)
    }

    pub(super) fn destinations(&self) -> Destinations {
        Destinations::new(&self.settings())
    }

    pub(super) fn sqs(&self, region: &'static str) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new(region))
            .credentials_provider(credentials())
            .endpoint_url(&self.endpoint_url)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    pub(super) fn sns(&self) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest())
            .region(aws_sdk_sns::config::Region::new(REGION))
            .credentials_provider(credentials())
            .endpoint_url(&self.endpoint_url)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_sns::Client::from_conf(config.build())
    }

    pub(super) fn event_bridge(&self) -> aws_sdk_eventbridge::Client {
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(aws_sdk_eventbridge::config::BehaviorVersion::latest())
            .region(aws_sdk_eventbridge::config::Region::new(REGION))
            .credentials_provider(credentials())
            .endpoint_url(&self.endpoint_url)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_eventbridge::Client::from_conf(config.build())
    }

    /// Makes a queue and says its ARN.
    pub(super) async fn queue(&self, name: &str) -> String {
        self.sqs(REGION).create_queue().queue_name(name).send().await.unwrap();
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
    }

    /// The one message in a queue.
    pub(super) async fn received(&self, region: &'static str, name: &str) -> Message {
        let receive = self
            .sqs(region)
            .receive_message()
            .queue_url(format!("{}/{ACCOUNT}/{name}", self.endpoint_url))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .max_number_of_messages(10)
            .wait_time_seconds(10)
            .send();
        let received = tokio::time::timeout(PATIENCE, receive).await.expect("no message comes").unwrap();
        let mut messages = received.messages.unwrap_or_default();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(super) fn settings(endpoint_url: &str) -> DestinationSettings {
    DestinationSettings {
        endpoint_url: Some(endpoint_url.to_owned()),
        region: REGION.into(),
        credentials: credentials(),
    }
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "tests")
}
