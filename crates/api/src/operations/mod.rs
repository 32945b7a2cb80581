//! The operations of the API, a file for each noun, and the way of a request to its own.
//!
//! ```text
//!  request ─► model: which operation ─► guard: may the caller ─┬─► those that run a function: body as it is
//!                                                              └─► all others: body, validated ─► typed request
//!                                                                    ─► one function of a noun's file ─► typed response
//! ```
//!
//! A function of a noun's file takes the [`Front`] and a request that is within the model's constraints. It asks the catalog, and
//! says to the invoker what has changed. Rules that go beyond one request's shape are the catalog's.

pub(crate) mod account;
pub(crate) mod aliases;
pub(crate) mod code;
pub(crate) mod code_signing;
pub(crate) mod concurrency;
pub(crate) mod configuration;
pub(crate) mod event_invoke;
pub(crate) mod event_sources;
pub(crate) mod function_urls;
pub(crate) mod functions;
pub(crate) mod invocation;
pub(crate) mod invoke;
pub(crate) mod invoke_async;
pub(crate) mod invoke_with_response_stream;
pub(crate) mod layers;
pub(crate) mod permissions;
pub(crate) mod recursion;
pub(crate) mod runtime_management;
pub(crate) mod tags;
pub(crate) mod versions;

use std::future::Future;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use firesteel_catalog::Paging;
use uuid::Uuid;

use self::invocation::Call;
use crate::body::{self, BodyError, DRAIN_LIMIT_BYTES};
use crate::error::ApiError;
use crate::front::Front;
use crate::guard;
use crate::model::{self, OperationId, Route};

/// The answer to a request of the API.
pub(crate) async fn answer(front: &Front, request: Request, request_id: Uuid) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let route = model::route(&parts.method, &parts.uri)?;
    use OperationId as Id;
    if let id @ (Id::Invoke | Id::InvokeWithResponseStream | Id::InvokeAsync) = route.operation.id {
        guard::check(front, &route, &parts, &[]).await?;
        let call = Call { request_id, route, parts, body };
        return match id {
            Id::InvokeWithResponseStream => invoke_with_response_stream::answer(front.invoker(), call).await,
            Id::InvokeAsync => invoke_async::answer(front.invoker(), call).await,
            _ => invoke::answer(front.invoker(), call).await,
        };
    }
    let body = control_body(&route, body).await?;
    guard::check(front, &route, &parts, &body).await?;
    let id = route.operation.id;
    let control = Control { front, route, parts, body, request_id };
    match id {
        Id::GetAccountSettings => control.by(account::settings).await,

        Id::CreateFunction => control.by(functions::create).await,
        Id::GetFunction => control.by(functions::get).await,
        Id::GetFunctionConfiguration => control.by(functions::get_configuration).await,
        Id::UpdateFunctionCode => control.by(functions::update_code).await,
        Id::UpdateFunctionConfiguration => control.by(functions::update_configuration).await,
        Id::ListFunctions => control.by(functions::list).await,
        Id::DeleteFunction => control.by(functions::delete).await,

        Id::PublishVersion => control.by(versions::publish).await,
        Id::ListVersionsByFunction => control.by(versions::list).await,

        Id::CreateAlias => control.by(aliases::create).await,
        Id::GetAlias => control.by(aliases::get).await,
        Id::UpdateAlias => control.by(aliases::update).await,
        Id::DeleteAlias => control.by(aliases::delete).await,
        Id::ListAliases => control.by(aliases::list).await,

        Id::PublishLayerVersion => control.by(layers::publish).await,
        Id::GetLayerVersion => control.by(layers::get).await,
        Id::GetLayerVersionByArn => control.by(layers::get_by_arn).await,
        Id::ListLayers => control.by(layers::list).await,
        Id::ListLayerVersions => control.by(layers::list_versions).await,
        Id::DeleteLayerVersion => control.by(layers::delete).await,
        Id::AddLayerVersionPermission => control.by(layers::add_permission).await,
        Id::RemoveLayerVersionPermission => control.by(layers::remove_permission).await,
        Id::GetLayerVersionPolicy => control.by(layers::get_policy).await,

        Id::AddPermission => control.by(permissions::add).await,
        Id::RemovePermission => control.by(permissions::remove).await,
        Id::GetPolicy => control.by(permissions::get_policy).await,

        Id::TagResource => control.by(tags::tag).await,
        Id::UntagResource => control.by(tags::untag).await,
        Id::ListTags => control.by(tags::list).await,

        Id::PutFunctionConcurrency => control.by(concurrency::put).await,
        Id::GetFunctionConcurrency => control.by(concurrency::get).await,
        Id::DeleteFunctionConcurrency => control.by(concurrency::delete).await,
        Id::PutProvisionedConcurrencyConfig => control.by(concurrency::put_provisioned).await,
        Id::GetProvisionedConcurrencyConfig => control.by(concurrency::get_provisioned).await,
        Id::DeleteProvisionedConcurrencyConfig => control.by(concurrency::delete_provisioned).await,
        Id::ListProvisionedConcurrencyConfigs => control.by(concurrency::list_provisioned).await,

        Id::PutFunctionEventInvokeConfig => control.by(event_invoke::put).await,
        Id::UpdateFunctionEventInvokeConfig => control.by(event_invoke::update).await,
        Id::GetFunctionEventInvokeConfig => control.by(event_invoke::get).await,
        Id::DeleteFunctionEventInvokeConfig => control.by(event_invoke::delete).await,
        Id::ListFunctionEventInvokeConfigs => control.by(event_invoke::list).await,

        Id::CreateFunctionUrlConfig => control.by(function_urls::create).await,
        Id::GetFunctionUrlConfig => control.by(function_urls::get).await,
        Id::UpdateFunctionUrlConfig => control.by(function_urls::update).await,
        Id::DeleteFunctionUrlConfig => control.by(function_urls::delete).await,
        Id::ListFunctionUrlConfigs => control.by(function_urls::list).await,

        Id::CreateEventSourceMapping => control.by(event_sources::create).await,
        Id::GetEventSourceMapping => control.by(event_sources::get).await,
        Id::UpdateEventSourceMapping => control.by(event_sources::update).await,
        Id::DeleteEventSourceMapping => control.by(event_sources::delete).await,
        Id::ListEventSourceMappings => control.by(event_sources::list).await,

        Id::CreateCodeSigningConfig => control.by(code_signing::create).await,
        Id::GetCodeSigningConfig => control.by(code_signing::get).await,
        Id::UpdateCodeSigningConfig => control.by(code_signing::update).await,
        Id::DeleteCodeSigningConfig => control.by(code_signing::delete).await,
        Id::ListCodeSigningConfigs => control.by(code_signing::list).await,
        Id::ListFunctionsByCodeSigningConfig => control.by(code_signing::list_functions).await,
        Id::PutFunctionCodeSigningConfig => control.by(code_signing::put_for_function).await,
        Id::GetFunctionCodeSigningConfig => control.by(code_signing::get_for_function).await,
        Id::DeleteFunctionCodeSigningConfig => control.by(code_signing::delete_for_function).await,

        Id::PutFunctionRecursionConfig => control.by(recursion::put).await,
        Id::GetFunctionRecursionConfig => control.by(recursion::get).await,
        Id::PutRuntimeManagementConfig => control.by(runtime_management::put).await,
        Id::GetRuntimeManagementConfig => control.by(runtime_management::get).await,

        _ => Err(ApiError::Unimplemented { operation: control.route.operation.name }),
    }
}

