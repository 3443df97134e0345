//! Finding the request that a contact belongs to: in the store, read as sets, and in the batch itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use super::contact::{Contact, Flag, Joining};
use super::lookup::{self, Found};
use super::prepare::Prepared;
use super::way::Way;
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::feed::NewEvent;
use crate::request::{LinkKind, Status};
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};

/// For so long a text answers the question that was asked of its sender, in milliseconds.
const QUESTION: Millis = 72 * 3600 * 1000;

static TOUCH: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("joined", Column::Text),
        ("joins", Column::Integer),
        ("now_at", Column::Integer),
        ("contact_at", Column::Integer),
        ("keyword", Column::Integer),
        ("expected", Column::Text),
        ("becomes", Column::Text),
    ])
    .statement(
        "UPDATE request SET version = version + r.joins, updated_at = r.now_at, last_contact_at = r.contact_at, last_keyword = r.keyword, \
         status = COALESCE(r.becomes, status) \
         FROM {rows} AS r WHERE id = r.joined AND (r.expected IS NULL OR status = r.expected) \
         RETURNING id, version, status, received_at, theme",
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

/// A request that a contact of this batch may join or has opened.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Empty until it is given, for one that this batch opens.
    pub(super) reference: String,
    pub(super) channel: String,
    pub(super) status: String,
    account: Option<String>,
    /// Its sender, as contact points are matched; `None` when they withheld their number.
    pub(super) from_key: Option<String>,
    pub(super) last_contact_at: Millis,
    pub(super) last_keyword: bool,
    /// What was chosen for the contact that opened it; unknown of those that were there.
    pub(super) theme: Option<String>,
    pub(super) merged_into: Option<String>,
    pub(super) ended_at: Option<Millis>,
    /// By this batch.
    pub(super) opened: bool,
    /// Contacts of this batch that joined it.
    pub(super) joins: i64,
    /// Before those joined.
    pub(super) version: i64,
    /// What it was in when it was read, when that is nothing that contacts join by themselves: it must still be so.
    expected: Option<String>,
    /// Which of the contacts that joined brought it back.
    reopened_by: Option<i64>,
}

/// A request that an answer of this batch reopened.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) request_id: String,
    /// After that answer.
    pub(super) version: i64,
    pub(super) received_at: Millis,
    pub(super) theme: Option<String>,
}

impl Request {
    pub(super) fn status(&self) -> Option<Status> {
        self.status.parse().ok()
    }

