//! What is written beside a function: tags, policy, concurrency, asynchronous settings, a URL, event sources.

use std::time::Duration;

use aws_sdk_lambda::types::{
    FunctionUrlAuthType, InvokeMode, ProvisionedConcurrencyStatusEnum, ThrottleReason,
};

use crate::functions::LIMIT;
use crate::{ARN, FUNCTION, Life, Outcome, equal, holds, refused, told};

pub async fn tag(life: &Life) -> Outcome {
    life.client.tag_resource().resource(ARN).tags("team", "blue").send().await.map_err(told)?;
    life.client.untag_resource().resource(ARN).tag_keys("of").send().await.map_err(told)?;
    let tags = life.client.list_tags().resource(ARN).send().await.map_err(told)?.tags.unwrap_or_default();
    equal(tags, [("team".to_owned(), "blue".to_owned())].into(), "tags")
}

pub async fn permit(life: &Life) -> Outcome {
    let add = || {
        life.client
            .add_permission()
            .function_name(FUNCTION)
            .statement_id("bucket")
            .action("lambda:InvokeFunction")
    };
    add().principal("s3.amazonaws.com").send().await.map_err(told)?;
    let again = add().principal("s3.amazonaws.com").send().await;
    refused(again, |error| error.is_resource_conflict_exception(), "ResourceConflictException")?;
    let policy = life.client.get_policy().function_name(FUNCTION).send().await.map_err(told)?;
    holds(policy.policy().is_some_and(|text| text.contains("bucket")), "the policy has the statement")?;
    life.client
        .remove_permission()
        .function_name(FUNCTION)
        .statement_id("bucket")
        .send()
        .await
        .map_err(told)?;
    let gone = life.client.get_policy().function_name(FUNCTION).send().await;
    refused(gone, |error| error.is_resource_not_found_exception(), "ResourceNotFoundException")
}

pub async fn reserve(life: &Life) -> Outcome {
    let put =
        life.client.put_function_concurrency().function_name(FUNCTION).reserved_concurrent_executions(0);
    equal(put.send().await.map_err(told)?.reserved_concurrent_executions(), Some(0), "reserved")?;
    let error = life
        .client
        .invoke()
        .function_name(FUNCTION)
        .send()
        .await
        .err()
        .ok_or("an invocation without concurrency")?;
    let reason = match error.as_service_error() {
        Some(aws_sdk_lambda::operation::invoke::InvokeError::TooManyRequestsException(refusal)) => {
            refusal.reason().cloned()
        }
        _ => return Err(told(error)),
    };
    equal(reason, Some(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded), "reason")?;
    life.client.delete_function_concurrency().function_name(FUNCTION).send().await.map(drop).map_err(told)
}

pub async fn provision(life: &Life) -> Outcome {
    let put = life.client.put_provisioned_concurrency_config().function_name(FUNCTION).qualifier("2");
    let asked = put.provisioned_concurrent_executions(1).send().await.map_err(told)?;
    equal(asked.status(), Some(&ProvisionedConcurrencyStatusEnum::InProgress), "status")?;
    let get = || life.client.get_provisioned_concurrency_config().function_name(FUNCTION).qualifier("2");
    let ready = async {
        loop {
            match get().send().await.map_err(told)?.status() {
                Some(ProvisionedConcurrencyStatusEnum::Ready) => return Ok(()),
                Some(ProvisionedConcurrencyStatusEnum::InProgress) => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                other => return Err(format!("status {other:?}")),
            }
        }
    };
    tokio::time::timeout(LIMIT, ready).await.map_err(|_| "never READY".to_owned())??;
    life.client
        .delete_provisioned_concurrency_config()
        .function_name(FUNCTION)
        .qualifier("2")
        .send()
        .await
        .map_err(told)?;
    refused(
        get().send().await,
        |error| error.is_provisioned_concurrency_config_not_found_exception(),
        "ProvisionedConcurrencyConfigNotFoundException",
    )
}

pub async fn settle(life: &Life) -> Outcome {
    let put =
        life.client.put_function_event_invoke_config().function_name(FUNCTION).maximum_retry_attempts(0);
    equal(put.send().await.map_err(told)?.maximum_retry_attempts(), Some(0), "retries")?;
    life.client.delete_function_event_invoke_config().function_name(FUNCTION).send().await.map_err(told)?;
    let gone = life.client.get_function_event_invoke_config().function_name(FUNCTION).send().await;
    refused(gone, |error| error.is_resource_not_found_exception(), "ResourceNotFoundException")
}

pub async fn url(life: &Life) -> Outcome {
    let create = || {
        life.client
            .create_function_url_config()
            .function_name(FUNCTION)
            .auth_type(FunctionUrlAuthType::AwsIam)
    };
    let made = create().send().await.map_err(told)?;
    let seen = life.client.get_function_url_config().function_name(FUNCTION).send().await.map_err(told)?;
    equal(
        (seen.function_url(), seen.invoke_mode()),
        (made.function_url(), Some(&InvokeMode::Buffered)),
        "URL and mode",
    )?;
    refused(
        create().send().await,
        |error| error.is_resource_conflict_exception(),
        "ResourceConflictException",
    )?;
    life.client.delete_function_url_config().function_name(FUNCTION).send().await.map(drop).map_err(told)
}

pub async fn map(life: &Life) -> Outcome {
    let create = life
        .client
        .create_event_source_mapping()
        .function_name(FUNCTION)
        .event_source_arn("arn:aws:sqs:us-east-1:000000000000:orders");
    let made = create.enabled(false).send().await.map_err(told)?;
    let uuid = made.uuid().unwrap_or_default();
    let disabled = async {
        while life.client.get_event_source_mapping().uuid(uuid).send().await.map_err(told)?.state()
            != Some("Disabled")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, String>(())
    };
    tokio::time::timeout(LIMIT, disabled).await.map_err(|_| "never Disabled".to_owned())??;
    life.client.delete_event_source_mapping().uuid(uuid).send().await.map(drop).map_err(told)
}

pub async fn account(life: &Life) -> Outcome {
    let seen = life.client.get_account_settings().send().await.map_err(told)?;
    equal(seen.account_usage().map(|usage| usage.function_count()), Some(1), "functions")
}
