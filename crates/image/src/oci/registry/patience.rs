//! How often a registry is asked again, and when.

use std::time::Duration;

use tokio::time::sleep;

use super::{RegistryError, RegistrySettings};

/// Of one request.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    settings: &'a RegistrySettings,
    /// Attempts in a row that have brought nothing.
    in_vain: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(settings: &'a RegistrySettings) -> Self {
        Patience { settings, in_vain: 0 }
    }

    /// Something has come: what comes next is another matter.
    pub(super) fn progressed(&mut self) {
        self.in_vain = 0;
    }

    /// Waits until the next attempt; gives the error back if there is to be none.
    pub(super) async fn after(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        let Some(asked_for) = error.retry() else { return Err(error) };
        self.in_vain += 1;
        if self.in_vain >= self.settings.attempts || asked_for > self.settings.longest_wait {
            return Err(error);
        }
        tracing::debug!(%error, "asking again");
        sleep(asked_for.max(self.wait())).await;
        Ok(())
    }

    fn wait(&self) -> Duration {
        let doubled = self.settings.first_wait.saturating_mul(1 << (self.in_vain - 1).min(16));
        doubled.min(self.settings.longest_wait)
    }
}
