//! What becomes of asynchronous events of a function, version or alias: tries, age, and who is told.

use firesteel_catalog::{Destinations, EventInvokeConfig, EventInvokeUpdate};

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    DeleteFunctionEventInvokeConfigRequest, DestinationConfig, FunctionEventInvokeConfig,
    GetFunctionEventInvokeConfigRequest, ListFunctionEventInvokeConfigsRequest,
    ListFunctionEventInvokeConfigsResponse, OnFailure, OnSuccess, PutFunctionEventInvokeConfigRequest,
    UpdateFunctionEventInvokeConfigRequest,
};

pub(crate) async fn put(
    front: Front,
    request: PutFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let wanted = wanted(
        request.maximum_retry_attempts,
        request.maximum_event_age_in_seconds,
        request.destination_config,
    );
    Ok(shown(front.catalog(move |store| store.put_event_invoke_config(&reference, wanted)).await?))
}

pub(crate) async fn update(
    front: Front,
    request: UpdateFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let wanted = wanted(
        request.maximum_retry_attempts,
        request.maximum_event_age_in_seconds,
        request.destination_config,
    );
    Ok(shown(front.catalog(move |store| store.update_event_invoke_config(&reference, wanted)).await?))
}

pub(crate) async fn get(
    front: Front,
    request: GetFunctionEventInvokeConfigRequest,
) -> Result<FunctionEventInvokeConfig, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    Ok(shown(front.catalog(move |store| store.event_invoke_config(&reference)).await?))
}

pub(crate) async fn delete(
    front: Front,
    request: DeleteFunctionEventInvokeConfigRequest,
) -> Result<(), ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    front.catalog(move |store| store.delete_event_invoke_config(&reference)).await
}

pub(crate) async fn list(
    front: Front,
    request: ListFunctionEventInvokeConfigsRequest,
) -> Result<ListFunctionEventInvokeConfigsResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_event_invoke_configs(&name, &paging)).await?;
    Ok(ListFunctionEventInvokeConfigsResponse {
        function_event_invoke_configs: Some(page.items.into_iter().map(shown).collect()),
        next_marker: page.next_marker,
    })
}

fn wanted(
    maximum_retry_attempts: Option<i64>,
    maximum_event_age_s: Option<i64>,
    destinations: Option<DestinationConfig>,
) -> EventInvokeUpdate {
    // The model has bounds for both numbers.
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    // An empty one is how some tools say none.
    let arn = |arn: Option<String>| arn.filter(|arn| !arn.is_empty());
    EventInvokeUpdate {
        maximum_retry_attempts: number(maximum_retry_attempts),
        maximum_event_age_s: number(maximum_event_age_s),
        destinations: destinations.map(|DestinationConfig { on_success, on_failure }| Destinations {
            on_success: arn(on_success.and_then(|on| on.destination)),
            on_failure: arn(on_failure.and_then(|on| on.destination)),
        }),
    }
}

/// Destinations are always shown, empty where there are none; numbers only where they were given.
fn shown(EventInvokeConfig { arn, settings, last_modified }: EventInvokeConfig) -> FunctionEventInvokeConfig {
    let Destinations { on_success, on_failure } = settings.destinations;
    FunctionEventInvokeConfig {
        last_modified: Some(last_modified.as_duration().as_secs_f64()),
        function_arn: Some(arn.to_string()),
        maximum_retry_attempts: settings.maximum_retry_attempts.map(i64::from),
        maximum_event_age_in_seconds: settings.maximum_event_age_s.map(i64::from),
        destination_config: Some(DestinationConfig {
            on_success: Some(OnSuccess { destination: on_success }),
            on_failure: Some(OnFailure { destination: on_failure }),
        }),
    }
}
