//! `[webhooks]`: where events may be sent.

use std::time::Duration;

use voxea_core::base::settings::Section;
use voxea_rules::network::Network;

use crate::out::{Guard, Post};
use crate::trust::fetch;

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// Whether anything is.
    pub(crate) enabled: bool,
    /// Where nothing is.
    pub(crate) guard: Guard,
    /// The client; `None` when something is wrong, which was noted.
    pub(crate) post: Option<Post>,
    /// Attempts under way for one webhook.
    pub(crate) concurrency: usize,
}

/// Reads `[webhooks]`.
pub(crate) fn read(section: Option<&Section<'_>>) -> WebhookSettings {
    let Some(section) = section else {
        return WebhookSettings {
            enabled: true,
            guard: Guard::default(),
            post: fetch::tls(None)
                .ok()
                .map(|tls| Post::new(tls, Guard::default(), Duration::from_secs(15))),
            concurrency: 4,
        };
    };
    let guard = Guard::new(networks(section));
    let enabled = section.bool_or("enabled", true);
    let concurrency = section.int_or("concurrency", 4, 1..=32);
    let patience = section.int_or("timeout_seconds", 15, 1..=30).unsigned_abs();
    let tls = fetch::tls(section.file("ca_file").as_deref()).inspect_err(|message| section.problem("ca_file", message.clone()));
    WebhookSettings {
        enabled,
        post: tls.ok().map(|tls| Post::new(tls, guard.clone(), Duration::from_secs(patience))),
        guard,
        concurrency: usize::try_from(concurrency).unwrap_or(1),
    }
}

fn networks(section: &Section<'_>) -> Vec<Network> {
    let mut allow = Vec::new();
    for text in section.strings("allow").unwrap_or_default() {
        match text.parse::<Network>() {
            Ok(network) if network.bits() > 0 => allow.push(network),
            Ok(_) => section.problem(
                "allow",
                format!("{text:?} would except every address; name the networks of the receivers: allow = [\"10.1.0.0/16\"]"),
            ),
            Err(error) => section.problem("allow", format!("{text:?}: {error}")),
        }
    }
    allow
}
