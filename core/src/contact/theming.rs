//! Which theme a contact is about, as far as a rule can tell: somebody chose it, the first word of a text or the address
//! of a mail names it, or the account has one for all.

use voxea_rules::keyword;

use super::contact::{Contact, Joining};
use crate::base::account::Channel;
use crate::catalogue::Snapshot;

/// Chooses the theme. A text that names one stands apart from its number's conversation.
pub(super) fn choose(contact: &mut Contact, catalogue: &Snapshot) {
    let word = match &mut contact.joining {
        Joining::Conversation { keyword: stands_apart, .. } => {
            let word = contact.text.as_deref().and_then(keyword::first);
            let theme = word.and_then(|word| catalogue.by_keyword(&word));
            *stands_apart |= theme.is_some();
            theme
        }
        Joining::New | Joining::Document { .. } | Joining::Thread { .. } => None,
    };
    if contact.theme.is_some() {
        return;
    }
    let address = (contact.channel == Channel::Email)
        .then(|| catalogue.by_alias(&contact.to))
        .flatten();
    // A default that the catalogue no longer has chooses nothing, and nothing waits for that.
    let of_account = || {
        let code = contact.default_theme.as_deref()?;
        catalogue.theme(code).filter(|theme| theme.enabled).map(|theme| theme.code.as_str())
    };
    contact.theme = word.or(address).or_else(of_account).map(str::to_owned);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::account::{Account, Kind};
    use crate::catalogue::Document;
    use crate::contact::Dedup;

    fn catalogue() -> Snapshot {
        let mut document = Document::shipped().unwrap();
        document.themes[2].aliases = vec!["Etat-Civil@example.fr".to_owned()];
        Snapshot::new(1, document, Default::default())
    }

    fn contact(channel: Channel, to: &str, text: &str) -> Contact {
        let account = Account::new(Kind::Smpp, "s");
        let mut contact = Contact::new(account, 1, channel, Dedup::Never, "+33612345678".to_owned(), to.to_owned(), 0);
        contact.text = Some(text.to_owned());
        if channel == Channel::Sms {
            contact.joining = Joining::Conversation {
                within: 1,
                reference: None,
                keyword: false,
            };
        }
        contact
    }

    fn chosen(mut contact: Contact) -> (Option<String>, bool) {
        choose(&mut contact, &catalogue());
        let apart = matches!(contact.joining, Joining::Conversation { keyword: true, .. });
        (contact.theme, apart)
    }

    #[test]
    fn a_word_an_address_an_account() {
        let theme = |code: &str| Some(code.to_owned());
        assert_eq!(
            chosen(contact(Channel::Sms, "36123", "Éclairage ! rue Foch")),
            (theme("eclairage"), true)
        );
        assert_eq!(chosen(contact(Channel::Sms, "36123", "bonjour, la voirie")), (None, false));
        assert_eq!(
            chosen(contact(Channel::Email, "etat-civil@EXAMPLE.fr", "voirie")),
            (theme("recensement"), false)
        );
        let of = |code: &str, text: &str| {
            let mut contact = contact(Channel::Sms, "36123", text);
            contact.default_theme = Some(code.to_owned());
            chosen(contact)
        };
        assert_eq!(of("dechets", "bonjour"), (theme("dechets"), false));
        assert_eq!(of("dechets", "voirie"), (theme("voirie"), true));
        assert_eq!(of("unknown", "bonjour"), (None, false));
        let mut by_agent = contact(Channel::Counter, "", "voirie");
        by_agent.theme = Some("archives".to_owned());
        assert_eq!(chosen(by_agent).0, theme("archives"));
    }
}
