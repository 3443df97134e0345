//! Named consumers: what is out is out once, what is not acknowledged comes again, nothing is skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use voxea_core::base::actor::{Actor, Client, Contract};
use voxea_core::base::error::CoreError;
use voxea_core::base::grant::Scopes;
use voxea_core::base::id;
use voxea_core::base::time::Millis;
use voxea_core::consumer::{Acknowledged, Batch, Consumers};
use voxea_core::feed::{self, Begin, Event, EventKind, Filter, NewEvent};
use voxea_core::store::Reach;

use crate::place::{NOW, Place, agent, patiently};

const LEASE: Millis = 60_000;

fn doors(place: &Place) -> Consumers {
    Consumers::new(place.store.clone(), place.feed.clone())
}

fn program(id: &str) -> Actor {
    let contract = Contract::everything(Scopes::from_names(["read"]).unwrap());
    Actor::Client(Arc::new(Client::of_key(id, id, contract)))
}

/// One transaction with so many events; their positions.
pub(crate) async fn write(place: &Place, kind: EventKind, count: usize) -> Vec<i64> {
    let subject = id::new();
    let events: Vec<NewEvent> = (0..count).map(|_| NewEvent::of_request(kind, &subject)).collect();
    let mut tx = patiently(|| place.store.begin()).await.unwrap();
    let first = feed::next_positions(&mut tx, count).await.unwrap();
    feed::append(&mut tx, first, NOW, &events).await.unwrap();
    tx.commit().await.unwrap();
    (first..).take(count).collect()
}

fn positions(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.position).collect()
}

async fn batch(consumers: &Consumers, actor: &Actor, limit: usize, now: Millis) -> Batch {
    let reach = Reach::everything();
    let asked = || consumers.batch(actor, &reach, "gru", limit, LEASE, now);
    patiently(asked).await.unwrap()
}

