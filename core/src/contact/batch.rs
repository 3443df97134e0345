//! One transaction of the intake: what waits is claimed, placed and written as sets, a statement a table.
//!
//! The order matters. Reads and claims first; then rows that others may hold; the feed's counter after them, since
//! from there to the commit no other transaction can append.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;
use voxea_rules::command::Command;

use super::allowance;
use super::answers;
use super::automatic::Automatic;
use super::contact::{Accepted, Dedup, IntakeError, Joining, Outcome};
use super::deliveries::{Claim, Deliveries};
use super::fence;
use super::join::{Placement, Requests};
use super::keys::Keys;
use super::ledger::{self, Entry, Ledger, Source};
use super::part::PartAccepted;
use super::parts::{Parts, Placed, Whole, WholeKey};
use super::prepare::{Prepared, PreparedPart};
use super::redelivery::DeliveryMark;
use super::theming;
use crate::audit;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::catalogue::{Catalogue, Snapshot};
use crate::feed::{self, EventKind, NewEvent};
use crate::store::{Script, Tx};
use crate::vault::{Index, ReplyTokens, Vault};

/// What a batch is made of.
#[derive(Debug)]
pub(super) enum Item {
    Contact(Box<Prepared>),
    Part(Box<PreparedPart>),
    Expire(WholeKey, Millis),
}

impl Item {
    pub(super) fn account(&self) -> &str {
        match self {
            Self::Contact(contact) => &contact.account,
            Self::Part(part) => &part.account,
            Self::Expire(key, _) => &key.account,
        }
    }

    /// Nearly the bytes that a statement will carry for it.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Contact(prepared) => {
                let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                2000 + text(&prepared.contact.text) + text(&prepared.contact.text_stripped)
            }
            Self::Part(part) => 2000 + 4 * part.part.raw.len(),
            Self::Expire(..) => 2000,
        }
    }

    /// The epoch that it was given; a job needs none, since the rows it closes are locked.
    fn epoch(&self) -> Option<i64> {
        match self {
            Self::Contact(prepared) => Some(prepared.contact.epoch),
            Self::Part(prepared) => Some(prepared.part.epoch),
            Self::Expire(..) => None,
        }
    }
}

/// What is known of the town when a batch is written, for long texts that become whole in it.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) catalogue: Arc<Snapshot>,
    /// By whose hours the time is counted that a request was closed.
    pub(super) hours: Catalogue,
    pub(super) automatic: Automatic,
    /// Whose key was read before the transaction began.
    pub(super) tokens: ReplyTokens,
}

/// What became of an item.
#[derive(Debug, Clone)]
pub(super) enum Done {
    Contact(Accepted),
    Part(PartAccepted),
    Expired(bool),
}

/// A batch that is written and not yet committed.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) done: Vec<std::result::Result<Done, IntakeError>>,
    pub(super) events: usize,
    pub(super) acknowledgements: usize,
    /// Acknowledgements that a breaker held back.
    pub(super) held: usize,
    /// What metrics count beside that, each once.
    pub(super) counts: Vec<(Account, &'static str)>,
}

/// An item after its claim.
enum Verdict {
    Fenced,
    /// It becomes an interaction: its place in [`Batch::entries`].
    Fresh(usize, Option<DeliveryMark>),
    Known(String, Option<DeliveryMark>),
    Part(DeliveryMark, PartVerdict),
    Expired(Option<usize>),
}

enum PartVerdict {
    Waiting,
    Doubled,
    /// It is known, and so is the interaction of its text.
    Known(String),
    Whole(usize),
}

