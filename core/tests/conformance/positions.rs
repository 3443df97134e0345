//! The feed: whoever reads on from a cursor sees every commit, in order, once.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use voxea_core::base::id;
use voxea_core::contact::Outcome;
use voxea_core::feed::{self, EventKind, Feed, NewEvent, Selection};
use voxea_core::request::{Patch, Status};
use voxea_core::store::{Store, Tx};

use crate::place::{NOW, Place, agent, alone, patiently, sms_account};

const WRITERS: usize = 64;
const READERS: usize = 4;
const ROUNDS: usize = 4;
/// Events of one transaction.
const EVENTS: usize = 3;

/// How a transaction gets its positions.
#[derive(Clone, Copy, PartialEq)]
enum Giver {
    /// As the core does: last, under the counter's lock.
    Counter,
    /// As everybody does at first: early, from a sequence that no transaction holds.
    Sequence,
}

pub(crate) async fn readers_see_every_commit_in_order(place: &Place) {
    let store = wide(place).await;
    let (committed, seen) = run(&store, Giver::Counter).await;
    assert_eq!(committed.len(), WRITERS * ROUNDS * EVENTS);
    for pages in seen {
        assert!(pages.windows(2).all(|pair| pair[0] < pair[1]), "sorted, and each once");
        assert_eq!(
            pages.into_iter().collect::<BTreeSet<_>>(),
            committed,
            "the pages together are what was committed"
        );
    }
    store.close().await;
}

pub(crate) async fn a_mutant_that_takes_positions_early_is_caught(place: &Place) {
    if !place.is_postgres() {
        // SQLite has one writer, so that even a mutant takes its position and commits before the next one begins.
        return;
    }
    place.change("CREATE SEQUENCE mutant").await;
    // What the sequence gives lies within the feed all the same.
    place.change("UPDATE counter SET value = 1000000000 WHERE name = 'feed'").await;
    let store = wide(place).await;
    for _ in 0..20 {
        let (committed, seen) = run(&store, Giver::Sequence).await;
        if seen
            .into_iter()
            .any(|pages| pages.into_iter().collect::<BTreeSet<_>>() != committed)
        {
            store.close().await;
            return;
        }
    }
    panic!("readers lost nothing in twenty rounds although positions were taken early: the story above proves nothing");
}

/// A store in which all writers can be inside a transaction at once.
async fn wide(place: &Place) -> Store {
    if !place.is_postgres() {
        return place.store.clone();
    }
    let options = PgConnectOptions::from_str(&place.url).unwrap();
    let connections = u32::try_from(WRITERS + READERS).unwrap();
    Store::Postgres(
        PgPoolOptions::new()
            .max_connections(connections)
            .connect_with(options)
            .await
            .unwrap(),
    )
}

/// What was committed since the start of this run, and what each reader saw of it, in the order in which it saw it.
async fn run(store: &Store, giver: Giver) -> (BTreeSet<i64>, Vec<Vec<i64>>) {
    let feed = Feed::new(store.clone());
    let start =
        on!(Store, store, db => sqlx::query_scalar::<_, i64>("SELECT COALESCE(MAX(position), 0) FROM event").fetch_one(db).await).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| tokio::spawn(read(feed.clone(), start, 7 + reader, over.clone())))
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let (store, feed) = (store.clone(), feed.clone());
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for round in 0..ROUNDS {
                mine.extend(write(&store, giver, writer, round).await);
                feed.committed();
            }
            mine
        })
    });
    let committed = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    over.store(true, Ordering::SeqCst);
    let seen = join_all(readers).await.into_iter().map(Result::unwrap).collect();
    (committed, seen)
}

/// One transaction that dawdles between its last insert and its commit.
async fn write(store: &Store, giver: Giver, writer: usize, round: usize) -> Vec<i64> {
    let subject = id::new();
    let events: Vec<NewEvent> = (0..EVENTS)
        .map(|_| NewEvent::of_request(EventKind::RequestUpdated, &subject))
        .collect();
    let mut tx = patiently(|| store.begin()).await.unwrap();
    let first = match giver {
        Giver::Counter => feed::next_positions(&mut tx, EVENTS).await.unwrap(),
        Giver::Sequence => {
            let sql = "SELECT nextval('mutant') * 3 + 1000000";
            let Tx::Postgres(inner) = &mut tx else {
                panic!("only PostgreSQL has sequences")
            };
            sqlx::query_scalar(sql).fetch_one(&mut **inner).await.unwrap()
        }
    };
    feed::append(&mut tx, first, NOW, &events).await.unwrap();
    tokio::time::sleep(pause(writer, round)).await;
    tx.commit().await.unwrap();
    (first..).take(EVENTS).collect()
}

/// Between nothing and 5 ms, different for every transaction and the same in every run.
fn pause(writer: usize, round: usize) -> Duration {
    let mixed = (writer * 31 + round * 17) % 11;
    Duration::from_micros(u64::try_from(mixed * 500).unwrap())
}

async fn read(feed: Feed, start: i64, limit: usize, over: Arc<AtomicBool>) -> Vec<i64> {
    let (mut seen, mut cursor) = (Vec::new(), start);
    loop {
        // Asked before the page is read: a page that is empty after the last commit is the end.
        let last = over.load(Ordering::SeqCst);
        let page = feed.select(&Selection::everything(), cursor, limit).await.unwrap();
        assert!(page.next >= cursor);
        cursor = page.next;
        if page.items.is_empty() && last {
            return seen;
        }
        seen.extend(page.items.into_iter().map(|event| event.position));
        tokio::task::yield_now().await;
    }
}

/// Contacts, agents and pages of requests at the same time: the list of requests skips none either.
pub(crate) async fn the_intake_and_agents_share_one_order(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let other = place.intake_again();
    let writers = (0..40).map(|n| {
        let (intake, desk) = (if n % 2 == 0 { place.intake.clone() } else { other.clone() }, place.desk.clone());
        tokio::spawn(async move {
            let accepted = intake.accept(alone(&format!("texte {n}"), NOW)).await.unwrap();
            assert_eq!(accepted.outcome, Outcome::Fresh);
            let patch = Patch {
                status: Some(Status::Open),
                ..Patch::default()
            };
            desk.patch(&agent(), &accepted.request_id, 1, &patch).await.unwrap();
        })
    });
    let over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read(place.feed.clone(), 0, 3, over.clone()));
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    over.store(true, Ordering::SeqCst);
    let seen = reader.await.unwrap();
    let committed: Vec<i64> = place.events().await.into_iter().map(|event| event.position).collect();
    assert_eq!((seen.len(), seen), (120, committed));
    assert_eq!(place.number("SELECT COUNT(DISTINCT ref) FROM request").await, 40);
}
