//! What feeds a function, and which parameters go with it: AWS's rules by kind of source.

use serde_json::{Map, Value, json};

use crate::event_sources::EventSourceMapping;
use crate::refusal::Refusal;

/// A source, by what its parameters say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventSource {
    kind: Kind,
    arn: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Queue,
    FifoQueue,
    Kinesis,
    DynamoDb,
    Kafka,
    Broker,
    Documents,
}

impl EventSource {
    pub(crate) fn of(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        if parameters.contains_key("SelfManagedEventSource") {
            return match parameters.contains_key("SourceAccessConfigurations") {
                true => Ok(EventSource { kind: Kind::Kafka, arn: None }),
                false => Err(Refusal::SourceAccessMissing),
            };
        }
        let arn = text(parameters, "EventSourceArn").ok_or(Refusal::UnrecognizedEventSource)?;
        let kind = match arn.split(':').nth(2) {
            Some("sqs") if arn.ends_with(".fifo") => Kind::FifoQueue,
            Some("sqs") => Kind::Queue,
            Some("kinesis") => Kind::Kinesis,
            Some("dynamodb") => Kind::DynamoDb,
            Some("kafka") => Kind::Kafka,
            Some("mq") => Kind::Broker,
            Some("rds") => Kind::Documents,
            _ => return Err(Refusal::UnrecognizedEventSource),
        };
        Ok(EventSource { kind, arn: Some(arn.to_owned()) })
    }

    pub(crate) fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }

    /// The parameters, with AWS's values for those that are not given.
    pub(crate) fn with_defaults(&self, parameters: Map<String, Value>, uuid: &str) -> Map<String, Value> {
        let defaults = match self.kind {
            Kind::Queue | Kind::FifoQueue => json!({
                "BatchSize": 10,
                "MaximumBatchingWindowInSeconds": 0,
                "FunctionResponseTypes": [],
            }),
            Kind::Kinesis | Kind::DynamoDb => json!({
                "BatchSize": 100,
                "BisectBatchOnFunctionError": false,
                "DestinationConfig": { "OnFailure": {} },
                "FunctionResponseTypes": [],
                "LastProcessingResult": "No records processed",
                "MaximumBatchingWindowInSeconds": 0,
                "MaximumRecordAgeInSeconds": -1,
                "MaximumRetryAttempts": -1,
                "ParallelizationFactor": 1,
                "TumblingWindowInSeconds": 0,
            }),
            Kind::Kafka if self.arn.is_none() => json!({
                "BatchSize": 100,
                "LastProcessingResult": "No records processed",
                "SelfManagedKafkaEventSourceConfig": { "ConsumerGroupId": uuid },
            }),
            Kind::Kafka => json!({
                "AmazonManagedKafkaEventSourceConfig": { "ConsumerGroupId": uuid },
                "BatchSize": 100,
                "LastProcessingResult": "No records processed",
            }),
            Kind::Broker | Kind::Documents => json!({
                "BatchSize": 100,
                "LastProcessingResult": "No records processed",
            }),
        };
        let Value::Object(mut all) = defaults else { return parameters };
        all.extend(parameters);
        all
    }

    /// Refuses what this kind of source cannot have.
    pub(crate) fn check(&self, parameters: &Map<String, Value>) -> Result<(), Refusal> {
        let destinations = parameters.get("DestinationConfig");
        if destinations.and_then(|config| config.get("OnSuccess")).is_some() {
            return Err(Refusal::MappingDestinationUnsupported);
        }
        self.check_start(parameters)?;
        self.check_batches(parameters)?;
        let filters = parameters.get("FilterCriteria").and_then(|criteria| criteria.get("Filters"));
        for filter in filters.and_then(Value::as_array).into_iter().flatten() {
            let pattern = filter.get("Pattern").and_then(Value::as_str).unwrap_or_default();
            if !serde_json::from_str::<Value>(pattern).is_ok_and(|pattern| pattern.is_object()) {
                return Err(Refusal::InvalidFilterPattern);
            }
        }
        Ok(())
    }

    /// Streams are read from a point that has to be named; tables cannot be read from a moment on.
    fn check_start(&self, parameters: &Map<String, Value>) -> Result<(), Refusal> {
        if !matches!(self.kind, Kind::Kinesis | Kind::DynamoDb) {
            return Ok(());
        }
        match (text(parameters, "StartingPosition"), self.kind) {
            (None, _) => Err(Refusal::StartingPositionMissing),
            (Some("AT_TIMESTAMP"), Kind::DynamoDb) => {
                Err(Refusal::StartingPositionUnsupported { arn: self.arn.clone().unwrap_or_default() })
            }
            (Some("LATEST" | "TRIM_HORIZON" | "AT_TIMESTAMP"), _) => Ok(()),
            (Some(other), _) => Err(Refusal::Constraint {
                member: "startingPosition",
                value: other.to_owned(),
                constraint: "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
                    .to_owned(),
            }),
        }
    }

    fn check_batches(&self, parameters: &Map<String, Value>) -> Result<(), Refusal> {
        let number = |member| parameters.get(member).and_then(Value::as_i64);
        let batch_size = number("BatchSize").unwrap_or(1);
        let most = if self.kind == Kind::FifoQueue { 10 } else { 10_000 };
        let bound = if batch_size < 1 {
            "greater than or equal to 1".to_owned()
        } else if batch_size > most {
            format!("less than or equal to {most}")
        } else if self.kind == Kind::Queue
            && batch_size > 10
            && number("MaximumBatchingWindowInSeconds").unwrap_or(0) == 0
        {
            return Err(Refusal::BatchWindowMissing);
        } else {
            return Ok(());
        };
        Err(Refusal::Constraint {
            member: "batchSize",
            value: batch_size.to_string(),
            constraint: format!("Member must have value {bound}"),
        })
    }

    /// Why the two cannot both be, which feed one function.
    pub(crate) fn conflict(&self, new: &EventSourceMapping, other: &EventSourceMapping) -> Option<Refusal> {
        let uuid = other.uuid.clone();
        if let Some(arn) = self.arn.clone() {
            let function = new.function_arn.name.to_string();
            return match (other.event_source_arn == self.arn, self.kind) {
                (false, _) => None,
                (true, Kind::Queue | Kind::FifoQueue) => Some(Refusal::QueueMapped { arn, function, uuid }),
                (true, _) => Some(Refusal::SourceMapped { arn, function, uuid }),
            };
        }
        let (servers, topics) = (servers(&new.parameters), list(new.parameters.get("Topics")));
        let overlap = |ours: &[&str], theirs: Vec<&str>| ours.iter().any(|one| theirs.contains(one));
        let same = overlap(&servers, self::servers(&other.parameters))
            && overlap(&topics, list(other.parameters.get("Topics")));
        same.then(|| Refusal::TopicsMapped {
            servers: servers.join(","),
            function: new.function_arn.to_string(),
            topics: topics.join(","),
            uuid,
        })
    }
}

fn text<'a>(parameters: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    parameters.get(member).and_then(Value::as_str)
}

fn servers(parameters: &Map<String, Value>) -> Vec<&str> {
    let source = parameters.get("SelfManagedEventSource");
    list(source.and_then(|source| source.pointer("/Endpoints/KAFKA_BOOTSTRAP_SERVERS")))
}

fn list(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
