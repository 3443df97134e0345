//! Finding the request that a contact belongs to: in the store, read as sets, and in the batch itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use super::contact::{Contact, Joining};
use super::prepare::Prepared;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::request::Status;
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};

/// For so long a text answers the question that was asked of its sender, in milliseconds.
const QUESTION: Millis = 72 * 3600 * 1000;

/// The columns of [`Found`] that come from the request, for every statement below.
macro_rules! of_request {
    () => {
        "q.id, q.ref, q.channel, q.account, q.status, q.from_key, q.last_contact_at, q.last_keyword"
    };
}

/// What [`Status::is_open`] says no to, for the one look-up that must find the latest open request by its index.
macro_rules! over {
    () => {
        "'closed', 'merged', 'spam', 'abusive', 'archived', 'eliminated', 'transmitted'"
    };
}

/// The latest open request of a sender, and those that wait for an answer of theirs, with the time when they were last asked:
/// by the move to that state, or by a later reply.
static CONVERSATIONS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("owner", Column::Text), ("citizen", Column::Text)]).statement(concat!(
        "SELECT r.citizen AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.id = (SELECT o.id FROM request o WHERE o.account = r.owner AND o.from_key = r.citizen \
          AND o.status NOT IN (",
        over!(),
        ") ORDER BY o.last_contact_at DESC, o.position DESC LIMIT 1) \
         UNION ALL SELECT r.citizen, COALESCE((SELECT MAX(x.at) FROM (SELECT t.at FROM transition t WHERE t.request_id = q.id \
          UNION ALL SELECT p.created_at FROM reply p WHERE p.request_id = q.id AND p.kind = 'reply') AS x), q.received_at), ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.account = r.owner AND q.from_key = r.citizen AND q.status = 'awaiting_citizen'",
    ))
});
static REFERENCES: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT q.ref AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request q ON q.ref = r.wanted",
    ))
});
static THREADS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT m.message_id AS found_by, m.named, ",
        of_request!(),
        " FROM {rows} AS r JOIN message_id m ON m.message_id = r.wanted JOIN request q ON q.id = m.request_id ORDER BY q.position",
    ))
});
static TWINS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT d.key AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN dedup d ON d.account = '' AND d.key = r.wanted \
          JOIN request_interaction l ON l.interaction_id = d.interaction_id JOIN request q ON q.id = l.request_id ORDER BY q.position",
    ))
});
static KNOWN: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(concat!(
        "SELECT l.interaction_id AS found_by, CAST(0 AS BIGINT) AS named, ",
        of_request!(),
        " FROM {rows} AS r JOIN request_interaction l ON l.interaction_id = r.wanted JOIN request q ON q.id = l.request_id \
          ORDER BY l.position DESC",
    ))
});
static TOUCH: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("joined", Column::Text),
        ("joins", Column::Integer),
        ("now_at", Column::Integer),
        ("contact_at", Column::Integer),
        ("keyword", Column::Integer),
    ])
    .statement(
        "UPDATE request SET version = version + r.joins, updated_at = r.now_at, last_contact_at = r.contact_at, last_keyword = r.keyword \
         FROM {rows} AS r WHERE id = r.joined RETURNING id, version, status",
    )
});
static REMEMBER: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("message_id", Column::Text),
        ("request_id", Column::Text),
        ("at", Column::Integer),
        ("named", Column::Integer),
    ])
    .statement(
        "INSERT INTO message_id ({columns}) SELECT {values} FROM {rows} AS r WHERE true \
         ON CONFLICT (message_id, request_id) DO UPDATE SET named = 0 WHERE excluded.named = 0",
    )
});

#[derive(sqlx::FromRow)]
struct Found {
    found_by: String,
    /// 1 for an id that was only named; of a question, when it was asked; else 0.
    named: i64,
    id: String,
    #[sqlx(rename = "ref")]
    reference: String,
    channel: String,
    account: Option<String>,
    status: String,
    from_key: Option<String>,
    last_contact_at: Millis,
    last_keyword: i64,
}

