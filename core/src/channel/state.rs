//! The states that operators see.

/// What a channel's task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is reaching for its peer.
    Connecting,
    /// It works.
    Up,
    /// Its peer failed; it will try again soon.
    Retrying,
    /// Its peer refused it; it tries again slowly, and an operator should look.
    Halted,
    /// It is closing.
    Stopping,
}

impl State {
    /// The name that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Retrying => "retrying",
            Self::Halted => "halted",
            Self::Stopping => "stopping",
        }
    }
}
