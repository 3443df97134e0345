//! What an INVITE says about the call: who, to whom, over whom.

use crate::wire::Request;
use crate::wire::addr::NameAddr;
use crate::wire::list;
use crate::wire::uri::Uri;

/// Diversions that are kept of one call.
const MAX_DIVERSIONS: usize = 16;

/// Who calls, and the name that came with it.
///
/// P-Asserted-Identity is read only from a trunk that is trusted (RFC 3325 §9).
pub(crate) fn caller(invite: &Request, trusted: bool) -> (String, Option<String>) {
    let asserted = invite.headers.elements("P-Asserted-Identity").filter_map(NameAddr::parse);
    let asserted = asserted.into_iter().find(|identity| trusted && identity.uri.user().is_some());
    let identity = asserted.as_ref().unwrap_or(&invite.from);
    let name = identity.display.clone().or_else(|| invite.from.display.clone());
    (party(&identity.uri), name)
}

/// Who diverted the call, the first diversion first.
pub(crate) fn diversions(invite: &Request, dialled: &str) -> Vec<String> {
    // RFC 5806 §5: the latest diversion stands on top.
    let mut found: Vec<String> = invite
        .headers
        .elements("Diversion")
        .filter_map(NameAddr::parse)
        .map(|from| party(&from.uri))
        .collect();
    found.reverse();
    if found.is_empty() {
        found = history(invite, dialled);
    }
    found.truncate(MAX_DIVERSIONS);
    found
}

/// Targets before the present one, by the order of their index (RFC 7044 §10.3).
fn history(invite: &Request, dialled: &str) -> Vec<String> {
    let mut entries: Vec<(Vec<u32>, String)> = invite
        .headers
        .elements("History-Info")
        .take(64)
        .filter_map(NameAddr::parse)
        .filter_map(|entry| {
            let index = list::param(&entry.params, "index")?;
            let index = index
                .split('.')
                .map(|part| part.trim().parse().ok())
                .collect::<Option<Vec<u32>>>()?;
            // The reason of a retargeting is put into the URI as an escaped header; it is no part of the party.
            Some((index, party(&entry.uri)))
        })
        .collect();
    entries.sort();
    entries.pop();
    entries
        .into_iter()
        .map(|(_, party)| party)
        .filter(|party| party != dialled)
        .collect()
}

/// A number where there is one, else the URI.
fn party(uri: &Uri) -> String {
    uri.user().unwrap_or_else(|| uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Message};

    fn invite(extra: &str) -> Box<Request> {
        let text = format!(
            "INVITE sip:3000@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"Zoé\" <sip:0611@h>;tag=1\r\n\
             To: <sip:3000@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        );
        match wire::parse(&text.into()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_asserted_identity_comes_before_from() {
        assert_eq!(caller(&invite(""), true), ("0611".to_owned(), Some("Zoé".to_owned())));
        let asserted = invite("P-Asserted-Identity: <sip:pbx.example>, <tel:+33-612>\r\n");
        assert_eq!(caller(&asserted, true).0, "+33612");
        assert_eq!(caller(&invite("P-Asserted-Identity: \"broken\r\n"), true).0, "0611");
    }

    #[test]
    fn several_diversions_first_one_first() {
        let text = "Diversion: <sip:third@h>;reason=no-answer, <sip:second@h>\r\nDiversion: \"open\r\nDiversion: <tel:+331>\r\n";
        assert_eq!(diversions(&invite(text), "3000"), ["+331", "second", "third"]);
    }

    #[test]
    fn history_stands_in_for_diversion() {
        let text = "History-Info: <sip:3000@h;cause=302>;index=1.1.1\r\n\
                    History-Info: <sip:first@h?Reason=SIP%3Bcause%3D302>;index=1, <sip:second@h>;index=1.1\r\n";
        assert_eq!(diversions(&invite(text), "3000"), ["first", "second"]);
        assert!(diversions(&invite(""), "3000").is_empty());
    }
}
