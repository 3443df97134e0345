//! The deliveries of texts that a batch may repeat, read as a set, claimed in memory, written as a set.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use serde_json::Value;

use super::marks::Waiting;
use super::redelivery::{DeliveryMark, Earlier, Redelivery};
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};

static READ: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("account", Column::Text), ("fingerprint", Column::Text)]).statement(
        "SELECT d.account, d.fingerprint, d.ordinal, d.interaction_id, d.link, d.delivered_at, d.flushed_at, l.ended_at, i.flags, i.deliveries \
         FROM {rows} AS r JOIN delivery d ON d.account = r.account AND d.fingerprint = r.fingerprint \
         LEFT JOIN link l ON l.id = d.link LEFT JOIN interaction i ON i.id = d.interaction_id \
         ORDER BY d.account, d.fingerprint, d.ordinal",
    )
});
static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("fingerprint", Column::Text),
        ("ordinal", Column::Integer),
        ("interaction_id", Column::Text),
        ("link", Column::Text),
        ("delivered_at", Column::Integer),
    ])
    .insert("delivery")
});
/// A delivery that came again: its new response is on another link, and has not left yet.
static REPEAT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("owner", Column::Text),
        ("print", Column::Text),
        ("nth", Column::Integer),
        ("via", Column::Text),
        ("leads_to", Column::Text),
    ])
    .statement(
        "UPDATE delivery SET link = COALESCE(r.via, link), flushed_at = CASE WHEN r.via IS NULL THEN flushed_at ELSE NULL END, \
         interaction_id = COALESCE(interaction_id, r.leads_to) FROM {rows} AS r \
         WHERE account = r.owner AND fingerprint = r.print AND ordinal = r.nth",
    )
});
static FLUSHED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("owner", Column::Text),
        ("print", Column::Text),
        ("nth", Column::Integer),
        ("via", Column::Text),
        ("left_at", Column::Integer),
    ])
    .statement(
        "UPDATE delivery SET flushed_at = r.left_at, link = r.via FROM {rows} AS r \
         WHERE account = r.owner AND fingerprint = r.print AND ordinal = r.nth",
    )
});
static ENDED: LazyLock<SetSql> =
    LazyLock::new(|| Rows(&[("id", Column::Text), ("account", Column::Text), ("ended_at", Column::Integer)]).insert_new("link", "id"));
static RAISE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("which", Column::Text),
        ("new_flags", Column::Text),
        ("new_deliveries", Column::Integer),
    ])
    .statement("UPDATE interaction SET flags = r.new_flags, deliveries = r.new_deliveries FROM {rows} AS r WHERE id = r.which")
});

/// Marks a statement.
const MARKS_AT_ONCE: usize = 2_000;

#[derive(sqlx::FromRow)]
struct Stored {
    account: String,
    fingerprint: String,
    ordinal: i64,
    interaction_id: Option<String>,
    link: String,
    delivered_at: Millis,
    flushed_at: Option<Millis>,
    ended_at: Option<Millis>,
    flags: Option<String>,
    deliveries: Option<i64>,
}

/// One delivery, stored or about to be.
#[derive(Debug)]
struct Slot {
    ordinal: i64,
    interaction_id: Option<String>,
    link: String,
    delivered_at: Millis,
    flushed_at: Option<Millis>,
    link_ended_at: Option<Millis>,
    stored: bool,
    repeated: bool,
    /// It was a part, and its text became whole in this batch.
    led: bool,
}

/// How often an interaction was delivered, as the store has it.
#[derive(Debug, Clone)]
struct Count {
    flags: String,
    deliveries: i64,
    raised: i64,
}

/// What a delivery turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    New,
    /// The interaction is missing for a part whose text is not whole.
    Known(Option<String>),
}

/// The deliveries that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    slots: HashMap<(String, String), Vec<Slot>>,
    counts: BTreeMap<String, Count>,
}

