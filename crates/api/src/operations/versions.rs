//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{ListVersionsByFunctionRequest, PublishVersionRequest, Request};

pub(crate) async fn publish(
    _: Front,
    _: PublishVersionRequest,
) -> Result<<PublishVersionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "PublishVersion" })
}

pub(crate) async fn list(
    _: Front,
    _: ListVersionsByFunctionRequest,
) -> Result<<ListVersionsByFunctionRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListVersionsByFunction" })
}