/// A request that a contact of this batch may join or has opened.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Empty until it is given, for one that this batch opens.
    pub(super) reference: String,
    pub(super) channel: String,
    pub(super) status: String,
    account: Option<String>,
    /// Its sender, as contact points are matched; `None` when they withheld their number.
    from_key: Option<String>,
    pub(super) last_contact_at: Millis,
    pub(super) last_keyword: bool,
    /// By this batch.
    pub(super) opened: bool,
    /// Contacts of this batch that joined it.
    pub(super) joins: i64,
    /// Before those joined.
    pub(super) version: i64,
}

impl Request {
    fn is_open(&self) -> bool {
        self.status.parse::<Status>().is_ok_and(Status::is_open)
    }

    /// A withheld number is nobody's.
    fn is_of(&self, sender: Option<&str>) -> bool {
        sender.is_some() && self.from_key.as_deref() == sender
    }
}

/// Where a contact went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) request_id: String,
    /// 0 for the contact that opened it, then 1, 2, … for those of this batch that joined.
    pub(super) join: i64,
    pub(super) opened: bool,
}

/// Everything by which the contacts of a batch may find a request.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) all: BTreeMap<String, Request>,
    /// By account and the sender's match key.
    conversations: HashMap<(String, String), String>,
    /// The same: the request whose question was asked last, and when.
    questions: HashMap<(String, String), (String, Millis)>,
    references: HashMap<String, String>,
    /// By Message-ID: the request, and whether the id was only named.
    threads: HashMap<String, (String, bool)>,
    twins: HashMap<String, String>,
    remembered: BTreeMap<(String, String), (Millis, bool)>,
}

impl Requests {
    /// Reads whatever these contacts may join.
    pub(super) async fn read(tx: &mut Tx, contacts: &[&Prepared]) -> Result<Self> {
        let (mut citizens, mut references, mut ids, mut twins) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for prepared in contacts {
            match &prepared.contact.joining {
                Joining::New => (),
                Joining::Conversation { reference, .. } => {
                    references.extend(reference.as_deref());
                    citizens.extend(prepared.sender.as_deref().map(|sender| (prepared.account.as_str(), sender)));
                }
                Joining::Thread {
                    message_ids,
                    reference,
                    twin,
                } => {
                    references.extend(reference.as_deref());
                    ids.extend(message_ids.iter().map(String::as_str));
                    twins.extend(twin.as_deref());
                }
            }
        }
        let mut requests = Self::default();
        let rows = citizens
            .into_iter()
            .map(|(owner, citizen)| row!({"owner": owner, "citizen": citizen}))
            .collect();
        for found in look(tx, &CONVERSATIONS, rows).await? {
            let place = (found.account.clone().unwrap_or_default(), found.found_by.clone());
            let asked = found.named;
            let id = requests.enter(found);
            if asked == 0 {
                requests.conversations.insert(place, id);
            } else if requests.questions.get(&place).is_none_or(|(_, before)| *before < asked) {
                requests.questions.insert(place, (id, asked));
            }
        }
        for found in look(tx, &REFERENCES, wanted(references)).await? {
            let by = found.found_by.clone();
            let id = requests.enter(found);
            requests.references.insert(by, id);
        }
        for found in look(tx, &THREADS, wanted(ids)).await? {
            let (by, named) = (found.found_by.clone(), found.named != 0);
            let id = requests.enter(found);
            requests.lead(by, &id, named);
        }
        for found in look(tx, &TWINS, wanted(twins)).await? {
            let by = found.found_by.clone();
            let id = requests.enter(found);
            requests.twins.insert(by, id);
        }
        Ok(requests)
    }

