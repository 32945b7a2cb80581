//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateFunctionUrlConfigRequest, DeleteFunctionUrlConfigRequest, GetFunctionUrlConfigRequest,
    ListFunctionUrlConfigsRequest, Request, UpdateFunctionUrlConfigRequest,
};

pub(crate) async fn create(
    _: Front,
    _: CreateFunctionUrlConfigRequest,
) -> Result<<CreateFunctionUrlConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "CreateFunctionUrlConfig" })
}

pub(crate) async fn get(
    _: Front,
    _: GetFunctionUrlConfigRequest,
) -> Result<<GetFunctionUrlConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionUrlConfig" })
}

pub(crate) async fn update(
    _: Front,
    _: UpdateFunctionUrlConfigRequest,
) -> Result<<UpdateFunctionUrlConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateFunctionUrlConfig" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteFunctionUrlConfigRequest,
) -> Result<<DeleteFunctionUrlConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteFunctionUrlConfig" })
}

pub(crate) async fn list(
    _: Front,
    _: ListFunctionUrlConfigsRequest,
) -> Result<<ListFunctionUrlConfigsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListFunctionUrlConfigs" })
}
