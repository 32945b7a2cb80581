//! Function URLs: plain HTTP requests in, answered by a function.
//!
//! ```text
//!  the API's listener ─► address: which URL ─► catalog ─┬─ preflight: answered by cors
//!                                                       └─► access: may the caller ─┐
//!  a listener of its own ───────────────────────────────────────────────────────────┴─► visit
//!
//!  visit: event: payload format 2.0 ─► Invoker ─┬─ BUFFERED ─► response: the handler's JSON, interpreted ───────────┐
//!                                               └─ RESPONSE_STREAM ─► stream: prelude (if any), then bytes ─────────┤
//!                               head: status, headers and cookies, as functions write them ◄────────────────────────┘
//! ```
//!
//! A URL of the catalog has a host name (or a path: `address.rs`) on the API's listener, an auth type, a resource policy
//! and perhaps CORS headers. One that the operator of a server asked for has a listener of its own, so that paths and the
//! `Host` header are the function's affair alone; it asks nobody who they are and no policy. What the front end of AWS does
//! itself is done here for both: limits, 502 for what is no answer, headers of the connection.

mod access;
mod address;
mod cors;
mod event;
mod head;
mod prelude;
mod refusal;
mod response;
mod stream;
mod visit;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use firesteel_catalog::{FunctionName, FunctionReference};
use firesteel_invoke::{Invoker, trace};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::error::{REQUEST_ID, request_id_value};
use crate::front::Front;
use crate::operations::invocation::{TRACE_ID, text};
use crate::server::{self, Encrypted};

pub(crate) use self::address::Address;
pub use firesteel_catalog::InvokeMode;

use self::refusal::{JSON, Refusal};
use self::visit::Visit;

/// A function that answers HTTP requests on a listener of its own.
#[derive(Debug, Clone)]
pub struct FunctionUrl {
    /// The function; its `$LATEST` runs.
    pub function: FunctionName,
    /// How its answers are understood.
    pub mode: InvokeMode,
}

/// One such URL, and what its requests are answered with.
#[derive(Debug)]
struct Door {
    url: FunctionUrl,
    /// 32 letters and digits, as AWS's; the same in every run.
    url_id: String,
    port: u16,
    invoker: Invoker,
}

/// Serves one URL on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    url: FunctionUrl,
    invoker: Invoker,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let arn = invoker.store().account().function_arn(&url.function, None).to_string();
    let url_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, arn.as_bytes()).simple().to_string();
    let door = Door { url, url_id, port: listener.local_addr()?.port(), invoker };
    let router = Router::new().fallback(handle).with_state(Arc::new(door));
    server::serve(listener, router, server::Settings::default(), shutdown).await;
    Ok(())
}

async fn handle(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visit = Visit {
        invoker: &door.invoker,
        reference: FunctionReference { name: door.url.function.clone(), qualifier: None },
        mode: door.url.mode,
        url_id: &door.url_id,
        port: door.port,
        caller: None,
        request_id: Uuid::new_v4(),
        trace: trace::continued(text(&parts.headers, &TRACE_ID)),
    };
    visit.answer(&parts, body).await
}

/// The answer to a request that came in by the API's listener, for the URL at `address`.
pub(crate) async fn answer(front: &Front, address: Address, request: Request, request_id: Uuid) -> Response {
    let url = match front.store().function_url_by_id(&address.id) {
        Ok(Some(url)) => url,
        Ok(None) => return Refusal::Unknown.into_response_to(request_id),
        Err(error) => return Refusal::from(error).into_response_to(request_id),
    };
    let Some(cors) = &url.settings.cors else {
        return visited(front, &url, &address, request, request_id).await;
    };
    let origin = request.headers().get(header::ORIGIN).cloned();
    if cors::is_preflight(&request) {
        let id = (REQUEST_ID, request_id_value(request_id));
        let mut response = ([(header::CONTENT_TYPE, JSON), id], Body::empty()).into_response();
        cors::preflight(cors, origin.as_ref(), response.headers_mut());
        return response;
    }
    let mut response = visited(front, &url, &address, request, request_id).await;
    cors::answer(cors, origin.as_ref(), response.headers_mut());
    response
}

async fn visited(
    front: &Front,
    url: &firesteel_catalog::FunctionUrl,
    address: &Address,
    request: Request,
    request_id: Uuid,
) -> Response {
    let reference = FunctionReference { name: url.arn.name.clone(), qualifier: url.arn.qualifier.clone() };
    let (request, caller) = match access::admitted(front, url, &reference, request).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response_to(request_id),
    };
    let (mut parts, body) = request.into_parts();
    // Not before: a signature is of the path that was sent.
    parts.uri = address.within(&parts.uri);
    let is_encrypted = parts.extensions.get() == Some(&Encrypted(true));
    let visit = Visit {
        invoker: front.invoker(),
        reference,
        mode: url.settings.invoke_mode.unwrap_or_default(),
        url_id: &url.id,
        port: address::port(&parts.headers, is_encrypted),
        caller: caller.as_deref(),
        request_id,
        trace: trace::continued(text(&parts.headers, &TRACE_ID)),
    };
    visit.answer(&parts, body).await
}
