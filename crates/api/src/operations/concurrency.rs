//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    DeleteFunctionConcurrencyRequest, DeleteProvisionedConcurrencyConfigRequest,
    GetFunctionConcurrencyRequest, GetProvisionedConcurrencyConfigRequest,
    ListProvisionedConcurrencyConfigsRequest, PutFunctionConcurrencyRequest,
    PutProvisionedConcurrencyConfigRequest, Request,
};

pub(crate) async fn put(
    _: Front,
    _: PutFunctionConcurrencyRequest,
) -> Result<<PutFunctionConcurrencyRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutFunctionConcurrency" })
}

pub(crate) async fn get(
    _: Front,
    _: GetFunctionConcurrencyRequest,
) -> Result<<GetFunctionConcurrencyRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetFunctionConcurrency" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteFunctionConcurrencyRequest,
) -> Result<<DeleteFunctionConcurrencyRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteFunctionConcurrency" })
}

pub(crate) async fn put_provisioned(
    _: Front,
    _: PutProvisionedConcurrencyConfigRequest,
) -> Result<<PutProvisionedConcurrencyConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PutProvisionedConcurrencyConfig" })
}

pub(crate) async fn get_provisioned(
    _: Front,
    _: GetProvisionedConcurrencyConfigRequest,
) -> Result<<GetProvisionedConcurrencyConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetProvisionedConcurrencyConfig" })
}

pub(crate) async fn delete_provisioned(
    _: Front,
    _: DeleteProvisionedConcurrencyConfigRequest,
) -> Result<<DeleteProvisionedConcurrencyConfigRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteProvisionedConcurrencyConfig" })
}

pub(crate) async fn list_provisioned(
    _: Front,
    _: ListProvisionedConcurrencyConfigsRequest,
) -> Result<<ListProvisionedConcurrencyConfigsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListProvisionedConcurrencyConfigs" })
}
