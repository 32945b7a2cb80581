//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{GetRuntimeManagementConfigRequest, PutRuntimeManagementConfigRequest, Request};

pub(crate) async fn put(
    _: Front,
    _: PutRuntimeManagementConfigRequest,
) -> Result<<PutRuntimeManagementConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutRuntimeManagementConfig" })
}

pub(crate) async fn get(
    _: Front,
    _: GetRuntimeManagementConfigRequest,
) -> Result<<GetRuntimeManagementConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetRuntimeManagementConfig" })
}
