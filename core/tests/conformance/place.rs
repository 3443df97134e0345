//! Where a story takes place: a database of its own, migrated and empty, with an intake over it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::{Actor, Client, Contract};
use voxea_core::base::count::Counters;
use voxea_core::base::error::{CoreError, Result};
use voxea_core::base::grant::Scopes;
use voxea_core::base::id;
use voxea_core::base::time::{self, Millis};
use voxea_core::base::wake::Wake;
use voxea_core::catalogue::Catalogue;
use voxea_core::citizen::{Citizens, OptOuts};
use voxea_core::contact::{
    Accepted, Coding, Contact, Dedup, DeliveryMark, Intake, Interactions, Joining, NewAcknowledgement, Part, Raw, Redelivery, Shown, Twins,
};
use voxea_core::feed::{Event, Feed, Selection};
use voxea_core::request::Desk;
use voxea_core::store::Store;
use voxea_core::vault::{MasterKeys, Vault, new_line};
use voxea_rules::calendar::{Calendar, HolidayZone};

use crate::postgres;

/// 2026-11-24T08:00:00Z.
pub(crate) const NOW: Millis = 1_795_507_200_000;
pub(crate) const SECOND: Millis = 1000;
pub(crate) const HOUR: Millis = 3600 * SECOND;
pub(crate) const CITIZEN: &str = "+33612345678";

/// Whether the database of a story is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    Sealed,
}

pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) feed: Feed,
    pub(crate) catalogue: Catalogue,
    pub(crate) intake: Intake,
    pub(crate) interactions: Interactions,
    pub(crate) desk: Desk,
    pub(crate) citizens: Citizens,
    pub(crate) opt_outs: OptOuts,
    /// Of the intake.
    pub(crate) counters: Counters,
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) async fn sqlite(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("voxea.db").display());
        Self::open(url, Some(folder), mode).await
    }

    pub(crate) async fn postgres(mode: Mode) -> Self {
        let template = tokio::task::spawn_blocking(postgres::template).await.unwrap();
        let name = format!("voxea_test_{}", id::new().replace('-', ""));
        let admin = Store::open(&template.replace("{}", "postgres")).await.unwrap();
        let Store::Postgres(pool) = &admin else {
            panic!("VOXEA_TEST_POSTGRES must begin with postgres://")
        };
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(pool)
            .await
            .unwrap();
        admin.close().await;
        Self::open(template.replace("{}", &name), None, mode).await
    }

    async fn open(url: String, folder: Option<tempfile::TempDir>, mode: Mode) -> Self {
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        let keys = (mode == Mode::Sealed).then(|| MasterKeys::parse(&new_line().unwrap()).unwrap());
        let vault = Vault::of(&store, keys.as_ref()).await.unwrap();
        let feed = Feed::new(store.clone());
        let catalogue = Catalogue::new(store.clone(), feed.clone(), calendar());
        catalogue.seed().await.unwrap();
        Self::doors(store, vault, feed, catalogue, url, folder)
    }

    /// The same database, as a process would open it that has this vault.
    pub(crate) fn under(&self, vault: Vault) -> Self {
        let (store, feed, catalogue) = (self.store.clone(), self.feed.clone(), self.catalogue.clone());
        Self::doors(store, vault, feed, catalogue, self.url.clone(), None)
    }

    fn doors(store: Store, vault: Vault, feed: Feed, catalogue: Catalogue, url: String, folder: Option<tempfile::TempDir>) -> Self {
        let counters = Counters::default();
        let intake = Intake::start(
            store.clone(),
            vault.clone(),
            feed.clone(),
            catalogue.clone(),
            Wake::new(),
            counters.clone(),
        );
        let interactions = Interactions::new(store.clone(), vault.clone(), catalogue.clone());
        let desk = Desk::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone());
        let citizens = Citizens::new(store.clone(), vault.clone(), feed.clone(), catalogue.clone());
        let opt_outs = OptOuts::new(store.clone(), vault.clone());
        Self {
            store,
            vault,
            feed,
            catalogue,
            intake,
            interactions,
            desk,
            citizens,
            opt_outs,
            counters,
            url,
            _folder: folder,
        }
    }

    /// Another process over the same database.
    pub(crate) fn intake_again(&self) -> Intake {
        Intake::start(
            self.store.clone(),
            self.vault.clone(),
            self.feed.clone(),
            self.catalogue.clone(),
            Wake::new(),
            Counters::default(),
        )
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.store, Store::Postgres(_))
    }

    /// A number that a statement without parameters yields.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        on!(Store, &self.store, db => sqlx::query_scalar(sql).fetch_one(db).await).unwrap()
    }

    /// Rows of two texts and two numbers.
    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<(String, String, i64, i64)> {
        on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await).unwrap()
    }

    /// Runs a statement that changes the schema or a row.
    pub(crate) async fn change(&self, sql: &str) {
        let mut tx = self.store.begin().await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        on!(Tx, &mut tx, db => sqlx::query(sql).execute(db).await.map(|_| ())).unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn interaction(&self, accepted: &Accepted) -> Shown {
        self.interactions.get(&agent(), &accepted.interaction_id).await.unwrap()
    }

    /// Every event so far.
    pub(crate) async fn events(&self) -> Vec<Event> {
        self.feed.select(&Selection::everything(), 0, 1_000_000).await.unwrap().items
    }

    /// How many events of a kind there are.
    pub(crate) async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|event| event.kind == kind).count()
    }

    /// The intake's mark is saved when this returns.
    pub(crate) async fn flushed(&self, mark: Option<DeliveryMark>, at: Millis) {
        self.intake.flushed(vec![mark.unwrap()], at);
        self.intake.settled().await;
    }
}