impl Deliveries {
    /// Reads everything that the fingerprints may repeat. Each is (account, fingerprint).
    pub(super) async fn read(tx: &mut Tx, wanted: &BTreeSet<(&str, &str)>) -> Result<Self> {
        let mut found = Self::default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let rows: Vec<Row> = wanted
            .iter()
            .map(|(account, print)| row!({"account": account, "fingerprint": print}))
            .collect();
        let (sql, rows) = (READ.for_tx(tx), Row::array(&rows));
        let stored: Vec<Stored> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        for row in stored {
            if let (Some(id), Some(flags), Some(deliveries)) = (&row.interaction_id, row.flags, row.deliveries) {
                found.counts.insert(
                    id.clone(),
                    Count {
                        flags,
                        deliveries,
                        raised: 0,
                    },
                );
            }
            found.slots.entry((row.account, row.fingerprint)).or_default().push(Slot {
                ordinal: row.ordinal,
                interaction_id: row.interaction_id,
                link: row.link,
                delivered_at: row.delivered_at,
                flushed_at: row.flushed_at,
                link_ended_at: row.ended_at,
                stored: true,
                repeated: false,
                led: false,
            });
        }
        Ok(found)
    }

    /// Says whether a delivery at `now` repeats another, and claims it when it does not. `interaction_id` is the one it
    /// gets then; a part has none yet.
    pub(super) fn claim(
        &mut self,
        account: &Account,
        text: &Redelivery,
        now: Millis,
        interaction_id: Option<&str>,
    ) -> (Claim, DeliveryMark) {
        let slots = self.slots.entry((account.key(), text.fingerprint.clone())).or_default();
        let mark = |ordinal| DeliveryMark {
            account: account.clone(),
            fingerprint: text.fingerprint.clone(),
            ordinal,
            link: text.link.clone(),
        };
        let repeated = slots.iter_mut().find(|slot| {
            let earlier = Earlier {
                delivered_at: slot.delivered_at,
                link: &slot.link,
                flushed_at: slot.flushed_at,
                link_ended_at: slot.link_ended_at,
            };
            text.repeats(&earlier, now)
        });
        if let Some(slot) = repeated {
            text.link.clone_into(&mut slot.link);
            (slot.flushed_at, slot.link_ended_at, slot.repeated) = (None, None, true);
            if let Some(count) = slot.interaction_id.as_ref().and_then(|id| self.counts.get_mut(id)) {
                count.raised += 1;
            }
            return (Claim::Known(slot.interaction_id.clone()), mark(slot.ordinal));
        }
        let ordinal = slots.iter().map(|slot| slot.ordinal + 1).max().unwrap_or(0);
        slots.push(Slot {
            ordinal,
            interaction_id: interaction_id.map(str::to_owned),
            link: text.link.clone(),
            delivered_at: now,
            flushed_at: None,
            link_ended_at: None,
            stored: false,
            repeated: false,
            led: false,
        });
        if let Some(id) = interaction_id {
            self.counts.insert(
                id.to_owned(),
                Count {
                    flags: String::new(),
                    deliveries: 1,
                    raised: 0,
                },
            );
        }
        (Claim::New, mark(ordinal))
    }

    /// A delivery that was claimed as new turned out to repeat another after all.
    pub(super) fn fold(&mut self, claimed: &mut DeliveryMark, fingerprint: &str, ordinal: i64) {
        let Some(slots) = self.slots.get_mut(&(claimed.account.key(), claimed.fingerprint.clone())) else {
            return;
        };
        // The same bytes under another header have a fingerprint of their own, and keep it.
        if claimed.fingerprint != fingerprint || !slots.iter().any(|slot| slot.ordinal == ordinal) {
            return;
        }
        slots.retain(|slot| slot.stored || slot.ordinal != claimed.ordinal);
        for slot in slots.iter_mut().filter(|slot| slot.ordinal == ordinal) {
            claimed.link.clone_into(&mut slot.link);
            (slot.flushed_at, slot.link_ended_at, slot.repeated) = (None, None, true);
        }
        claimed.ordinal = ordinal;
    }

