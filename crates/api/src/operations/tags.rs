//! Tags of functions, event source mappings and code signing configurations.

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{ListTagsRequest, ListTagsResponse, TagResourceRequest, UntagResourceRequest};

pub(crate) async fn tag(front: Front, request: TagResourceRequest) -> Result<(), ApiError> {
    let tags = request.tags.into_iter().collect();
    front.catalog(move |store| store.tag_resource(&request.resource, &tags)).await
}

pub(crate) async fn untag(front: Front, request: UntagResourceRequest) -> Result<(), ApiError> {
    front.catalog(move |store| store.untag_resource(&request.resource, &request.tag_keys)).await
}

pub(crate) async fn list(front: Front, request: ListTagsRequest) -> Result<ListTagsResponse, ApiError> {
    let tags = front.catalog(move |store| store.tags(&request.resource)).await?;
    Ok(ListTagsResponse { tags: Some(tags.into_iter().collect()) })
}
