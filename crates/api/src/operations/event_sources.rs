//! Event source mappings: which queue or stream is to feed which function. Kept, checked and shown; nothing polls yet.
//!
//! Callers' choices are kept as they are shown, by AWS's names: [`Chosen`] is the part of an answer that is theirs.

use firesteel_catalog::{
    EventSourceMapping, FunctionReference, MAPPING_STATE, MAPPING_STATE_REASON, MappingFilter,
};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateEventSourceMappingRequest, DeleteEventSourceMappingRequest,
    EventSourceMappingConfiguration as Chosen, FilterCriteria, GetEventSourceMappingRequest,
    ListEventSourceMappingsRequest, ListEventSourceMappingsResponse, UpdateEventSourceMappingRequest,
};

/// Not shown, but kept: what is wanted once sources are polled.
const ENABLED: &str = "Enabled";

pub(crate) async fn create(
    front: Front,
    request: CreateEventSourceMappingRequest,
) -> Result<Chosen, ApiError> {
    let function = front.reference(&request.function_name, None)?;
    let chosen = Chosen {
        event_source_arn: request.event_source_arn,
        batch_size: request.batch_size,
        filter_criteria: request.filter_criteria,
        kms_key_arn: request.kms_key_arn,
        metrics_config: request.metrics_config,
        logging_config: request.logging_config,
        scaling_config: request.scaling_config,
        maximum_batching_window_in_seconds: request.maximum_batching_window_in_seconds,
        parallelization_factor: request.parallelization_factor,
        starting_position: request.starting_position,
        starting_position_timestamp: request.starting_position_timestamp,
        destination_config: request.destination_config,
        maximum_record_age_in_seconds: request.maximum_record_age_in_seconds,
        bisect_batch_on_function_error: request.bisect_batch_on_function_error,
        maximum_retry_attempts: request.maximum_retry_attempts,
        tumbling_window_in_seconds: request.tumbling_window_in_seconds,
        topics: request.topics,
        queues: request.queues,
        source_access_configurations: request.source_access_configurations,
        self_managed_event_source: request.self_managed_event_source,
        function_response_types: request.function_response_types,
        amazon_managed_kafka_event_source_config: request.amazon_managed_kafka_event_source_config,
        self_managed_kafka_event_source_config: request.self_managed_kafka_event_source_config,
        document_db_event_source_config: request.document_db_event_source_config,
        provisioned_poller_config: request.provisioned_poller_config,
        ..Chosen::default()
    };
    let parameters = parameters(&chosen, request.enabled)?;
    let tags = request.tags.into_iter().flatten().collect();
    let created =
        front.catalog(move |store| store.create_event_source_mapping(&function, parameters, &tags)).await?;
    shown(created, MAPPING_STATE)
}

pub(crate) async fn get(front: Front, request: GetEventSourceMappingRequest) -> Result<Chosen, ApiError> {
    shown(front.catalog(move |store| store.event_source_mapping(&request.uuid)).await?, MAPPING_STATE)
}

pub(crate) async fn update(
    front: Front,
    request: UpdateEventSourceMappingRequest,
) -> Result<Chosen, ApiError> {
    let function = request.function_name.as_deref().map(|name| front.reference(name, None)).transpose()?;
    let chosen = Chosen {
        batch_size: request.batch_size,
        filter_criteria: request.filter_criteria,
        kms_key_arn: request.kms_key_arn,
        metrics_config: request.metrics_config,
        logging_config: request.logging_config,
        scaling_config: request.scaling_config,
        maximum_batching_window_in_seconds: request.maximum_batching_window_in_seconds,
        parallelization_factor: request.parallelization_factor,
        destination_config: request.destination_config,
        maximum_record_age_in_seconds: request.maximum_record_age_in_seconds,
        bisect_batch_on_function_error: request.bisect_batch_on_function_error,
        maximum_retry_attempts: request.maximum_retry_attempts,
        tumbling_window_in_seconds: request.tumbling_window_in_seconds,
        source_access_configurations: request.source_access_configurations,
        function_response_types: request.function_response_types,
        amazon_managed_kafka_event_source_config: request.amazon_managed_kafka_event_source_config,
        self_managed_kafka_event_source_config: request.self_managed_kafka_event_source_config,
        document_db_event_source_config: request.document_db_event_source_config,
        provisioned_poller_config: request.provisioned_poller_config,
        ..Chosen::default()
    };
    let parameters = parameters(&chosen, request.enabled)?;
    let uuid = request.uuid;
    let updated = front
        .catalog(move |store| store.update_event_source_mapping(&uuid, function.as_ref(), parameters))
        .await?;
    shown(updated, MAPPING_STATE)
}

/// The answer is the mapping as it was, about to go.
pub(crate) async fn delete(
    front: Front,
    request: DeleteEventSourceMappingRequest,
) -> Result<Chosen, ApiError> {
    shown(front.catalog(move |store| store.delete_event_source_mapping(&request.uuid)).await?, "Deleting")
}

pub(crate) async fn list(
    front: Front,
    request: ListEventSourceMappingsRequest,
) -> Result<ListEventSourceMappingsResponse, ApiError> {
    let of = |name: &str| -> Result<FunctionReference, ApiError> { front.reference(name, None) };
    let filter = MappingFilter {
        event_source_arn: request.event_source_arn,
        function: request.function_name.as_deref().map(of).transpose()?,
    };
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_event_source_mappings(&filter, &paging)).await?;
    let mappings = page.items.into_iter().map(|mapping| shown(mapping, MAPPING_STATE));
    Ok(ListEventSourceMappingsResponse {
        next_marker: page.next_marker,
        event_source_mappings: Some(mappings.collect::<Result<_, _>>()?),
    })
}

fn parameters(chosen: &Chosen, enabled: Option<bool>) -> Result<Map<String, Value>, ApiError> {
    let Ok(Value::Object(mut parameters)) = serde_json::to_value(chosen) else {
        tracing::error!("what was chosen of an event source mapping is no JSON object");
        return Err(ApiError::Service);
    };
    if let Some(enabled) = enabled {
        parameters.insert(ENABLED.to_owned(), enabled.into());
    }
    Ok(parameters)
}

fn shown(mapping: EventSourceMapping, state: &str) -> Result<Chosen, ApiError> {
    let chosen: Chosen = serde_json::from_value(Value::Object(mapping.parameters)).map_err(|error| {
        tracing::error!(mapping = mapping.uuid, %error, "an event source mapping in the catalog cannot be shown");
        ApiError::Service
    })?;
    // An empty list is how filters are taken away, and is not shown.
    let has_filters =
        |criteria: &FilterCriteria| criteria.filters.as_ref().is_some_and(|filters| !filters.is_empty());
    Ok(Chosen {
        filter_criteria: chosen.filter_criteria.filter(has_filters),
        uuid: Some(mapping.uuid),
        event_source_mapping_arn: Some(mapping.arn),
        event_source_arn: mapping.event_source_arn,
        function_arn: Some(mapping.function_arn.to_string()),
        last_modified: Some(mapping.last_modified.as_duration().as_secs_f64()),
        state: Some(state.to_owned()),
        state_transition_reason: Some(MAPPING_STATE_REASON.to_owned()),
        ..chosen
    })
}