    fn enter(&mut self, found: Found) -> String {
        let request = Request {
            reference: found.reference,
            channel: found.channel,
            status: found.status,
            account: found.account,
            from_key: found.from_key,
            last_contact_at: found.last_contact_at,
            last_keyword: found.last_keyword != 0,
            opened: false,
            joins: 0,
            version: 0,
        };
        self.all.entry(found.id.clone()).or_insert(request);
        found.id
    }

    /// An id that was really seen outweighs one that was only named; an open request outweighs one that is over.
    fn lead(&mut self, id: String, request_id: &str, named: bool) {
        let open = |id: &str| self.all.get(id).is_some_and(Request::is_open);
        let weaker = self
            .threads
            .get(&id)
            .is_some_and(|(held, held_named)| (open(held), !held_named) > (open(request_id), !named));
        if !weaker {
            self.threads.insert(id, (request_id.to_owned(), named));
        }
    }

    /// The request that the contact joins or, as `fresh`, opens.
    pub(super) fn place(&mut self, prepared: &Prepared, fresh: &str) -> Placement {
        let contact = &prepared.contact;
        let joined = self.find(prepared);
        let opened = joined.is_none();
        let request_id = joined.unwrap_or_else(|| fresh.to_owned());
        let keyword = matches!(contact.joining, Joining::Conversation { keyword: true, .. });
        let commanded = contact.command.is_some();
        let request = self.all.entry(request_id.clone()).or_insert_with(|| Request {
            reference: String::new(),
            channel: contact.channel.as_str().to_owned(),
            // Nobody has to work on what the machine has answered.
            status: if commanded { Status::Closed } else { Status::Received }.as_str().to_owned(),
            account: Some(prepared.account.clone()),
            from_key: prepared.sender.clone(),
            last_contact_at: contact.received_at,
            last_keyword: keyword,
            opened: true,
            joins: 0,
            version: 1,
        });
        if !opened {
            request.joins += 1;
            request.last_contact_at = request.last_contact_at.max(contact.received_at);
            request.last_keyword = keyword;
        }
        let join = request.joins;
        if !commanded
            && request.account.as_deref() == Some(prepared.account.as_str())
            && let Some(sender) = &prepared.sender
        {
            self.conversations
                .insert((prepared.account.clone(), sender.clone()), request_id.clone());
        }
        self.remember(contact, &request_id);
        Placement { request_id, join, opened }
    }

    fn find(&self, prepared: &Prepared) -> Option<String> {
        let contact = &prepared.contact;
        let (open, from) = (
            |id: &&String| self.all.get(*id).is_some_and(Request::is_open),
            prepared.sender.as_deref(),
        );
        let own = |id: &&String| self.all.get(*id).is_some_and(|request| request.is_of(from));
        let by_reference = |reference: &Option<String>| {
            reference
                .as_ref()
                .and_then(|reference| self.references.get(reference))
                .filter(own)
                .filter(open)
        };
        match &contact.joining {
            Joining::New => None,
            Joining::Conversation {
                within,
                reference,
                keyword,
            } => {
                let place = prepared.sender.clone().map(|sender| (prepared.account.clone(), sender));
                let question = || {
                    let (id, asked) = self.questions.get(place.as_ref()?)?;
                    // One that was asked while the text waited for us is not what it answers, but nobody can know that.
                    Some(id).filter(|_| contact.received_at - asked <= QUESTION)
                };
                let lately = || {
                    let id = self.conversations.get(place.as_ref()?)?;
                    let request = self.all.get(id)?;
                    let lately = contact.received_at - request.last_contact_at <= *within;
                    Some(id).filter(|_| !keyword && !request.last_keyword && lately)
                };
                by_reference(reference).or_else(question).or_else(lately).filter(open).cloned()
            }
            Joining::Thread {
                message_ids,
                reference,
                twin,
            } => {
                let twin = twin.as_ref().and_then(|twin| self.twins.get(twin)).filter(own).filter(open);
                let by_id = |id: &String| {
                    let (request_id, named) = self.threads.get(id)?;
                    Some(request_id).filter(|id| !named || own(id)).filter(open)
                };
                twin.or_else(|| message_ids.iter().find_map(by_id))
                    .or_else(|| by_reference(reference))
                    .cloned()
            }
        }
    }

