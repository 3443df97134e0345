//! The `outbind_…` keys of a `[[smpp]]`: an SMSC that connects to us (SMPP 3.4 §2.2.1).

use std::net::SocketAddr;

use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_rules::network::Network;

use crate::pdu::Bind;

/// Where an SMSC may connect to, and how it proves that it is the SMSC.
#[derive(Debug, Clone)]
pub struct Outbind {
    /// Where we listen; a port of 0 is chosen by the kernel.
    pub listen: SocketAddr,
    /// Who may connect; others are closed at once.
    pub allow: Vec<Network>,
    /// What the SMSC calls itself.
    pub system_id: String,
    /// What it must know.
    pub password: Secret,
    /// How we bind on its connection.
    pub bind: Bind,
}

const KEYS: [&str; 5] = [
    "outbind_allow",
    "outbind_system_id",
    "outbind_password",
    "outbind_password_file",
    "outbind_bind",
];

/// Reads the keys; `None` when nothing listens. `tls`: the account's own connections are encrypted.
pub(super) fn read(section: &mut Section<'_>, tls: bool) -> Option<Outbind> {
    if !section.has("outbind_listen") {
        for key in KEYS.into_iter().filter(|key| section.has(key)) {
            section.problem(
                key,
                "says nothing without outbind_listen = \"192.0.2.10:2776\", where the SMSC connects to",
            );
        }
        return None;
    }
    if tls {
        section.problem(
            "outbind_listen",
            "does not go with security = \"tls\": a connection that the SMSC makes is in the clear, and our password would be; leave it out",
        );
    }
    let listen = section.parsed::<SocketAddr>("outbind_listen", "192.0.2.10:2776");
    let mut allow = Vec::new();
    for text in section.strings("outbind_allow").unwrap_or_default() {
        match text.parse::<Network>() {
            Ok(network) => allow.push(network),
            Err(error) => section.problem("outbind_allow", format!("{text:?}: {error}")),
        }
    }
    if allow.is_empty() {
        section.problem(
            "outbind_allow",
            "names nobody who may connect; an example: outbind_allow = [\"192.0.2.1\"]",
        );
    }
    let system_id = section.required_string("outbind_system_id", "smsc");
    let password = section.secret("outbind_password", "outbind_password_file");
    if !password.as_ref().is_some_and(|password| (1..=8).contains(&password.reveal().len())) {
        section.problem(
            "outbind_password_file",
            "must name a file with the SMSC's password, one to eight characters: outbind_password_file = \"outbind.password\"",
        );
    }
    let bind = match section.one_of("outbind_bind", &["receiver", "transceiver"], "receiver") {
        "transceiver" => Bind::Transceiver,
        _ => Bind::Receiver,
    };
    Some(Outbind {
        listen: listen?,
        allow,
        system_id,
        password: password?,
        bind,
    })
}
