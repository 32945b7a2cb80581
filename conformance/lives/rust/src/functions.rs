//! Functions: made, read, listed, invoked, changed, deleted.

use std::time::Duration;

use aws_sdk_lambda::client::Waiters;
use aws_sdk_lambda::operation::create_function::builders::CreateFunctionFluentBuilder;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    Architecture, Environment, FunctionCode, InvocationType, InvokeWithResponseStreamResponseEvent,
    LastUpdateStatus, LogType, Runtime, State,
};

use crate::{ARN, FUNCTION, Life, Outcome, ROLE, equal, holds, refused, told};

pub const LIMIT: Duration = Duration::from_secs(60);

fn creation(life: &Life, name: &str) -> Result<CreateFunctionFluentBuilder, String> {
    let environment =
        Environment::builder().variables("NOTES", life.folder.join("notes").display().to_string());
    Ok(life
        .client
        .create_function()
        .function_name(name)
        .runtime(Runtime::from(life.runtime.as_str()))
        .role(ROLE)
        .handler("app.handler")
        .environment(environment.build())
        .code(FunctionCode::builder().zip_file(life.package("first")?).build()))
}

pub async fn create(life: &Life) -> Outcome {
    let made = creation(life, FUNCTION)?.timeout(10).tags("of", "lives").send().await.map_err(told)?;
    equal(made.function_arn(), Some(ARN), "ARN")?;
    equal(made.state(), Some(&State::Pending), "state")?;
    equal(made.version(), Some("$LATEST"), "version")?;
    equal((made.timeout(), made.memory_size()), (Some(10), Some(128)), "timeout and memory")?;
    equal(made.architectures(), [Architecture::X8664].as_slice(), "architectures")
}

pub async fn becomes_active(life: &Life) -> Outcome {
    let wait = life.client.wait_until_function_active_v2().function_name(FUNCTION);
    wait.wait(LIMIT).await.map(drop).map_err(|error| format!("{error:?}"))
}

pub async fn get(life: &Life) -> Outcome {
    let seen = life.client.get_function().function_name(ARN).send().await.map_err(told)?;
    let configuration = seen.configuration().ok_or("no configuration")?;
    equal(configuration.state(), Some(&State::Active), "state")?;
    equal(configuration.last_update_status(), Some(&LastUpdateStatus::Successful), "last update")?;
    equal(seen.tags().and_then(|tags| tags.get("of")).map(String::as_str), Some("lives"), "tag")?;
    holds(seen.code().and_then(|code| code.location()).is_some(), "the code has a location")
}

pub async fn create_twice(life: &Life) -> Outcome {
    let again = creation(life, FUNCTION)?.send().await;
    refused(again, |error| error.is_resource_conflict_exception(), "ResourceConflictException")
}

pub async fn create_wrong(life: &Life) -> Outcome {
    let wrong = creation(life, "refused")?.runtime(Runtime::from("python1.0")).send().await;
    refused(wrong, |error| error.is_invalid_parameter_value_exception(), "InvalidParameterValueException")?;
    let wrong = creation(life, "refused")?
        .code(FunctionCode::builder().zip_file(Blob::new("no zip")).build())
        .send()
        .await;
    refused(wrong, |error| error.is_invalid_parameter_value_exception(), "InvalidParameterValueException")
}

pub async fn unknown(life: &Life) -> Outcome {
    let what = "ResourceNotFoundException";
    refused(
        life.client.get_function().function_name("nobody").send().await,
        |error| error.is_resource_not_found_exception(),
        what,
    )?;
    refused(
        life.client.invoke().function_name("nobody").send().await,
        |error| error.is_resource_not_found_exception(),
        what,
    )
}

pub async fn list(life: &Life) -> Outcome {
    for name in ["listed-0", "listed-1"] {
        creation(life, name)?.send().await.map_err(told)?;
    }
    let mut pages = life.client.list_functions().into_paginator().page_size(2).send();
    let (mut sizes, mut names) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.map_err(told)?;
        sizes.push(page.functions().len());
        names.extend(
            page.functions().iter().filter_map(|function| function.function_name()).map(str::to_owned),
        );
    }
    names.sort();
    equal(names, [FUNCTION, "listed-0", "listed-1"].map(str::to_owned).to_vec(), "functions")?;
    equal(sizes, vec![2, 1], "functions of each page")?;
    for name in ["listed-0", "listed-1"] {
        let wait = life.client.wait_until_function_active_v2().function_name(name);
        wait.wait(LIMIT).await.map_err(|error| format!("{error:?}"))?;
        life.client.delete_function().function_name(name).send().await.map_err(told)?;
    }
    Ok(())
}

