//! Long texts: each part is durable before its acknowledgement, and the last one makes the text whole, in whatever order
//! and by whichever link they come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use voxea_rules::charset::{self, Decoded};
use voxea_rules::{gsm7, reference};

use super::contact::{Contact, Dedup, Flag, Joining};
use super::part::{Coding, Part};
use super::prepare::{self, Prepared, PreparedPart, PreparedRaw};
use crate::base::account::{Account, Channel};
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Store, Tx, row};
use crate::vault::{Place, Vault};

/// Stands where a part never came.
const GAP: &str = " […] ";
/// Long texts that one run of the job delivers.
const EXPIRED_AT_ONCE: i64 = 500;

static READ: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("owner", Column::Text), ("text", Column::Text)]).statement(
        "SELECT p.account, p.whole, p.generation, p.number, p.detail, p.raw, p.received_at, p.expires_at \
         FROM {rows} AS r JOIN part p ON p.account = r.owner AND p.whole = r.text WHERE p.interaction_id IS NULL",
    )
});
static LATEST: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("owner", Column::Text), ("text", Column::Text)]).statement(
        "SELECT p.account, p.whole, MAX(p.generation) FROM {rows} AS r JOIN part p ON p.account = r.owner AND p.whole = r.text \
         GROUP BY p.account, p.whole",
    )
});
static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("whole", Column::Text),
        ("generation", Column::Integer),
        ("number", Column::Integer),
        ("total", Column::Integer),
        ("detail", Column::Text),
        ("raw", Column::Hex),
        ("received_at", Column::Integer),
        ("expires_at", Column::Integer),
        ("interaction_id", Column::Text),
    ])
    .insert("part")
});
static CLOSE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("owner", Column::Text),
        ("text", Column::Text),
        ("nth", Column::Integer),
        ("leads_to", Column::Text),
    ])
    .statement(
        "UPDATE part SET interaction_id = r.leads_to FROM {rows} AS r \
         WHERE account = r.owner AND whole = r.text AND generation = r.nth AND interaction_id IS NULL",
    )
});

/// One use of a reference: a text that may be incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WholeKey {
    pub(super) account: String,
    pub(super) whole: String,
    pub(super) generation: i64,
}

/// The texts whose time is over.
pub(super) async fn expired(store: &Store, now: Millis) -> Result<Vec<WholeKey>> {
    let sql = "SELECT account, whole, generation FROM part WHERE interaction_id IS NULL AND expires_at <= $1 \
               GROUP BY account, whole, generation LIMIT $2";
    let rows: Vec<(String, String, i64)> =
        on!(Store, store, db => sqlx::query_as(sql).bind(now).bind(EXPIRED_AT_ONCE).fetch_all(db).await)?;
    Ok(rows
        .into_iter()
        .map(|(account, whole, generation)| WholeKey {
            account,
            whole,
            generation,
        })
        .collect())
}

/// What a part knows, as its row keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Detail {
    coding: String,
    /// Base64.
    body: String,
    total: u8,
    media_type: String,
    fingerprint: String,
    ordinal: i64,
    from: String,
    to: String,
    occurred_at: Millis,
    within: Millis,
    #[serde(default)]
    default_theme: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    account: String,
    whole: String,
    generation: i64,
    number: i64,
    detail: String,
    raw: Vec<u8>,
    received_at: Millis,
    expires_at: Millis,
}

#[derive(Debug)]
struct Slot {
    detail: Detail,
    raw: Bytes,
    received_at: Millis,
    expires_at: Millis,
    stored: bool,
}

type Slots = BTreeMap<i64, Slot>;

/// What became of a part that is no redelivery.
#[derive(Debug)]
pub(super) enum Placed {
    /// Its place in the text was taken by the same bytes, which this delivery brought: (fingerprint, ordinal).
    Doubled(String, i64),
    /// The text still lacks others.
    Waiting,
    /// It was the last one.
    Whole(Box<Whole>),
}

/// A text of which nothing more is awaited.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) contact: Prepared,
    /// Its parts, by the deliveries that brought them: (fingerprint, ordinal).
    pub(super) deliveries: Vec<(String, i64)>,
}

/// The long texts that a batch touches.
#[derive(Debug)]
pub(super) struct Parts<'v> {
    vault: &'v Vault,
    open: BTreeMap<(String, String), BTreeMap<i64, Slots>>,
    latest: HashMap<(String, String), i64>,
    inserts: Vec<Result<Row>>,
    closes: Vec<Row>,
}

