//! Places for connections: so many and no more, and when all are taken, who does nothing with theirs gives it up.
//!
//! Without that, whoever opens connections and sends a header a second into each (slowloris) would hold all places against
//! the programs that have something to ask.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::throttle::group;

/// A body, on its way in or out, of which nothing came or went for so long is no work.
const STALLED: Duration = Duration::from_secs(5);
/// Time that a connection has in any case to say what it wants.
const GRACE: Duration = Duration::from_millis(100);
/// Whoever holds more than this part of all places is the first to give some up.
const CROWD: usize = 4;
/// This part of all places is kept free for who comes next, as far as others do nothing with theirs.
const SPARE: usize = 16;

/// All places of one listener.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    table: Mutex<Table>,
    freed: Notify,
}

/// Who holds which place.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    address: IpAddr,
    /// Since when it is as it is.
    since: Instant,
    /// Whether a whole head ever came.
    called: bool,
    /// Calls between their head and the end of their answer.
    calls: usize,
    /// Of these, how many wait for the peer: for the rest of what it sends, or for it to take more of the answer.
    waiting: usize,
    /// Whether it was told to leave.
    leaving: bool,
    leave: CancellationToken,
}

impl Held {
    /// How readily it is given up, least first; `None`: it is at work.
    fn rank(&self, now: Instant) -> Option<u8> {
        match (self.calls, self.called) {
            _ if self.leaving => None,
            (0, _) if now.duration_since(self.since) < GRACE => None,
            (0, false) => Some(0),
            (0, true) => Some(1),
            (calls, _) if self.waiting == calls && now.duration_since(self.since) >= STALLED => Some(2),
            _ => None,
        }
    }
}

impl Table {
    /// Whose place is given to a newcomer: of those who do nothing, the readiest; among them of an address that holds a
    /// quarter of all places, where one does; among those the one that is so for longest.
    fn choose(&self, limit: usize, now: Instant) -> Option<u64> {
        let mut crowd: HashMap<IpAddr, usize> = HashMap::new();
        for held in self.held.values().filter(|held| !held.leaving) {
            *crowd.entry(held.address).or_default() += 1;
        }
        let order = |held: &Held, rank: u8| {
            let crowded = crowd.get(&held.address).is_some_and(|count| count * CROWD > limit);
            (rank, !crowded, held.since)
        };
        let ranked = self.held.iter().filter_map(|(id, held)| Some((order(held, held.rank(now)?), *id)));
        ranked.min().map(|(_, id)| id)
    }
}

impl Table {
    /// Tells one to leave when fewer than a few places are free or becoming so: whoever comes next need not wait for it.
    fn make_room(&mut self, limit: usize, now: Instant) {
        let leaving = self.held.values().filter(|held| held.leaving).count();
        if self.held.len() - leaving + limit / SPARE < limit {
            return;
        }
        if let Some(id) = self.choose(limit, now)
            && let Some(held) = self.held.get_mut(&id)
        {
            held.leaving = true;
            held.leave.cancel();
        }
    }
}

impl Places {
    /// So many places.
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            table: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from this address, once there is one. Where all are taken, one of those that do nothing is
    /// told to leave first.
    pub(super) async fn take(&self, address: IpAddr) -> Place {
        loop {
            let freed = self.0.freed.notified();
            if let Some(place) = self.try_take(address, Instant::now()) {
                return place;
            }
            // Who does nothing becomes one who does by time alone.
            let _ = tokio::time::timeout(GRACE / 4, freed).await;
        }
    }

    fn try_take(&self, address: IpAddr, now: Instant) -> Option<Place> {
        let (limit, mut table) = (self.0.limit, self.table());
        table.make_room(limit, now);
        if table.held.len() >= limit {
            return None;
        }
        let (id, leave) = (table.next, CancellationToken::new());
        table.next += 1;
        let held = Held {
            address: group(address),
            since: now,
            called: false,
            calls: 0,
            waiting: 0,
            leaving: false,
            leave: leave.clone(),
        };
        table.held.insert(id, held);
        drop(table);
        Some(Place {
            places: self.clone(),
            id,
            leave,
        })
    }
}

/// One place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    id: u64,
    leave: CancellationToken,
}

