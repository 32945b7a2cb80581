//! Function URLs: which functions and aliases have one, and what it lets in. Requests that come by them are answered in
//! [`crate::function_url`].
//!
//! ```text
//! http://3f1c….lambda-url.eu-west-1.localhost:9000/
//! └┬─┘   └─┬─┘            └───┬───┘           └─┬┘
//! the server's  the URL's    region       the server's
//! ```

use axum::http::Uri;
use firesteel_catalog::{AuthType, Cors, FunctionUrl, InvokeMode, UrlSettings, UrlUpdate};

use crate::error::ApiError;
use crate::front::Front;
use crate::model;
use crate::model::{
    CreateFunctionUrlConfigRequest, CreateFunctionUrlConfigResponse, DeleteFunctionUrlConfigRequest,
    FunctionUrlConfig, GetFunctionUrlConfigRequest, GetFunctionUrlConfigResponse,
    ListFunctionUrlConfigsRequest, ListFunctionUrlConfigsResponse, UpdateFunctionUrlConfigRequest,
    UpdateFunctionUrlConfigResponse,
};

pub(crate) async fn create(
    front: Front,
    request: CreateFunctionUrlConfigRequest,
) -> Result<CreateFunctionUrlConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let settings = UrlSettings {
        auth_type: auth_type(&request.auth_type),
        cors: request.cors.map(cors),
        invoke_mode: request.invoke_mode.as_deref().map(invoke_mode),
    };
    let url = front.catalog(move |store| store.create_function_url(&reference, settings)).await?;
    let shown = shown(&front, url);
    Ok(CreateFunctionUrlConfigResponse {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        // Who writes is told only what was chosen once, who reads what holds.
        invoke_mode: request.invoke_mode,
    })
}

pub(crate) async fn get(
    front: Front,
    request: GetFunctionUrlConfigRequest,
) -> Result<GetFunctionUrlConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let url = front.catalog(move |store| store.function_url(&reference)).await?;
    let shown = shown(&front, url);
    Ok(GetFunctionUrlConfigResponse {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        last_modified_time: shown.last_modified_time,
        invoke_mode: shown.invoke_mode,
    })
}

pub(crate) async fn update(
    front: Front,
    request: UpdateFunctionUrlConfigRequest,
) -> Result<UpdateFunctionUrlConfigResponse, ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    let update = UrlUpdate {
        auth_type: request.auth_type.as_deref().map(auth_type),
        cors: request.cors.map(cors),
        invoke_mode: request.invoke_mode.as_deref().map(invoke_mode),
    };
    let url = front.catalog(move |store| store.update_function_url(&reference, update)).await?;
    let chosen = url.settings.invoke_mode.is_some();
    let shown = shown(&front, url);
    Ok(UpdateFunctionUrlConfigResponse {
        function_url: shown.function_url,
        function_arn: shown.function_arn,
        auth_type: shown.auth_type,
        cors: shown.cors,
        creation_time: shown.creation_time,
        last_modified_time: shown.last_modified_time,
        invoke_mode: shown.invoke_mode.filter(|_| chosen),
    })
}

pub(crate) async fn delete(front: Front, request: DeleteFunctionUrlConfigRequest) -> Result<(), ApiError> {
    let reference = front.reference(&request.function_name, request.qualifier.as_deref())?;
    front.catalog(move |store| store.delete_function_url(&reference)).await
}

pub(crate) async fn list(
    front: Front,
    request: ListFunctionUrlConfigsRequest,
) -> Result<ListFunctionUrlConfigsResponse, ApiError> {
    let name = front.reference(&request.function_name, None)?.name;
    let paging = super::paging(request.marker, request.max_items);
    let page = front.catalog(move |store| store.list_function_urls(&name, &paging)).await?;
    Ok(ListFunctionUrlConfigsResponse {
        function_url_configs: page.items.into_iter().map(|url| shown(&front, url)).collect(),
        next_marker: page.next_marker,
    })
}

// The model has no further values of either.

fn auth_type(text: &str) -> AuthType {
    match text {
        "AWS_IAM" => AuthType::AwsIam,
        _ => AuthType::None,
    }
}

fn invoke_mode(text: &str) -> InvokeMode {
    match text {
        "RESPONSE_STREAM" => InvokeMode::ResponseStream,
        _ => InvokeMode::Buffered,
    }
}

fn cors(given: model::Cors) -> Cors {
    Cors {
        allow_credentials: given.allow_credentials,
        allow_headers: given.allow_headers.unwrap_or_default(),
        allow_methods: given.allow_methods.unwrap_or_default(),
        allow_origins: given.allow_origins.unwrap_or_default(),
        expose_headers: given.expose_headers.unwrap_or_default(),
        max_age_s: given.max_age.and_then(|seconds| u32::try_from(seconds).ok()),
    }
}

fn shown(
    front: &Front,
    FunctionUrl { id, arn, settings, created, last_modified }: FunctionUrl,
) -> FunctionUrlConfig {
    let list = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let cors = settings.cors.map(|cors| model::Cors {
        allow_credentials: cors.allow_credentials,
        allow_headers: list(cors.allow_headers),
        allow_methods: list(cors.allow_methods),
        allow_origins: list(cors.allow_origins),
        expose_headers: list(cors.expose_headers),
        max_age: cors.max_age_s.map(i64::from),
    });
    let auth_type = match settings.auth_type {
        AuthType::None => "NONE",
        AuthType::AwsIam => "AWS_IAM",
    };
    let invoke_mode = match settings.invoke_mode.unwrap_or_default() {
        InvokeMode::Buffered => "BUFFERED",
        InvokeMode::ResponseStream => "RESPONSE_STREAM",
    };
    FunctionUrlConfig {
        function_url: address(front.origin(), &front.account().region, &id),
        function_arn: arn.to_string(),
        creation_time: created.to_string(),
        last_modified_time: last_modified.to_string(),
        cors,
        auth_type: auth_type.to_owned(),
        invoke_mode: Some(invoke_mode.to_owned()),
    }
}

/// What callers are to call. Names below `localhost` are this host's, by RFC 6761.
fn address(origin: &str, region: &str, id: &str) -> String {
    let origin: Uri = origin.parse().unwrap_or_default();
    let scheme = origin.scheme_str().unwrap_or("http");
    let port = origin.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{id}.lambda-url.{region}.localhost{port}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_servers_scheme_and_port() {
        for (origin, expected) in [
            ("http://127.0.0.1:9000", "http://u.lambda-url.eu-west-1.localhost:9000/"),
            ("https://[::1]:9000", "https://u.lambda-url.eu-west-1.localhost:9000/"),
            ("https://lambda.example", "https://u.lambda-url.eu-west-1.localhost/"),
        ] {
            assert_eq!(address(origin, "eu-west-1", "u"), expected);
        }
    }
}
