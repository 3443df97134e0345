//! The machine against a mailbox that is a map, on virtual time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

mod failing;

fn settings() -> Settings {
    Settings {
        first: First::All,
        marks: true,
        batch: 4,
        batch_bytes: 1_000,
        oversize: 500,
        idle: true,
        poll: Duration::from_secs(60),
        safety: SAFETY_POLL,
        again: Duration::from_secs(30),
    }
}

/// A server and a store. `mails` are (size, INTERNALDATE) by UID; hidden ones are not shown yet.
struct World {
    now: Instant,
    validity: u32,
    next: u32,
    mails: BTreeMap<u32, (u32, i64)>,
    hidden: BTreeSet<u32>,
    /// Whole mails that it refuses, and headers.
    refuses: BTreeSet<u32>,
    refuses_headers: BTreeSet<u32>,
    /// It hangs up at these, whole or headers.
    hangs_up: BTreeSet<u32>,
    saved: Option<Place>,
    gaps: Vec<(u32, Instant)>,
    failures: BTreeMap<u32, (Unfetched, Instant)>,
    attempts: BTreeMap<u32, i64>,
    accepted: Vec<Taken>,
    marked: BTreeSet<u32>,
    searches: usize,
    selects: usize,
    /// The cursor may pass lower UIDs unsettled: the settings say so.
    wanted_from: u32,
    /// When the folder is saved, by the wall.
    saved_at: i64,
    /// What will be asked for next, said at the last acceptance.
    ahead: Option<Ahead>,
    /// How many were asked for, and how often that had been said before.
    fetches: usize,
    foreseen: usize,
}

impl World {
    fn new(uids: std::ops::RangeInclusive<u32>) -> Self {
        let next = uids.end() + 1;
        let mails = uids.map(|uid| (uid, (100, i64::from(uid)))).collect();
        Self {
            now: Instant::now(),
            validity: 1,
            next,
            mails,
            hidden: BTreeSet::new(),
            refuses: BTreeSet::new(),
            refuses_headers: BTreeSet::new(),
            hangs_up: BTreeSet::new(),
            saved: None,
            gaps: Vec::new(),
            failures: BTreeMap::new(),
            attempts: BTreeMap::new(),
            accepted: Vec::new(),
            marked: BTreeSet::new(),
            searches: 0,
            selects: 0,
            wanted_from: 1,
            saved_at: 1_000_000_000,
            ahead: None,
            fetches: 0,
            foreseen: 0,
        }
    }

