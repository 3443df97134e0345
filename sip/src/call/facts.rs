//! What an INVITE says about the call, read once: who, over whom, under which names. Nothing in it can cost the call.

use super::parties::{self, MAX_ENTRIES, RemoteParty, Verification, party};
use crate::wire::Request;
use crate::wire::addr::NameAddr;
use crate::wire::list;

/// What stood in the optional header fields. The INVITE itself is kept beside it, as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the trunk's word counts; where it does not, all this is hearsay.
    pub trusted: bool,
    /// P-Asserted-Identity: user parts, else URIs (RFC 3325 §9.1).
    pub asserted: Vec<String>,
    /// Remote-Party-ID.
    pub remote_parties: Vec<RemoteParty>,
    /// Privacy (RFC 3323 §4.2).
    pub privacy: Vec<String>,
    /// Diversion, the first diversion first (RFC 5806).
    pub diversions: Vec<Diversion>,
    /// History-Info, by its index (RFC 7044).
    pub history: Vec<History>,
    /// What the operator found out about the number.
    pub verification: Option<Verification>,
    /// Identity as it came: the operator's signature over the call (RFC 8224 §4).
    pub identity: Vec<String>,
    /// Session-ID of the caller, 32 hexadecimal digits (RFC 7989 §5).
    pub session_id: Option<String>,
}

/// One Diversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// Who diverted: user part, else the URI.
    pub number: String,
    /// `user-busy`, `no-answer`, `unconditional`, …
    pub reason: Option<String>,
}

/// One entry of History-Info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Its place: `1`, `1.1`, …
    pub index: String,
    /// User part, else the URI.
    pub number: String,
    /// The status that sent the call on, where it is told.
    pub cause: Option<u16>,
}

impl Facts {
    /// Reads an INVITE of a trunk.
    pub(crate) fn of(invite: &Request, trusted: bool) -> Self {
        Self {
            trusted,
            asserted: parties::asserted(invite).iter().map(|found| party(&found.uri)).collect(),
            remote_parties: parties::remote_parties(invite).into_iter().map(|(found, _)| found).collect(),
            privacy: parties::privacy(invite),
            diversions: diversions(invite),
            history: history(invite),
            verification: parties::verification(invite),
            identity: invite
                .headers
                .all("Identity")
                .filter(|value| value.len() <= MAX_IDENTITY)
                .take(4)
                .map(str::to_owned)
                .collect(),
            session_id: session_id(invite),
        }
    }

    /// Whether there is anything worth keeping.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                trusted: self.trusted,
                ..Self::default()
            }
    }

    /// Who diverted the call, the first diversion first: by Diversion, else by History-Info. Only from a trunk that is
    /// trusted.
    #[must_use]
    pub fn diverted_from(&self, dialled: &str) -> Vec<String> {
        if !self.trusted {
            return Vec::new();
        }
        if !self.diversions.is_empty() {
            return self.diversions.iter().map(|found| found.number.clone()).collect();
        }
        // Targets before the present one.
        let before = self.history.split_last().map_or(&[][..], |(_, before)| before);
        let numbers = before.iter().map(|found| found.number.clone());
        numbers.filter(|number| number != dialled).collect()
    }
}

/// The longest signature that is kept, in octets.
const MAX_IDENTITY: usize = 4_096;

fn diversions(invite: &Request) -> Vec<Diversion> {
    let read = |found: NameAddr| Diversion {
        number: party(&found.uri),
        reason: list::param(&found.params, "reason")
            .filter(|reason| !reason.is_empty())
            .map(str::to_ascii_lowercase),
    };
    // Who diverted may want to stay unknown too (RFC 5806 §4).
    let open = |found: &NameAddr| !matches!(list::param(&found.params, "privacy"), Some("full" | "uri"));
    let fields = invite.headers.elements("Diversion").filter_map(NameAddr::parse).filter(open);
    let mut found: Vec<Diversion> = fields.map(read).collect();
    // RFC 5806 §5: the latest diversion stands on top.
    found.reverse();
    found.truncate(MAX_ENTRIES);
    found
}

