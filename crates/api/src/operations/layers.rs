//! Layers: packages that functions lay into their `/opt`, version by version, and who else may have them.
//!
//! ```text
//!  publish: zip or object ─► code: into the store ─► catalog: the next version refers to it
//!  delete ─► catalog: the version is gone ─► code: so is its package, unless somebody else refers to it
//! ```
//!
//! Which functions have which layers is part of their configuration. There are layers of this account only.

use firesteel_catalog::{
    AboutLayer, Account, LayerFilter, LayerVersion, NewLayerStatement, NewLayerVersion, timestamp_text,
};
use firesteel_image::S3Object;

use super::code::{self, Source};
use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    AddLayerVersionPermissionRequest, AddLayerVersionPermissionResponse, Blob, DeleteLayerVersionRequest,
    GetLayerVersionByArnRequest, GetLayerVersionPolicyRequest, GetLayerVersionPolicyResponse,
    GetLayerVersionRequest, GetLayerVersionResponse, LayerVersionContentInput, LayerVersionContentOutput,
    LayerVersionsListItem, LayersListItem, ListLayerVersionsRequest, ListLayerVersionsResponse,
    ListLayersRequest, ListLayersResponse, PublishLayerVersionRequest, PublishLayerVersionResponse,
    RemoveLayerVersionPermissionRequest, exception,
};

pub(crate) async fn publish(
    front: Front,
    request: PublishLayerVersionRequest,
) -> Result<PublishLayerVersionResponse, ApiError> {
    let name = name(&front, request.layer_name)?;
    let taken = code::take(&front, source(request.content)?).await?;
    let new = NewLayerVersion {
        name,
        sha256: taken.digest(),
        size_bytes: taken.stored.size_bytes,
        about: AboutLayer {
            description: request.description.unwrap_or_default(),
            license_info: request.license_info,
            compatible_runtimes: request.compatible_runtimes,
            compatible_architectures: request.compatible_architectures,
        },
    };
    let write = front.catalog(move |store| store.publish_layer_version(new));
    let shown = shown(&front, code::referring(&front, taken, write).await?);
    Ok(PublishLayerVersionResponse {
        content: shown.content,
        layer_arn: shown.layer_arn,
        layer_version_arn: shown.layer_version_arn,
        description: shown.description,
        created_date: shown.created_date,
        version: shown.version,
        compatible_architectures: shown.compatible_architectures,
        compatible_runtimes: shown.compatible_runtimes,
        license_info: shown.license_info,
    })
}

pub(crate) async fn get(
    front: Front,
    request: GetLayerVersionRequest,
) -> Result<GetLayerVersionResponse, ApiError> {
    let name = name(&front, request.layer_name)?;
    let version = front.catalog(move |store| store.layer_version(&name, request.version_number)).await?;
    Ok(shown(&front, version))
}

pub(crate) async fn get_by_arn(
    front: Front,
    request: GetLayerVersionByArnRequest,
) -> Result<GetLayerVersionResponse, ApiError> {
    let version = front.catalog(move |store| store.layer_version_by_arn(&request.arn)).await?;
    Ok(shown(&front, version))
}

pub(crate) async fn list(front: Front, request: ListLayersRequest) -> Result<ListLayersResponse, ApiError> {
    let filter =
        LayerFilter { runtime: request.compatible_runtime, architecture: request.compatible_architecture };
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_layers(&filter, &paging)).await?;
    let layers = page.items.into_iter().map(|latest| LayersListItem {
        layer_name: Some(latest.name.clone()),
        layer_arn: Some(latest.layer_arn.clone()),
        latest_matching_version: Some(listed(latest)),
    });
    Ok(ListLayersResponse { next_marker: page.next_marker, layers: Some(layers.collect()) })
}

pub(crate) async fn list_versions(
    front: Front,
    request: ListLayerVersionsRequest,
) -> Result<ListLayerVersionsResponse, ApiError> {
    let name = name(&front, request.layer_name)?;
    let filter =
        LayerFilter { runtime: request.compatible_runtime, architecture: request.compatible_architecture };
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_layer_versions(&name, &filter, &paging)).await?;
    let layer_versions = page.items.into_iter().map(listed).collect();
    Ok(ListLayerVersionsResponse { next_marker: page.next_marker, layer_versions: Some(layer_versions) })
}

