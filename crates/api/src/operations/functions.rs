//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateFunctionRequest, DeleteFunctionRequest, GetFunctionConfigurationRequest, GetFunctionRequest,
    ListFunctionsRequest, Request, UpdateFunctionCodeRequest, UpdateFunctionConfigurationRequest,
};

pub(crate) async fn create(
    _: Front,
    _: CreateFunctionRequest,
) -> Result<<CreateFunctionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "CreateFunction" })
}

pub(crate) async fn get(
    _: Front,
    _: GetFunctionRequest,
) -> Result<<GetFunctionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunction" })
}

pub(crate) async fn get_configuration(
    _: Front,
    _: GetFunctionConfigurationRequest,
) -> Result<<GetFunctionConfigurationRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionConfiguration" })
}

pub(crate) async fn update_code(
    _: Front,
    _: UpdateFunctionCodeRequest,
) -> Result<<UpdateFunctionCodeRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateFunctionCode" })
}

pub(crate) async fn update_configuration(
    _: Front,
    _: UpdateFunctionConfigurationRequest,
) -> Result<<UpdateFunctionConfigurationRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateFunctionConfiguration" })
}

pub(crate) async fn list(
    _: Front,
    _: ListFunctionsRequest,
) -> Result<<ListFunctionsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListFunctions" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteFunctionRequest,
) -> Result<<DeleteFunctionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteFunction" })
}