/// Entries by the order of their index (RFC 7044 §10.3).
fn history(invite: &Request) -> Vec<History> {
    let read = |entry: NameAddr| {
        let index = list::param(&entry.params, "index")?.trim().to_owned();
        let order: Vec<u32> = index.split('.').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
        let cause = cause(entry.uri.as_str());
        // The reason of a retargeting is put into the URI as an escaped header; it is no part of the party.
        let number = party(&entry.uri);
        Some((order, History { index, number, cause }))
    };
    // An entry that is private says so in its URI (RFC 7044 §10.1.1), for all of them Privacy does.
    let all_private = parties::privacy(invite)
        .iter()
        .any(|word| matches!(word.as_str(), "history" | "header" | "session"));
    let open = |found: &NameAddr| !all_private && !found.uri.as_str().contains("Privacy=");
    let fields = invite
        .headers
        .elements("History-Info")
        .take(64)
        .filter_map(NameAddr::parse)
        .filter(open);
    let mut entries: Vec<(Vec<u32>, History)> = fields.filter_map(read).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries.into_iter().map(|(_, entry)| entry).take(MAX_ENTRIES).collect()
}

/// `cause` of a history entry: as a parameter of its URI (RFC 4458 §3), or in an escaped Reason (RFC 7044 §10.2).
fn cause(uri: &str) -> Option<u16> {
    let (_, rest) = uri
        .split_once("cause=")
        .or_else(|| uri.split_once("cause%3D"))
        .or_else(|| uri.split_once("cause%3d"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(3).collect();
    digits.parse().ok()
}

/// The caller's half of a session identifier (RFC 7989 §5).
pub(crate) fn session_id(request: &Request) -> Option<String> {
    let value = request.headers.get("Session-ID")?;
    let id = value.split(';').next()?.trim().to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::{self, Message};

    pub(in crate::call) fn invite(extra: &str) -> Box<Request> {
        let text = format!(
            "INVITE sip:3000@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"Zoé\" <sip:0611@h>;tag=1\r\n\
             To: <sip:3000@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        );
        match wire::parse(&text.into()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn diverted(extra: &str) -> Vec<String> {
        Facts::of(&invite(extra), true).diverted_from("3000")
    }

    #[test]
    fn several_diversions_first_one_first() {
        let text = "Diversion: <sip:third@h>;reason=no-answer, <sip:second@h>\r\nDiversion: \"open\r\nDiversion: <tel:+331>\r\n";
        assert_eq!(diverted(text), ["+331", "second", "third"]);
        let facts = Facts::of(&invite(text), false);
        assert_eq!(facts.diversions[2].reason.as_deref(), Some("no-answer"));
        assert!(
            facts.diverted_from("3000").is_empty(),
            "what a stranger says is kept, and not believed"
        );
    }

    #[test]
    fn history_stands_in_for_diversion() {
        let text = "History-Info: <sip:3000@h;cause=302>;index=1.1.1\r\n\
                    History-Info: <sip:first@h?Reason=SIP%3Bcause%3D486>;index=1, <sip:second@h>;index=1.1\r\n";
        assert_eq!(diverted(text), ["first", "second"]);
        let causes: Vec<Option<u16>> = Facts::of(&invite(text), true).history.iter().map(|entry| entry.cause).collect();
        assert_eq!(causes, [Some(486), None, Some(302)]);
        assert!(diverted("").is_empty());
        assert!(Facts::of(&invite(""), true).is_empty());
    }

    #[test]
    fn identifiers_and_signatures_are_kept() {
        let text = "Session-ID: 47755a9de7794ba387653f2099600ef2;remote=00000000000000000000000000000000\r\n\
                    Identity: eyJhbGciOiJFUzI1NiJ9..c2ln;info=<https://cert.example/a.pem>\r\n";
        let facts = Facts::of(&invite(text), true);
        assert_eq!(facts.session_id.as_deref(), Some("47755a9de7794ba387653f2099600ef2"));
        assert!(facts.identity[0].ends_with("a.pem>") && !facts.is_empty());
        assert_eq!(Facts::of(&invite("Session-ID: nothing\r\n"), true).session_id, None);
    }
}
