//! One request to a function: its event, the invocation, the answer.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use firesteel_catalog::{FunctionReference, InvokeMode};
use firesteel_invoke::{Invoker, Outcome};
use uuid::Uuid;

use super::event::{self, Arrival};
use super::refusal::{JSON, Refusal, uninterpretable};
use super::{response, stream};
use crate::authentication::Identity;
use crate::body::{self, BodyError};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::operations::invocation::{SYNCHRONOUS_LIMIT_BYTES, TRACE_ID};
use crate::server::Encrypted;

/// A request that is let in.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) invoker: &'a Invoker,
    /// What runs.
    pub(super) reference: FunctionReference,
    /// How its answer is understood.
    pub(super) mode: InvokeMode,
    pub(super) url_id: &'a str,
    /// Where the caller thinks it is.
    pub(super) port: u16,
    /// Who sent it, if that was asked.
    pub(super) caller: Option<&'a Identity>,
    pub(super) request_id: Uuid,
    pub(super) trace: String,
}

impl Visit<'_> {
    /// The function's answer, or what is put in its place.
    pub(super) async fn answer(self, parts: &Parts, body: Body) -> Response {
        let request_id = self.request_id;
        let trace = HeaderValue::from_str(&self.trace);
        let function = self.reference.name.clone();
        let mut response = match self.invoked(parts, body).await {
            Ok(response) => response,
            Err(refusal) => {
                if let Refusal::Uninterpretable(cause) = &refusal {
                    let error = &**cause as &(dyn std::error::Error + 'static);
                    tracing::warn!(%request_id, %function, error, "{refusal}");
                }
                refusal.into_response_to(request_id)
            }
        };
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, request_id_value(request_id));
        if let Ok(trace) = trace {
            headers.insert(TRACE_ID, trace);
        }
        response
    }

    async fn invoked(self, parts: &Parts, body: Body) -> Result<Response, Refusal> {
        if parts.method == Method::CONNECT {
            return Err(Refusal::Tunnel);
        }
        let too_large = |size_bytes| ApiError::PayloadTooLarge {
            size_bytes,
            invocation_type: "RequestResponse",
            limit_bytes: SYNCHRONOUS_LIMIT_BYTES,
        };
        let body = body::read(body, SYNCHRONOUS_LIMIT_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge { size_bytes } => too_large(size_bytes),
            BodyError::Unreadable => ApiError::BodyUnreadable,
        })?;
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            tracing::error!("a request came by no connection");
            return Err(ApiError::Service.into());
        };
        let arrival = Arrival {
            request_id: self.request_id,
            trace: &self.trace,
            source_ip: peer.ip(),
            port: self.port,
            is_encrypted: parts.extensions.get() == Some(&Encrypted(true)),
            url_id: self.url_id,
            caller: self.caller,
            time: jiff::Timestamp::now(),
        };
        let payload = event::event(parts, &body, &arrival);
        if payload.len() > SYNCHRONOUS_LIMIT_BYTES {
            return Err(too_large(payload.len() as u64).into());
        }
        let request = firesteel_invoke::Request {
            reference: self.reference,
            request_id: self.request_id,
            payload: payload.into(),
            client_context: None,
            trace: Some(self.trace),
            log_tail: false,
        };
        match self.mode {
            InvokeMode::Buffered => match self.invoker.synchronous(request).await?.outcome {
                Outcome::Success(payload) => {
                    let (head, body) = response::interpreted(&payload).map_err(uninterpretable)?;
                    Ok(head.response(JSON, Body::from(body)))
                }
                Outcome::FunctionError(_) => Err(Refusal::FunctionError),
            },
            InvokeMode::ResponseStream => stream::streamed(self.invoker.streaming(request).await?).await,
        }
    }
}