    /// Completes an event of it: of one that this batch opens, no statement can read yet of what channel and theme it is.
    pub(super) fn scope(&self, event: NewEvent) -> NewEvent {
        if self.opened {
            event.of_new(&self.channel, self.theme.as_deref())
        } else {
            event
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.status().is_some_and(Status::is_open)
    }

    /// A withheld number is nobody's.
    pub(super) fn is_of(&self, sender: Option<&str>) -> bool {
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
    /// It brought the request back that was closed.
    pub(super) reopened: bool,
    /// The earlier request to which the one that it opened is linked.
    pub(super) linked: Option<(LinkKind, String)>,
}

/// Everything by which the contacts of a batch may find a request.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) all: BTreeMap<String, Request>,
    /// By account and the sender's match key.
    conversations: HashMap<(String, String), String>,
    /// The same: the request whose question was asked last, and when.
    questions: HashMap<(String, String), (String, Millis)>,
    pub(super) references: HashMap<String, String>,
    /// By Message-ID: the request, and whether the id was only named.
    pub(super) threads: HashMap<String, (String, bool)>,
    pub(super) twins: HashMap<String, String>,
    /// By one that is over: open ones that continue it, the latest last.
    pub(super) continued: HashMap<String, Vec<String>>,
    /// Request and sender, where another opened it.
    pub(super) participants: HashSet<(String, String)>,
    remembered: BTreeMap<(String, String), (Millis, bool)>,
}

impl Requests {
    /// Reads whatever these contacts may join.
    pub(super) async fn read(tx: &mut Tx, contacts: &[&Prepared]) -> Result<Self> {
        let (mut citizens, mut references, mut ids, mut twins) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut proved = BTreeSet::new();
        for prepared in contacts {
            match &prepared.contact.joining {
                Joining::New => (),
                Joining::Conversation { reference, .. } => {
                    references.extend(reference.as_deref());
                    citizens.extend(prepared.sender.as_deref().map(|sender| (prepared.account.as_str(), sender)));
                }
                Joining::Document { references: shown } => references.extend(shown.iter().map(String::as_str)),
                Joining::Thread {
                    proofs,
                    message_ids,
                    reference,
                    twins: copies,
                } => {
                    proved.extend(proofs.iter().map(String::as_str));
                    references.extend(reference.as_deref());
                    // Its own too: an answer may have overtaken it.
                    ids.extend(message_ids.iter().chain(&prepared.contact.message_ids).map(String::as_str));
                    twins.extend(copies.sought.iter().map(String::as_str));
                }
            }
        }
        let mut requests = Self::default();
        for found in lookup::conversations(tx, citizens).await? {
            let place = (found.account.clone().unwrap_or_default(), found.found_by.clone());
            let asked = found.named;
            let id = requests.enter(found);
            if asked == 0 {
                requests.conversations.insert(place, id);
            } else if requests.questions.get(&place).is_none_or(|(_, before)| *before < asked) {
                requests.questions.insert(place, (id, asked));
            }
        }
        for found in lookup::references(tx, references).await? {
            let by = found.found_by.clone();
            let id = requests.enter(found);
            requests.references.insert(by, id);
        }
        for found in lookup::requests(tx, proved).await? {
            requests.enter(found);
        }
        for found in lookup::twins(tx, twins).await? {
            let by = found.found_by.clone();
            let id = requests.enter(found);
            requests.twins.insert(by, id);
        }
        let mut leads = Vec::new();
        for found in lookup::threads(tx, ids).await? {
            let (by, named) = (found.found_by.clone(), found.named != 0);
            leads.push((by, requests.enter(found), named));
        }
        requests.follow(tx).await?;
        for (by, id, named) in leads {
            requests.lead(by, &id, named);
        }
        requests.take_part(tx, contacts).await?;
        Ok(requests)
    }

    /// Reads where merged requests went on, and what continues those that are over.
    async fn follow(&mut self, tx: &mut Tx) -> Result<()> {
        let merged = |request: &Request| request.merged_into.clone().filter(|_| request.status() == Some(Status::Merged));
        if self.all.values().any(|request| merged(request).is_some()) {
            let found = self.all.iter().map(|(id, request)| (id.clone(), merged(request))).collect();
            for found in lookup::merges(tx, &found).await? {
                self.enter(found);
            }
        }
        let over: Vec<String> = self
            .all
            .iter()
            .filter(|(_, request)| !request.is_open())
            .map(|(id, _)| id.clone())
            .collect();
        for found in lookup::continuations(tx, over.iter().map(String::as_str).collect()).await? {
            let by = found.found_by.clone();
            let id = self.enter(found);
            self.continued.entry(by).or_default().push(id);
        }
        Ok(())
    }

    /// Reads who takes part in the requests to which only that leads.
    async fn take_part(&mut self, tx: &mut Tx, contacts: &[&Prepared]) -> Result<()> {
        let mut pairs = HashSet::new();
        for prepared in contacts {
            let (
                Joining::Thread {
                    message_ids, reference, ..
                },
                Some(sender),
            ) = (&prepared.contact.joining, &prepared.sender)
            else {
                continue;
            };
            let named = message_ids.iter().filter_map(|id| self.threads.get(id)).filter(|(_, named)| *named);
            let doubtful = reference.iter().filter_map(|reference| self.references.get(reference));
            for id in named.map(|(id, _)| id).chain(doubtful) {
                let also = self.continued.get(id).into_iter().flatten();
                for id in std::iter::once(self.current(id)).chain(also.map(String::as_str)) {
                    if self.all.get(id).is_some_and(|request| !request.is_of(Some(sender))) {
                        pairs.insert((id.to_owned(), sender.clone()));
                    }
                }
            }
        }
        self.participants = lookup::participants(tx, &pairs).await?;
        Ok(())
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
            theme: None,
            merged_into: found.merged_into,
            ended_at: found.ended_at,
            opened: false,
            joins: 0,
            version: 0,
            expected: None,
            reopened_by: None,
        };
        self.all.entry(found.id.clone()).or_insert(request);
        found.id
    }

