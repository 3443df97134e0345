//! Who calls, by what the INVITE says about it: P-Asserted-Identity, Remote-Party-ID, From, and who must not be told.

use crate::wire::Request;
use crate::wire::addr::NameAddr;
use crate::wire::list;
use crate::wire::uri::Uri;

/// Entries that are kept of one header field.
pub(super) const MAX_ENTRIES: usize = 16;

/// The caller, as the user of the endpoint is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// A number where there is one, else a URI; `anonymous` when the caller wants it so.
    pub(crate) number: String,
    /// The display name that came with it.
    pub(crate) name: Option<String>,
    /// Whether the caller asked that its number be kept back.
    pub(crate) withheld: bool,
}

/// One Remote-Party-ID, an old way to assert who calls (draft-ietf-sip-privacy-04 §8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParty {
    /// User part, else the URI.
    pub number: String,
    /// `calling` or `called`; calling where nothing is said.
    pub party: String,
    /// `off`, `full`, `name`, `uri`; off where nothing is said.
    pub privacy: String,
    /// Whether the network has verified it (`screen=yes`).
    pub screened: bool,
}

/// What the operator found out about the calling number (RFC 8224, 3GPP TS 24.229 §7.2A.20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// `TN-Validation-Passed`.
    Passed,
    /// `TN-Validation-Failed`.
    Failed,
    /// `No-TN-Validation`.
    None,
}

impl Verification {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::None => "none",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        // The class of attestation may follow, as in `TN-Validation-Passed-A`.
        let is = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is("TN-Validation-Passed") {
            Some(Self::Passed)
        } else if is("TN-Validation-Failed") {
            Some(Self::Failed)
        } else {
            is("No-TN-Validation").then_some(Self::None)
        }
    }
}

/// Every asserted identity, in its order (RFC 3325 §9.1 knows two at most; more are kept all the same).
pub(super) fn asserted(invite: &Request) -> Vec<NameAddr> {
    let identities = invite.headers.elements("P-Asserted-Identity");
    identities.filter_map(NameAddr::parse).take(MAX_ENTRIES).collect()
}

/// Every Remote-Party-ID.
pub(super) fn remote_parties(invite: &Request) -> Vec<(RemoteParty, Option<String>)> {
    let parties = invite.headers.elements("Remote-Party-ID").filter_map(NameAddr::parse);
    let read = |found: NameAddr| {
        let param = |name: &str, otherwise: &str| {
            list::param(&found.params, name)
                .filter(|value| !value.is_empty())
                .unwrap_or(otherwise)
                .to_ascii_lowercase()
        };
        let party = RemoteParty {
            number: party(&found.uri),
            party: param("party", "calling"),
            privacy: param("privacy", "off"),
            screened: param("screen", "no") == "yes",
        };
        (party, found.display)
    };
    parties.take(MAX_ENTRIES).map(read).collect()
}

/// The values of Privacy, in small letters (RFC 3323 §4.2).
pub(super) fn privacy(invite: &Request) -> Vec<String> {
    let values = invite.headers.all("Privacy").flat_map(|value| value.split([';', ',']));
    let words = values.map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty());
    words.take(MAX_ENTRIES).collect()
}

/// What the operator found out: a parameter of the asserted identity's URI, or of From's.
pub(super) fn verification(invite: &Request) -> Option<Verification> {
    let asserted = asserted(invite);
    let parameters = asserted
        .iter()
        .chain([&invite.from])
        .flat_map(|found| [list::param(&found.params, "verstat").map(str::to_owned), in_uri(&found.uri)]);
    parameters.flatten().find_map(|value| Verification::parse(&value))
}

/// `verstat` stands behind the number itself: `sip:+33…;verstat=…@host;user=phone` or `tel:+33…;verstat=…`.
fn in_uri(uri: &Uri) -> Option<String> {
    let text = uri.as_str().split('@').next().unwrap_or_default();
    let params = text.split(';').skip(1);
    let mut pairs = params.filter_map(|param| param.split_once('='));
    pairs
        .find(|(name, _)| name.eq_ignore_ascii_case("verstat"))
        .map(|(_, value)| value.to_owned())
}