pub(crate) async fn delete(front: Front, request: DeleteLayerVersionRequest) -> Result<(), ApiError> {
    let name = name(&front, request.layer_name)?;
    let deleted =
        front.catalog(move |store| store.delete_layer_version(&name, request.version_number)).await?;
    front.invoker().remove_code(deleted.unreferenced).await;
    Ok(())
}

pub(crate) async fn add_permission(
    front: Front,
    request: AddLayerVersionPermissionRequest,
) -> Result<AddLayerVersionPermissionResponse, ApiError> {
    let name = name(&front, request.layer_name)?;
    let statement = NewLayerStatement {
        sid: request.statement_id,
        action: request.action,
        principal: request.principal,
        organization_id: request.organization_id,
    };
    let (number, expected) = (request.version_number, request.revision_id);
    let added = front.catalog(move |store| {
        store.add_layer_version_permission(&name, number, &statement, expected.as_deref())
    });
    let (statement, revision_id) = added.await?;
    Ok(AddLayerVersionPermissionResponse { statement: Some(statement), revision_id: Some(revision_id) })
}

pub(crate) async fn remove_permission(
    front: Front,
    request: RemoveLayerVersionPermissionRequest,
) -> Result<(), ApiError> {
    let name = name(&front, request.layer_name)?;
    let RemoveLayerVersionPermissionRequest { version_number, statement_id, revision_id, .. } = request;
    let removed = front.catalog(move |store| {
        store.remove_layer_version_permission(&name, version_number, &statement_id, revision_id.as_deref())
    });
    removed.await
}

pub(crate) async fn get_policy(
    front: Front,
    request: GetLayerVersionPolicyRequest,
) -> Result<GetLayerVersionPolicyResponse, ApiError> {
    let name = name(&front, request.layer_name)?;
    let policy =
        front.catalog(move |store| store.layer_version_policy(&name, request.version_number)).await?;
    Ok(GetLayerVersionPolicyResponse { policy: Some(policy.text), revision_id: Some(policy.revision_id) })
}

/// A layer is called by its name or its ARN, of which the model has checked the shape.
fn name(front: &Front, given: String) -> Result<String, ApiError> {
    let Account { region, id, .. } = front.account();
    match *given.split(':').collect::<Vec<_>>() {
        [_] => Ok(given),
        [_, _, _, theirs, account, _, name] if theirs == region && account == id => Ok(name.to_owned()),
        _ => Err(ApiError::refused(
            &exception::RESOURCE_NOT_FOUND,
            "The resource you requested does not exist.",
        )),
    }
}

fn source(content: LayerVersionContentInput) -> Result<Source, ApiError> {
    let LayerVersionContentInput { zip_file, s3_bucket, s3_key, s3_object_version: version_id, .. } = content;
    match (zip_file, s3_bucket, s3_key) {
        (Some(Blob(archive)), None, None) => Ok(Source::Bytes(archive)),
        (None, Some(bucket), Some(key)) => Ok(Source::Object(S3Object { bucket, key, version_id })),
        _ => Err(ApiError::refused(
            &exception::INVALID_PARAMETER_VALUE,
            "Please provide either a ZipFile, or an S3Bucket and an S3Key, as the content of a layer version.",
        )),
    }
}

fn shown(front: &Front, version: LayerVersion) -> GetLayerVersionResponse {
    let content = LayerVersionContentOutput {
        location: Some(code::link(front, version.sha256)),
        code_sha256: Some(version.sha256.base64()),
        code_size: Some(i64::try_from(version.size_bytes).unwrap_or(i64::MAX)),
        ..LayerVersionContentOutput::default()
    };
    let layer_arn = version.layer_arn.clone();
    let listed = listed(version);
    GetLayerVersionResponse {
        content: Some(content),
        layer_arn: Some(layer_arn),
        layer_version_arn: listed.layer_version_arn,
        description: listed.description,
        created_date: listed.created_date,
        version: listed.version,
        compatible_architectures: listed.compatible_architectures,
        compatible_runtimes: listed.compatible_runtimes,
        license_info: listed.license_info,
    }
}

fn listed(LayerVersion { arn, number, about, created, .. }: LayerVersion) -> LayerVersionsListItem {
    LayerVersionsListItem {
        layer_version_arn: Some(arn),
        version: Some(i64::try_from(number).unwrap_or(i64::MAX)),
        description: Some(about.description),
        created_date: Some(timestamp_text(created)),
        compatible_architectures: about.compatible_architectures,
        compatible_runtimes: about.compatible_runtimes,
        license_info: about.license_info,
    }
}
