//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    CreateEventSourceMappingRequest, DeleteEventSourceMappingRequest, GetEventSourceMappingRequest,
    ListEventSourceMappingsRequest, Request, UpdateEventSourceMappingRequest,
};

pub(crate) async fn create(
    _: Front,
    _: CreateEventSourceMappingRequest,
) -> Result<<CreateEventSourceMappingRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "CreateEventSourceMapping" })
}

pub(crate) async fn get(
    _: Front,
    _: GetEventSourceMappingRequest,
) -> Result<<GetEventSourceMappingRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "GetEventSourceMapping" })
}

pub(crate) async fn update(
    _: Front,
    _: UpdateEventSourceMappingRequest,
) -> Result<<UpdateEventSourceMappingRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UpdateEventSourceMapping" })
}

pub(crate) async fn delete(
    _: Front,
    _: DeleteEventSourceMappingRequest,
) -> Result<<DeleteEventSourceMappingRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "DeleteEventSourceMapping" })
}

pub(crate) async fn list(
    _: Front,
    _: ListEventSourceMappingsRequest,
) -> Result<<ListEventSourceMappingsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListEventSourceMappings" })
}
