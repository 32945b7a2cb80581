//! Code signing configurations, and which function uses which: accepted and shown. No signature is checked here.

use firesteel_catalog::{CodeSigningSettings, CodeSigningUpdate, UntrustedArtifact, timestamp_text};

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    AllowedPublishers, CodeSigningConfig, CodeSigningPolicies, CreateCodeSigningConfigRequest,
    CreateCodeSigningConfigResponse, DeleteCodeSigningConfigRequest, DeleteFunctionCodeSigningConfigRequest,
    GetCodeSigningConfigRequest, GetCodeSigningConfigResponse, GetFunctionCodeSigningConfigRequest,
    GetFunctionCodeSigningConfigResponse, ListCodeSigningConfigsRequest, ListCodeSigningConfigsResponse,
    ListFunctionsByCodeSigningConfigRequest, ListFunctionsByCodeSigningConfigResponse,
    PutFunctionCodeSigningConfigRequest, PutFunctionCodeSigningConfigResponse,
    UpdateCodeSigningConfigRequest, UpdateCodeSigningConfigResponse,
};

pub(crate) async fn create(
    front: Front,
    request: CreateCodeSigningConfigRequest,
) -> Result<CreateCodeSigningConfigResponse, ApiError> {
    let settings = CodeSigningSettings {
        description: request.description.unwrap_or_default(),
        allowed_publishers: request.allowed_publishers.signing_profile_version_arns,
        untrusted_artifact: untrusted_artifact(request.code_signing_policies).unwrap_or_default(),
    };
    let tags = request.tags.into_iter().flatten().collect();
    let config = front.catalog(move |store| store.create_code_signing_config(settings, &tags)).await?;
    Ok(CreateCodeSigningConfigResponse { code_signing_config: shown(config) })
}

pub(crate) async fn get(
    front: Front,
    request: GetCodeSigningConfigRequest,
) -> Result<GetCodeSigningConfigResponse, ApiError> {
    let config =
        front.catalog(move |store| store.code_signing_config(&request.code_signing_config_arn)).await?;
    Ok(GetCodeSigningConfigResponse { code_signing_config: shown(config) })
}

pub(crate) async fn update(
    front: Front,
    request: UpdateCodeSigningConfigRequest,
) -> Result<UpdateCodeSigningConfigResponse, ApiError> {
    let update = CodeSigningUpdate {
        description: request.description,
        allowed_publishers: request.allowed_publishers.map(|allowed| allowed.signing_profile_version_arns),
        untrusted_artifact: untrusted_artifact(request.code_signing_policies),
    };
    let arn = request.code_signing_config_arn;
    let config = front.catalog(move |store| store.update_code_signing_config(&arn, update)).await?;
    Ok(UpdateCodeSigningConfigResponse { code_signing_config: shown(config) })
}

pub(crate) async fn delete(front: Front, request: DeleteCodeSigningConfigRequest) -> Result<(), ApiError> {
    let arn = request.code_signing_config_arn;
    front.catalog(move |store| store.delete_code_signing_config(&arn)).await
}

pub(crate) async fn list(
    front: Front,
    request: ListCodeSigningConfigsRequest,
) -> Result<ListCodeSigningConfigsResponse, ApiError> {
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_code_signing_configs(&paging)).await?;
    Ok(ListCodeSigningConfigsResponse {
        next_marker: page.next_marker,
        code_signing_configs: Some(page.items.into_iter().map(shown).collect()),
    })
}

pub(crate) async fn list_functions(
    front: Front,
    request: ListFunctionsByCodeSigningConfigRequest,
) -> Result<ListFunctionsByCodeSigningConfigResponse, ApiError> {
    let paging = super::paging(request.marker, request.max_items);
    let arn = request.code_signing_config_arn;
    let page = front.catalog(move |store| store.list_functions_by_code_signing_config(&arn, &paging)).await?;
    Ok(ListFunctionsByCodeSigningConfigResponse {
        next_marker: page.next_marker,
        function_arns: Some(page.items.iter().map(ToString::to_string).collect()),
    })
}

pub(crate) async fn put_for_function(
    front: Front,
    request: PutFunctionCodeSigningConfigRequest,
) -> Result<PutFunctionCodeSigningConfigResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let response = PutFunctionCodeSigningConfigResponse {
        code_signing_config_arn: request.code_signing_config_arn.clone(),
        function_name: name.to_string(),
    };
    let arn = request.code_signing_config_arn;
    front.catalog(move |store| store.put_function_code_signing_config(&name, &arn)).await?;
    Ok(response)
}

pub(crate) async fn get_for_function(
    front: Front,
    request: GetFunctionCodeSigningConfigRequest,
) -> Result<GetFunctionCodeSigningConfigResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let function_name = name.to_string();
    let used = front.catalog(move |store| store.function_code_signing_config(&name)).await?;
    // Without one, not even the function's name is told.
    Ok(GetFunctionCodeSigningConfigResponse {
        function_name: used.is_some().then_some(function_name),
        code_signing_config_arn: used,
    })
}

pub(crate) async fn delete_for_function(
    front: Front,
    request: DeleteFunctionCodeSigningConfigRequest,
) -> Result<(), ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    front.catalog(move |store| store.delete_function_code_signing_config(&name)).await
}

fn untrusted_artifact(policies: Option<CodeSigningPolicies>) -> Option<UntrustedArtifact> {
    // The model has no third value.
    Some(match policies?.untrusted_artifact_on_deployment?.as_str() {
        "Enforce" => UntrustedArtifact::Enforce,
        _ => UntrustedArtifact::Warn,
    })
}

fn shown(config: firesteel_catalog::CodeSigningConfig) -> CodeSigningConfig {
    let untrusted_artifact = match config.settings.untrusted_artifact {
        UntrustedArtifact::Warn => "Warn",
        UntrustedArtifact::Enforce => "Enforce",
    };
    CodeSigningConfig {
        code_signing_config_id: config.id,
        code_signing_config_arn: config.arn,
        description: Some(config.settings.description),
        allowed_publishers: AllowedPublishers {
            signing_profile_version_arns: config.settings.allowed_publishers,
        },
        code_signing_policies: CodeSigningPolicies {
            untrusted_artifact_on_deployment: Some(untrusted_artifact.to_owned()),
        },
        last_modified: timestamp_text(config.last_modified),
    }
}
