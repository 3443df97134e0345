//! Methods: rsip's where it knows them, the name itself where it does not.

use std::fmt;

/// A request's method (RFC 3261 §7.1). Names are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// One of those that rsip models.
    Known(rsip::Method),
    /// An extension that nobody here knows.
    Other(String),
}

impl Method {
    /// INVITE.
    pub const INVITE: Self = Self::Known(rsip::Method::Invite);
    /// ACK.
    pub const ACK: Self = Self::Known(rsip::Method::Ack);
    /// BYE.
    pub const BYE: Self = Self::Known(rsip::Method::Bye);
    /// CANCEL.
    pub const CANCEL: Self = Self::Known(rsip::Method::Cancel);
    /// OPTIONS.
    pub const OPTIONS: Self = Self::Known(rsip::Method::Options);
    /// INFO (RFC 6086).
    pub const INFO: Self = Self::Known(rsip::Method::Info);
    /// PRACK (RFC 3262).
    pub const PRACK: Self = Self::Known(rsip::Method::PRack);
    /// UPDATE (RFC 3311).
    pub const UPDATE: Self = Self::Known(rsip::Method::Update);

    /// Reads a method; `None` when it is not a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(is_token) {
            return None;
        }
        // rsip reads methods in any case; RFC 3261 §7.1 makes `invite` another method than `INVITE`.
        let known = if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            None
        } else {
            text.parse().ok()
        };
        Some(known.map_or_else(|| Self::Other(text.to_owned()), Self::Known))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(method) => method.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// `token` of RFC 3261 §25.1.
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}
