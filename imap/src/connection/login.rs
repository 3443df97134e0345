//! What is said to prove who we are.

use async_imap::Authenticator;

/// What we say in a SASL exchange: the first words, then the same to whatever the server says.
pub(super) struct Words {
    pub(super) first: Option<String>,
    pub(super) after: &'static str,
}

impl Authenticator for Words {
    type Response = String;

    fn process(&mut self, _: &[u8]) -> String {
        self.first.take().unwrap_or_else(|| self.after.to_owned())
    }
}

/// A login name without what ends a quoted string's line; the configuration has refused such names already.
pub(super) fn utf8_login(user: &str) -> String {
    user.chars().filter(|c| !c.is_control()).collect()
}
