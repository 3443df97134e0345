//! A town hall's mailbox, made up: mixed mails in French, each with what must come of it.
//!
//! From a seed, so that every run has the same bytes, and two runs of another seed share nothing. Mails come in blocks of
//! [`BLOCK`] with the same mixture, shuffled; only what begins a thread stands before its answers. All lines end in CRLF,
//! and there is no NUL, so that an IMAP server gives back what it was given.

mod attached;
mod block;
mod broken;
mod charset;
mod encode;
mod letter;
mod machine;
mod mail;
mod sealed;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use encode::base64;
pub use mail::{BLOCK, Expected, File, Kind, Mail, TO, sha256};

/// The mails, one after the other.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    left: usize,
    block: usize,
    ready: std::vec::IntoIter<Mail>,
}

impl Corpus {
    /// So many mails from a seed. A larger count of the same seed begins with the same mails.
    #[must_use]
    pub fn new(seed: u64, mails: usize) -> Self {
        Self {
            seed,
            left: mails,
            block: 0,
            ready: Vec::new().into_iter(),
        }
    }
}

impl Iterator for Corpus {
    type Item = Mail;

    fn next(&mut self) -> Option<Mail> {
        self.left = self.left.checked_sub(1)?;
        if self.ready.len() == 0 {
            self.ready = block::mails(self.seed, self.block).into_iter();
            self.block += 1;
        }
        self.ready.next()
    }
}

/// What all of them must come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Mails.
    pub mails: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Interactions: the same mail twice is one, and a notification none.
    pub interactions: usize,
    /// Requests.
    pub requests: usize,
    /// Who gets an acknowledgement, and each just one.
    pub acknowledged: BTreeSet<String>,
    /// Of each kind.
    pub kinds: BTreeMap<Kind, usize>,
}

impl Totals {
    /// Adds up.
    #[must_use]
    pub fn of<'a>(mails: impl IntoIterator<Item = &'a Mail>) -> Self {
        let (mut totals, mut identities, mut threads) = (Self::default(), BTreeSet::new(), BTreeSet::new());
        for Mail { bytes, kind, expected } in mails {
            totals.mails += 1;
            totals.bytes += bytes.len() as u64;
            *totals.kinds.entry(*kind).or_default() += 1;
            if let Some(thread) = &expected.thread {
                identities.insert(&expected.identity);
                threads.insert(thread);
            }
            if let Some(sender) = expected.sender.as_ref().filter(|_| expected.acknowledged) {
                totals.acknowledged.insert(sender.clone());
            }
        }
        (totals.interactions, totals.requests) = (identities.len(), threads.len());
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_mails() {
        let bytes = |seed, count| Corpus::new(seed, count).map(|mail| mail.bytes).collect::<Vec<_>>();
        let all = bytes(7, 150);
        assert_eq!(all.len(), 150);
        assert_eq!(all.get(..120).unwrap(), bytes(7, 120));
        let other = bytes(8, 150);
        assert!(all.iter().all(|mail| !other.contains(mail)));
    }

    #[test]
    fn every_kind_is_there_and_the_sizes_are_those_of_a_town_hall() {
        let mails: Vec<Mail> = Corpus::new(1, 500).collect();
        let totals = Totals::of(&mails);
        assert_eq!(totals.kinds.len(), 17, "{:?}", totals.kinds);
        // 187 MB for 5,000.
        let mean = totals.bytes / 500;
        assert!((33_000..42_000).contains(&mean), "{mean}");
        let mut sizes: Vec<usize> = mails.iter().map(|mail| mail.bytes.len()).collect();
        sizes.sort_unstable();
        assert!((20_000..50_000).contains(&sizes[250]), "{}", sizes[250]);
        assert!(totals.interactions < 500 && totals.requests < totals.interactions);
        assert!(totals.acknowledged.len() > 350 && totals.acknowledged.len() <= totals.requests);
    }

    #[test]
    fn an_imap_server_can_give_back_what_it_was_given() {
        for mail in Corpus::new(3, 200) {
            assert!(!mail.bytes.contains(&0), "{:?}", mail.kind);
            let bare = mail.bytes.iter().enumerate().any(|(at, byte)| match byte {
                b'\n' => at == 0 || mail.bytes[at - 1] != b'\r',
                b'\r' => mail.bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            });
            assert!(!bare && mail.bytes.ends_with(b"\r\n"), "{:?}", mail.kind);
        }
    }

    #[test]
    fn what_is_expected_is_one_story() {
        let mails: Vec<Mail> = Corpus::new(5, 300).collect();
        let (mut by_sender, mut by_identity) = (BTreeMap::new(), BTreeMap::new());
        for Mail { expected, kind, .. } in &mails {
            // One person has one thread, so that nobody's limit of acknowledgements is reached.
            if let (Some(sender), Some(thread), true) = (&expected.sender, &expected.thread, expected.acknowledged) {
                assert_eq!(by_sender.entry(sender).or_insert(thread), &thread, "{kind:?}");
            }
            assert!(!(expected.acknowledged && (expected.automatic || expected.thread.is_none())));
            assert_eq!(
                by_identity.entry(&expected.identity).or_insert(&expected.thread),
                &&expected.thread,
                "{kind:?}"
            );
        }
        let ids: Vec<_> = mails.iter().filter_map(|mail| mail.expected.message_id.as_ref()).collect();
        assert!(ids.len() > ids.iter().collect::<BTreeSet<_>>().len(), "some share a Message-ID");
    }
}