/// A town hall's, Monday to Friday 9 to 17, holidays of the metropole.
pub(crate) fn calendar() -> Calendar {
    Calendar {
        time_zone: time::zone("Europe/Paris"),
        holidays: Some(HolidayZone::Metropole),
        hours: "mo-fr 09:00-17:00".parse().unwrap(),
        closures: Vec::new(),
    }
}

pub(crate) fn agent() -> Actor {
    let contract = Contract::everything(Scopes::from_names(["admin"]).unwrap());
    Actor::Client(Arc::new(Client::of_key("agent", "agent", contract)))
}

pub(crate) fn sms_account() -> Account {
    Account::new(Kind::Smpp, "short-number")
}

pub(crate) fn mailbox() -> Account {
    Account::new(Kind::Mailbox, "mairie")
}

/// A text of the citizen by the link `one`.
pub(crate) fn text(body: &str, at: Millis) -> Contact {
    text_by("one", 60, body, at)
}

pub(crate) fn text_by(link: &str, window_seconds: u32, body: &str, at: Millis) -> Contact {
    let fingerprint = format!("{CITIZEN}|36123||{body}");
    let dedup = Dedup::Redelivery(Redelivery {
        fingerprint,
        link: link.to_owned(),
        window_seconds,
    });
    let mut contact = Contact::new(sms_account(), 1, Channel::Sms, dedup, CITIZEN.to_owned(), "36123".to_owned(), at);
    contact.text = Some(body.to_owned());
    contact.joining = Joining::Conversation {
        within: 24 * HOUR,
        reference: None,
        keyword: false,
    };
    contact.raw = Some(Raw::Inline {
        media_type: "application/vnd.voxea.smpp",
        bytes: Bytes::copy_from_slice(body.as_bytes()),
    });
    contact
}

/// The same, as if nobody's: it joins nothing.
pub(crate) fn alone(body: &str, at: Millis) -> Contact {
    let mut contact = text(body, at);
    contact.joining = Joining::New;
    contact
}

/// A mail with a key of its own.
pub(crate) fn mail(from: &str, key: &str, at: Millis) -> Contact {
    let dedup = Dedup::Key(key.to_owned());
    let mut contact = Contact::new(
        mailbox(),
        1,
        Channel::Email,
        dedup,
        from.to_owned(),
        "mairie@example.fr".to_owned(),
        at,
    );
    contact.subject = Some("Lampadaire".to_owned());
    contact.text = Some("Bonjour".to_owned());
    contact.joining = thread(&[]);
    contact.message_ids = vec![format!("<{key}@example.fr>")];
    contact
}

pub(crate) fn thread(ids: &[&str]) -> Joining {
    Joining::Thread {
        proofs: Vec::new(),
        message_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        reference: None,
        twins: Twins::default(),
    }
}

pub(crate) fn acknowledgement(recipient: &str) -> NewAcknowledgement {
    NewAcknowledgement {
        account: mailbox(),
        channel: Channel::Email,
        from: "mairie@example.fr".to_owned(),
        recipient: recipient.to_owned(),
        subject: Some("Votre demande {reference}".to_owned()),
        text: "Elle porte le numéro {reference}.".to_owned(),
        message_id: Some(format!("<{}@example.fr>", id::new())),
        in_reply_to: None,
        references: None,
        per_hour: 5000,
        answers: None,
    }
}

/// Part `number` of `total` of a text in UCS-2, by a link.
pub(crate) fn part(whole: &str, number: u8, total: u8, body: &[u8], link: &str, at: Millis) -> Part {
    Part {
        account: sms_account(),
        epoch: 1,
        whole: whole.to_owned(),
        number,
        total,
        coding: Coding::Ucs2,
        body: Bytes::copy_from_slice(body),
        raw: Bytes::copy_from_slice(body),
        media_type: "application/vnd.voxea.smpp",
        redelivery: Redelivery {
            fingerprint: format!("{whole}/{number}/{body:?}"),
            link: link.to_owned(),
            window_seconds: 60,
        },
        from: CITIZEN.to_owned(),
        to: "36123".to_owned(),
        occurred_at: at,
        received_at: at,
        keep: 24 * HOUR,
        within: 24 * HOUR,
        default_theme: None,
    }
}

/// Long enough for anything here on a busy machine.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future)
        .await
        .expect("it took longer than two minutes")
}

/// Asks again while the store is busy, as every caller does: on a slow machine a writer may wait longer for the others than a
/// request may take, and then nothing was written.
pub(crate) async fn patiently<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    for _ in 0..20 {
        match ask().await {
            Err(CoreError::Unavailable(_) | CoreError::Unanswered(_)) => (),
            other => return other,
        }
    }
    ask().await
}