    fn visible(&self) -> impl Iterator<Item = u32> + '_ {
        self.mails.keys().copied().filter(|uid| !self.hidden.contains(uid))
    }

    /// What the store knows.
    fn place(&self) -> Option<Place> {
        let mut place = self.saved.clone()?;
        place.gaps = self.gaps.iter().map(|(uid, since)| (*uid, self.now - *since)).collect();
        let unfetched = |(one, at): &(Unfetched, Instant)| Unfetched {
            ago: self.now - *at,
            ..*one
        };
        place.unfetched = self.failures.values().map(unfetched).collect();
        Some(place)
    }

    fn note(&mut self, listed: Listed) -> u32 {
        let new = Unfetched {
            validity: self.validity,
            listed,
            failures: 0,
            ago: Duration::ZERO,
        };
        let (one, at) = self.failures.entry(listed.uid).or_insert((new, self.now));
        (one.failures, *at) = (one.failures + 1, self.now);
        one.failures
    }

    /// Plays until the machine rests, or until the process "dies" at a mail, or the server hangs up.
    fn play(&mut self, planner: &mut Planner, mut observed: Observed, dies_at: Option<u32>) -> Option<Do> {
        for _ in 0..10_000 {
            let next = planner.step(observed, self.now);
            observed = match next {
                Do::Select => {
                    self.selects += 1;
                    Observed::Selected {
                        validity: self.validity,
                        next: self.next,
                    }
                }
                Do::Search { from, also } => {
                    self.searches += 1;
                    let mut found: Vec<u32> = self.visible().filter(|uid| *uid >= from || also.contains(uid)).collect();
                    found.extend(self.visible().last());
                    Observed::Found(found)
                }
                Do::Sizes(uids) => Observed::Sized(
                    uids.iter()
                        .filter_map(|uid| {
                            self.mails.get(uid).map(|(size, at)| Listed {
                                uid: *uid,
                                size: *size,
                                internal_ms: *at,
                            })
                        })
                        .collect(),
                ),
                Do::Fetch { whole, headers } => {
                    let bytes = whole.iter().map(|uid| self.mails[uid].0).sum::<u32>();
                    assert!(bytes <= 1_000);
                    assert_eq!(planner.bytes(), u64::from(bytes));
                    self.fetches += 1;
                    let foreseen = |ahead: Ahead| (ahead.whole, ahead.headers) == (whole.clone(), headers.clone());
                    self.foreseen += usize::from(self.ahead.take().is_some_and(foreseen));
                    let asked = [whole.clone(), headers.clone()].concat();
                    if let Some(at) = asked.iter().position(|uid| self.hangs_up.contains(uid)) {
                        let blamed = planner.to_blame(&asked[..at]).unwrap();
                        assert_eq!(blamed.uid, asked[at]);
                        self.note(blamed);
                        return None;
                    }
                    let refused = whole.iter().any(|uid| self.refuses.contains(uid));
                    if refused || headers.iter().any(|uid| self.refuses_headers.contains(uid)) {
                        Observed::Refused
                    } else {
                        Observed::Fetched(asked)
                    }
                }
                Do::Note(listed) => Observed::Noted(self.note(listed)),
                Do::Attempt(uids) => Observed::Attempted(
                    uids.iter()
                        .map(|uid| {
                            let count = self.attempts.entry(*uid).or_default();
                            *count += 1;
                            *count
                        })
                        .collect(),
                ),
                Do::Accept(taken) => {
                    if taken.iter().any(|one| Some(one.uid) == dies_at && !one.quarantined) {
                        return None;
                    }
                    self.accepted.extend(taken);
                    self.ahead = planner.ahead();
                    Observed::Accepted
                }
                Do::Mark(uids) => {
                    self.marked.extend(uids);
                    Observed::Marked
                }
                Do::Save(save) => {
                    assert!(
                        self.visible().filter(|uid| *uid <= save.cursor).all(|uid| self.passed(uid)),
                        "the cursor passed an unsettled mail"
                    );
                    if let Some(gaps) = save.gaps {
                        self.gaps = gaps.iter().map(|(uid, ago)| (*uid, self.now - *ago)).collect();
                    }
                    for uid in &save.fetched {
                        self.failures.remove(uid);
                    }
                    self.saved = Some(Place {
                        validity: save.validity,
                        cursor: save.cursor,
                        imported: save.imported,
                        import_below: save.import_below,
                        began_at: 1_000_000_000,
                        saved_at: self.saved_at,
                        gaps: Vec::new(),
                        unfetched: Vec::new(),
                    });
                    Observed::Saved
                }
                rest @ (Do::Idle(_) | Do::Wait(_)) => return Some(rest),
            };
        }
        panic!("the machine does not rest");
    }

    /// Connects again and again, as time goes by, until the machine rests with nothing left to be tried.
    fn persist(&mut self, settings: &Settings) {
        for _ in 0..20 {
            let mut planner = Planner::new(settings.clone(), self.place());
            let mut observed = Observed::Connected;
            while self.play(&mut planner, observed, None).is_some() {
                if self.failures.is_empty() {
                    return;
                }
                self.now += Duration::from_secs(60);
                observed = Observed::Woken;
            }
        }
        panic!("it never comes to an end");
    }

    fn passed(&self, uid: u32) -> bool {
        uid < self.wanted_from
            || self.accepted.iter().any(|one| one.uid == uid)
            || self.saved.as_ref().is_some_and(|place| place.cursor >= uid)
            || self.failures.contains_key(&uid)
    }

    fn uids(&self) -> Vec<u32> {
        self.accepted.iter().map(|one| one.uid).collect()
    }

    fn connect(&mut self, settings: Settings) -> (Planner, Option<Do>) {
        let mut planner = Planner::new(settings, self.place());
        let rest = self.play(&mut planner, Observed::Connected, None);
        (planner, rest)
    }
}

