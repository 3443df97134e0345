//! The made-up mailbox against the real daemon and a real Dovecot, and the account of what came of every mail.

pub mod cuts;
pub mod deaths;
pub mod judge;
pub mod proxy;
pub mod whole;

use std::net::SocketAddr;

use crate::dovecot::PASSWORD;

/// A mailbox of the configuration: its user on the server, and the address by which it is reached.
#[must_use]
pub fn mailbox(user: &str, server: SocketAddr, sink: SocketAddr) -> String {
    format!(
        "[[mailbox]]\nname = \"{user}\"\naddress = \"{server}\"\nsecurity = \"none\"\nuser = \"{user}\"\npassword = \"{PASSWORD}\"\n\
         first = \"new\"\npoll_seconds = 5\nacknowledge_per_hour = 1000000\n\n[mailbox.submission]\naddress = \"{sink}\"\nsecurity = \
         \"none\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n\n"
    )
}

/// Waits until "new" has a beginning in every mailbox, so that whatever comes from then on is new.
///
/// # Errors
/// When one is not up within 30 s.
pub async fn all_up(running: &crate::scratch::Running, mailboxes: usize) -> anyhow::Result<()> {
    let up = |shown: &serde_json::Value| {
        let items = shown["items"].as_array().into_iter().flatten();
        items.filter(|item| item["kind"] == "mailbox" && item["state"] == "up").count() >= mailboxes
    };
    running.rest().until("/v1/channels", std::time::Duration::from_secs(30), up).await?;
    Ok(())
}
