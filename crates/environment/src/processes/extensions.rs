//! What extensions call, around the verdict of the rules.
//!
//! A driver asks its own rules in between; what is kept of a call before and after is the same for both.

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::telemetry::{Dial, Schema, Subscription};
use firesteel_runtime_api::{ExtensionEvent, ExtensionRefusal, Registered, Registration, Reply};
use uuid::Uuid;

use super::Processes;
use crate::lifecycle::extensions::{Extensions, Index};
use crate::spec::InitializationType;

/// The call of one who is not known.
pub(crate) const UNKNOWN: runtime_api::Refusal =
    runtime_api::Refusal::Extension(ExtensionRefusal::UnknownIdentifier);

impl Processes {
    /// The index of the extension that calls by this identifier.
    pub(crate) fn extension(&self, identifier: Uuid) -> Result<Index, runtime_api::Refusal> {
        let generation = self.generation.as_ref().ok_or(UNKNOWN)?;
        generation.extension(identifier).ok_or(UNKNOWN)
    }

    /// What an extension is told whose registration was accepted.
    pub(crate) fn registered(
        &mut self,
        registration: &Registration,
        extensions: &Extensions,
    ) -> Result<Registered, runtime_api::Refusal> {
        let registered = extensions.members().iter().position(|known| *known.name == *registration.name);
        let (Some(index), Some(generation)) = (registered, &mut self.generation) else {
            return Err(runtime_api::Refusal::Platform);
        };
        Ok(Registered {
            identifier: generation.identify(index),
            function_name: self.spec.function_name.clone(),
            function_version: self.spec.version.clone(),
            handler: self.spec.handler.clone(),
            account_id: registration.account_id.then(|| self.spec.account_id.clone()),
        })
    }

    /// Puts a call for an event in its place, before the verdict, which may deliver to it. What was there waits on if it
    /// is refused: then it goes to [`Processes::unpark`].
    pub(crate) fn park(
        &mut self,
        index: Index,
        reply: Reply<ExtensionEvent>,
    ) -> Option<Reply<ExtensionEvent>> {
        if self.parked.len() <= index {
            self.parked.resize_with(index + 1, || None);
        }
        self.parked[index].replace(reply)
    }

    /// Refuses the call that was parked last.
    pub(crate) fn unpark(
        &mut self,
        index: Index,
        before: Option<Reply<ExtensionEvent>>,
        refusal: runtime_api::Refusal,
    ) {
        if let Some(refused) = self.parked_extension(index) {
            let _ = refused.send(Err(refusal));
            self.parked[index] = before;
        }
    }

    /// The call of an extension that waits.
    pub(crate) fn parked_extension(&mut self, index: Index) -> Option<Reply<ExtensionEvent>> {
        self.parked.get_mut(index)?.take()
    }

    /// Keeps an error that an extension reports; before the verdict, which may need its words. Returns what was known
    /// before, for [`Processes::extension_error_refused`].
    pub(crate) fn note_extension_error(
        &mut self,
        index: Index,
        error_type: String,
    ) -> BTreeMap<Index, String> {
        // An internal one has no process whose end would be told of.
        self.cause.extension = Some(error_type.clone());
        let before = self.cause.extension_errors.clone();
        self.cause.extension_errors.entry(index).or_insert(error_type);
        before
    }

    /// What was accepted before stands.
    pub(crate) fn extension_error_refused(&mut self, before: BTreeMap<Index, String>) {
        self.cause.extension_errors = before;
    }

    /// Starts to deliver telemetry to an extension.
    pub(crate) fn subscribe(
        &mut self,
        index: Index,
        subscription: Subscription,
        extensions: &Extensions,
    ) -> Result<(), runtime_api::Refusal> {
        let overlapping = self.spec.initialization == InitializationType::ManagedInstances;
        if overlapping && subscription.schema != Schema::V20250129 {
            return Err(runtime_api::Refusal::Extension(ExtensionRefusal::SchemaNotSupported));
        }
        let name = Arc::clone(&extensions.members().get(index).ok_or(UNKNOWN)?.name);
        if self.log.subscription_of(&name).is_some_and(|api| api != subscription.api) {
            // One API or the other, as AWS has it.
            return Err(runtime_api::Refusal::Extension(ExtensionRefusal::SubscriptionClosed));
        }
        let dialer = self.sandbox.dialer();
        self.log.subscribe(&name, subscription, Dial::new(move |port| dialer.clone().connect(port)));
        Ok(())
    }
}