/// Who calls, and the name that came with it. What the network asserts counts only where its trunk is trusted
/// (RFC 3325 §9); whoever asked there that it be kept back stays unknown here too (RFC 3323 §4.2, RFC 3325 §7).
pub(crate) fn caller(invite: &Request, trusted: bool) -> Caller {
    let from = |withheld| Caller {
        number: party(&invite.from.uri),
        name: invite.from.display.clone(),
        withheld,
    };
    if !trusted {
        return from(false);
    }
    let privacy = privacy(invite);
    let kept_back = privacy.iter().any(|word| matches!(word.as_str(), "id" | "user" | "header"));
    let asserted = asserted(invite).into_iter().find(|identity| identity.uri.user().is_some());
    let party = remote_parties(invite).into_iter().find(|(found, _)| found.party == "calling");
    let hidden = party
        .as_ref()
        .is_some_and(|(found, _)| matches!(found.privacy.as_str(), "full" | "uri"));
    // `none` stands alone (RFC 3323 §4.2); beside another word it is a mistake, by which nobody is named.
    if kept_back || (hidden && !privacy.iter().any(|word| word == "none")) {
        return Caller {
            number: "anonymous".to_owned(),
            name: None,
            withheld: true,
        };
    }
    let name = |own: Option<String>| own.or_else(|| invite.from.display.clone());
    match (asserted, party) {
        (Some(identity), _) => Caller {
            number: self::party(&identity.uri),
            name: name(identity.display),
            withheld: false,
        },
        (None, Some((found, display))) => Caller {
            number: found.number,
            name: name(display).filter(|_| found.privacy != "name"),
            withheld: false,
        },
        (None, None) => from(false),
    }
}

/// A number where there is one, else the URI.
pub(super) fn party(uri: &Uri) -> String {
    uri.user().unwrap_or_else(|| uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::facts::tests::invite;

    fn number(extra: &str) -> String {
        caller(&invite(extra), true).number
    }

    #[test]
    fn the_asserted_identity_comes_before_the_older_header_and_from() {
        let plain = caller(&invite(""), true);
        assert_eq!((plain.number.as_str(), plain.name.as_deref()), ("0611", Some("Zoé")));
        assert_eq!(number("P-Asserted-Identity: <sip:pbx.example>, <tel:+33-612>\r\n"), "+33612");
        assert_eq!(number("P-Asserted-Identity: \"broken\r\n"), "0611");
        assert_eq!(number("Remote-Party-ID: <sip:0622@h>;party=calling;privacy=off\r\n"), "0622");
        assert_eq!(number("Remote-Party-ID: <sip:0622@h>;party=called\r\n"), "0611");
        let both = "Remote-Party-ID: <sip:0622@h>\r\nP-Asserted-Identity: <sip:0633@h>\r\n";
        assert_eq!(number(both), "0633");
        assert_eq!(caller(&invite(both), false).number, "0611");
    }

    #[test]
    fn who_wants_to_stay_unknown_does() {
        for extra in [
            "P-Asserted-Identity: <tel:+33612>\r\nPrivacy: id\r\n",
            "Privacy: critical; User\r\n",
            "Remote-Party-ID: <sip:0622@h>;privacy=full\r\n",
        ] {
            let caller = caller(&invite(extra), true);
            assert_eq!(
                (caller.number.as_str(), caller.name, caller.withheld),
                ("anonymous", None, true),
                "{extra}"
            );
        }
        assert!(!caller(&invite("P-Asserted-Identity: <tel:+33612>\r\nPrivacy: none\r\n"), true).withheld);
        assert!(caller(&invite("Privacy: none\r\nPrivacy: id\r\n"), true).withheld);
        assert_eq!(
            caller(&invite("Remote-Party-ID: \"Zoé\" <sip:0622@h>;privacy=name\r\n"), true).name,
            None
        );
        assert!(!caller(&invite("P-Asserted-Identity: <tel:+33612>\r\nPrivacy: history\r\n"), true).withheld);
    }

    #[test]
    fn what_the_operator_found_out() {
        let of = |extra: &str| verification(&invite(extra));
        assert_eq!(of(""), None);
        let passed = "P-Asserted-Identity: <sip:+33612;verstat=TN-Validation-Passed-A@h;user=phone>\r\n";
        assert_eq!(of(passed), Some(Verification::Passed));
        assert_eq!(
            of("P-Asserted-Identity: <tel:+33612;verstat=TN-Validation-Failed>\r\n"),
            Some(Verification::Failed)
        );
        assert_eq!(
            of("P-Asserted-Identity: <tel:+336>;verstat=No-TN-Validation\r\n"),
            Some(Verification::None)
        );
        assert_eq!(of("P-Asserted-Identity: <tel:+33612;verstat=é>\r\n"), None);
    }
}
