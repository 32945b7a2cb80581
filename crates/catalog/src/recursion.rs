//! What becomes of a function that invokes itself over and over by way of other services.

/// Per function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecursiveLoop {
    /// Stopped after some 16 rounds.
    #[default]
    Terminate,
    /// Left alone.
    Allow,
}