/// Writes a batch. The marks that waited are saved: a batch reads them.
pub(super) async fn write(tx: &mut Tx, items: &[Item], rules: &Rules, vault: &Vault) -> Result<Written> {
    if items.is_empty() {
        return Ok(Written::default());
    }
    let mut batch = Batch::claim(tx, items, rules, vault).await?;
    let prepared: Vec<&Prepared> = batch.entries.iter().map(Entry::prepared).collect();
    let mut requests = Requests::read(tx, &prepared).await?;
    let placements: Vec<Placement> = batch
        .entries
        .iter()
        .map(|entry| requests.place(entry.prepared(), &id::new()))
        .collect();
    let stale = batch
        .entries
        .iter()
        .map(Entry::prepared)
        .filter(|prepared| requests.is_stale(prepared));
    let mut counts: Vec<(Account, &'static str)> = stale
        .map(|prepared| (prepared.contact.account.clone(), "reply_token_stale"))
        .collect();
    batch.claim_twins();
    let mut script = Script::default();
    let allowance = allowance::decide(tx, &batch.entries, &placements, vault, &mut script).await?;
    let allowed = &allowance.allowed;
    let fresh = batch.entries.iter().map(|entry| entry.interaction_id.as_str()).collect();
    batch.deliveries.write(&mut script, &fresh);
    batch.parts.write(&mut script)?;
    let message_ids = answers::signed(&batch.entries, &placements, allowed, &rules.tokens).await?;
    for ((entry, placement), message_id) in batch.entries.iter().zip(&placements).zip(&message_ids) {
        if let Some(message_id) = message_id {
            let at = entry.prepared().contact.received_at;
            requests.keep(&vault.index(Index::MessageId, message_id), &placement.request_id, at, false);
        }
    }
    requests.write_ids(&mut script);
    script.run(tx).await?;
    batch.keys.write(tx).await?;
    let back = requests.touch(tx, time::now()).await?;
    answers::brought_back(tx, vault, &rules.hours, &back, &batch.entries, &placements).await?;
    let known = requests.of_known(tx, batch.known_before()).await?;
    let mut written = batch.append(tx, requests, &placements, &known, allowed, &message_ids).await?;
    written.held = allowance.held.len();
    counts.extend(allowance.held);
    written.counts = counts;
    Ok(written)
}

struct Batch<'a> {
    items: &'a [Item],
    rules: &'a Rules,
    vault: &'a Vault,
    verdicts: Vec<Verdict>,
    entries: Vec<Entry<'a>>,
    deliveries: Deliveries,
    keys: Keys,
    parts: Parts<'a>,
}