#[test]
fn all_are_taken_in_once_and_the_first_are_not_acknowledged() {
    let mut world = World::new(1..=10);
    let (mut planner, rest) = world.connect(settings());
    assert_eq!(world.uids(), (1..=10).collect::<Vec<_>>());
    assert!(world.accepted.iter().all(|one| one.import) && world.marked.len() == 10);
    assert_eq!(rest, Some(Do::Idle(world.now + FIRST_IDLE)));

    world.mails.insert(11, (100, 11));
    world.play(&mut planner, Observed::Woken, None);
    assert_eq!(world.accepted.last().map(|one| (one.uid, one.import)), Some((11, false)));

    // A new connection begins where the old one ended.
    world.connect(settings());
    assert_eq!(world.accepted.len(), 11);
    assert_eq!(world.saved.map(|place| (place.cursor, place.imported)), Some((11, true)));
}

#[test]
fn new_takes_what_comes_and_nothing_that_was_there() {
    for next in [11, 0] {
        let mut world = World::new(1..=10);
        world.next = next;
        world.wanted_from = 11;
        let new = Settings {
            first: First::New,
            ..settings()
        };
        world.connect(new.clone());
        assert_eq!(world.uids(), [0_u32; 0]);
        // What comes while we are away is not missed.
        world.mails.insert(11, (100, 11));
        world.next = 12;
        world.connect(new);
        assert_eq!(
            world.accepted.iter().map(|one| (one.uid, one.import)).collect::<Vec<_>>(),
            [(11, false)]
        );
    }
}

#[test]
fn since_passes_over_what_is_older() {
    let mut world = World::new(1..=10);
    world.wanted_from = 8;
    world.connect(Settings {
        first: First::Since(8),
        ..settings()
    });
    assert_eq!(world.uids(), [8, 9, 10]);
}

#[test]
fn whoever_wants_an_alarm_soon_has_it_looked_at_sooner() {
    let often = Duration::from_secs(30);
    let mut world = World::new(1..=1);
    let (mut planner, _) = world.connect(Settings {
        safety: often,
        ..settings()
    });
    world.now += FIRST_IDLE;
    let rest = world.play(&mut planner, Observed::Woken, None);
    assert_eq!(rest, Some(Do::Idle(world.now - FIRST_IDLE + often)));
}

#[test]
fn a_short_idle_then_a_long_one_bounded_by_the_poll() {
    let mut world = World::new(1..=1);
    let (mut planner, _) = world.connect(settings());
    world.now += FIRST_IDLE;
    let rest = world.play(&mut planner, Observed::Woken, None);
    assert_eq!(rest, Some(Do::Idle(world.now - FIRST_IDLE + SAFETY_POLL)));
    assert_eq!((world.selects, world.searches), (1, 2));
    world.now += SAFETY_POLL;
    world.play(&mut planner, Observed::Woken, None);
    assert_eq!(world.selects, 2, "the poll selects anew");

    let (_, rest) = world.connect(Settings { idle: false, ..settings() });
    assert_eq!(rest, Some(Do::Wait(world.now + Duration::from_secs(60))));
}

#[test]
fn a_mail_shown_late_is_found() {
    let mut world = World::new(1..=10);
    world.hidden.insert(7);
    let (mut planner, _) = world.connect(settings());
    assert!(!world.uids().contains(&7));
    world.hidden.clear();
    world.play(&mut planner, Observed::Woken, None);
    assert_eq!(world.uids().last(), Some(&7));
    let before = world.accepted.len();
    world.play(&mut planner, Observed::Woken, None);
    assert_eq!(world.accepted.len(), before);
}

#[test]
fn another_uidvalidity_reads_again_what_came_since_the_first_connection() {
    let mut world = World::new(1..=3);
    world.connect(settings());
    world.accepted.clear();
    world.validity = 2;
    // 1 and 2 were there long before the first connection; 3 and 4 came since, by clocks that differ a little.
    let recent = 1_000_000_000;
    world.mails = [(1, 5), (2, 6), (3, recent - 61_000), (4, recent + 1_000)]
        .into_iter()
        .map(|(uid, at)| (uid, (100, at)))
        .collect();
    world.next = 5;
    world.wanted_from = 3;
    let saved = world.saved.clone();
    let mut planner = Planner::new(
        Settings {
            first: First::New,
            ..settings()
        },
        world.place(),
    );
    assert_eq!(world.play(&mut planner, Observed::Connected, Some(4)), None);
    assert_eq!(world.saved, saved, "a crash in the middle begins the rescan anew");
    world.accepted.clear();
    world.connect(Settings {
        first: First::New,
        ..settings()
    });
    assert_eq!(
        world.accepted.iter().map(|one| (one.uid, one.import)).collect::<Vec<_>>(),
        [(3, true), (4, false)],
        "what is not known by its content and came since is acknowledged"
    );
    assert_eq!(
        world.saved.map(|place| (place.validity, place.cursor, place.imported)),
        Some((2, 4, true))
    );
}

