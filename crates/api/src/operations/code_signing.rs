//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateCodeSigningConfigRequest, DeleteCodeSigningConfigRequest, DeleteFunctionCodeSigningConfigRequest,
    GetCodeSigningConfigRequest, GetFunctionCodeSigningConfigRequest, ListCodeSigningConfigsRequest,
    ListFunctionsByCodeSigningConfigRequest, PutFunctionCodeSigningConfigRequest, Request,
    UpdateCodeSigningConfigRequest,
};

pub(crate) async fn create(
    _: Front,
    _: CreateCodeSigningConfigRequest,
) -> Result<<CreateCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "CreateCodeSigningConfig" })
}

pub(crate) async fn get(
    _: Front,
    _: GetCodeSigningConfigRequest,
) -> Result<<GetCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetCodeSigningConfig" })
}

pub(crate) async fn update(
    _: Front,
    _: UpdateCodeSigningConfigRequest,
) -> Result<<UpdateCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateCodeSigningConfig" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteCodeSigningConfigRequest,
) -> Result<<DeleteCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteCodeSigningConfig" })
}

pub(crate) async fn list(
    _: Front,
    _: ListCodeSigningConfigsRequest,
) -> Result<<ListCodeSigningConfigsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListCodeSigningConfigs" })
}

pub(crate) async fn list_functions(
    _: Front,
    _: ListFunctionsByCodeSigningConfigRequest,
) -> Result<<ListFunctionsByCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListFunctionsByCodeSigningConfig" })
}

pub(crate) async fn put_for_function(
    _: Front,
    _: PutFunctionCodeSigningConfigRequest,
) -> Result<<PutFunctionCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutFunctionCodeSigningConfig" })
}

pub(crate) async fn get_for_function(
    _: Front,
    _: GetFunctionCodeSigningConfigRequest,
) -> Result<<GetFunctionCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionCodeSigningConfig" })
}

pub(crate) async fn delete_for_function(
    _: Front,
    _: DeleteFunctionCodeSigningConfigRequest,
) -> Result<<DeleteFunctionCodeSigningConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteFunctionCodeSigningConfig" })
}
