//! The legal moves of a bind, in one table.

/// Where a bind stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected; nothing was said.
    Open,
    /// Our bind waits for its response.
    Binding,
    /// Texts may pass.
    Bound,
    /// Our unbind waits for its response.
    Unbinding,
    /// The SMSC's unbind waits for ours, until what we owe it is acknowledged.
    Leaving,
    /// Nothing passes any more.
    Closed,
}

/// What moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// We sent a bind.
    BindSent,
    /// It was accepted.
    BindAccepted,
    /// We sent an unbind.
    UnbindSent,
    /// The SMSC sent an unbind.
    PeerUnbinds,
    /// The link is of no more use, for whatever reason.
    Over,
}

const MOVES: &[(State, Cause, State)] = &[
    (State::Open, Cause::BindSent, State::Binding),
    (State::Open, Cause::Over, State::Closed),
    (State::Binding, Cause::BindAccepted, State::Bound),
    (State::Binding, Cause::Over, State::Closed),
    (State::Bound, Cause::UnbindSent, State::Unbinding),
    (State::Bound, Cause::PeerUnbinds, State::Leaving),
    (State::Bound, Cause::Over, State::Closed),
    // The two crossed: each is answered, and ours still waits.
    (State::Unbinding, Cause::PeerUnbinds, State::Unbinding),
    (State::Unbinding, Cause::Over, State::Closed),
    (State::Leaving, Cause::Over, State::Closed),
];

impl State {
    /// The state after a cause; `None` when the cause is not possible here.
    pub(super) fn after(self, cause: Cause) -> Option<Self> {
        MOVES
            .iter()
            .find(|(from, by, _)| *from == self && *by == cause)
            .map(|(_, _, to)| *to)
    }

    /// Whether the SMSC may hand us messages.
    #[must_use]
    pub const fn takes_deliveries(self) -> bool {
        matches!(self, Self::Bound | Self::Unbinding | Self::Leaving)
    }
}
