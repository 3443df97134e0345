//! Who may call: `[[sip.trunk]]`.

use voxea_core::base::settings::Section;

use crate::policy::{Network, Trunk};

/// Reads a trunk, and where it is reached.
pub(super) fn read(section: &mut Section<'_>) -> (Trunk, Option<String>) {
    let name = section.required_string("name", "pbx");
    let address = section.string("address");
    if let Some(text) = &address
        && (text.is_empty() || text.contains(char::is_whitespace) || text.contains("://"))
    {
        section.problem("address", "must be a host or a host and a port, such as \"192.0.2.1:5060\"");
    }
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
    (Trunk::new(&name, allow), address)
}
