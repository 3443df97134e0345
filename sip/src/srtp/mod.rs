//! Secure RTP (RFC 3711, RFC 7714) with keys from the session description (RFC 4568). A machine: packets go in, packets come
//! out. AES-GCM and HMAC-SHA1 are `ring`'s, the counter mode that it lacks is `aes` and `ctr`'s.

mod context;
mod keys;
mod sdes;
mod transform;
#[cfg(test)]
mod vectors;
mod window;

pub use context::{Receiver, Sender};
pub use keys::{Master, Suite};
#[cfg(feature = "shell")]
pub(crate) use sdes::hidden;
pub(crate) use sdes::{Offered, attribute};
pub use transform::Refused;

/// The keys of both directions of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Under which our packets leave.
    pub ours: Master,
    /// Under which the peer's come.
    pub theirs: Master,
}

/// What a call's description may agree on, and the secret of its keys; its `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Security {
    /// Whether sound must be encrypted.
    pub policy: Policy,
    secret: [u8; 30],
}

impl Security {
    /// `secret` is for one call, and nobody can guess it.
    #[must_use]
    pub const fn new(policy: Policy, secret: [u8; 30]) -> Self {
        Self { policy, secret }
    }

    /// Our key of this call. Of two suites one alone is ever used.
    pub(crate) fn master(&self, suite: Suite) -> Master {
        Master::new(suite, self.secret)
    }
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Security({:?})", self.policy)
    }
}

/// Whether sound must be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// A call without keys is refused.
    Required,
    /// As the offer has it.
    #[default]
    Optional,
    /// A call with keys is refused.
    Off,
}
