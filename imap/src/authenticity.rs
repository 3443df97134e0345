//! What the town's own mail server found out about a mail's sender (RFC 8601), and whether it holds it for spam.
//!
//! Anybody can write such fields into a mail. They count from the server alone that the operator names, which removes what
//! others wrote in its name before it writes its own at the top (RFC 8601 §5).

use crate::fields::{self, Field};
use crate::name;

/// Longest domain or server name that is kept, in bytes.
const NAME_BYTES: usize = 255;
/// Most signatures that are kept.
const SIGNATURES: usize = 10;

/// One method's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `pass`, `fail`, `softfail`, `neutral`, `none`, `policy`, `temperror`, `permerror` (RFC 8601 §2.7).
    pub result: &'static str,
    /// The domain that it speaks of, lower case: of SPF that of the envelope's sender, of DKIM the signer's, of DMARC that of
    /// `From`.
    pub domain: Option<String>,
}

/// What a server found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authenticity {
    /// The server's name, as it wrote it.
    pub by: String,
    /// Sender Policy Framework (RFC 7208).
    pub spf: Option<Outcome>,
    /// Each signature (RFC 6376).
    pub dkim: Vec<Outcome>,
    /// DMARC (RFC 7489).
    pub dmarc: Option<Outcome>,
}

/// What the server of this name wrote into a mail, none of the others' words.
///
/// Its checks may each write a field of their own (RFC 8601 §2.3): those that stand together count, the topmost first, down to the next
/// `Received`. Below that is what the mail came with, and a field there in the server's name is a stranger's.
#[must_use]
pub fn trusted(raw: &[u8], authserv_id: &str) -> Option<Authenticity> {
    let (header, _) = fields::split(raw);
    let mut found: Option<Authenticity> = None;
    for field in fields::of(header) {
        if field.is("Received") && found.is_some() {
            break;
        }
        if !field.is("Authentication-Results") {
            continue;
        }
        let one = read(&field);
        if !one.by.eq_ignore_ascii_case(authserv_id) {
            continue;
        }
        match &mut found {
            None => found = Some(one),
            Some(found) => found.also(one),
        }
    }
    found
}

impl Authenticity {
    /// What a further field of the same server adds: of each method the first result counts, of signatures all.
    fn also(&mut self, other: Self) {
        self.spf = self.spf.take().or(other.spf);
        self.dmarc = self.dmarc.take().or(other.dmarc);
        let room = SIGNATURES.saturating_sub(self.dkim.len());
        self.dkim.extend(other.dkim.into_iter().take(room));
    }
}

/// Whether the server marked a mail as spam: by a field of this name whose value begins so, whatever the case.
#[must_use]
pub fn spam(raw: &[u8], field: &str, value: &str) -> bool {
    let (header, _) = fields::split(raw);
    let marks = |one: &Field<'_>| {
        let found = one.unfolded();
        one.is(field)
            && found
                .get(..value.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(value.as_bytes()))
    };
    fields::of(header).any(|one| marks(&one))
}

fn read(field: &Field<'_>) -> Authenticity {
    let text = without_comments(&String::from_utf8_lossy(&field.unfolded()));
    let mut pieces = text.split(';');
    let by = pieces.next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
    let mut found = Authenticity {
        by: name::line(by.trim_matches('"'), NAME_BYTES),
        ..Authenticity::default()
    };
    for piece in pieces {
        let mut words = piece.split_whitespace();
        let Some((method, result)) = words.next().and_then(|word| word.split_once('=')) else {
            continue;
        };
        let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let Some(result) = known(result) else { continue };
        let properties: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
        let domain = |names: &[&str]| {
            let value = names
                .iter()
                .find_map(|name| properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
            let value = value.map(|(_, value)| value.trim_matches('"').rsplit('@').next().unwrap_or_default())?;
            Some(name::line(value, NAME_BYTES).to_ascii_lowercase()).filter(|domain| !domain.is_empty())
        };
        match method.as_str() {
            // The first of several counts: a server writes what it found at the top.
            "spf" if found.spf.is_none() => {
                let domain = domain(&["smtp.mailfrom", "smtp.mail", "smtp.helo"]);
                found.spf = Some(Outcome { result, domain });
            }
            "dkim" if found.dkim.len() < SIGNATURES => {
                let domain = domain(&["header.d", "header.i"]);
                found.dkim.push(Outcome { result, domain });
            }
            "dmarc" if found.dmarc.is_none() => {
                let domain = domain(&["header.from"]);
                found.dmarc = Some(Outcome { result, domain });
            }
            _ => {}
        }
    }
    found
}

fn known(result: &str) -> Option<&'static str> {
    const RESULTS: [&str; 8] = ["pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"];
    let word = result.trim_matches('"').to_ascii_lowercase();
    // Names of before RFC 7001.
    let word = if word == "hardfail" { "fail" } else { word.as_str() };
    RESULTS.into_iter().find(|known| *known == word)
}

