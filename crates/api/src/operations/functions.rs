//! Functions: created, looked at, changed, listed, deleted.
//!
//! Answers to writes tell the state right after them, `Pending` or `InProgress`; making ready goes on behind them, and
//! whoever wants to know asks again, as the SDKs' waiters do.

use std::sync::Arc;

use firesteel_catalog::{
    Account, AttachedLayer, CatalogError, Code, CodeDigest, CodeUpdate, Deleted, FunctionName,
    FunctionReference, Listed, NewFunction, PackageType, Qualifier, Updated, Version, VersionNumber,
};
use firesteel_image::S3Object;
use firesteel_image::oci::Reference;
use firesteel_invoke::Change;
use indexmap::IndexMap;

use super::code::{self, Source, Taken};
use super::configuration;
use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    Blob, Concurrency, CreateFunctionRequest, DeleteFunctionRequest, FunctionCode, FunctionCodeLocation,
    FunctionConfiguration, GetFunctionConfigurationRequest, GetFunctionRequest, GetFunctionResponse,
    ListFunctionsRequest, ListFunctionsResponse, UpdateFunctionCodeRequest,
    UpdateFunctionConfigurationRequest, exception,
};

pub(crate) async fn create(
    front: Front,
    request: CreateFunctionRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let configuration = configuration::new(&request)?;
    let layers = request.layers.unwrap_or_default();
    let asked = match request.package_type.as_deref() {
        Some("Image") => PackageType::Image,
        _ => PackageType::Zip,
    };
    let new = |code| NewFunction {
        name: name.clone(),
        configuration,
        layers: layers.clone(),
        code,
        tags: request.tags.into_iter().flatten().collect(),
        code_signing_config: request.code_signing_config_arn,
        publish: request.publish.unwrap_or(false),
    };
    let version = match (given(request.code)?, asked) {
        (Given::Image(uri), PackageType::Image) => {
            let new = new(Code::Image { uri, digest: None });
            front.catalog(move |store| store.create_function(new)).await?
        }
        (Given::Package(source), PackageType::Zip) => {
            let taken = code::take(&front, source).await?;
            let (new, unzipped_bytes) = (new(package(&taken)), taken.stored.unzipped_bytes);
            code::referring(&front, taken, async {
                let layers = attached(&front, layers, Vec::new()).await?;
                code::check_unzipped(&front, unzipped_bytes, layers).await?;
                front.catalog(move |store| store.create_function(new)).await
            })
            .await?
        }
        (Given::Package(_), PackageType::Image) => {
            return Err(invalid("Please provide ImageUri when creating a function with packageType Image."));
        }
        (Given::Image(_), PackageType::Zip) => {
            return Err(invalid(
                "Please don't provide ImageUri when creating a function with packageType Zip.",
            ));
        }
    };
    front.changed(&name, Change::default()).await?;
    // Unqualified even where it is version 1 that is shown.
    Ok(configuration::of_version(&version, version.function_arn().to_string()))
}

pub(crate) async fn get(front: Front, request: GetFunctionRequest) -> Result<GetFunctionResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let arn = asked_arn(&front, &reference);
    let function = front.catalog(move |store| store.function(&reference)).await?;
    let concurrency = function
        .reserved_concurrency
        .map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved.into()) });
    Ok(GetFunctionResponse {
        configuration: Some(configuration::of_version(&function.version, arn)),
        code: Some(location(&front, &function.version.code)),
        tags: Some(function.tags.into_iter().collect()).filter(|tags: &IndexMap<_, _>| !tags.is_empty()),
        tags_error: None,
        concurrency,
    })
}

pub(crate) async fn get_configuration(
    front: Front,
    request: GetFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let arn = asked_arn(&front, &reference);
    let function = front.catalog(move |store| store.function(&reference)).await?;
    Ok(configuration::of_version(&function.version, arn))
}