impl<'v> Parts<'v> {
    /// Reads what is there of these texts, each (account, whole).
    pub(super) async fn read(tx: &mut Tx, wanted: &BTreeSet<(&str, &str)>, vault: &'v Vault) -> Result<Self> {
        let mut parts = Self {
            vault,
            open: BTreeMap::new(),
            latest: HashMap::new(),
            inserts: Vec::new(),
            closes: Vec::new(),
        };
        if wanted.is_empty() {
            return Ok(parts);
        }
        let rows: Vec<Row> = wanted.iter().map(|(owner, text)| row!({"owner": owner, "text": text})).collect();
        let rows = Row::array(&rows);
        let (sql, latest) = (READ.for_tx(tx), LATEST.for_tx(tx));
        let stored: Vec<Stored> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(&rows).fetch_all(db).await)?;
        let latest: Vec<(String, String, i64)> = on!(Tx, tx, db => sqlx::query_as(latest).bind(&rows).fetch_all(db).await)?;
        parts.latest = latest
            .into_iter()
            .map(|(account, whole, generation)| ((account, whole), generation))
            .collect();
        for row in stored {
            let place = (row.account, row.whole);
            let id = id(&place, row.generation, row.number);
            let opened = vault.open(Place::PartDetail, &id, row.detail);
            let opened = opened.and_then(|detail| Ok((detail, vault.open_bytes(Place::PartRaw, &id, row.raw)?)));
            let (detail, raw) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    // The others are delivered in the end, flagged partial.
                    tracing::error!(%error, "a part of a long text cannot be read and counts as missing");
                    continue;
                }
            };
            let Ok(detail) = serde_json::from_str(&detail) else { continue };
            let slot = Slot {
                detail,
                raw: raw.into(),
                received_at: row.received_at,
                expires_at: row.expires_at,
                stored: true,
            };
            parts
                .open
                .entry(place)
                .or_default()
                .entry(row.generation)
                .or_default()
                .insert(row.number, slot);
        }
        Ok(parts)
    }

    /// Puts a part into its place. References are reused, so a place that other bytes have taken begins another text.
    pub(super) fn place(&mut self, prepared: &PreparedPart, ordinal: i64, interaction_id: &str) -> Placed {
        let (part, place) = (&prepared.part, (prepared.account.clone(), prepared.whole.clone()));
        let number = i64::from(part.number);
        let texts = self.open.entry(place.clone()).or_default();
        let body = BASE64.encode(&part.body);
        if let Some(slot) = texts
            .values()
            .filter_map(|slots| slots.get(&number))
            .find(|slot| slot.detail.body == body)
        {
            return Placed::Doubled(slot.detail.fingerprint.clone(), slot.detail.ordinal);
        }
        let generation = match texts.iter().find(|(_, slots)| !slots.contains_key(&number)) {
            Some((generation, _)) => *generation,
            None => self.latest.get(&place).map_or(0, |latest| latest + 1),
        };
        let latest = self.latest.entry(place.clone()).or_insert(generation);
        *latest = generation.max(*latest);
        let slots = texts.entry(generation).or_default();
        let first = slots.values().map(|slot| slot.expires_at).min();
        let expires_at = first.unwrap_or_else(|| part.received_at.saturating_add(part.keep));
        let slot = Slot {
            detail: detail(part, ordinal),
            raw: part.raw.clone(),
            received_at: part.received_at,
            expires_at,
            stored: false,
        };
        slots.insert(number, slot);
        if slots.len() < usize::from(part.total) {
            return Placed::Waiting;
        }
        let key = WholeKey {
            account: place.0,
            whole: place.1,
            generation,
        };
        self.close(&key, part.epoch, part.received_at, interaction_id)
            .map_or(Placed::Waiting, |whole| Placed::Whole(Box::new(whole)))
    }

    /// Gives up waiting; `None` when the text became whole meanwhile.
    pub(super) fn expire(&mut self, key: &WholeKey, now: Millis, interaction_id: &str) -> Option<Whole> {
        self.close(key, 0, now, interaction_id)
    }

    fn close(&mut self, key: &WholeKey, epoch: i64, at: Millis, interaction_id: &str) -> Option<Whole> {
        let place = (key.account.clone(), key.whole.clone());
        let slots = self.open.get_mut(&place)?.remove(&key.generation)?;
        let account = Account::parse(&key.account).ok()?;
        self.closes
            .push(row!({"owner": key.account, "text": key.whole, "nth": key.generation, "leads_to": interaction_id}));
        for (number, slot) in slots.iter().filter(|(_, slot)| !slot.stored) {
            self.inserts
                .push(row(self.vault, &place, key.generation, *number, slot, Some(interaction_id)));
        }
        let contact = whole(self.vault, account, epoch, at, &slots)?;
        let deliveries = slots
            .into_values()
            .map(|slot| (slot.detail.fingerprint, slot.detail.ordinal))
            .collect();
        Some(Whole { contact, deliveries })
    }

    /// Adds the parts that came and the texts that are no longer awaited.
    ///
    /// # Errors
    /// The vault's.
    pub(super) fn write(&mut self, script: &mut Script) -> Result<()> {
        let mut inserts = std::mem::take(&mut self.inserts);
        for (place, texts) in &self.open {
            for (generation, slots) in texts {
                let fresh = slots.iter().filter(|(_, slot)| !slot.stored);
                inserts.extend(fresh.map(|(number, slot)| row(self.vault, place, *generation, *number, slot, None)));
            }
        }
        script.add(&CLOSE, std::mem::take(&mut self.closes));
        script.add(&INSERT, inserts.into_iter().collect::<Result<Vec<_>>>()?);
        Ok(())
    }
}

