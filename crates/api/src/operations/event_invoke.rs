//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    DeleteFunctionEventInvokeConfigRequest, GetFunctionEventInvokeConfigRequest,
    ListFunctionEventInvokeConfigsRequest, PutFunctionEventInvokeConfigRequest, Request,
    UpdateFunctionEventInvokeConfigRequest,
};

pub(crate) async fn put(
    _: Front,
    _: PutFunctionEventInvokeConfigRequest,
) -> Result<<PutFunctionEventInvokeConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutFunctionEventInvokeConfig" })
}

pub(crate) async fn update(
    _: Front,
    _: UpdateFunctionEventInvokeConfigRequest,
) -> Result<<UpdateFunctionEventInvokeConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateFunctionEventInvokeConfig" })
}

pub(crate) async fn get(
    _: Front,
    _: GetFunctionEventInvokeConfigRequest,
) -> Result<<GetFunctionEventInvokeConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionEventInvokeConfig" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteFunctionEventInvokeConfigRequest,
) -> Result<<DeleteFunctionEventInvokeConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteFunctionEventInvokeConfig" })
}

pub(crate) async fn list(
    _: Front,
    _: ListFunctionEventInvokeConfigsRequest,
) -> Result<<ListFunctionEventInvokeConfigsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListFunctionEventInvokeConfigs" })
}
