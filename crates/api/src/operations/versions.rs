//! Published versions.

use firesteel_catalog::Publication;

use super::configuration;
use super::functions::refuse_publish_to;
use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    FunctionConfiguration, ListVersionsByFunctionRequest, ListVersionsByFunctionResponse,
    PublishVersionRequest,
};

/// Nothing follows from it: what is published runs already.
pub(crate) async fn publish(
    front: Front,
    request: PublishVersionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    refuse_publish_to(request.publish_to.as_deref())?;
    let name = front.reference(&request.function_name, None)?.name;
    let PublishVersionRequest { code_sha256, description, revision_id, .. } = request;
    let publication = Publication { description, code_sha256, revision_id };
    let version = front.catalog(move |store| store.publish_version(&name, &publication)).await?;
    Ok(configuration::of_version(&version, version.arn.to_string()))
}

pub(crate) async fn list(
    front: Front,
    request: ListVersionsByFunctionRequest,
) -> Result<ListVersionsByFunctionResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_versions(&name, &paging)).await?;
    let shown = page.items.iter().map(|version| configuration::in_list(version, version.arn.to_string()));
    Ok(ListVersionsByFunctionResponse { versions: Some(shown.collect()), next_marker: page.next_marker })
}
