//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateAliasRequest, DeleteAliasRequest, GetAliasRequest, ListAliasesRequest, Request, UpdateAliasRequest,
};

pub(crate) async fn create(
    _: Front,
    _: CreateAliasRequest,
) -> Result<<CreateAliasRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "CreateAlias" })
}

pub(crate) async fn get(
    _: Front,
    _: GetAliasRequest,
) -> Result<<GetAliasRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetAlias" })
}

pub(crate) async fn update(
    _: Front,
    _: UpdateAliasRequest,
) -> Result<<UpdateAliasRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateAlias" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteAliasRequest,
) -> Result<<DeleteAliasRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteAlias" })
}

pub(crate) async fn list(
    _: Front,
    _: ListAliasesRequest,
) -> Result<<ListAliasesRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListAliases" })
}
