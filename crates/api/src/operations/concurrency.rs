//! Reserved and provisioned concurrency.
//!
//! ```text
//!  put, delete ─► catalog: what is wanted ─► invoker: environments made or ended ─► its progress is the status
//! ```

use firesteel_catalog::{Arn, FunctionName, Qualifier};
use firesteel_invoke::{Change, Progress, ProvisionFailure, ProvisionStatus};

use jiff::Timestamp;

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    Concurrency, DeleteFunctionConcurrencyRequest, DeleteProvisionedConcurrencyConfigRequest,
    GetFunctionConcurrencyRequest, GetFunctionConcurrencyResponse, GetProvisionedConcurrencyConfigRequest,
    GetProvisionedConcurrencyConfigResponse, ListProvisionedConcurrencyConfigsRequest,
    ListProvisionedConcurrencyConfigsResponse, ProvisionedConcurrencyConfigListItem,
    PutFunctionConcurrencyRequest, PutProvisionedConcurrencyConfigRequest,
    PutProvisionedConcurrencyConfigResponse, exception,
};

const UNQUALIFIED_ONLY: &str = "This operation is permitted on Lambda functions only. Aliases and versions do not \
     support this operation. Please specify either a function name or an unqualified function ARN.";

pub(crate) async fn put(
    front: Front,
    request: PutFunctionConcurrencyRequest,
) -> Result<Concurrency, ApiError> {
    let name = whole_function(&front, &request.function_name)?;
    // The model has a least value only; what is more than any account has is refused by the catalog.
    let reserved = u32::try_from(request.reserved_concurrent_executions).unwrap_or(u32::MAX);
    let of = name.clone();
    front.catalog(move |store| store.put_reserved_concurrency(&of, reserved)).await?;
    // Environments that are provisioned are part of a reservation, if there is one.
    front.changed(&name, Change::default()).await?;
    Ok(Concurrency { reserved_concurrent_executions: Some(reserved.into()) })
}

pub(crate) async fn get(
    front: Front,
    request: GetFunctionConcurrencyRequest,
) -> Result<GetFunctionConcurrencyResponse, ApiError> {
    let name = whole_function(&front, &request.function_name)?;
    let reserved = front.catalog(move |store| store.reserved_concurrency(&name)).await?;
    Ok(GetFunctionConcurrencyResponse { reserved_concurrent_executions: reserved.map(i64::from) })
}

pub(crate) async fn delete(front: Front, request: DeleteFunctionConcurrencyRequest) -> Result<(), ApiError> {
    let name = whole_function(&front, &request.function_name)?;
    let of = name.clone();
    front.catalog(move |store| store.delete_reserved_concurrency(&of)).await?;
    front.changed(&name, Change::default()).await
}

pub(crate) async fn put_provisioned(
    front: Front,
    request: PutProvisionedConcurrencyConfigRequest,
) -> Result<PutProvisionedConcurrencyConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, Some(&request.qualifier))?;
    let name = reference.name.clone();
    let requested = u32::try_from(request.provisioned_concurrent_executions).unwrap_or(u32::MAX);
    // What is told is how things stand when the wish is taken, before anything is made of it.
    let before =
        reference.qualifier.as_ref().and_then(|qualifier| front.invoker().provisioned(&name, qualifier));
    let config = front.catalog(move |store| store.put_provisioned_concurrency(&reference, requested)).await?;
    front.changed(&name, Change::default()).await?;
    let available = before.map_or(0, |before| before.available);
    Ok(PutProvisionedConcurrencyConfigResponse {
        requested_provisioned_concurrent_executions: Some(config.requested.into()),
        allocated_provisioned_concurrent_executions: Some(count(available)),
        available_provisioned_concurrent_executions: Some(count(available)),
        status: Some("IN_PROGRESS".to_owned()),
        status_reason: None,
        last_modified: Some(last_modified(config.last_modified)),
    })
}