    fn remember(&mut self, contact: &Contact, request_id: &str) {
        let (named, twin): (&[String], _) = match &contact.joining {
            Joining::Thread { message_ids, twin, .. } => (message_ids, twin.as_ref()),
            Joining::New | Joining::Conversation { .. } => (&[], None),
        };
        if let Some(twin) = twin {
            self.twins.entry(twin.clone()).or_insert_with(|| request_id.to_owned());
        }
        let own = contact.message_ids.iter().map(|id| (id, false));
        for (id, named) in named.iter().map(|id| (id, true)).chain(own) {
            if named && self.threads.get(id).is_some_and(|(held, _)| held == request_id) {
                continue;
            }
            self.lead(id.clone(), request_id, named);
            self.keep(id, request_id, contact.received_at, named);
        }
    }

    /// Remembers a Message-ID of a request; one that was really seen stays so.
    pub(super) fn keep(&mut self, id: &str, request_id: &str, at: Millis, named: bool) {
        let kept = self.remembered.entry((id.to_owned(), request_id.to_owned())).or_insert((at, named));
        kept.1 &= named;
    }

    /// Raises the requests that were joined, which locks them, and notes their versions.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when one of them was closed since it was read; the batch is to be written again.
    pub(super) async fn touch(&mut self, tx: &mut Tx, now: Millis) -> Result<()> {
        let joined = self.all.iter().filter(|(_, request)| !request.opened && request.joins > 0);
        let rows: Vec<Row> = joined
            .map(|(id, request)| {
                row!({
                    "joined": id, "joins": request.joins, "now_at": now, "contact_at": request.last_contact_at,
                    "keyword": i64::from(request.last_keyword),
                })
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let (sql, rows) = (TOUCH.for_tx(tx), Row::array(&rows));
        let touched: Vec<(String, i64, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        for (id, version, status) in touched {
            let Some(request) = self.all.get_mut(&id) else { continue };
            request.version = version - request.joins;
            request.status = status;
            if !request.is_open() {
                return Err(CoreError::Conflict("a request was closed at the same moment".to_owned()));
            }
        }
        Ok(())
    }

    /// Adds the Message-IDs.
    pub(super) fn write_ids(&self, script: &mut Script) {
        let rows = self.remembered.iter().map(|((message_id, request_id), (at, named))| {
            row!({"message_id": message_id, "request_id": request_id, "at": at, "named": i64::from(*named)})
        });
        script.add(&REMEMBER, rows.collect::<Vec<_>>());
    }

    /// The requests of interactions that were there before: (interaction, request).
    pub(super) async fn of_known(&mut self, tx: &mut Tx, interactions: BTreeSet<&str>) -> Result<HashMap<String, String>> {
        let mut requests = HashMap::new();
        for found in look(tx, &KNOWN, wanted(interactions)).await? {
            let by = found.found_by.clone();
            let id = self.enter(found);
            // The first link comes last.
            requests.insert(by, id);
        }
        Ok(requests)
    }
}

fn wanted(keys: BTreeSet<&str>) -> Vec<Row> {
    keys.into_iter().map(|key| row!({"wanted": key})).collect()
}

async fn look(tx: &mut Tx, statement: &SetSql, rows: Vec<Row>) -> Result<Vec<Found>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (sql, rows) = (statement.for_tx(tx), Row::array(&rows));
    Ok(on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_is_spelt_the_same_in_rust_and_in_sql() {
        for status in Status::ALL {
            assert_eq!(!status.is_open(), over!().contains(&format!("'{status}'")), "{status}");
        }
    }
}
