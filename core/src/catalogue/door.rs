//! The door to the catalogue.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use voxea_rules::calendar::Calendar;

use super::check::check;
use super::nouns::{ClosedDays, Document, Service, Theme};
use super::snapshot::{Kind, Snapshot};
use super::table::{self, Entry};
use serde_json::json;

use crate::audit;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::expected::Expected;
use crate::base::grant::Operation;
use crate::base::time;
use crate::feed::{self, EventKind, Feed, NewEvent};
use crate::store::on;
use crate::store::{Reach, Script, Store};

/// The door. Clones share what is in memory.
#[derive(Debug, Clone)]
pub struct Catalogue {
    store: Store,
    feed: Feed,
    organisation: Arc<Calendar>,
    current: Arc<RwLock<Arc<Snapshot>>>,
}

impl Catalogue {
    /// Over a store; empty until [`Catalogue::fresh`] has read it. `organisation` is when its services are open that say
    /// nothing else, and where and by which holidays days are counted.
    #[must_use]
    pub fn new(store: Store, feed: Feed, organisation: Calendar) -> Self {
        Self {
            store,
            feed,
            organisation: Arc::new(organisation),
            current: Arc::default(),
        }
    }

    /// As it was read last: for what must not wait, such as an intake.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The requests to which an actor may do something, by the catalogue as it was read last.
    #[must_use]
    pub fn reach(&self, actor: &Actor, operation: Operation) -> Reach {
        self.current().reach(actor, operation)
    }

    /// When the service of a theme is open; the organisation's calendar for what has no theme.
    #[must_use]
    pub fn calendar(&self, theme: Option<&str>) -> Calendar {
        let (current, mut calendar) = (self.current(), Calendar::clone(&self.organisation));
        let theme = theme.and_then(|code| current.theme(code));
        if let Some(service) = theme.and_then(|theme| current.service(&theme.service)) {
            if let Some(hours) = service.hours.as_ref().and_then(|text| text.parse().ok()) {
                calendar.hours = hours;
            }
            calendar.closures.extend(service.closures.iter().filter_map(ClosedDays::closure));
        }
        calendar
    }