impl Place {
    /// Ends when somebody else needs the place more.
    pub(super) async fn needed(&self) {
        self.leave.cancelled().await;
    }

    /// Whether a whole head ever came.
    pub(super) fn has_called(&self) -> bool {
        self.places.table().held.get(&self.id).is_some_and(|held| held.called)
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.places.table().held.get_mut(&self.id) {
            held.since = Instant::now();
            change(held);
        }
    }

    /// A whole head has come.
    pub(super) fn begins(&self) {
        self.change(|held| {
            held.called = true;
            held.calls += 1;
        });
    }

    /// A call has ended.
    pub(super) fn ends(&self) {
        self.change(|held| held.calls = held.calls.saturating_sub(1));
    }

    /// A call waits for its peer from now on.
    pub(super) fn waits(&self) {
        self.change(|held| held.waiting += 1);
    }

    /// It does so no more.
    pub(super) fn goes_on(&self) {
        self.change(|held| held.waiting = held.waiting.saturating_sub(1));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().held.remove(&self.id);
        self.places.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn taken(places: &Places, addresses: &[IpAddr], begun: Instant) -> Vec<Place> {
        let later = |n: usize| begun + Duration::from_millis(n as u64);
        addresses
            .iter()
            .enumerate()
            .map(|(n, address)| places.try_take(*address, later(n)).unwrap())
            .collect()
    }

    fn leaving(held: &[Place]) -> Vec<bool> {
        held.iter().map(|place| place.leave.is_cancelled()).collect()
    }

    #[test]
    fn the_silent_of_the_crowded_address_goes_first_and_the_next_only_for_the_next() {
        let (places, now) = (Places::new(5), Instant::now());
        let held = taken(&places, &[B, A, A, A, A], now);
        held[1].begins();
        held[1].ends();
        assert!(places.try_take(B, now).is_none());
        assert_eq!(leaving(&held), [false; 5], "they have had no time to say anything");
        let later = Instant::now() + GRACE * 2;
        assert!(places.try_take(B, later).is_none());
        assert_eq!(
            leaving(&held),
            [false, false, true, false, false],
            "the oldest of A that never called"
        );
        let mut held = held;
        drop(held.remove(2));
        assert_eq!(leaving(&held), [false; 4]);
        let newcomer = places.try_take(C, later).unwrap();
        assert_eq!(leaving(&held), [false; 4], "there was room");
        assert!(places.try_take(C, later).is_none());
        assert_eq!(leaving(&held), [false, false, true, false]);
        drop(newcomer);
    }

    #[test]
    fn who_is_at_work_stays_and_who_only_waits_for_its_peer_does_not() {
        let (places, now) = (Places::new(2), Instant::now());
        let held = taken(&places, &[A, A], now);
        held.iter().for_each(Place::begins);
        assert!(places.try_take(B, Instant::now() + STALLED).is_none());
        assert_eq!(leaving(&held), [false, false]);
        held[0].waits();
        held[1].waits();
        held[1].goes_on();
        assert!(places.try_take(B, Instant::now()).is_none());
        assert_eq!(leaving(&held), [false, false], "it has had no time yet");
        assert!(places.try_take(B, Instant::now() + STALLED).is_none());
        assert_eq!(leaving(&held), [true, false]);
    }

    #[test]
    fn a_few_places_are_made_free_before_they_are_needed() {
        let (places, now) = (Places::new(32), Instant::now());
        let held = taken(&places, &[A; 30], now);
        assert_eq!(leaving(&held), [false; 30]);
        let _newcomer = places.try_take(B, Instant::now() + GRACE * 2).unwrap();
        let gone = leaving(&held);
        assert!(gone[0] && gone[1..].iter().all(|gone| !gone), "{gone:?}");
    }

    #[tokio::test]
    async fn a_place_that_is_given_up_is_the_next_ones() {
        let places = Places::new(1);
        let first = places.take(A).await;
        let second = {
            let places = places.clone();
            tokio::spawn(async move { places.take(B).await })
        };
        first.needed().await;
        drop(first);
        let _held = second.await.unwrap();
        assert_eq!(places.table().held.len(), 1);
    }
}
