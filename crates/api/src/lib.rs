//! Front door: the Lambda HTTP API, as the AWS CLI and the SDKs speak it.
//!
//! ```text
//!  POST /2015-03-31/functions/{name}/invocations ─► operations::invoke ──────────────────────────┐
//!  POST /2021-11-15/functions/{name}/response-streaming-invocations                              │
//!                                          ─► operations::invoke_with_response_stream ───────────┤
//!  anything else ─► UnknownOperationException                                                    ├─► invoke::Invoker
//!                                                                                                │
//!  anything, where a function URL listens ─► function_url ───────────────────────────────────────┘
//! ```
//!
//! Only this crate knows paths, header names, status codes and the JSON of errors. Connections are accepted, bounded and
//! ended by [`server`]. Who sent a request is found out by [`authentication`], what he may do by [`authorization`]. Routes
//! without these accept signatures unread; [`server::may_listen`] keeps such a server on loopback.
#![forbid(unsafe_code)]

pub mod authentication;
pub mod authorization;
mod body;
mod error;
mod event_stream;
pub mod function_url;
#[allow(dead_code, unused_imports, reason = "it is the whole API, of which operations use what they need")]
mod model;
mod operations;
pub mod server;

use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use firesteel_invoke::Invoker;
use tokio::net::TcpListener;

use error::ApiError;

/// Serves the API on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    invoker: Invoker,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    server::serve(listener, router(invoker), server::Settings::default(), shutdown).await;
    Ok(())
}

/// The routes, for serving and for tests.
pub fn router(invoker: Invoker) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{function_name}/invocations", post(operations::invoke::handle))
        .route(
            "/2021-11-15/functions/{function_name}/response-streaming-invocations",
            post(operations::invoke_with_response_stream::handle),
        )
        .method_not_allowed_fallback(unknown)
        .fallback(unknown)
        .with_state(invoker)
}

async fn unknown(State(_): State<Invoker>, method: Method, uri: Uri) -> Response {
    ApiError::unknown_operation(&method, &uri).into_response()
}