    /// As it is now. Costs one small look-up unless it has changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn fresh(&self) -> Result<Arc<Snapshot>> {
        let sql = "SELECT value FROM counter WHERE name = 'catalogue'";
        let version: i64 = on!(Store, &self.store, db => sqlx::query_scalar(sql).fetch_one(db).await)?;
        let current = self.current();
        if current.version == version && version > 0 {
            return Ok(current);
        }
        let rows = on!(Store, &self.store, db => sqlx::query_as(table::READ).fetch_all(db).await)?;
        Ok(self.keep(table::read(rows)?))
    }

    /// Puts what is shipped into a database that never had a catalogue. No event tells of it: who begins to read the feed
    /// reads the catalogue first.
    ///
    /// # Errors
    /// The store's.
    pub async fn seed(&self) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE counter SET value = 1 WHERE name = 'catalogue' AND value = 0 RETURNING value";
        let first: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).fetch_optional(db).await)?;
        if let Some(version) = first {
            let shipped = Document::shipped().map_err(|error| CoreError::Store(format!("the shipped catalogue: {error}")))?;
            let entries = table::entries(&shipped)?;
            let mut script = Script::default();
            table::write(
                &mut script,
                &entries.iter().collect::<Vec<_>>(),
                version,
                &Actor::System,
                time::now(),
            );
            script.run(&mut tx).await?;
            tx.commit().await?;
        }
        self.fresh().await.map(|_| ())
    }

    /// Makes a theme, or replaces it.
    ///
    /// # Errors
    /// [`CoreError::Stale`] and [`CoreError::NotFound`] when it is not what was expected; [`CoreError::Conflict`] when it
    /// is there and should not be; [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn put_theme(&self, actor: &Actor, expected: &Expected, theme: Theme) -> Result<Arc<Snapshot>> {
        self.change(actor, |before, document| {
            expected.check(before.version_of(Kind::Theme, &theme.code), "theme", "code")?;
            let at = place(document.themes.iter().map(|theme| &theme.code), &theme.code);
            put(&mut document.themes, at, theme);
            Ok(format!("/themes/{at}"))
        })
        .await
    }

    /// Makes a service, or replaces it.
    ///
    /// # Errors
    /// As [`Catalogue::put_theme`].
    pub async fn put_service(&self, actor: &Actor, expected: &Expected, service: Service) -> Result<Arc<Snapshot>> {
        self.change(actor, |before, document| {
            expected.check(before.version_of(Kind::Service, &service.code), "service", "code")?;
            let at = place(document.services.iter().map(|service| &service.code), &service.code);
            put(&mut document.services, at, service);
            Ok(format!("/services/{at}"))
        })
        .await
    }

    /// Takes a whole catalogue over. Themes that it lacks are switched off, since requests may have them; services and
    /// domains that it lacks stay.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] with the first thing that is wrong ([`check`] tells all); the store's.
    pub async fn import(&self, actor: &Actor, mut imported: Document) -> Result<Arc<Snapshot>> {
        self.change(actor, |before, document| {
            let old = std::mem::take(document);
            keep_missing(&mut imported.domains, old.domains, |domain| &domain.code);
            keep_missing(&mut imported.services, old.services, |service| &service.code);
            let off = old.themes.into_iter().map(|theme| Theme { enabled: false, ..theme });
            keep_missing(&mut imported.themes, off, |theme| &theme.code);
            tracing::debug!(from = before.version, "a catalogue is imported");
            *document = imported;
            Ok(String::new())
        })
        .await
    }

    /// One change of the whole. `edit` says which part of the document it is about.
    async fn change(&self, actor: &Actor, edit: impl FnOnce(&Snapshot, &mut Document) -> Result<String> + Send) -> Result<Arc<Snapshot>> {
        let mut tx = self.store.begin().await?;
        let sql = "UPDATE counter SET value = value + 1 WHERE name = 'catalogue' RETURNING value";
        let version: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).fetch_one(db).await)?;
        let rows = on!(Tx, &mut tx, db => sqlx::query_as(table::READ).fetch_all(db).await)?;
        let before = table::read(rows)?;
        let mut document = before.document.clone();
        let about = edit(&before, &mut document)?;
        if let Some(wrong) = check(&document).into_iter().next() {
            // A caller that sent one entry knows only that entry's members.
            let pointer = wrong.pointer.strip_prefix(&about).unwrap_or(&wrong.pointer);
            return Err(CoreError::invalid(pointer, wrong.message));
        }
        let (old, new) = (table::entries(&before.document)?, table::entries(&document)?);
        let changed: Vec<&Entry> = new.iter().filter(|entry| !old.contains(entry)).collect();
        if changed.is_empty() {
            // The transaction is dropped, and the number that it took with it.
            return self.fresh().await;
        }
        let now = time::now();
        let mut script = Script::default();
        table::write(&mut script, &changed, version, actor, now);
        let entries: Vec<audit::Entry> = changed
            .iter()
            .map(|entry| {
                let object = format!("{}/{}", entry.kind.as_str(), entry.code);
                let before = old.iter().find(|one| one.kind == entry.kind && one.code == entry.code);
                let detail = json!({"version": version, "made": before.is_none(), "members": entry.differs_from(before)});
                audit::Entry::new(actor, "put", object).at(now).detail(&detail)
            })
            .collect();
        audit::append(&mut tx, &entries).await?;
        let events: Vec<NewEvent> = touched(&changed, &document)
            .into_iter()
            .map(|code| NewEvent::of_theme(EventKind::ThemeChanged, code).with("version", version))
            .collect();
        if !events.is_empty() {
            let first = feed::next_positions(&mut tx, events.len()).await?;
            feed::add(&mut script, first, now, &events);
        }
        script.run(&mut tx).await?;
        tx.commit().await?;
        self.feed.committed();
        self.fresh().await
    }

    /// Keeps the newer of two.
    fn keep(&self, read: Snapshot) -> Arc<Snapshot> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if read.version >= current.version {
            *current = Arc::new(read);
        }
        Arc::clone(&current)
    }
}

/// The themes that a web site's form must fetch anew: those that changed, and those of services and domains that did.
fn touched<'a>(changed: &[&'a Entry], document: &'a Document) -> BTreeSet<&'a str> {
    let is = |kind: Kind, code: &str| changed.iter().any(|entry| entry.kind == kind && entry.code == code);
    let domain = |theme: &Theme| {
        document
            .services
            .iter()
            .find(|service| service.code == theme.service)
            .map(|service| &service.domain)
    };
    let themes = document.themes.iter().filter(|theme| {
        is(Kind::Theme, &theme.code) || is(Kind::Service, &theme.service) || domain(theme).is_some_and(|domain| is(Kind::Domain, domain))
    });
    themes.map(|theme| theme.code.as_str()).collect()
}

fn place<'a>(mut codes: impl ExactSizeIterator<Item = &'a String>, code: &str) -> usize {
    let count = codes.len();
    codes.position(|one| one == code).unwrap_or(count)
}

fn put<T>(list: &mut Vec<T>, at: usize, entry: T) {
    match list.get_mut(at) {
        Some(there) => *there = entry,
        None => list.push(entry),
    }
}

fn keep_missing<T>(list: &mut Vec<T>, old: impl IntoIterator<Item = T>, code: impl Fn(&T) -> &String) {
    for entry in old {
        if !list.iter().any(|one| code(one) == code(&entry)) {
            list.push(entry);
        }
    }
}