/// RFC 5322 §3.2.2; what stands in quotes is no comment.
fn without_comments(text: &str) -> String {
    let (mut quoted, mut depth) = (false, 0_usize);
    let kept = text.chars().filter(|c| {
        match c {
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(result: &'static str, domain: &str) -> Outcome {
        Outcome {
            result,
            domain: Some(domain.to_owned()),
        }
    }

    #[test]
    fn the_servers_own_word_is_read() {
        let raw = b"Received: x\r\nAuthentication-Results: mx.example.fr 1;\r\n\tdkim=pass (2048-bit key; (unprotected)) header.d=Citoyen.example header.s=s1;\r\n dkim=fail reason=\"bad (body) hash\" header.i=@autre.example;\r\n spf=SoftFail (mx: domain of x) smtp.mailfrom=jeanne@citoyen.example;\r\n dmarc=pass (p=none) header.from=citoyen.example; arc=none; iprev=pass\r\n\r\nx";
        let found = trusted(raw, "MX.example.fr").unwrap();
        assert_eq!(
            found,
            Authenticity {
                by: "mx.example.fr".to_owned(),
                spf: Some(outcome("softfail", "citoyen.example")),
                dkim: vec![outcome("pass", "citoyen.example"), outcome("fail", "autre.example")],
                dmarc: Some(outcome("pass", "citoyen.example")),
            }
        );
        let none = trusted(b"Authentication-Results: mx.example.fr; none\n\n", "mx.example.fr").unwrap();
        assert_eq!((none.spf, none.dkim.len(), none.dmarc), (None, 0, None));
    }

    #[test]
    fn each_check_may_write_a_field_of_its_own() {
        let raw = b"Received: by interne.example.fr\nAuthentication-Results: mx.example.fr; dmarc=pass header.from=a.example\nAuthentication-Results: filtre.example; spf=fail\nAuthentication-Results: mx.example.fr; dkim=pass header.d=a.example\nAuthentication-Results: mx.example.fr; dkim=fail header.d=b.example; dmarc=fail\nAuthentication-Results: mx.example.fr; spf=none smtp.mailfrom=a.example\nReceived: by mx.example.fr\nAuthentication-Results: mx.example.fr; spf=pass; dkim=pass header.d=forged.example\n\nx";
        let found = trusted(raw, "mx.example.fr").unwrap();
        assert_eq!(
            (found.spf, found.dmarc),
            (Some(outcome("none", "a.example")), Some(outcome("pass", "a.example")))
        );
        assert_eq!(found.dkim, [outcome("pass", "a.example"), outcome("fail", "b.example")]);
        let many = "Authentication-Results: mx; dkim=pass header.d=a.example; dkim=pass header.d=b.example\n".repeat(30);
        assert_eq!(trusted(many.as_bytes(), "mx").unwrap().dkim.len(), SIGNATURES);
    }

    #[test]
    fn nobody_elses_word_counts() {
        let raw = b"Authentication-Results: filtre.example; spf=fail\nAuthentication-Results: mx.example.fr; spf=fail smtp.mailfrom=a.example\nReceived: by mx.example.fr\nAuthentication-Results: mx.example.fr; spf=pass; dkim=pass; dmarc=pass\n\nAuthentication-Results: mx.example.fr; dkim=pass\n";
        let found = trusted(raw, "mx.example.fr").unwrap();
        assert_eq!(
            (found.spf, found.dkim.len(), found.dmarc),
            (Some(outcome("fail", "a.example")), 0, None)
        );
        assert_eq!(trusted(raw, "mx"), None);
        assert_eq!(trusted(raw, "autre.example"), None);
        for odd in [
            "Authentication-Results: mx; spf=super; =; spf; dkim==pass; ;;\n\n",
            "Authentication-Results: mx\n\n",
            "Authentication-Results: (mx) mx (;) ; (spf=pass)\n\n",
        ] {
            let found = trusted(odd.as_bytes(), "mx").unwrap();
            assert_eq!((found.spf, found.dmarc), (None, None), "{odd}");
        }
    }

    #[test]
    fn spam_is_what_the_server_says() {
        let marked = b"X-Spam-Flag: yes\nSubject: x\n\nX-Spam: yes";
        assert!(spam(marked, "x-spam-flag", "YES"));
        assert!(!spam(marked, "X-Spam-Flag", "NO"));
        assert!(!spam(marked, "X-Spam", "yes"));
    }
}
