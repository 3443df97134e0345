//! Which request a mail belongs to, of those that were read.

use super::contact::{Flag, Joining};
use super::join::{Request, Requests};
use super::prepare::Prepared;
use super::way::Way;
use crate::base::mutant;
use crate::base::time::Millis;
use crate::request::{LinkKind, Status};

/// For so long an answer reopens a request that was closed, in milliseconds; a later one opens one that is linked to it.
const REOPENING: Millis = 30 * 24 * 3600 * 1000;
/// How often a request that was merged into a merged one is followed.
const MERGES: usize = 8;

impl Requests {
    /// Where a request went on that was merged; else itself.
    pub(super) fn current<'a>(&'a self, id: &'a str) -> &'a str {
        let mut current = id;
        for _ in 0..MERGES {
            let merged = self.all.get(current).filter(|request| request.status() == Some(Status::Merged));
            match merged.and_then(|request| request.merged_into.as_deref()) {
                Some(next) if self.all.contains_key(next) => current = next,
                _ => break,
            }
        }
        current
    }

    /// The same mail in another mailbox; a token; the thread; a reference in the subject. What leads to a request outweighs what
    /// only leads to one that is over.
    pub(super) fn thread(&self, prepared: &Prepared) -> Option<Way> {
        let Joining::Thread {
            proofs,
            message_ids,
            reference,
            twins,
        } = &prepared.contact.joining
        else {
            return None;
        };
        let copy = twins.sought.iter().find_map(|twin| self.twins.get(twin));
        if let Some(id) = copy.filter(|_| !mutant::active("no_twins")) {
            let id = self.current(id);
            match self.all.get(id).map(|request| (request.is_open(), request.status())) {
                Some((true, _)) => return Some(Way::Join(id.to_owned())),
                // It says nothing that the first copy did not say, and brings nothing back.
                Some((false, status)) if status != Some(Status::Eliminated) => return Some(Way::Beside(id.to_owned())),
                _ => (),
            }
        }
        let sender = prepared.sender.as_deref();
        let proved = proofs.iter().filter_map(|id| self.way(id, prepared));
        let by_id = message_ids.iter().filter_map(|id| {
            let (id, named) = self.threads.get(id)?;
            (!named || self.takes_part(id, sender)).then(|| self.way(id, prepared))?
        });
        let by_reference = reference.iter().filter_map(|reference| {
            let id = self.references.get(reference)?;
            if self.takes_part(id, sender) {
                return self.way(id, prepared);
            }
            let known = self.all.get(id).is_some_and(|request| request.status() != Some(Status::Eliminated));
            known.then(|| Way::Linked(LinkKind::Mentions, id.clone()))
        });
        // What an answer named that overtook it. One whose id was really seen is another mail under the same id.
        let overtaken = prepared.contact.message_ids.iter().filter_map(|id| {
            let (id, named) = self.threads.get(id)?;
            (*named && !prepared.contact.flags.contains(&Flag::Automatic)).then(|| self.way(id, prepared))?
        });
        let mut linked = None;
        for way in proved.chain(by_id).chain(overtaken).chain(by_reference) {
            if !matches!(way, Way::Linked(..)) {
                return Some(way);
            }
            linked.get_or_insert(way);
        }
        linked
    }

    /// Where the references of a document lead: the first to an open request, else the first of all, as an answer would.
    pub(super) fn document(&self, prepared: &Prepared) -> Option<Way> {
        let Joining::Document { references } = &prepared.contact.joining else {
            return None;
        };
        let ways = references
            .iter()
            .filter_map(|reference| self.way(self.references.get(reference)?, prepared));
        let mut over = None;
        for way in ways {
            if matches!(way, Way::Join(_)) {
                return Some(way);
            }
            over.get_or_insert(way);
        }
        over
    }

    /// Whether a token of the mail is that of a request which is not there any more.
    pub(super) fn is_stale(&self, prepared: &Prepared) -> bool {
        let Joining::Thread { proofs, .. } = &prepared.contact.joining else {
            return false;
        };
        let there = |id: &String| self.all.get(id).is_some_and(|request| request.status() != Some(Status::Eliminated));
        !proofs.iter().all(there)
    }

    pub(super) fn takes_part(&self, id: &str, sender: Option<&str>) -> bool {
        let id = self.current(id);
        let by_itself = self.all.get(id).is_some_and(|request| request.is_of(sender)) || mutant::active("anybody_takes_part");
        by_itself || sender.is_some_and(|sender| self.participants.contains(&(id.to_owned(), sender.to_owned())))
    }

    /// How an answer to a request goes to it, or to where it went on.
    fn way(&self, id: &str, prepared: &Prepared) -> Option<Way> {
        let contact = &prepared.contact;
        let id = self.current(id);
        let request = self.all.get(id)?;
        let status = request.status()?;
        if status.is_open() {
            return Some(Way::Join(id.to_owned()));
        }
        // What a machine answers is kept with what it answers, and asks nobody to work.
        let automatic = contact.flags.contains(&Flag::Automatic);
        let lately = request.ended_at.is_none_or(|ended| contact.received_at - ended <= REOPENING);
        match status {
            Status::Closed | Status::Transmitted if automatic => Some(Way::Beside(id.to_owned())),
            Status::Closed if lately => Some(Way::Reopen(id.to_owned())),
            Status::Eliminated => None,
            _ => {
                let on = self.continued.get(id).into_iter().flatten().rev();
                let mut open = on.filter(|id| self.all.get(*id).is_some_and(Request::is_open));
                let on = open.find(|id| self.takes_part(id, prepared.sender.as_deref()));
                Some(on.map_or_else(|| Way::Linked(LinkKind::Continues, id.to_owned()), |id| Way::Join(id.clone())))
            }
        }
    }
}
