//! When a function gets patches of its runtime: accepted and shown. There is one runtime of each name here, the host's.

use firesteel_catalog::{FunctionReference, Qualifier, RuntimeManagement, UpdateRuntimeOn};

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    GetRuntimeManagementConfigRequest, GetRuntimeManagementConfigResponse, PutRuntimeManagementConfigRequest,
    PutRuntimeManagementConfigResponse,
};

pub(crate) async fn put(
    front: Front,
    request: PutRuntimeManagementConfigRequest,
) -> Result<PutRuntimeManagementConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let function_arn = arn(&front, &reference);
    let chosen = RuntimeManagement {
        // The model has no fourth value.
        update_runtime_on: match request.update_runtime_on.as_str() {
            "FunctionUpdate" => UpdateRuntimeOn::FunctionUpdate,
            "Manual" => UpdateRuntimeOn::Manual,
            _ => UpdateRuntimeOn::Auto,
        },
        runtime_version_arn: request.runtime_version_arn,
    };
    let runtime_version_arn = chosen.runtime_version_arn.clone();
    front.catalog(move |store| store.put_runtime_management(&reference, &chosen)).await?;
    Ok(PutRuntimeManagementConfigResponse {
        update_runtime_on: request.update_runtime_on,
        function_arn,
        runtime_version_arn,
    })
}

pub(crate) async fn get(
    front: Front,
    request: GetRuntimeManagementConfigRequest,
) -> Result<GetRuntimeManagementConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let function_arn = arn(&front, &reference);
    let chosen = front.catalog(move |store| store.runtime_management(&reference)).await?;
    let update_runtime_on = match chosen.update_runtime_on {
        UpdateRuntimeOn::Auto => "Auto",
        UpdateRuntimeOn::FunctionUpdate => "FunctionUpdate",
        UpdateRuntimeOn::Manual => "Manual",
    };
    Ok(GetRuntimeManagementConfigResponse {
        update_runtime_on: Some(update_runtime_on.to_owned()),
        function_arn: Some(function_arn),
        runtime_version_arn: chosen.runtime_version_arn,
    })
}

/// Qualified always: what is told is that of a version.
fn arn(front: &Front, reference: &FunctionReference) -> String {
    let qualifier = reference.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
    front.account().function_arn(&reference.name, Some(qualifier)).to_string()
}