pub(crate) async fn get_provisioned(
    front: Front,
    request: GetProvisionedConcurrencyConfigRequest,
) -> Result<GetProvisionedConcurrencyConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, Some(&request.qualifier))?;
    let config = front.catalog(move |store| store.provisioned_concurrency(&reference)).await?;
    let told = Told::of(&front, &config.arn);
    Ok(GetProvisionedConcurrencyConfigResponse {
        requested_provisioned_concurrent_executions: Some(config.requested.into()),
        available_provisioned_concurrent_executions: Some(told.available),
        allocated_provisioned_concurrent_executions: Some(told.available),
        status: Some(told.status),
        status_reason: told.reason,
        last_modified: Some(last_modified(config.last_modified)),
    })
}

pub(crate) async fn delete_provisioned(
    front: Front,
    request: DeleteProvisionedConcurrencyConfigRequest,
) -> Result<(), ApiError> {
    let reference = front.reference(&request.function_name, Some(&request.qualifier))?;
    let name = reference.name.clone();
    front.catalog(move |store| store.delete_provisioned_concurrency(&reference)).await?;
    front.changed(&name, Change::default()).await
}

pub(crate) async fn list_provisioned(
    front: Front,
    request: ListProvisionedConcurrencyConfigsRequest,
) -> Result<ListProvisionedConcurrencyConfigsResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_provisioned_concurrency(&name, &paging)).await?;
    let configs = page.items.into_iter().map(|config| {
        let told = Told::of(&front, &config.arn);
        ProvisionedConcurrencyConfigListItem {
            function_arn: Some(config.arn.to_string()),
            requested_provisioned_concurrent_executions: Some(config.requested.into()),
            available_provisioned_concurrent_executions: Some(told.available),
            allocated_provisioned_concurrent_executions: Some(told.available),
            status: Some(told.status),
            status_reason: told.reason,
            last_modified: Some(last_modified(config.last_modified)),
        }
    });
    Ok(ListProvisionedConcurrencyConfigsResponse {
        provisioned_concurrency_configs: Some(configs.collect()),
        next_marker: page.next_marker,
    })
}

/// How far the environments of a version or alias have come.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// Told as what is allocated, too: none is, by recordings, before it is initialised.
    available: i64,
    status: String,
    reason: Option<String>,
}

impl Told {
    fn of(front: &Front, arn: &Arn) -> Self {
        let qualifier = arn.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
        Self::from(front.invoker().provisioned(&arn.name, qualifier))
    }

    /// A wish that nothing has been made of yet is under way.
    fn from(progress: Option<Progress>) -> Self {
        let (status, reason) = match progress.as_ref().map(|progress| &progress.status) {
            None | Some(ProvisionStatus::InProgress) => ("IN_PROGRESS", None),
            Some(ProvisionStatus::Ready) => ("READY", None),
            Some(ProvisionStatus::Failed(failure)) => ("FAILED", Some(reason(failure))),
        };
        Told {
            available: count(progress.map_or(0, |progress| progress.available)),
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
        }
    }
}

/// The first is AWS's; what else there is happens to servers of one's own only.
fn reason(failure: &ProvisionFailure) -> &'static str {
    match failure {
        ProvisionFailure::Init { .. } => "FUNCTION_ERROR_INIT_FAILURE",
        ProvisionFailure::NoRoom(_) => "This server has no room for more environments",
        ProvisionFailure::Host(_) => "This server could not make an environment",
    }
}

fn whole_function(front: &Front, name: &str) -> Result<FunctionName, ApiError> {
    let reference = front.reference(name, None)?;
    match reference.qualifier {
        None => Ok(reference.name),
        Some(_) => Err(ApiError::refused(&exception::INVALID_PARAMETER_VALUE, UNQUALIFIED_ONLY)),
    }
}

/// To the second, as AWS has it here and nowhere else.
fn last_modified(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

fn count(environments: usize) -> i64 {
    i64::try_from(environments).unwrap_or(i64::MAX)
}
