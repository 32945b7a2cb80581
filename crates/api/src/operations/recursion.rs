//! What becomes of a function that keeps invoking itself by way of other services.

use firesteel_catalog::RecursiveLoop;

use crate::error::ApiError;
use crate::front::Front;
use crate::model::{
    GetFunctionRecursionConfigRequest, GetFunctionRecursionConfigResponse, PutFunctionRecursionConfigRequest,
    PutFunctionRecursionConfigResponse,
};

pub(crate) async fn put(
    front: Front,
    request: PutFunctionRecursionConfigRequest,
) -> Result<PutFunctionRecursionConfigResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    // The model has no third value.
    let chosen = match request.recursive_loop.as_str() {
        "Allow" => RecursiveLoop::Allow,
        _ => RecursiveLoop::Terminate,
    };
    front.catalog(move |store| store.put_recursive_loop(&name, chosen)).await?;
    Ok(PutFunctionRecursionConfigResponse { recursive_loop: Some(text(chosen)) })
}

pub(crate) async fn get(
    front: Front,
    request: GetFunctionRecursionConfigRequest,
) -> Result<GetFunctionRecursionConfigResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let chosen = front.catalog(move |store| store.recursive_loop(&name)).await?;
    Ok(GetFunctionRecursionConfigResponse { recursive_loop: Some(text(chosen)) })
}

fn text(chosen: RecursiveLoop) -> String {
    match chosen {
        RecursiveLoop::Allow => "Allow",
        RecursiveLoop::Terminate => "Terminate",
    }
    .to_owned()
}
