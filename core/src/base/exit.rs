//! How a channel's task ends, and so what the supervisor does next.

/// The end of a channel's `run()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop, and did.
    Stopped,
    /// The peer or the network failed; trying again may help. Says what happened.
    Retry(String),
    /// Trying again soon will not help (bad configuration). Says what happened and what to do.
    Halt(String),
    /// The peer does not accept our credentials, and each further try may make it lock the account. Says what happened and
    /// what to do.
    Denied(String),
}
