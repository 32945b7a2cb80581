//! Versions, aliases and layers.

use std::collections::HashSet;

use aws_sdk_lambda::client::Waiters;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, LayerVersionContentInput};

use crate::functions::LIMIT;
use crate::{ARN, FUNCTION, Life, Outcome, equal, holds, refused, told};

pub async fn publish(life: &Life) -> Outcome {
    let published = life.client.publish_version().function_name(FUNCTION).send().await.map_err(told)?;
    equal(published.version(), Some("1"), "version")?;
    equal(published.function_arn(), Some(format!("{ARN}:1").as_str()), "ARN")?;
    let wait = life.client.wait_until_published_version_active().function_name(FUNCTION).qualifier("1");
    wait.wait(LIMIT).await.map_err(|error| format!("{error:?}"))?;
    let again = life.client.publish_version().function_name(FUNCTION).send().await.map_err(told)?;
    equal(again.version(), Some("1"), "version of what has not changed")
}

pub async fn update_code(life: &Life) -> Outcome {
    let update = life
        .client
        .update_function_code()
        .function_name(FUNCTION)
        .zip_file(life.package("second")?)
        .publish(true);
    equal(update.send().await.map_err(told)?.version(), Some("2"), "version")?;
    let wait = life.client.wait_until_published_version_active().function_name(FUNCTION).qualifier("2");
    wait.wait(LIMIT).await.map(drop).map_err(|error| format!("{error:?}"))
}

pub async fn invoke(life: &Life) -> Outcome {
    for (version, release) in [("1", "first"), ("2", "second")] {
        let (payload, executed) = life.invoke("{}", version).await?;
        equal(executed.as_str(), version, "executed version")?;
        holds(payload.contains(&format!(r#""release": "{release}""#)), &payload)?;
    }
    Ok(())
}

pub async fn list(life: &Life) -> Outcome {
    let mut versions = life
        .client
        .list_versions_by_function()
        .function_name(FUNCTION)
        .into_paginator()
        .page_size(1)
        .items()
        .send();
    let mut seen = Vec::new();
    while let Some(version) = versions.next().await {
        seen.push(version.map_err(told)?.version().unwrap_or_default().to_owned());
    }
    equal(seen, ["$LATEST", "1", "2"].map(str::to_owned).to_vec(), "versions")
}

pub async fn route(life: &Life) -> Outcome {
    let weights = AliasRoutingConfiguration::builder().additional_version_weights("2", 0.5).build();
    let alias = life
        .client
        .create_alias()
        .function_name(FUNCTION)
        .name("live")
        .function_version("1")
        .routing_config(weights);
    equal(alias.send().await.map_err(told)?.alias_arn(), Some(format!("{ARN}:live").as_str()), "ARN")?;
    let mut ran = HashSet::new();
    let both = async {
        while ran.len() < 2 {
            ran.insert(life.invoke("{}", "live").await?.1);
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, both).await.map_err(|_| "one of two versions never ran".to_owned())?
}

pub async fn unknown_alias(life: &Life) -> Outcome {
    let get = life.client.get_alias().function_name(FUNCTION).name("nothing").send().await;
    refused(get, |error| error.is_resource_not_found_exception(), "ResourceNotFoundException")
}

pub async fn layers(life: &Life) -> Outcome {
    let content = LayerVersionContentInput::builder().zip_file(life.package("first")?).build();
    let layer = life
        .client
        .publish_layer_version()
        .layer_name("rust-layer")
        .content(content)
        .send()
        .await
        .map_err(told)?;
    equal(layer.version(), 1, "version of the layer")?;
    let arn = layer.layer_version_arn().unwrap_or_default();
    let update = life.client.update_function_configuration().function_name(FUNCTION).layers(arn);
    equal(update.send().await.map_err(told)?.layers().len(), 1, "layers of the function")?;
    let wait = life.client.wait_until_function_updated_v2().function_name(FUNCTION);
    wait.wait(LIMIT).await.map_err(|error| format!("{error:?}"))?;
    let (payload, _) = life.invoke(r#"{"do": "read", "path": "/opt/release.txt"}"#, "$LATEST").await?;
    equal(payload.as_str(), r#""first""#, "file of the layer")?;
    life.client
        .delete_layer_version()
        .layer_name("rust-layer")
        .version_number(1)
        .send()
        .await
        .map_err(told)?;
    let gone = life.client.get_layer_version().layer_name("rust-layer").version_number(1).send().await;
    refused(gone, |error| error.is_resource_not_found_exception(), "ResourceNotFoundException")
}
