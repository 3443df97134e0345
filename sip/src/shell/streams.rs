//! Connections that others have opened: so many, so many of one address, and who goes when one more wants in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// What a listener keeps at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Connections.
    pub(super) all: usize,
    /// Of them, those of one address: a broken or hostile machine must not take the places of the others.
    pub(super) of_one: usize,
}

/// The connections of a listener. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    room: Room,
    started: Instant,
    places: Arc<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    last: u64,
    taken: HashMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    address: IpAddr,
    /// When its last whole message came; 0 before the first.
    heard: Arc<AtomicU64>,
    leave: CancellationToken,
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Stay {
    streams: Streams,
    id: u64,
    heard: Arc<AtomicU64>,
    /// Another one needs the place.
    pub(super) leave: CancellationToken,
}

/// Whether somebody had to go for a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// There was room.
    Free,
    /// Who had been silent longest is asked to leave.
    Another,
}

impl Streams {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            started: Instant::now(),
            places: Arc::default(),
        }
    }

    /// Takes a place for a connection of this address. When its address has as many as one may, the longest silent of
    /// these goes for it, and else, when all places are taken, the longest silent of all. Those that have never said
    /// anything go before those that have.
    pub(super) fn take(&self, address: IpAddr) -> (Stay, Made) {
        let address = address.to_canonical();
        let mut places = self.lock();
        let own = places.taken.values().filter(|place| place.address == address).count();
        let crowded = own >= self.room.of_one;
        let mut made = Made::Free;
        if crowded || places.taken.len() >= self.room.all {
            let may_go = places.taken.iter().filter(|(_, place)| !crowded || place.address == address);
            // Numbers rise as connections come.
            let longest = may_go.min_by_key(|(id, place)| (place.heard.load(Ordering::Relaxed), **id));
            if let Some(id) = longest.map(|(id, _)| *id)
                && let Some(place) = places.taken.remove(&id)
            {
                place.leave.cancel();
                made = Made::Another;
            }
        }
        places.last += 1;
        let id = places.last;
        let (heard, leave) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let place = Place {
            address,
            heard: Arc::clone(&heard),
            leave: leave.clone(),
        };
        places.taken.insert(id, place);
        drop(places);
        let stay = Stay {
            streams: self.clone(),
            id,
            heard,
            leave,
        };
        (stay, made)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start, and never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Stay {
    /// A whole message came.
    pub(super) fn heard(&self) {
        self.heard.store(self.streams.now(), Ordering::Relaxed);
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.streams.lock().taken.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(all: usize, of_one: usize) -> Streams {
        Streams::new(Room { all, of_one })
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Who is still there, in the order of their coming.
    fn there(stays: &[&Stay]) -> Vec<bool> {
        stays.iter().map(|stay| !stay.leave.is_cancelled()).collect()
    }

    #[test]
    fn a_place_is_given_back_when_its_connection_ends() {
        let streams = streams(1, 1);
        let (first, made) = streams.take(from(1));
        assert_eq!(made, Made::Free);
        drop(first);
        let (_second, made) = streams.take(from(2));
        assert_eq!(made, Made::Free);
    }

    #[test]
    fn who_has_said_nothing_goes_first_and_then_who_said_something_longest_ago() {
        let streams = streams(3, 3);
        let (old, _) = streams.take(from(1));
        let (silent, _) = streams.take(from(2));
        let (young, _) = streams.take(from(3));
        old.heard.store(10, Ordering::Relaxed);
        young.heard.store(20, Ordering::Relaxed);
        let (fourth, made) = streams.take(from(4));
        assert_eq!(made, Made::Another);
        fourth.heard.store(31, Ordering::Relaxed);
        assert_eq!(there(&[&old, &silent, &young, &fourth]), [true, false, true, true]);
        let (fifth, _) = streams.take(from(5));
        assert_eq!(there(&[&old, &young, &fourth, &fifth]), [false, true, true, true]);
        // Who was asked to leave has no place to give back.
        drop((old, silent));
        assert_eq!(streams.lock().taken.len(), 3);
    }

    #[test]
    fn an_address_that_has_all_that_one_may_makes_room_by_itself() {
        let streams = streams(10, 2);
        let (elsewhere, _) = streams.take(from(9));
        let (first, _) = streams.take(from(1));
        // The same address, as a socket of both families tells it.
        let mapped = "::ffff:192.0.2.1".parse::<IpAddr>().unwrap();
        let (second, made) = streams.take(mapped);
        assert_eq!(made, Made::Free);
        let (third, made) = streams.take(mapped);
        assert_eq!(made, Made::Another);
        assert_eq!(there(&[&elsewhere, &first, &second, &third]), [true, false, true, true]);
    }

    #[test]
    fn a_message_that_comes_is_later_than_the_beginning() {
        let streams = streams(1, 1);
        let (stay, _) = streams.take(from(1));
        stay.heard();
        assert!(stay.heard.load(Ordering::Relaxed) > 0);
    }
}
