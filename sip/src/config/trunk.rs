//! Who may call: `[[sip.trunk]]`.

use voxea_core::base::settings::Section;

use super::peer;
use crate::keeper::Settings;
use crate::policy::{Network, Trunk};

/// Reads a trunk, and where it is reached.
pub(super) fn read(section: &mut Section<'_>) -> (Trunk, Option<Settings>) {
    let name = section.required_string("name", "pbx");
    let mut allow = Vec::new();
    match section.strings("allow") {
        None => section.problem("allow", "is missing: nobody could call; an example: allow = [\"192.0.2.1\"]"),
        Some(texts) => {
            if texts.is_empty() {
                section.warning("allow", "is empty: nobody could call; an example: allow = [\"192.0.2.1\"]");
            }
            for text in texts {
                match text.parse::<Network>() {
                    Ok(network) => allow.push(network),
                    Err(error) => section.problem("allow", format!("{text:?}: {error}")),
                }
            }
        }
    }
    let peer = peer::read(section, &name);
    let mut trunk = Trunk::new(&name, allow);
    (trunk.realm, trunk.login) = (peer.realm, peer.login);
    (trunk, peer.settings)
}
