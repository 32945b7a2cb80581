//! Not there yet.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{ListTagsRequest, Request, TagResourceRequest, UntagResourceRequest};

pub(crate) async fn tag(
    _: Front,
    _: TagResourceRequest,
) -> Result<<TagResourceRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "TagResource" })
}

pub(crate) async fn untag(
    _: Front,
    _: UntagResourceRequest,
) -> Result<<UntagResourceRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "UntagResource" })
}

pub(crate) async fn list(
    _: Front,
    _: ListTagsRequest,
) -> Result<<ListTagsRequest as Request>::Response, ApiError> {
    Err(ApiError::Unimplemented { operation: "ListTags" })
}
