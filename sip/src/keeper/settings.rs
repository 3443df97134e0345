//! Where a trunk's peer is, and what is wanted of it.

use std::time::Duration;

use crate::auth::Login;
use crate::flow::Transport;

/// What the configuration says of a peer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The trunk's name.
    pub name: String,
    /// Its host, name or address; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// Our account with it.
    pub login: Option<Login>,
    /// For so many seconds we ask to be registered; `None`: not at all. Only with a login.
    pub register: Option<u32>,
    /// How often it is asked; `None`: never.
    pub options: Option<Duration>,
}

impl Settings {
    /// Host and port as one text, IPv6 in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// Under which name we register, if we do: the number that the peer calls then.
    #[must_use]
    pub fn registers_as(&self) -> Option<&str> {
        self.login.as_ref().filter(|_| self.register.is_some()).map(Login::user)
    }
}

/// A host as a URI writes it.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