/// A request that does not run a function.
struct Control<'a> {
    front: &'a Front,
    route: Route,
    parts: Parts,
    body: Bytes,
    request_id: Uuid,
}

impl Control<'_> {
    /// Reads the request as its operation's, has it done, and puts the answer. It is done to its end, also when the caller
    /// goes away: a write without what follows from it would leave a function that never becomes active.
    async fn by<T, F>(self, operation: impl FnOnce(Front, T) -> F) -> Result<Response, ApiError>
    where
        T: model::Request<Response: Send + 'static>,
        F: Future<Output = Result<T::Response, ApiError>> + Send + 'static,
    {
        let request: T = model::read(&self.route, &self.parts, &self.body)?;
        // It may be a large archive, of which there is a copy now.
        drop(self.body);
        let done = tokio::spawn(operation(self.front.clone(), request)).await;
        let response = done.unwrap_or_else(|error| {
            tracing::error!(%error, operation = self.route.operation.name, "an operation broke off");
            Err(ApiError::Service)
        })?;
        Ok(model::respond::<T>(&response, self.request_id))
    }
}

/// Which page of a list; the catalog has its own most for each.
fn paging(marker: Option<String>, max_items: Option<i64>) -> Paging {
    Paging { marker, max_items: max_items.and_then(|most| u32::try_from(most).ok()) }
}

async fn control_body(route: &Route, body: Body) -> Result<Bytes, ApiError> {
    let limit_bytes = usize::try_from(DRAIN_LIMIT_BYTES).unwrap_or(usize::MAX) - 1;
    body::read(body, limit_bytes).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => ApiError::RequestTooLarge { operation: route.operation.name },
        BodyError::Unreadable => ApiError::BodyUnreadable,
    })
}
