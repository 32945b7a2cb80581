//! Resource policies of functions, versions and aliases, statement by statement.
//!
//! Who may do what by them is decided in [`crate::guard`], which reads them anew for each call.

use firesteel_catalog::NewStatement;

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest,
};

pub(crate) async fn add(
    front: Front,
    request: AddPermissionRequest,
) -> Result<AddPermissionResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let statement = NewStatement {
        sid: request.statement_id,
        action: request.action,
        principal: request.principal,
        source_arn: request.source_arn,
        source_account: request.source_account,
        principal_org_id: request.principal_org_id,
        event_source_token: request.event_source_token,
        function_url_auth_type: request.function_url_auth_type,
        invoked_via_function_url: request.invoked_via_function_url,
    };
    let revision_id = request.revision_id;
    let added =
        front.catalog(move |store| store.add_permission(&reference, &statement, revision_id.as_deref()));
    Ok(AddPermissionResponse { statement: Some(added.await?) })
}

pub(crate) async fn remove(front: Front, request: RemovePermissionRequest) -> Result<(), ApiError> {
    let RemovePermissionRequest { function_name, statement_id, qualifier, revision_id } = request;
    let reference = front.reference(&function_name, qualifier.as_deref())?;
    front
        .catalog(move |store| store.remove_permission(&reference, &statement_id, revision_id.as_deref()))
        .await
}

pub(crate) async fn get_policy(
    front: Front,
    request: GetPolicyRequest,
) -> Result<GetPolicyResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let policy = front.catalog(move |store| store.policy(&reference)).await?;
    Ok(GetPolicyResponse { policy: Some(policy.text), revision_id: Some(policy.revision_id) })
}
