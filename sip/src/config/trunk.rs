//! Who may call: `[[sip.trunk]]`.

use voxea_core::base::settings::Section;

use super::peer;
use crate::keeper::Settings;
use crate::policy::{Network, Trunk};
use crate::srtp::Policy;

/// After which telephone systems try the next way to go.
const FAILURES: [u16; 9] = [404, 480, 486, 488, 500, 502, 503, 600, 603];

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
    trunk.trusted = section.bool_or("trusted", true);
    trunk.max_calls = section.int_or("max_calls", 2_000, 1..=100_000).unsigned_abs() as usize;
    trunk.calls_per_second = section.int_or("calls_per_second", 0, 0..=100_000).unsigned_abs() as u32;
    let failure = section.int_or("failure_status", 503, 0..=999).unsigned_abs() as u16;
    if FAILURES.contains(&failure) {
        trunk.failure = failure;
    } else {
        section.problem(
            "failure_status",
            format!("{failure} says something else than that a call cannot be taken now; one of {FAILURES:?}"),
        );
    }
    trunk.srtp = match section.one_of("srtp", &["required", "optional", "off"], "optional") {
        _ if !section.has("srtp") => None,
        "required" => Some(Policy::Required),
        "off" => Some(Policy::Off),
        _ => Some(Policy::Optional),
    };
    (trunk.realm, trunk.login) = (peer.realm, peer.login);
    (trunk, peer.settings)
}