    /// An id that was really seen outweighs one that was only named; a request that is open one that may be reopened, and that
    /// one any other.
    fn lead(&mut self, id: String, request_id: &str, named: bool) {
        let rank = |id: &str| match self.all.get(self.current(id)).and_then(Request::status) {
            Some(status) if status.is_open() => 2,
            Some(Status::Closed) => 1,
            _ => 0,
        };
        let weaker = self
            .threads
            .get(&id)
            .is_some_and(|(held, held_named)| (rank(held), !held_named) > (rank(request_id), !named));
        if !weaker {
            self.threads.insert(id, (request_id.to_owned(), named));
        }
    }

    /// The request that the contact joins or, as `fresh`, opens.
    pub(super) fn place(&mut self, prepared: &Prepared, fresh: &str) -> Placement {
        let contact = &prepared.contact;
        let way = self.find(prepared);
        let (joined, linked) = match &way {
            Some(Way::Join(id) | Way::Beside(id) | Way::Reopen(id)) => (Some(id.clone()), None),
            Some(Way::Linked(kind, id)) => (None, Some((*kind, id.clone()))),
            None => (None, None),
        };
        let opened = joined.is_none();
        let request_id = joined.unwrap_or_else(|| fresh.to_owned());
        let keyword = matches!(contact.joining, Joining::Conversation { keyword: true, .. });
        let commanded = contact.command.is_some();
        let status = match contact {
            // Nobody has to work on what the machine has answered.
            Contact { command: Some(_), .. } => Status::Closed,
            Contact { to_qualify: true, .. } => Status::ToQualify,
            _ => Status::Received,
        };
        let request = self.all.entry(request_id.clone()).or_insert_with(|| Request {
            reference: String::new(),
            channel: contact.channel.as_str().to_owned(),
            status: status.as_str().to_owned(),
            account: Some(prepared.account.clone()),
            from_key: prepared.sender.clone(),
            last_contact_at: contact.received_at,
            last_keyword: keyword,
            theme: contact.theme.clone(),
            merged_into: None,
            ended_at: None,
            opened: true,
            joins: 0,
            version: 1,
            expected: None,
            reopened_by: None,
        });
        if !opened {
            request.joins += 1;
            if !matches!(way, Some(Way::Beside(_))) {
                request.last_contact_at = request.last_contact_at.max(contact.received_at);
                request.last_keyword = keyword;
            }
            if !request.is_open() && !request.opened {
                request.expected.get_or_insert_with(|| request.status.clone());
            }
        }
        let reopened = matches!(way, Some(Way::Reopen(_)));
        let join = request.joins;
        if reopened {
            Status::Reopened.as_str().clone_into(&mut request.status);
            request.reopened_by = Some(join);
        }
        if !commanded
            && request.account.as_deref() == Some(prepared.account.as_str())
            && let Some(sender) = &prepared.sender
        {
            self.conversations
                .insert((prepared.account.clone(), sender.clone()), request_id.clone());
        }
        if let Some((LinkKind::Continues, earlier)) = &linked {
            self.continued.entry(earlier.clone()).or_default().push(request_id.clone());
        }
        if let (Some(sender), false) = (&prepared.sender, opened || contact.flags.contains(&Flag::Automatic)) {
            self.participants.insert((request_id.clone(), sender.clone()));
        }
        self.remember(contact, &request_id);
        Placement {
            request_id,
            join,
            opened,
            reopened,
            linked,
        }
    }