pub(crate) async fn update_code(
    front: Front,
    request: UpdateFunctionCodeRequest,
) -> Result<FunctionConfiguration, ApiError> {
    refuse_publish_to(request.publish_to.as_deref())?;
    let name = front.reference(&request.function_name, None)?.name;
    let dry_run = request.dry_run.unwrap_or(false);
    let present = latest(&front, &name).await?;
    let update = |code| CodeUpdate {
        code,
        architecture: configuration::architecture(request.architectures.as_deref()),
        publish: request.publish.unwrap_or(false),
        revision_id: request.revision_id,
        dry_run,
    };
    let source = given(FunctionCode {
        zip_file: request.zip_file,
        s3_bucket: request.s3_bucket,
        s3_key: request.s3_key,
        s3_object_version: request.s3_object_version,
        s3_object_storage_mode: request.s3_object_storage_mode,
        image_uri: request.image_uri,
        source_kms_key_arn: request.source_kms_key_arn,
    })?;
    let write = |update| {
        let name = name.clone();
        front.catalog(move |store| store.update_code(&name, update))
    };
    let updated = match source {
        Given::Image(uri) => write(update(Code::Image { uri, digest: None })).await?,
        Given::Package(source) => {
            let taken = match dry_run {
                true => code::check(&front, source).await?,
                false => code::take(&front, source).await?,
            };
            let (update, unzipped_bytes) = (update(package(&taken)), taken.stored.unzipped_bytes);
            code::referring(&front, taken, async {
                code::check_unzipped(&front, unzipped_bytes, packages(&present.layers)).await?;
                write(update).await
            })
            .await?
        }
    };
    if dry_run {
        return Ok(configuration::of_version(&updated.version, updated.version.function_arn().to_string()));
    }
    followed(&front, &name, updated).await
}

pub(crate) async fn update_configuration(
    front: Front,
    request: UpdateFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let present = latest(&front, &name).await?;
    let update = configuration::update(&request, present.configuration.runtime.as_deref())?;
    let UpdateFunctionConfigurationRequest { layers, revision_id, .. } = request;
    if let Some(layers) = &layers {
        let mut packages = attached(&front, layers.clone(), present.layers.clone()).await?;
        packages.extend(present.code.package());
        code::check_unzipped(&front, 0, packages).await?;
    }
    let of = name.clone();
    let updated = front.catalog(move |store| {
        store.update_configuration(&of, update, layers.as_deref(), revision_id.as_deref())
    });
    followed(&front, &name, updated.await?).await
}

pub(crate) async fn list(
    front: Front,
    request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, ApiError> {
    let listed = match request.function_version {
        Some(_) => Listed::AllVersions,
        None => Listed::Latest,
    };
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_functions(listed, &paging)).await?;
    let shown = page.items.iter().map(|version| {
        let arn = match listed {
            Listed::Latest => version.function_arn(),
            Listed::AllVersions => version.arn.clone(),
        };
        configuration::in_list(version, arn.to_string())
    });
    Ok(ListFunctionsResponse { functions: Some(shown.collect()), next_marker: page.next_marker })
}

pub(crate) async fn delete(front: Front, request: DeleteFunctionRequest) -> Result<(), ApiError> {
    let FunctionReference { name, qualifier } =
        front.reference(&request.function_name, request.qualifier.as_deref())?;
    let number = match qualifier {
        None => None,
        Some(Qualifier::Latest) => Some(VersionNumber::Latest),
        Some(Qualifier::Version(number)) => Some(VersionNumber::Published(number)),
        Some(Qualifier::Alias(_) | Qualifier::LatestPublished) => {
            return Err(invalid("Deletion of aliases is not currently supported."));
        }
    };
    let of = name.clone();
    let deleted = front.catalog(move |store| match number {
        Some(number) => store.delete_version(&of, number),
        None => store.delete_function(&of),
    });
    let Deleted { instances, unreferenced } = deleted.await?;
    front.changed(&name, Change { gone: instances, unreferenced }).await
}

/// What a request says of code.
enum Given {
    Image(String),
    Package(Source),
}

fn given(code: FunctionCode) -> Result<Given, ApiError> {
    let FunctionCode { zip_file, s3_bucket, s3_key, s3_object_version: version_id, image_uri, .. } = code;
    match (zip_file, image_uri, s3_bucket, s3_key) {
        (Some(Blob(archive)), None, None, None) => Ok(Given::Package(Source::Bytes(archive))),
        (None, Some(uri), None, None) if is_in_registry(&uri) => Ok(Given::Image(uri)),
        (None, Some(uri), None, None) => {
            Err(invalid(&format!("Source image {uri} is not valid. Provide a valid source image.")))
        }
        (None, None, Some(bucket), Some(key)) => {
            Ok(Given::Package(Source::Object(S3Object { bucket, key, version_id })))
        }
        (Some(_), ..) => {
            Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
        }
        (_, Some(_), ..) => {
            Err(invalid("Please do not provide other FunctionCode parameters when providing an ImageUri."))
        }
        _ => Err(invalid("Please provide a source for function code.")),
    }
}

fn package(taken: &Taken) -> Code {
    Code::Package { sha256: taken.digest(), size_bytes: taken.stored.size_bytes }
}

fn packages(layers: &[AttachedLayer]) -> Vec<CodeDigest> {
    layers.iter().map(|layer| layer.sha256).collect()
}