#[test]
fn another_uidvalidity_of_a_mailbox_that_was_taken_in_whole_reads_all() {
    let mut world = World::new(1..=3);
    world.connect(settings());
    world.accepted.clear();
    world.validity = 2;
    // However old: a mail that somebody moved in keeps its date, and what is known is known by its content.
    world.mails = [(1, 5), (2, 6), (3, 7)].into_iter().map(|(uid, at)| (uid, (100, at))).collect();
    world.next = 4;
    world.connect(settings());
    assert_eq!(world.accepted.len(), 3);
}

#[test]
fn the_mail_that_kills_is_quarantined_and_no_other() {
    let mut world = World::new(1..=10);
    let mut deaths = 0;
    loop {
        let mut planner = Planner::new(settings(), world.place());
        if world.play(&mut planner, Observed::Connected, Some(3)).is_some() {
            break;
        }
        deaths += 1;
        assert!(deaths < 10);
    }
    assert_eq!(deaths, 4);
    assert_eq!(
        world
            .accepted
            .iter()
            .filter(|one| one.quarantined)
            .map(|one| one.uid)
            .collect::<Vec<_>>(),
        [3]
    );
    assert_eq!(world.uids().into_iter().collect::<BTreeSet<_>>().len(), 10);
}

#[test]
fn large_mails_give_headers_and_batches_are_bounded() {
    let mut world = World::new(1..=8);
    world.mails.insert(2, (501, 2));
    world.mails.insert(3, (500, 3));
    world.mails.insert(4, (500, 4));
    world.connect(settings());
    assert_eq!(
        world
            .accepted
            .iter()
            .filter(|one| one.oversize)
            .map(|one| one.uid)
            .collect::<Vec<_>>(),
        [2]
    );
    assert_eq!(world.accepted.len(), 8);
}

#[test]
fn a_batch_is_sorted_by_date() {
    let mut world = World::new(1..=4);
    for (uid, at) in [(1, 40), (2, 30), (3, 20), (4, 10)] {
        world.mails.insert(uid, (100, at));
    }
    world.connect(settings());
    assert_eq!(world.uids(), [4, 3, 2, 1]);
}

#[test]
fn the_next_fetch_is_known_while_mails_are_committed() {
    // More than sizes are asked of at once.
    let mut world = World::new(1..=1_203);
    world.connect(settings());
    assert_eq!((world.accepted.len(), world.fetches, world.foreseen), (1_203, 301, 300));

    // Neither a mail that is more than a batch, nor what comes one by one.
    let mut world = World::new(1..=8);
    world.mails.insert(5, (400, 5));
    world.connect(Settings {
        batch_bytes: 300,
        ..settings()
    });
    assert_eq!(world.accepted.len(), 8);
    assert_eq!((world.fetches, world.foreseen), (4, 2), "1 to 3, 4, 5 alone, 6 to 8");
}

#[test]
fn what_is_lost_ahead_is_laid_to_the_same_mail_as_otherwise() {
    let listed = |uid| Listed {
        uid,
        size: 1,
        internal_ms: 1,
    };
    let ahead = Ahead {
        whole: vec![5, 7],
        headers: vec![6],
        mails: vec![listed(5), listed(6), listed(7)],
        bytes: 2,
    };
    let blamed = |arrived: &[u32]| ahead.to_blame(arrived).map(|one| one.uid);
    assert_eq!((blamed(&[]), blamed(&[5]), blamed(&[5, 7])), (Some(5), Some(6), Some(6)));
    assert_eq!(blamed(&[7, 6, 5]), None);
}