fn row(vault: &Vault, place: &(String, String), generation: i64, number: i64, slot: &Slot, interaction_id: Option<&str>) -> Result<Row> {
    let id = id(place, generation, number);
    let detail = serde_json::to_string(&slot.detail).unwrap_or_default();
    Ok(row!({
        "account": place.0, "whole": place.1, "generation": generation, "number": number, "total": slot.detail.total,
        "detail": vault.seal(Place::PartDetail, &id, &detail)?,
        "raw": vault.seal_bytes(Place::PartRaw, &id, &slot.raw)?,
        "received_at": slot.received_at, "expires_at": slot.expires_at, "interaction_id": interaction_id,
    }))
}

/// What a part's values are bound to.
fn id(place: &(String, String), generation: i64, number: i64) -> String {
    Vault::part_id(&place.0, &place.1, generation, number)
}

fn detail(part: &Part, ordinal: i64) -> Detail {
    Detail {
        coding: part.coding.as_str().to_owned(),
        body: BASE64.encode(&part.body),
        total: part.total,
        media_type: part.media_type.to_owned(),
        fingerprint: part.redelivery.fingerprint.clone(),
        ordinal,
        from: part.from.clone(),
        to: part.to.clone(),
        occurred_at: part.occurred_at,
        within: part.within,
        default_theme: part.default_theme.clone(),
    }
}

/// The contact that the parts make.
fn whole(vault: &Vault, account: Account, epoch: i64, at: Millis, slots: &Slots) -> Option<Prepared> {
    let first = &slots.values().next()?.detail;
    let (text, damaged) = text(slots, first.total);
    let mut contact = Contact::new(account, epoch, Channel::Sms, Dedup::Never, first.from.clone(), first.to.clone(), at);
    contact.occurred_at = slots.values().map(|slot| slot.detail.occurred_at).min().unwrap_or(at);
    if damaged {
        contact.flags.push(Flag::Undecodable);
    }
    if slots.len() < usize::from(first.total) {
        contact.flags.push(Flag::Partial);
    }
    contact.joining = Joining::Conversation {
        within: first.within,
        reference: reference::find(&text).map(|found| found.to_string()),
        keyword: false,
    };
    contact.text = Some(text);
    contact.default_theme.clone_from(&first.default_theme);
    let raw: Vec<u8> = slots.values().flat_map(|slot| slot.raw.iter().copied()).collect();
    Some(Prepared {
        sender: prepare::sender(&contact, vault),
        account: contact.account.key(),
        actor: Actor::Channel(contact.account.clone()).to_string(),
        keys: Vec::new(),
        raw: Some(PreparedRaw::inline(&first.media_type, raw.into())),
        contact,
    })
}

/// Neighbours of one coding are joined as bytes and read once: a part may end within a surrogate pair or an escape.
fn text(slots: &Slots, total: u8) -> (String, bool) {
    let (mut text, mut damaged) = (String::new(), false);
    let mut run: Option<(Coding, Vec<u8>)> = None;
    let mut read = |run: &mut Option<(Coding, Vec<u8>)>, text: &mut String| {
        if let Some((coding, bytes)) = run.take() {
            let decoded = coding.decode(&bytes);
            text.push_str(&decoded.text);
            damaged |= decoded.damaged;
        }
    };
    for number in 1..=i64::from(total) {
        let Some(slot) = slots.get(&number) else {
            read(&mut run, &mut text);
            if !text.ends_with(GAP) {
                text.push_str(GAP);
            }
            continue;
        };
        let coding = Coding::parse(&slot.detail.coding);
        let body = BASE64.decode(&slot.detail.body).unwrap_or_default();
        match &mut run {
            Some((current, bytes)) if *current == coding => bytes.extend_from_slice(&body),
            _ => {
                read(&mut run, &mut text);
                run = Some((coding, body));
            }
        }
    }
    read(&mut run, &mut text);
    text.retain(|char| char != '\0');
    (text, damaged)
}

impl Coding {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Gsm7, "gsm7"),
        (Self::Latin1, "latin1"),
        (Self::Ucs2, "ucs2"),
        (Self::Binary, "binary"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(coding, _)| *coding == self)
            .map_or("binary", |(_, name)| name)
    }

    fn parse(name: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Self::Binary, |(coding, _)| *coding)
    }

    /// Reads the bytes of a text, of one part or of many joined. Never fails; binary gives an empty, damaged text.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Decoded {
        match self {
            Self::Gsm7 => gsm7::decode(bytes),
            Self::Latin1 => charset::latin1(bytes),
            Self::Ucs2 => charset::ucs2(bytes),
            Self::Binary => Decoded {
                text: String::new(),
                damaged: true,
            },
        }
    }
}