pub async fn invoke(life: &Life) -> Outcome {
    let (payload, version) = life.invoke(r#"{"text": "hei"}"#, "$LATEST").await?;
    equal(version.as_str(), "$LATEST", "executed version")?;
    holds(payload.contains(r#""release": "first""#) && payload.contains(r#""text": "hei""#), &payload)
}

pub async fn invoke_with_log(life: &Life) -> Outcome {
    let invoke =
        life.client.invoke().function_name(FUNCTION).log_type(LogType::Tail).payload(Blob::new("{}"));
    let answer = invoke.send().await.map_err(told)?;
    holds(answer.log_result().is_some_and(|log| !log.is_empty()), "there is a log")
}

pub async fn invoke_failing(life: &Life) -> Outcome {
    let answer = life
        .client
        .invoke()
        .function_name(FUNCTION)
        .payload(Blob::new(r#"{"do": "fail"}"#))
        .send()
        .await
        .map_err(told)?;
    equal(
        (answer.status_code(), answer.function_error()),
        (200, Some("Unhandled")),
        "status and function error",
    )
}

pub async fn invoke_otherwise(life: &Life) -> Outcome {
    for (kind, status) in [(InvocationType::Event, 202), (InvocationType::DryRun, 204)] {
        let invoke = life
            .client
            .invoke()
            .function_name(FUNCTION)
            .payload(Blob::new(r#"{"do": "note", "token": "rust"}"#));
        equal(invoke.invocation_type(kind).send().await.map_err(told)?.status_code(), status, "status")?;
    }
    let noted = || {
        std::fs::read_to_string(life.folder.join("notes"))
            .is_ok_and(|notes| notes.contains(r#""token": "rust""#))
    };
    let wait = async {
        while !noted() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.map_err(|_| "the event has left no note".to_owned())
}

pub async fn invoke_streaming(life: &Life) -> Outcome {
    let invoke = life
        .client
        .invoke_with_response_stream()
        .function_name(FUNCTION)
        .payload(Blob::new(r#"{"text": "streamed"}"#));
    let mut events = invoke.send().await.map_err(told)?.event_stream;
    let (mut payload, mut ended) = (Vec::new(), false);
    while let Some(event) = events.recv().await.map_err(told)? {
        match event {
            InvokeWithResponseStreamResponseEvent::PayloadChunk(chunk) => {
                payload.extend_from_slice(chunk.payload().map(AsRef::as_ref).unwrap_or_default());
            }
            InvokeWithResponseStreamResponseEvent::InvokeComplete(end) => {
                equal(end.error_code(), None, "error code")?;
                ended = true;
            }
            other => return Err(format!("{other:?}")),
        }
    }
    holds(
        ended && String::from_utf8_lossy(&payload).contains("streamed"),
        "the stream has the payload and an end",
    )
}

pub async fn update_configuration(life: &Life) -> Outcome {
    let before =
        life.client.get_function_configuration().function_name(FUNCTION).send().await.map_err(told)?;
    let update = || life.client.update_function_configuration().function_name(FUNCTION);
    let changed = update().memory_size(256).send().await.map_err(told)?;
    equal(
        (changed.memory_size(), changed.last_update_status()),
        (Some(256), Some(&LastUpdateStatus::InProgress)),
        "memory and update",
    )?;
    let wait = life.client.wait_until_function_updated_v2().function_name(FUNCTION);
    wait.wait(LIMIT).await.map_err(|error| format!("{error:?}"))?;
    let late = update()
        .description("too late")
        .set_revision_id(before.revision_id().map(str::to_owned))
        .send()
        .await;
    refused(late, |error| error.is_precondition_failed_exception(), "PreconditionFailedException")
}

pub async fn delete(life: &Life) -> Outcome {
    life.client.delete_function().function_name(FUNCTION).send().await.map_err(told)?;
    unknown(life).await?;
    let left = life.client.list_functions().send().await.map_err(told)?;
    equal(left.functions().len(), 0, "functions that are left")
}
