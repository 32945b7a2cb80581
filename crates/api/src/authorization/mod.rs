//! What a caller may do: its identity's policy, and the policy of what it wants.
//!
//! ```text
//!  operation ─► action + kind of resource ─┐
//!               (operation.rs)             ├─► decide ─► allowed, or Denied with AWS's words
//!  caller, resource, context ──────────────┤
//!  policy of the identity, of the resource ┘    (policy.rs, condition.rs, pattern.rs)
//! ```
//!
//! | caller | may, if nothing denies it and |
//! |---|---|
//! | an identity of the resource's account | its own policy allows it, or the resource's names it or everybody |
//! | an identity of another account | both allow it; the resource's may name the account |
//! | a service, such as `s3.amazonaws.com` | the resource's policy names the service |
//! | anybody (function URLs without signatures) | the resource's policy allows everybody |
//!
//! Everything is a pure function. Called by operations, when they know which resource they are asked for, and by function URLs.
//! What cannot be evaluated is refused where a policy is read, never passed over: a condition that is not understood must
//! neither allow nor fail to deny.

mod condition;
mod operation;
mod pattern;
mod policy;

use std::fmt;

use crate::authentication::Identity;

pub use self::condition::Context;
pub use self::operation::{Permission, ResourceKind, permission};
pub(crate) use self::pattern::matches;
pub use self::policy::{InvalidPolicy, Policy};

/// Who wants something.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// Somebody whose signature was found good.
    Identity(&'a Identity),
    /// A service of AWS, or what plays one here: `events.amazonaws.com`.
    Service(&'a str),
    /// Nobody in particular.
    Anyone,
}

/// What is wanted.
#[derive(Debug)]
pub struct Access<'a> {
    /// By whom.
    pub caller: Caller<'a>,
    /// `lambda:InvokeFunction`
    pub action: &'a str,
    /// The ARN as the request names it, with its qualifier if it has one; `*` where an action has no resource.
    pub resource: &'a str,
    /// What conditions look at. The caller's own keys are added by [`decide`].
    pub context: Context,
}

/// Which policy stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The identity's own does not allow it.
    NoIdentityPolicy,
    /// The resource's does not allow it.
    NoResourcePolicy,
    /// The identity's own forbids it.
    DeniedByIdentity,
    /// The resource's forbids it.
    DeniedByResource,
}

/// It may not be done. The text is AWS's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("User: {caller} is not authorized to perform: {action} on resource: {resource} {}", Because(*reason, action))]
pub struct Denied {
    /// ARN, service or `anonymous`.
    pub caller: String,
    /// What was asked for.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Why not.
    pub reason: Reason,
}

struct Because<'a>(Reason, &'a str);

impl fmt::Display for Because<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Because(reason, action) = self;
        match reason {
            Reason::NoIdentityPolicy => {
                write!(formatter, "because no identity-based policy allows the {action} action")
            }
            Reason::NoResourcePolicy => {
                write!(formatter, "because no resource-based policy allows the {action} action")
            }
            Reason::DeniedByIdentity => {
                formatter.write_str("with an explicit deny in an identity-based policy")
            }
            Reason::DeniedByResource => {
                formatter.write_str("with an explicit deny in a resource-based policy")
            }
        }
    }
}

/// Whether `access` is allowed, given the policy of its resource, if that has one.
///
/// # Errors
///
/// It is not, and why.
pub fn decide(mut access: Access<'_>, of_resource: Option<&Policy>) -> Result<(), Denied> {
    let no_policy = Policy::default();
    let of_resource = of_resource.unwrap_or(&no_policy);
    if let Caller::Identity(identity) = access.caller {
        access.context.set("aws:PrincipalArn", &identity.arn);
        access.context.set("aws:PrincipalAccount", &identity.account);
    }
    let denied = |reason| {
        let caller = match access.caller {
            Caller::Identity(identity) => identity.arn.as_str(),
            Caller::Service(name) => name,
            Caller::Anyone => "anonymous",
        };
        let (action, resource) = (access.action.to_owned(), access.resource.to_owned());
        Err(Denied { caller: caller.to_owned(), action, resource, reason })
    };
    let by_resource = of_resource.verdict(&access);
    let Caller::Identity(identity) = access.caller else {
        return match by_resource {
            Verdict { denied: true, .. } => denied(Reason::DeniedByResource),
            Verdict { allowed: Some(Grant::Caller), .. } => Ok(()),
            Verdict { .. } => denied(Reason::NoResourcePolicy),
        };
    };
    let by_identity = identity.policy.verdict(&access);
    let own_account = access.resource.split(':').nth(4).is_none_or(|account| account == identity.account);
    if by_identity.denied {
        return denied(Reason::DeniedByIdentity);
    }
    if by_resource.denied {
        return denied(Reason::DeniedByResource);
    }
    match (own_account, by_identity.allowed.is_some(), by_resource.allowed) {
        (true, true, _) | (true, false, Some(Grant::Caller)) | (false, true, Some(_)) => Ok(()),
        (true, false, _) | (false, false, Some(_)) => denied(Reason::NoIdentityPolicy),
        (false, _, None) => denied(Reason::NoResourcePolicy),
    }
}

/// What one policy says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Verdict {
    denied: bool,
    allowed: Option<Grant>,
}

/// Whom a statement that allows means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    /// The account of the caller, which has to allow it in turn.
    Account,
    /// The caller.
    Caller,
}

#[cfg(test)]
mod tests;