impl<'a> Batch<'a> {
    /// Says of each item whether it is new.
    async fn claim(tx: &mut Tx, items: &'a [Item], rules: &'a Rules, vault: &'a Vault) -> Result<Self> {
        let accounts = items.iter().filter(|item| item.epoch().is_some()).map(Item::account).collect();
        let epochs = fence::epochs(tx, &accounts).await?;
        let ours = |item: &&Item| item.epoch().is_none_or(|epoch| epochs.get(item.account()) == Some(&epoch));
        let (mut prints, mut keys, mut texts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for item in items.iter().filter(ours) {
            match item {
                Item::Contact(prepared) => {
                    keys.extend(prepared.keys.iter().map(|key| (prepared.account.as_str(), key.as_str())));
                    if let Dedup::Redelivery(text) = &prepared.contact.dedup {
                        prints.insert((prepared.account.as_str(), text.fingerprint.as_str()));
                    }
                    if let Joining::Thread { twins, .. } = &prepared.contact.joining {
                        keys.extend(twins.kept.iter().map(|twin| ("", twin.as_str())));
                    }
                }
                Item::Part(prepared) => {
                    prints.insert((prepared.account.as_str(), prepared.part.redelivery.fingerprint.as_str()));
                    texts.insert((prepared.account.as_str(), prepared.whole.as_str()));
                }
                Item::Expire(key, _) => {
                    texts.insert((key.account.as_str(), key.whole.as_str()));
                }
            }
        }
        let mut batch = Self {
            items,
            rules,
            vault,
            verdicts: Vec::with_capacity(items.len()),
            entries: Vec::with_capacity(items.len()),
            deliveries: Deliveries::read(tx, &prints).await?,
            keys: Keys::read(tx, &keys).await?,
            parts: Parts::read(tx, &texts, vault).await?,
        };
        for item in items {
            let verdict = if ours(&item) { batch.judge(item) } else { Verdict::Fenced };
            batch.verdicts.push(verdict);
        }
        Ok(batch)
    }

    fn judge(&mut self, item: &'a Item) -> Verdict {
        let interaction_id = id::new();
        match item {
            Item::Contact(prepared) => {
                let contact = &prepared.contact;
                if let Dedup::Redelivery(text) = &contact.dedup {
                    let (claim, mark) = self
                        .deliveries
                        .claim(&contact.account, text, contact.received_at, Some(&interaction_id));
                    return match claim {
                        Claim::Known(Some(known)) => Verdict::Known(known, Some(mark)),
                        Claim::New => Verdict::Fresh(self.enter(Source::Borrowed(prepared), interaction_id), Some(mark)),
                        // The fingerprint of a part, which has no interaction yet: nothing may be lost for that.
                        Claim::Known(None) => {
                            self.deliveries
                                .lead(&prepared.account, &text.fingerprint, mark.ordinal, &interaction_id);
                            Verdict::Fresh(self.enter(Source::Borrowed(prepared), interaction_id), Some(mark))
                        }
                    };
                }
                match self
                    .keys
                    .claim(&prepared.account, &prepared.keys, &interaction_id, contact.received_at)
                {
                    Some(known) => Verdict::Known(known, None),
                    None => Verdict::Fresh(self.enter(Source::Borrowed(prepared), interaction_id), None),
                }
            }
            Item::Part(prepared) => {
                let part = &prepared.part;
                let (claim, mut mark) = self.deliveries.claim(&part.account, &part.redelivery, part.received_at, None);
                let verdict = match claim {
                    Claim::Known(Some(known)) => PartVerdict::Known(known),
                    Claim::Known(None) => PartVerdict::Doubled,
                    Claim::New => match self.parts.place(prepared, mark.ordinal, &interaction_id) {
                        Placed::Doubled(fingerprint, ordinal) => {
                            self.deliveries.fold(&mut mark, &fingerprint, ordinal);
                            PartVerdict::Doubled
                        }
                        Placed::Waiting => PartVerdict::Waiting,
                        Placed::Whole(whole) => PartVerdict::Whole(self.complete(*whole, interaction_id)),
                    },
                };
                Verdict::Part(mark, verdict)
            }
            Item::Expire(key, now) => {
                let whole = self.parts.expire(key, *now, &interaction_id);
                Verdict::Expired(whole.map(|whole| self.complete(whole, interaction_id)))
            }
        }
    }

    fn complete(&mut self, mut whole: Whole, interaction_id: String) -> usize {
        self.rules.automatic.choose(&mut whole.contact.contact);
        theming::choose(&mut whole.contact.contact, &self.rules.catalogue);
        for (fingerprint, ordinal) in &whole.deliveries {
            self.deliveries.lead(&whole.contact.account, fingerprint, *ordinal, &interaction_id);
        }
        self.enter(Source::Whole(Box::new(whole.contact)), interaction_id)
    }

    fn enter(&mut self, contact: Source<'a>, interaction_id: String) -> usize {
        self.entries.push(Entry { contact, interaction_id });
        self.entries.len() - 1
    }

    /// The same mail in another of our mailboxes will find the request of this one.
    fn claim_twins(&mut self) {
        for entry in &self.entries {
            let prepared = entry.prepared();
            let Joining::Thread { twins, .. } = &prepared.contact.joining else {
                continue;
            };
            // Each for itself: where one key leads says nothing of the others.
            for twin in twins.kept.chunks(1) {
                self.keys.claim("", twin, &entry.interaction_id, prepared.contact.received_at);
            }
        }
    }

    /// Interactions of earlier batches that items of this one repeat.
    fn known_before(&self) -> BTreeSet<&str> {
        let fresh: BTreeSet<&str> = self.entries.iter().map(|entry| entry.interaction_id.as_str()).collect();
        let known = self.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Known(known, _) | Verdict::Part(_, PartVerdict::Known(known)) => Some(known.as_str()),
            _ => None,
        });
        known.filter(|known| !fresh.contains(known)).collect()
    }

    /// Each STOP that is taken for one that came before.
    fn stops_again(&self) -> Vec<&'a Prepared> {
        let known = self
            .items
            .iter()
            .zip(&self.verdicts)
            .filter_map(|(item, verdict)| match (item, verdict) {
                (Item::Contact(prepared), Verdict::Known(_, Some(_))) => Some(&**prepared),
                _ => None,
            });
        known
            .filter(|prepared| ledger::sender_of(prepared, Command::Stop).is_some())
            .collect()
    }

    /// Takes positions and references and writes the rows and events.
    async fn append(
        self,
        tx: &mut Tx,
        mut requests: Requests,
        placements: &[Placement],
        known: &HashMap<String, String>,
        allowed: &[bool],
        message_ids: &[Option<String>],
    ) -> Result<Written> {
        let acknowledgements = allowed.iter().filter(|allowed| **allowed).count();
        let opened = placements.iter().filter(|placement| placement.opened).count();
        let joined = placements.len() - opened;
        let repeats = self.verdicts.iter().filter(|verdict| self.repeated(verdict).is_some()).count();
        // A request and an interaction for what opens one, an interaction for what joins one, an opt-out for a STOP; two events
        // for either of the first.
        let stops_again = self.stops_again();
        let stops = self.entries.iter().filter(|entry| entry.opts_out().is_some()).count() + stops_again.len();
        let rows = opened + placements.len() + acknowledgements + stops;
        let events = 2 * opened + 2 * joined + acknowledgements + repeats;
        self.audit(tx, placements).await?;
        let mut first = 0;
        if rows + events > 0 {
            first = self.number(tx, rows + events, &mut requests, placements).await?;
        }
        let mut ledger = Ledger::new(first, time::now(), self.vault);
        let mut places = HashMap::new();
        for (at, (entry, placement)) in self.entries.iter().zip(placements).enumerate() {
            places.insert(entry.interaction_id.as_str(), placement.request_id.as_str());
            let acknowledged = allowed[at].then(|| message_ids[at].as_deref());
            ledger.enter(
                entry,
                placement,
                &requests,
                self.deliveries.count(&entry.interaction_id),
                acknowledged,
            )?;
        }
        for prepared in stops_again {
            ledger.stop_again(prepared)?;
        }
        let place = |interaction: &str| {
            let request_id = places
                .get(interaction)
                .copied()
                .or_else(|| known.get(interaction).map(String::as_str));
            request_id.ok_or_else(|| CoreError::Store("an interaction is known, but belongs to no request".to_owned()))
        };
        for verdict in &self.verdicts {
            if let Some(interaction) = self.repeated(verdict) {
                let request_id = place(interaction)?;
                let event = NewEvent::of_request(EventKind::InteractionDelivery, request_id);
                let event = match requests.all.get(request_id) {
                    Some(request) => request.scope(event),
                    None => event,
                };
                ledger.events.push(
                    event
                        .with("interaction_id", interaction)
                        .with("deliveries", self.deliveries.count(interaction)),
                );
            }
        }
        ledger.write(tx).await?;
        let accept = |interaction: &str, outcome, delivery| {
            let request_id = place(interaction)?;
            let reference = requests
                .all
                .get(request_id)
                .map(|request| request.reference.clone())
                .unwrap_or_default();
            Ok::<_, CoreError>(Accepted {
                interaction_id: interaction.to_owned(),
                request_id: request_id.to_owned(),
                reference,
                outcome,
                delivery,
            })
        };
        let mut done = Vec::with_capacity(self.items.len());
        for verdict in self.verdicts {
            done.push(match verdict {
                Verdict::Fenced => Err(IntakeError::Fenced),
                Verdict::Fresh(at, mark) => Ok(Done::Contact(accept(&self.entries[at].interaction_id, Outcome::Fresh, mark)?)),
                Verdict::Known(interaction, mark) => Ok(Done::Contact(accept(&interaction, Outcome::Known, mark)?)),
                Verdict::Expired(at) => Ok(Done::Expired(at.is_some())),
                Verdict::Part(delivery, verdict) => {
                    let (outcome, whole) = match verdict {
                        PartVerdict::Waiting => (Outcome::Fresh, None),
                        PartVerdict::Doubled => (Outcome::Known, None),
                        PartVerdict::Known(interaction) => (Outcome::Known, Some(accept(&interaction, Outcome::Known, None)?)),
                        PartVerdict::Whole(at) => (
                            Outcome::Fresh,
                            Some(accept(&self.entries[at].interaction_id, Outcome::Fresh, None)?),
                        ),
                    };
                    Ok(Done::Part(PartAccepted { outcome, whole, delivery }))
                }
            });
        }
        Ok(Written {
            done,
            events,
            acknowledgements,
            ..Written::default()
        })
    }

    /// Enters what persons and programs bring in. What comes by a channel is evidence by itself.
    async fn audit(&self, tx: &mut Tx, placements: &[Placement]) -> Result<()> {
        let now = time::now();
        let brought = self.entries.iter().zip(placements).filter_map(|(entry, placement)| {
            let contact = &entry.prepared().contact;
            let actor = contact
                .actor
                .as_ref()
                .filter(|actor| matches!(actor, Actor::Client(_) | Actor::Agent(_)))?;
            let detail = json!({"interaction_id": entry.interaction_id, "channel": contact.channel.as_str()});
            let object = format!("request/{}", placement.request_id);
            Some(audit::Entry::new(actor, "taken_in", object).at(now).detail(&detail))
        });
        audit::append(tx, &brought.collect::<Vec<_>>()).await
    }

    /// The interaction that an item was delivered again of. A key that is known is no delivery of a text.
    fn repeated<'v>(&self, verdict: &'v Verdict) -> Option<&'v str> {
        match verdict {
            Verdict::Known(interaction, Some(_)) | Verdict::Part(_, PartVerdict::Known(interaction)) => Some(interaction),
            _ => None,
        }
    }

    /// Takes positions and returns the first, and gives the requests that are opened their references, in order.
    async fn number(&self, tx: &mut Tx, positions: usize, requests: &mut Requests, placements: &[Placement]) -> Result<i64> {
        let mut years: BTreeMap<i16, Vec<&str>> = BTreeMap::new();
        for (entry, placement) in self.entries.iter().zip(placements).filter(|(_, placement)| placement.opened) {
            years
                .entry(time::year(entry.prepared().contact.received_at))
                .or_default()
                .push(&placement.request_id);
        }
        let counter = |year: i16| format!("ref:{year:04}");
        let wanted = years.iter().map(|(year, opened)| (counter(*year), opened.len())).collect();
        let (first, numbers) = feed::next_numbers(tx, positions, &wanted).await?;
        for (year, opened) in years {
            let first = numbers.get(&counter(year)).copied().unwrap_or_default();
            for (number, request_id) in (first..).zip(opened) {
                let (year, number) = (u16::try_from(year).unwrap_or(1000), u64::try_from(number).unwrap_or(0));
                // A clock before the year 1000 has no references of our spelling; the id is unique all the same.
                let reference = voxea_rules::reference::format(year, number).unwrap_or_else(|| request_id.to_owned());
                if let Some(request) = requests.all.get_mut(request_id) {
                    request.reference = reference;
                }
            }
        }
        Ok(first)
    }
}