/// The packages of layers by their ARNs, `present` ones even if they were deleted since. Those that there are not the
/// catalog refuses, in its words.
async fn attached(
    front: &Front,
    arns: Vec<String>,
    present: Vec<AttachedLayer>,
) -> Result<Vec<CodeDigest>, ApiError> {
    front
        .catalog(move |store| {
            let mut found = Vec::with_capacity(arns.len());
            for arn in arns {
                match present.iter().find(|layer| layer.arn == arn) {
                    Some(layer) => found.push(layer.sha256),
                    None => match store.layer_version_by_arn(&arn) {
                        Ok(layer) => found.push(layer.sha256),
                        Err(CatalogError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    },
                }
            }
            Ok(found)
        })
        .await
}

async fn latest(front: &Front, name: &FunctionName) -> Result<Arc<Version>, ApiError> {
    let reference = FunctionReference { name: name.clone(), qualifier: None };
    Ok(front.catalog(move |store| store.function(&reference)).await?.version)
}

/// Follows an update, and shows it: the version made of it by its own ARN, otherwise the function.
async fn followed(
    front: &Front,
    name: &FunctionName,
    updated: Updated,
) -> Result<FunctionConfiguration, ApiError> {
    let Updated { version, replaced, unreferenced } = updated;
    front.changed(name, Change { gone: replaced.into_iter().collect(), unreferenced }).await?;
    let arn = match version.number {
        VersionNumber::Latest => version.function_arn(),
        VersionNumber::Published(_) => version.arn.clone(),
    };
    Ok(configuration::of_version(&version, arn.to_string()))
}

/// As AWS shows it: qualified if the request was, also by an alias.
fn asked_arn(front: &Front, reference: &FunctionReference) -> String {
    let Account { region, id, .. } = front.account();
    reference.arn(region, id).to_string()
}

fn location(front: &Front, code: &Code) -> FunctionCodeLocation {
    match code {
        Code::Package { sha256, .. } => FunctionCodeLocation {
            repository_type: Some("S3".to_owned()),
            location: Some(code::link(front, *sha256)),
            ..FunctionCodeLocation::default()
        },
        Code::Image { uri, digest } => FunctionCodeLocation {
            repository_type: Some("ECR".to_owned()),
            image_uri: Some(uri.clone()),
            resolved_image_uri: digest.as_ref().map(|digest| format!("{}@{digest}", repository(uri))),
            ..FunctionCodeLocation::default()
        },
        // Of which there is no archive.
        Code::Folder { .. } => FunctionCodeLocation::default(),
    }
}

/// An image's reference without tag or digest. A colon before a slash is that of a port.
fn repository(uri: &str) -> &str {
    let name = uri.split('@').next().unwrap_or(uri);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// `registry[:port]/repository[:tag][@digest]`, as whoever loads it reads it; what has no registry may be of the one that the
/// server was given for such names. What is on this machine's disk is for those to name who started the server.
fn is_in_registry(uri: &str) -> bool {
    const ANY: &str = "localhost";
    uri.contains('/') && matches!(Reference::parse(uri, Some(ANY)), Ok(Reference::Registry(_)))
}

/// There is no `$LATEST.PUBLISHED` here.
pub(super) fn refuse_publish_to(publish_to: Option<&str>) -> Result<(), ApiError> {
    match publish_to {
        Some(_) => Err(invalid("Firesteel does not have PublishTo.")),
        None => Ok(()),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::refused(&exception::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    use super::{is_in_registry, repository};

    #[test]
    fn an_image_is_in_a_registry() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for yes in [
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.0",
            &format!("registry:5000/image@{digest}"),
            &format!("registry/image:1@{digest}"),
            "team/app.tar.d/app",
        ] {
            assert!(is_in_registry(yes), "{yes}");
        }
        for no in [
            "",
            "image",
            "image:1",
            "/image",
            "registry/",
            "registry//image",
            "registry:port/image",
            "oci:/srv/image",
            "unpacked:/srv/image",
            "docker-archive:image/1.tar",
            "registry/image 1",
            "registry/image@",
            "../image.tar",
            "data/../../image.tar",
            "images/app.tar.gz",
            "oci:5000/image",
            "oci:1/../../srv/image:1",
            "docker-archive:1/image",
            "registry:5000/../image",
        ] {
            assert!(!is_in_registry(no), "{no}");
        }
    }

    #[test]
    fn a_repository_is_what_is_left_of_an_image() {
        for (uri, expected) in [
            ("registry:5000/team/image:latest", "registry:5000/team/image"),
            ("registry:5000/team/image", "registry:5000/team/image"),
            ("image@sha256:00", "image"),
            ("image:1@sha256:00", "image"),
        ] {
            assert_eq!(repository(uri), expected);
        }
    }
}
