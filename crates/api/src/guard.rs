//! Whether a caller may have an operation: asked before each, where callers are known at all.
//!
//! ```text
//!  route, identity ─► action, ARN of the resource ─► identity's policy ─► allowed
//!                                                          └─ not ─► the resource's policy, too ─► allowed, or AccessDenied
//! ```
//!
//! The resource's policy is read only where the identity's does not suffice: statements of `AddPermission` allow and
//! never deny, so it could change nothing else.

use std::sync::Arc;

use axum::http::request::Parts;
use firesteel_catalog::{Account, CatalogError, FunctionReference};
use serde::Deserialize;

use crate::authentication::Identity;
use crate::authorization::{Access, Caller, Context, Policy, ResourceKind, decide, permission};
use crate::error::ApiError;
use crate::front::Front;
use crate::model::Route;

/// A function's name where the path has none, in the body of `CreateFunction` and the like.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    function_name: String,
}

/// Passes who may; everybody, where nobody was asked who they are.
pub(crate) async fn check(front: &Front, route: &Route, parts: &Parts, body: &[u8]) -> Result<(), ApiError> {
    let Some(identity) = parts.extensions.get::<Arc<Identity>>() else { return Ok(()) };
    // Every operation of the table has its permission, which a test sees to.
    let Some(permission) = permission(route.operation.name) else { return Err(ApiError::Service) };
    let resource = resource(front.account(), permission.resource, route, parts, body);
    let access = || Access {
        caller: Caller::Identity(identity),
        action: &permission.action,
        resource: &resource,
        context: Context::default(),
    };
    let Err(denied) = decide(access(), None) else { return Ok(()) };
    let policy = match permission.resource {
        ResourceKind::Function => resource_policy(front, &resource).await?,
        _ => None,
    };
    match policy {
        Some(policy) => Ok(decide(access(), Some(&policy))?),
        None => Err(denied.into()),
    }
}

/// The policy of a function, version or alias.
pub(crate) async fn resource_policy(front: &Front, arn: &str) -> Result<Option<Policy>, ApiError> {
    let Ok(reference) = front.reference(arn, None) else { return Ok(None) };
    policy_of(front, reference).await
}

/// Likewise.
pub(crate) async fn policy_of(
    front: &Front,
    reference: FunctionReference,
) -> Result<Option<Policy>, ApiError> {
    let store = Arc::clone(front.store());
    let text = match front.blocking(move || store.policy(&reference)).await? {
        Ok(policy) => policy.text,
        Err(CatalogError::Refused(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(evaluable(&text))
}

/// A policy as the catalog keeps it.
pub(crate) fn evaluable(text: &str) -> Option<Policy> {
    let document = serde_json::from_str(text).ok();
    let policy = document.as_ref().and_then(|document| Policy::of_resource(document).ok());
    if policy.is_none() {
        tracing::error!("a resource policy in the catalog cannot be evaluated, and allows nothing");
    }
    policy
}

fn resource(account: &Account, kind: ResourceKind, route: &Route, parts: &Parts, body: &[u8]) -> String {
    let Account { region, id, .. } = account;
    let arn = |rest: String| format!("arn:aws:lambda:{region}:{id}:{rest}");
    let query = |wanted: &str| {
        let query = parts.uri.query().unwrap_or_default();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        parameters.find_map(|(name, value)| (name == wanted && !value.is_empty()).then(|| value.into_owned()))
    };
    match kind {
        ResourceKind::Function => {
            let named = || serde_json::from_slice::<Named>(body).ok().map(|named| named.function_name);
            let name = route.label("FunctionName").map(str::to_owned).or_else(named).unwrap_or_default();
            match FunctionReference::parse(&name, query("Qualifier").as_deref(), region, id) {
                Ok(reference) => reference.arn(region, id).to_string(),
                // The operation finds out what is wrong with it.
                Err(_) => arn(format!("function:{name}")),
            }
        }
        ResourceKind::Layer | ResourceKind::LayerVersion => {
            let given =
                query("Arn").or_else(|| route.label("LayerName").map(str::to_owned)).unwrap_or_default();
            let layer = if given.starts_with("arn:") { given } else { arn(format!("layer:{given}")) };
            match route.label("VersionNumber") {
                Some(number) => format!("{layer}:{number}"),
                None => layer,
            }
        }
        ResourceKind::EventSourceMapping => {
            arn(format!("event-source-mapping:{}", route.label("UUID").unwrap_or_default()))
        }
        ResourceKind::CodeSigningConfig | ResourceKind::DurableExecution => {
            let given = route.label("CodeSigningConfigArn").or_else(|| route.label("DurableExecutionArn"));
            given.unwrap_or("*").to_owned()
        }
        ResourceKind::CapacityProvider => {
            arn(format!("capacity-provider:{}", route.label("CapacityProviderName").unwrap_or_default()))
        }
        ResourceKind::Given => {
            let given = route.label("Resource").or_else(|| route.label("ResourceArn"));
            given.unwrap_or("*").to_owned()
        }
        ResourceKind::Any => "*".to_owned(),
    }
}
