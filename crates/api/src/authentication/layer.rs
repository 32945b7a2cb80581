//! The layer before the operations of the API: who sent this?

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use jiff::Timestamp;

use super::Authenticator;
use crate::body::{self, BodyError, DRAIN_LIMIT_BYTES};
use crate::error::ApiError;
use crate::model;

/// Passes on requests that are signed, with an `Arc<Identity>` among their extensions and with their body read, as large as
/// AWS's front end takes any; what an operation allows is its own affair. Others are answered here, and those whose head
/// suffices before their body is read.
///
/// For `axum::middleware::from_fn_with_state`.
pub async fn authenticate(
    State(authenticator): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> Response {
    match verified(&authenticator, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

pub(crate) async fn verified(authenticator: &Authenticator, request: Request) -> Result<Request, ApiError> {
    let (mut head, body) = request.into_parts();
    let pending = authenticator.begin(&head, Timestamp::now())?;
    let limit_bytes = usize::try_from(DRAIN_LIMIT_BYTES).unwrap_or(usize::MAX);
    let body = body::read(body, limit_bytes).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => {
            // What is no operation is told so, however large.
            model::route(&head.method, &head.uri).map_or_else(
                |unknown| unknown,
                |route| ApiError::RequestTooLarge { operation: route.operation.name },
            )
        }
        BodyError::Unreadable => ApiError::BodyUnreadable,
    })?;
    let size_bytes = body.len();
    let (identity, body) = pending.finish(body, Timestamp::now())?;
    head.extensions.insert(identity);
    if body.len() != size_bytes {
        // The frames of a chunked body are gone.
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        head.headers.remove(CONTENT_ENCODING);
    }
    Ok(Request::from_parts(head, Body::from(body)))
}
