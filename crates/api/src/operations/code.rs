//! Not there yet.

use axum::http::Uri;
use axum::response::Response;

use crate::error::ApiError;
use crate::front::Front;

pub(crate) fn is_link(_: &Uri) -> bool {
    false
}

pub(crate) async fn download(_: &Front, uri: &Uri) -> Result<Response, ApiError> {
    Err(ApiError::unknown_operation(&axum::http::Method::GET, uri))
}