    /// The text of a part became whole: the part now leads to its interaction.
    pub(super) fn lead(&mut self, account: &str, fingerprint: &str, ordinal: i64, interaction_id: &str) {
        let slots = self.slots.entry((account.to_owned(), fingerprint.to_owned())).or_default();
        match slots.iter_mut().find(|slot| slot.ordinal == ordinal) {
            Some(slot) => {
                slot.interaction_id = Some(interaction_id.to_owned());
                slot.led = true;
            }
            // It came in an earlier batch and was not read for this one.
            None => slots.push(Slot {
                ordinal,
                interaction_id: Some(interaction_id.to_owned()),
                link: String::new(),
                delivered_at: Millis::MIN / 2,
                flushed_at: None,
                link_ended_at: None,
                stored: true,
                repeated: false,
                led: true,
            }),
        }
        let count = Count {
            flags: String::new(),
            deliveries: 1,
            raised: 0,
        };
        self.counts.entry(interaction_id.to_owned()).or_insert(count);
    }

    /// How often an interaction was delivered, this batch included.
    pub(super) fn count(&self, interaction_id: &str) -> i64 {
        self.counts.get(interaction_id).map_or(1, |count| count.deliveries + count.raised)
    }

    /// Adds what the claims changed. `fresh` are the interactions that this batch inserts, with their counts.
    pub(super) fn write(&self, script: &mut Script, fresh: &BTreeSet<&str>) {
        let (mut inserts, mut repeats, mut raises) = (Vec::new(), Vec::new(), Vec::new());
        for ((account, fingerprint), slots) in &self.slots {
            for slot in slots {
                if !slot.stored {
                    inserts.push(row!({
                        "account": account, "fingerprint": fingerprint, "ordinal": slot.ordinal, "interaction_id": slot.interaction_id,
                        "link": slot.link, "delivered_at": slot.delivered_at,
                    }));
                } else if slot.repeated || slot.led {
                    repeats.push(row!({
                        "owner": account, "print": fingerprint, "nth": slot.ordinal, "via": slot.repeated.then_some(&slot.link),
                        "leads_to": slot.interaction_id,
                    }));
                }
            }
        }
        for (id, count) in self
            .counts
            .iter()
            .filter(|(id, count)| count.raised > 0 && !fresh.contains(id.as_str()))
        {
            let mut flags: Vec<String> = serde_json::from_str(&count.flags).unwrap_or_default();
            if !flags.iter().any(|flag| flag == "redelivered") {
                flags.push("redelivered".to_owned());
            }
            raises
                .push(row!({"which": id, "new_flags": Value::from(flags).to_string(), "new_deliveries": count.deliveries + count.raised}));
        }
        script.add(&INSERT, inserts);
        script.add(&REPEAT, repeats);
        script.add(&RAISE, raises);
    }
}

/// Saves the responses that have left and the links that have ended.
pub(super) async fn save(tx: &mut Tx, marks: &Waiting) -> Result<()> {
    // Two marks of one delivery: the later one counts, and one statement may touch a row only once.
    let mut latest: BTreeMap<(String, &str, i64), (&str, Millis)> = BTreeMap::new();
    for (mark, at) in &marks.flushed {
        latest.insert((mark.account.key(), &mark.fingerprint, mark.ordinal), (&mark.link, *at));
    }
    let rows: Vec<Row> = latest
        .into_iter()
        .map(|((of, print, nth), (via, left_at))| row!({"owner": of, "print": print, "nth": nth, "via": via, "left_at": left_at}))
        .collect();
    let mut script = Script::default();
    for some in rows.chunks(MARKS_AT_ONCE) {
        script.add(&FLUSHED, some.to_vec());
    }
    let ended = marks
        .ended
        .iter()
        .map(|ended| row!({"id": ended.link, "account": ended.account, "ended_at": ended.at}));
    script.add(&ENDED, ended.collect::<Vec<_>>());
    script.run(tx).await
}
