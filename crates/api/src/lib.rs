//! Front door: the Lambda HTTP API, as the AWS CLI and the SDKs speak it.
//!
//! ```text
//!  request ─┬─ authentication: who sent it ─► operations ─┬─ of functions that run ──────► invoke::Invoker
//!           │                                             └─ all others ─► catalog::Store ─► what changed ─► Invoker
//!           ├─ a link to code ─► the archive
//!           └─ a function URL, by host or path ─► function_url ─► invoke::Invoker
//! ```
//!
//! Only this crate knows paths, header names, status codes and the JSON of errors. Connections are accepted, bounded and
//! ended by [`server`]. Who sent a request is found out by [`authentication`], what he may do by [`authorization`]. Without
//! credentials signatures are accepted unread; [`server::may_listen`] keeps such a server on loopback.
#![forbid(unsafe_code)]

pub mod authentication;
pub mod authorization;
mod body;
mod error;
mod event_stream;
mod front;
pub mod function_url;
mod guard;
#[allow(dead_code, unused_imports, reason = "it is the whole API, of which operations use what they need")]
mod model;
mod operations;
pub mod server;
mod web_page;

use std::future::Future;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use uuid::Uuid;

pub use front::{Front, Parts};

use error::ApiError;

/// Serves the API on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    front: Front,
    settings: server::Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    server::serve(listener, router(front), settings, shutdown).await;
    Ok(())
}

/// The whole API, for serving and for tests.
pub fn router(front: Front) -> Router {
    Router::new().fallback(handle).with_state(front)
}

async fn handle(State(front): State<Front>, request: Request) -> Response {
    let request_id = Uuid::new_v4();
    match answer(&front, request, request_id).await {
        Ok(response) => response,
        Err(error) => error.into_response_to(request_id),
    }
}

async fn answer(front: &Front, request: Request, request_id: Uuid) -> Result<Response, ApiError> {
    // First, for paths and signatures of such requests are their function's and their URL's affair.
    if let Some(address) = function_url::Address::of(&request) {
        return Ok(function_url::answer(front, address, request, request_id).await);
    }
    if operations::code::is_link(request.uri()) {
        return operations::code::download(front, request.uri()).await;
    }
    let request = match front.authenticator() {
        Some(authenticator) => authentication::verified(authenticator, request).await?,
        None => {
            web_page::check(&request, front.origin())?;
            request
        }
    };
    operations::answer(front, request, request_id).await
}