/// A batch that must be there.
async fn out(consumers: &Consumers, actor: &Actor, limit: usize, now: Millis) -> (Vec<i64>, String) {
    match batch(consumers, actor, limit, now).await {
        Batch::Out { events, lease, .. } => (positions(&events), lease),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn what_is_not_acknowledged_comes_again(place: &Place) {
    let (consumers, actor) = (doors(place), program("a"));
    let made = consumers.put(&actor, "gru", &Filter::default(), Begin::Now, None).await.unwrap();
    assert!(made.is_new && made.consumer.owner == "key:a");
    let again = consumers
        .put(&actor, "gru", &Filter::default(), Begin::Beginning, None)
        .await
        .unwrap();
    assert!(!again.is_new && again.consumer == made.consumer, "the same content changes nothing");
    let began = made.consumer.position;
    assert!(matches!(batch(&consumers, &actor, 10, NOW).await, Batch::Empty { next, .. } if next == began));
    let all = write(place, EventKind::RequestUpdated, 7).await;
    let (first, lease) = out(&consumers, &actor, 3, NOW).await;
    assert_eq!(first, all[..3]);
    assert_eq!(
        batch(&consumers, &actor, 3, NOW + LEASE - 1).await,
        Batch::Busy { until: NOW + LEASE }
    );
    // A lease that is over counts as long as nobody was given the events again.
    let said = consumers.acknowledge(&actor, "gru", &lease, NOW + LEASE + 1).await.unwrap();
    assert_eq!(said, Acknowledged::At(all[2]));
    assert_eq!(
        consumers.acknowledge(&actor, "gru", &lease, NOW).await.unwrap(),
        Acknowledged::At(all[2]),
        "said twice"
    );
    let (second, late) = out(&consumers, &actor, 3, NOW).await;
    assert_eq!(second, all[3..6]);
    let (again, held) = out(&consumers, &actor, 3, NOW + LEASE).await;
    assert_eq!(again, second, "the same events come again");
    assert_eq!(
        consumers.acknowledge(&actor, "gru", &late, NOW + LEASE).await.unwrap(),
        Acknowledged::Lost
    );
    assert_eq!(
        consumers.acknowledge(&actor, "gru", "no lease", NOW).await.unwrap(),
        Acknowledged::Lost
    );
    assert_eq!(
        consumers.get(&actor, "gru").await.unwrap().position,
        all[2],
        "a lost lease moves nothing"
    );
    let lag = consumers
        .lag(&consumers.get(&actor, "gru").await.unwrap(), NOW + 5000)
        .await
        .unwrap();
    assert_eq!((lag.events, lag.age), (4, 5000));
    consumers.acknowledge(&actor, "gru", &held, NOW + LEASE).await.unwrap();
    let (last, held) = out(&consumers, &actor, 3, NOW).await;
    assert_eq!(last, all[6..]);
    consumers.acknowledge(&actor, "gru", &held, NOW).await.unwrap();
    let shown = consumers.get(&actor, "gru").await.unwrap();
    assert_eq!(consumers.lag(&shown, NOW + 5000).await.unwrap().events, 0);
}

pub(crate) async fn a_change_takes_the_batch_back(place: &Place) {
    let (consumers, actor) = (doors(place), program("a"));
    let only = |name: &str| Filter {
        types: vec![name.to_owned()],
        themes: Vec::new(),
    };
    let start = consumers
        .put(&actor, "gru", &only("fr.voxea.request.updated"), Begin::Now, None)
        .await
        .unwrap();
    let created = write(place, EventKind::RequestCreated, 2).await;
    let updated = write(place, EventKind::RequestUpdated, 2).await;
    let (got, lease) = out(&consumers, &actor, 10, NOW).await;
    assert_eq!(got, updated);
    // Under the new filter the first two are wanted as well: acknowledging the old batch would skip them.
    consumers
        .put(&actor, "gru", &only("fr.voxea.request.*"), Begin::Now, None)
        .await
        .unwrap();
    assert_eq!(consumers.acknowledge(&actor, "gru", &lease, NOW).await.unwrap(), Acknowledged::Lost);
    let (got, lease) = out(&consumers, &actor, 10, NOW).await;
    assert_eq!(got, [created.clone(), updated.clone()].concat());
    consumers.acknowledge(&actor, "gru", &lease, NOW).await.unwrap();
    // What is left out is passed once.
    consumers
        .put(&actor, "gru", &only("fr.voxea.channel.up"), Begin::Now, None)
        .await
        .unwrap();
    let others = write(place, EventKind::RequestUpdated, 3).await;
    assert!(matches!(batch(&consumers, &actor, 10, NOW).await, Batch::Empty { next, has_more: false } if next == others[2]));
    let back = consumers
        .rewind(&actor, "gru", Begin::Position(start.consumer.position))
        .await
        .unwrap();
    assert_eq!(back.position, start.consumer.position);
    consumers.put(&actor, "gru", &Filter::default(), Begin::Now, None).await.unwrap();
    let (got, lease) = out(&consumers, &actor, 10, NOW).await;
    assert_eq!(got.len(), 7);
    let there = consumers.rewind(&actor, "gru", Begin::Now).await.unwrap();
    assert_eq!(consumers.acknowledge(&actor, "gru", &lease, NOW).await.unwrap(), Acknowledged::Lost);
    assert!(consumers.get(&actor, "gru").await.unwrap().position == there.position && there.position >= others[2]);
    let ahead = consumers.rewind(&actor, "gru", Begin::Position(there.position + 1)).await;
    assert!(matches!(ahead, Err(CoreError::FeedAhead { .. })), "{ahead:?}");
}

pub(crate) async fn it_is_its_owner_s_and_may_be_handed_over(place: &Place) {
    let (consumers, owner, other) = (doors(place), program("a"), program("b"));
    consumers
        .put(&owner, "gru", &Filter::default(), Begin::Beginning, None)
        .await
        .unwrap();
    let taken = consumers.put(&other, "gru", &Filter::default(), Begin::Now, None).await;
    assert!(matches!(taken, Err(CoreError::Conflict(_))), "{taken:?}");
    let missing = |refused: Result<(), CoreError>| matches!(refused, Err(CoreError::NotFound { what: "consumer" }));
    assert!(missing(consumers.get(&other, "gru").await.map(drop)));
    assert!(missing(
        consumers.batch(&other, &Reach::everything(), "gru", 1, LEASE, NOW).await.map(drop)
    ));
    assert!(missing(consumers.acknowledge(&other, "gru", "x", NOW).await.map(drop)));
    assert!(missing(consumers.rewind(&other, "gru", Begin::Now).await.map(drop)));
    assert!(missing(consumers.remove(&other, "gru").await));
    assert!(consumers.list(&other).await.unwrap().is_empty());
    let steal = consumers.put(&other, "mine", &Filter::default(), Begin::Now, Some("key:a")).await;
    assert!(matches!(steal, Err(CoreError::Invalid { pointer, .. }) if pointer == "/owner"));
    assert_eq!(
        consumers.list(&agent()).await.unwrap().len(),
        1,
        "who may change everything sees all"
    );
    consumers
        .put(&agent(), "gru", &Filter::default(), Begin::Now, Some("key:b"))
        .await
        .unwrap();
    assert!(missing(consumers.get(&owner, "gru").await.map(drop)));
    consumers.remove(&other, "gru").await.unwrap();
    assert!(missing(consumers.get(&agent(), "gru").await.map(drop)));
    let entered = place.number("SELECT COUNT(*) FROM audit WHERE object = 'consumer/gru'").await;
    assert_eq!(entered, 3, "made, handed over, removed");
}

/// Eight workers, of whom every third dies with what it holds, against four writers: what is acknowledged is what was
/// committed, in order, each once.
pub(crate) async fn of_many_workers_one_has_the_batch(place: &Place) {
    const WRITERS: usize = 4;
    const WORKERS: usize = 8;
    const ROUNDS: usize = 12;
    let (consumers, actor) = (doors(place), program("a"));
    consumers.put(&actor, "gru", &Filter::default(), Begin::Now, None).await.unwrap();
    let clock = Arc::new(AtomicI64::new(NOW));
    let over = AtomicBool::new(false);
    let writers = async {
        let written = join_all((0..WRITERS).map(|_| async {
            let mut mine = Vec::new();
            for _ in 0..ROUNDS {
                mine.extend(write(place, EventKind::RequestUpdated, 3).await);
            }
            mine
        }))
        .await;
        over.store(true, Ordering::SeqCst);
        written.concat()
    };
    let work = |number: usize| {
        let (consumers, actor, clock, over) = (&consumers, &actor, Arc::clone(&clock), &over);
        async move {
            let (mut mine, mut turn) = (Vec::new(), number);
            loop {
                let last = over.load(Ordering::SeqCst);
                match batch(consumers, actor, 5, clock.load(Ordering::SeqCst)).await {
                    Batch::Out { events, lease, .. } => {
                        turn += 1;
                        if turn.is_multiple_of(3) {
                            // It dies: its lease runs out, and everybody's clock with it.
                            clock.fetch_add(LEASE, Ordering::SeqCst);
                            continue;
                        }
                        tokio::time::sleep(Duration::from_micros(200)).await;
                        let say = || consumers.acknowledge(actor, "gru", &lease, NOW);
                        if let Acknowledged::At(_) = patiently(say).await.unwrap() {
                            mine.push(positions(&events));
                        }
                    }
                    Batch::Busy { .. } => tokio::time::sleep(Duration::from_micros(300)).await,
                    Batch::Empty { .. } if last => return mine,
                    Batch::Empty { .. } => tokio::time::sleep(Duration::from_micros(300)).await,
                }
            }
        }
    };
    let (mut written, taken) = tokio::join!(writers, join_all((0..WORKERS).map(work)));
    let mut batches: Vec<Vec<i64>> = taken.concat();
    batches.sort();
    written.sort_unstable();
    assert_eq!(
        batches.concat(),
        written,
        "each event was acknowledged once, in batches that do not overlap"
    );
}
