//! Aliases. What they point to runs for them at once, and what is provisioned for them moves.

use firesteel_catalog::{Alias, AliasUpdate, FunctionName, NewAlias, VersionNumber, Weighted};
use firesteel_invoke::Change;
use indexmap::IndexMap;

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    AliasConfiguration, AliasRoutingConfiguration, CreateAliasRequest, DeleteAliasRequest, GetAliasRequest,
    ListAliasesRequest, ListAliasesResponse, UpdateAliasRequest, exception,
};

pub(crate) async fn create(
    front: Front,
    request: CreateAliasRequest,
) -> Result<AliasConfiguration, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let new = NewAlias {
        version: version(&front, &name, &request.function_version)?,
        weights: weights(&front, &name, request.routing_config)?,
        description: request.description.unwrap_or_default(),
        name: request.name,
    };
    let alias = front.catalog(move |store| store.create_alias(&name, &new)).await?;
    Ok(shown(alias))
}

pub(crate) async fn get(front: Front, request: GetAliasRequest) -> Result<AliasConfiguration, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    Ok(shown(front.catalog(move |store| store.alias(&name, &request.name)).await?))
}

pub(crate) async fn update(
    front: Front,
    request: UpdateAliasRequest,
) -> Result<AliasConfiguration, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let update = AliasUpdate {
        version: request.function_version.map(|number| version(&front, &name, &number)).transpose()?,
        weights: request.routing_config.map(|routing| weights(&front, &name, Some(routing))).transpose()?,
        description: request.description,
        revision_id: request.revision_id,
    };
    let of = name.clone();
    let alias = front.catalog(move |store| store.update_alias(&of, &request.name, update)).await?;
    front.changed(&name, Change::default()).await?;
    Ok(shown(alias))
}

pub(crate) async fn delete(front: Front, request: DeleteAliasRequest) -> Result<(), ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let of = name.clone();
    front.catalog(move |store| store.delete_alias(&of, &request.name)).await?;
    front.changed(&name, Change::default()).await
}

pub(crate) async fn list(front: Front, request: ListAliasesRequest) -> Result<ListAliasesResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let paging = super::paging(request.marker, request.max_items);
    let version = request.function_version.map(|number| version(&front, &name, &number)).transpose()?;
    let page = front.catalog(move |store| store.list_aliases(&name, version, &paging)).await?;
    let aliases = page.items.into_iter().map(shown).collect();
    Ok(ListAliasesResponse { aliases: Some(aliases), next_marker: page.next_marker })
}

fn shown(alias: Alias) -> AliasConfiguration {
    AliasConfiguration {
        alias_arn: Some(alias.arn.to_string()),
        name: Some(alias.name),
        function_version: Some(alias.version.to_string()),
        description: Some(alias.description),
        routing_config: alias.additional.map(|Weighted { number, weight }| AliasRoutingConfiguration {
            additional_version_weights: Some(IndexMap::from([(number.to_string(), weight)])),
        }),
        revision_id: Some(alias.revision_id),
    }
}

/// `$LATEST`, or a number by the model. What no version can be called is not found, as any that there is not.
fn version(front: &Front, function: &FunctionName, given: &str) -> Result<VersionNumber, ApiError> {
    match given {
        "$LATEST" => Ok(VersionNumber::Latest),
        number => Ok(VersionNumber::Published(published(front, function, number)?)),
    }
}

fn published(front: &Front, function: &FunctionName, given: &str) -> Result<u64, ApiError> {
    given.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        let arn = front.account().function_arn(function, None);
        ApiError::refused(&exception::RESOURCE_NOT_FOUND, format!("Function not found: {arn}:{given}"))
    })
}

fn weights(
    front: &Front,
    function: &FunctionName,
    routing: Option<AliasRoutingConfiguration>,
) -> Result<Vec<Weighted>, ApiError> {
    let weights = routing.and_then(|routing| routing.additional_version_weights).unwrap_or_default();
    let weighted = weights
        .into_iter()
        .map(|(number, weight)| Ok(Weighted { number: published(front, function, &number)?, weight }));
    weighted.collect()
}
