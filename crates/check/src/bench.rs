//! What a rule works with: starts of the runtime, and what is known about its handler.

use std::time::Duration;

use crate::session::Session;
use crate::suite::Options;
use crate::target::Target;
use crate::verdict::{HostError, Outcome, Stop};

/// Where a rule's check handlers are described.
const NO_CHECK_HANDLER: &str = "the handler does not play `echo`: see conformance/runtimes/README.md";

/// One rule's bench. To be closed.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    target: &'a Target,
    pub(crate) options: &'a Options,
    /// Whether the handler is a check handler.
    plays: bool,
    session: Option<Session>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(target: &'a Target, options: &'a Options, plays: bool) -> Self {
        Bench { target, options, plays, session: None }
    }

    /// Starts the runtime. A rule does it once.
    pub(crate) async fn start(&mut self) -> Result<&mut Session, HostError> {
        self.start_with(&[]).await
    }

    /// Starts the runtime with these variables over its own; `None` takes one away.
    pub(crate) async fn start_with(
        &mut self,
        changes: &[(&str, Option<String>)],
    ) -> Result<&mut Session, HostError> {
        let session = Session::start(self.target, changes, self.options.answer_limit).await?;
        Ok(self.session.insert(session))
    }

    /// Starts the runtime if its handler plays along.
    pub(crate) async fn start_playing(&mut self) -> Outcome<&mut Session> {
        self.start_playing_with(&[]).await
    }

    pub(crate) async fn start_playing_with(
        &mut self,
        changes: &[(&str, Option<String>)],
    ) -> Outcome<&mut Session> {
        if !self.plays {
            return Err(Stop::not_applicable(NO_CHECK_HANDLER));
        }
        Ok(self.start_with(changes).await?)
    }

    /// Whether the handler is a check handler.
    pub(crate) fn plays(&self) -> bool {
        self.plays
    }

    /// How long `next` is held where that is what is tried.
    pub(crate) fn hold(&self) -> Duration {
        self.options.hold
    }

    /// Ends what was started. Returns the last lines of its output.
    pub(crate) async fn close(self) -> String {
        match self.session {
            Some(session) => session.close().await,
            None => String::new(),
        }
    }
}