    fn find(&self, prepared: &Prepared) -> Option<Way> {
        let contact = &prepared.contact;
        match &contact.joining {
            Joining::New => None,
            Joining::Conversation {
                within,
                reference,
                keyword,
            } => self.conversation(prepared, *within, reference.as_deref(), *keyword).map(Way::Join),
            Joining::Document { .. } => self.document(prepared),
            Joining::Thread { .. } => self.thread(prepared),
        }
    }

    fn conversation(&self, prepared: &Prepared, within: Millis, reference: Option<&str>, keyword: bool) -> Option<String> {
        let (contact, from) = (&prepared.contact, prepared.sender.as_deref());
        let open = |id: &&String| self.all.get(*id).is_some_and(Request::is_open);
        let by_reference = reference
            .and_then(|reference| self.references.get(reference))
            .filter(|id| self.all.get(*id).is_some_and(|request| request.is_of(from)))
            .filter(open);
        let place = prepared.sender.clone().map(|sender| (prepared.account.clone(), sender));
        let question = || {
            let (id, asked) = self.questions.get(place.as_ref()?)?;
            // One that was asked while the text waited for us is not what it answers, but nobody can know that.
            Some(id).filter(|_| contact.received_at - asked <= QUESTION)
        };
        let lately = || {
            let id = self.conversations.get(place.as_ref()?)?;
            let request = self.all.get(id)?;
            let lately = contact.received_at - request.last_contact_at <= within;
            Some(id).filter(|_| !keyword && !request.last_keyword && lately)
        };
        by_reference.or_else(question).or_else(lately).filter(open).cloned()
    }

    fn remember(&mut self, contact: &Contact, request_id: &str) {
        let (named, twins): (&[String], &[String]) = match &contact.joining {
            Joining::Thread { message_ids, twins, .. } => (message_ids, &twins.kept),
            Joining::New | Joining::Conversation { .. } | Joining::Document { .. } => (&[], &[]),
        };
        for twin in twins {
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

    /// Raises the requests that were joined, which locks them, and notes their versions. Returns those that were reopened.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when one of them moved to another state since it was read, so that its contacts belong elsewhere;
    /// the batch is to be written again.
    pub(super) async fn touch(&mut self, tx: &mut Tx, now: Millis) -> Result<Vec<Back>> {
        let joined = self.all.iter().filter(|(_, request)| !request.opened && request.joins > 0);
        let rows: Vec<Row> = joined
            .map(|(id, request)| {
                row!({
                    "joined": id, "joins": request.joins, "now_at": now, "contact_at": request.last_contact_at,
                    "keyword": i64::from(request.last_keyword), "expected": request.expected,
                    "becomes": request.reopened_by.map(|_| Status::Reopened.as_str()),
                })
            })
            .collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = rows.len();
        let (sql, rows) = (TOUCH.for_tx(tx), Row::array(&rows));
        type Touched = (String, i64, String, Millis, Option<String>);
        let touched: Vec<Touched> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        let moved = || CoreError::Conflict("a request moved to another state at the same moment".to_owned());
        if touched.len() != wanted {
            return Err(moved());
        }
        let mut back = Vec::new();
        for (request_id, version, status, received_at, theme) in touched {
            let Some(request) = self.all.get_mut(&request_id) else { continue };
            request.version = version - request.joins;
            request.status = status;
            if request.expected.is_none() && !request.is_open() {
                return Err(moved());
            }
            if let Some(join) = request.reopened_by {
                back.push(Back {
                    version: request.version + join,
                    request_id,
                    received_at,
                    theme,
                });
            }
        }
        Ok(back)
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
        for found in lookup::known(tx, interactions).await? {
            let by = found.found_by.clone();
            let id = self.enter(found);
            // The first link comes last.
            requests.insert(by, id);
        }
        Ok(requests)
    }
}
