//! Who is let in to a function URL of the catalog.
//!
//! | auth type | who | let in by |
//! |---|---|---|
//! | `NONE` | anybody | the resource's policy, which has to allow everybody |
//! | `AWS_IAM` | whose signature (service `lambda`) is good | that policy, or the identity's own |
//! | `AWS_IAM`, where the server has no credentials | whoever says to have signed, as the root of the account | as above: always |
//!
//! A policy is asked for `lambda:InvokeFunctionUrl` alone. On AWS, URLs made since October 2025 need `lambda:InvokeFunction`
//! as well, older ones do not; here all are as the older ones, for which tools and recordings were made.
//!
//! The last row is what the API does with signatures it cannot verify, and such a server listens on loopback only. An
//! unsigned request is refused there too: a client that forgets to sign finds out at home.

use std::sync::Arc;

use axum::extract::Request;
use firesteel_catalog::{AuthType, CatalogError, FunctionReference, FunctionUrl};

use super::refusal::Refusal;
use crate::authentication::{self, Identity};
use crate::authorization::{Access, Caller, Context, Policy, decide};
use crate::error::ApiError;
use crate::front::Front;
use crate::guard;

const ACTION: &str = "lambda:InvokeFunctionUrl";

/// The request, and who sent it if that was asked.
pub(super) async fn admitted(
    front: &Front,
    url: &FunctionUrl,
    reference: &FunctionReference,
    request: Request,
) -> Result<(Request, Option<Arc<Identity>>), Refusal> {
    let (request, identity) = match url.settings.auth_type {
        AuthType::None => (request, None),
        AuthType::AwsIam => {
            let (request, identity) = signed(front, request).await?;
            (request, Some(identity))
        }
    };
    let policy = match front.store().resolve(reference) {
        Ok(resolved) => resolved.policy.as_deref().and_then(guard::evaluable),
        // The alias is gone, and its URL is still there.
        Err(CatalogError::Refused(_)) => return Err(Refusal::Forbidden),
        Err(error) => return Err(error.into()),
    };
    let access = Access {
        caller: identity.as_deref().map_or(Caller::Anyone, Caller::Identity),
        action: ACTION,
        resource: &url.arn.to_string(),
        context: Context::default()
            .with("lambda:FunctionUrlAuthType", auth_type(url.settings.auth_type))
            .with("lambda:InvokedViaFunctionUrl", "true"),
    };
    decide(access, policy.as_ref()).map_err(|denied| {
        // Callers are told nothing of it.
        tracing::info!("{denied}");
        Refusal::Forbidden
    })?;
    Ok((request, identity))
}

async fn signed(front: &Front, request: Request) -> Result<(Request, Arc<Identity>), Refusal> {
    let Some(authenticator) = front.url_authenticator() else {
        let (head, body) = request.into_parts();
        let access_key_id = authentication::claimed_key(&head).map_err(unauthenticated)?;
        let account = front.account().id.clone();
        let identity = Identity {
            access_key_id,
            arn: format!("arn:aws:iam::{account}:root"),
            user_id: account.clone(),
            account,
            policy: Policy::everything(),
        };
        return Ok((Request::from_parts(head, body), Arc::new(identity)));
    };
    let request = authentication::verified(authenticator, request).await.map_err(|error| match error {
        ApiError::Unauthenticated(refusal) => unauthenticated(refusal),
        error => Refusal::Api(error),
    })?;
    let identity = request.extensions().get::<Arc<Identity>>().cloned();
    let identity = identity.expect("a request that was verified has an identity");
    Ok((request, identity))
}

/// That nothing is signed is told in the words of URLs, all else in those of signatures.
fn unauthenticated(refusal: authentication::Refusal) -> Refusal {
    match refusal {
        authentication::Refusal::MissingToken => Refusal::Forbidden,
        refusal => Refusal::Api(refusal.into()),
    }
}

fn auth_type(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::None => "NONE",
        AuthType::AwsIam => "AWS_IAM",
    }
}
