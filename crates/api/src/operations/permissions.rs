//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{AddPermissionRequest, GetPolicyRequest, RemovePermissionRequest, Request};

pub(crate) async fn add(
    _: Front,
    _: AddPermissionRequest,
) -> Result<<AddPermissionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "AddPermission" })
}

pub(crate) async fn remove(
    _: Front,
    _: RemovePermissionRequest,
) -> Result<<RemovePermissionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "RemovePermission" })
}

pub(crate) async fn get_policy(
    _: Front,
    _: GetPolicyRequest,
) -> Result<<GetPolicyRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetPolicy" })
}
