//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    AddLayerVersionPermissionRequest, DeleteLayerVersionRequest, GetLayerVersionByArnRequest,
    GetLayerVersionPolicyRequest, GetLayerVersionRequest, ListLayerVersionsRequest, ListLayersRequest,
    PublishLayerVersionRequest, RemoveLayerVersionPermissionRequest, Request,
};

pub(crate) async fn publish(
    _: Front,
    _: PublishLayerVersionRequest,
) -> Result<<PublishLayerVersionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PublishLayerVersion" })
}

pub(crate) async fn get(
    _: Front,
    _: GetLayerVersionRequest,
) -> Result<<GetLayerVersionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetLayerVersion" })
}

pub(crate) async fn get_by_arn(
    _: Front,
    _: GetLayerVersionByArnRequest,
) -> Result<<GetLayerVersionByArnRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetLayerVersionByArn" })
}

pub(crate) async fn list(
    _: Front,
    _: ListLayersRequest,
) -> Result<<ListLayersRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListLayers" })
}

pub(crate) async fn list_versions(
    _: Front,
    _: ListLayerVersionsRequest,
) -> Result<<ListLayerVersionsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListLayerVersions" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteLayerVersionRequest,
) -> Result<<DeleteLayerVersionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteLayerVersion" })
}

pub(crate) async fn add_permission(
    _: Front,
    _: AddLayerVersionPermissionRequest,
) -> Result<<AddLayerVersionPermissionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "AddLayerVersionPermission" })
}

pub(crate) async fn remove_permission(
    _: Front,
    _: RemoveLayerVersionPermissionRequest,
) -> Result<<RemoveLayerVersionPermissionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "RemoveLayerVersionPermission" })
}

pub(crate) async fn get_policy(
    _: Front,
    _: GetLayerVersionPolicyRequest,
) -> Result<<GetLayerVersionPolicyRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetLayerVersionPolicy" })
}
