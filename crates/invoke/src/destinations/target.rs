//! ARNs of destinations: what they name, and where it is.

/// A destination, by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Function {
        /// Without its qualifier.
        function_arn: String,
        qualifier: Option<String>,
    },
    Queue(Place),
    Topic(Place),
    EventBus(Place),
    Bucket {
        name: String,
    },
}

/// Something that has a region and an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) arn: String,
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) name: String,
}

/// It is no ARN of something that can be told. The caller's mistake, if it came past the front door.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{arn:?} is no ARN of a function, queue, topic, event bus or bucket")]
pub(crate) struct NoTarget {
    arn: String,
}

impl Target {
    pub(crate) fn parse(arn: &str) -> Result<Self, NoTarget> {
        Self::read(arn).ok_or_else(|| NoTarget { arn: arn.to_owned() })
    }

    fn read(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let of_aws = scheme == "arn" && (partition == "aws" || partition.starts_with("aws-"));
        if !of_aws || resource.is_empty() {
            return None;
        }
        if service == "s3" {
            let plain = region.is_empty() && account.is_empty() && is_name(resource);
            return plain.then(|| Target::Bucket { name: resource.to_owned() });
        }
        if region.is_empty() || account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let place = |name: &str| {
            is_name(name).then(|| Place {
                arn: arn.to_owned(),
                partition: partition.to_owned(),
                region: region.to_owned(),
                account: account.to_owned(),
                name: name.to_owned(),
            })
        };
        match service {
            "sqs" => place(resource).map(Target::Queue),
            "sns" => place(resource).map(Target::Topic),
            // Names of buses may have a path.
            "events" => resource
                .strip_prefix("event-bus/")
                .filter(|name| name.split('/').all(is_name))
                .and_then(|name| place(&name.replace('/', "-")).map(|place| (name, place)))
                .map(|(name, place)| Target::EventBus(Place { name: name.to_owned(), ..place })),
            "lambda" => {
                let mut names = resource.strip_prefix("function:")?.split(':');
                let (name, qualifier) = (names.next()?, names.next());
                let well_formed = names.next().is_none() && is_name(name) && qualifier.is_none_or(is_name);
                well_formed.then(|| Target::Function {
                    function_arn: format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
                    qualifier: qualifier.map(str::to_owned),
                })
            }
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(arn: &str, region: &str, name: &str) -> Place {
        Place {
            arn: arn.into(),
            partition: "aws".into(),
            region: region.into(),
            account: "123456789012".into(),
            name: name.into(),
        }
    }

    #[test]
    fn an_arn_says_what_it_names_and_where_that_is() {
        let queue = "arn:aws:sqs:eu-west-1:123456789012:jobs";
        assert_eq!(Target::parse(queue), Ok(Target::Queue(place(queue, "eu-west-1", "jobs"))));
        let topic = "arn:aws:sns:us-east-2:123456789012:news.fifo";
        assert_eq!(Target::parse(topic), Ok(Target::Topic(place(topic, "us-east-2", "news.fifo"))));
        let bus = "arn:aws:events:eu-west-1:123456789012:event-bus/partner/a";
        assert_eq!(Target::parse(bus), Ok(Target::EventBus(place(bus, "eu-west-1", "partner/a"))));
        assert_eq!(Target::parse("arn:aws:s3:::a.bucket"), Ok(Target::Bucket { name: "a.bucket".into() }));
        let function = |arn| match Target::parse(arn) {
            Ok(Target::Function { function_arn, qualifier }) => (function_arn, qualifier),
            other => panic!("{other:?}"),
        };
        let bare = "arn:aws-cn:lambda:cn-north-1:123456789012:function:f_1".to_owned();
        assert_eq!(function(&bare), (bare.clone(), None));
        assert_eq!(function(&format!("{bare}:$LATEST")), (bare, Some("$LATEST".into())));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for arn in [
            "",
            "jobs",
            "arn:aws:sqs:eu-west-1:123456789012:",
            "arn:aws:sqs:eu-west-1:123456789012:a/../b",
            "arn:aws:sqs::123456789012:jobs",
            "arn:aws:sqs:eu-west-1:12345:jobs",
            "arn:gcp:sqs:eu-west-1:123456789012:jobs",
            "arn:aws:dynamodb:eu-west-1:123456789012:table/t",
            "arn:aws:events:eu-west-1:123456789012:rule/r",
            "arn:aws:events:eu-west-1:123456789012:event-bus/a//b",
            "arn:aws:lambda:eu-west-1:123456789012:function:f:1:2",
            "arn:aws:lambda:eu-west-1:123456789012:layer:l",
            "arn:aws:s3:::bucket/key",
            "arn:aws:s3:eu-west-1::bucket",
        ] {
            assert_eq!(Target::parse(arn), Err(NoTarget { arn: arn.into() }), "{arn}");
        }
    }
}
