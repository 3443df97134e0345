//! Mails that do not come, connections that end in the middle, servers that say less than they should.

use super::*;

#[test]
fn a_mail_that_the_server_refuses_blocks_nothing() {
    let mut world = World::new(1..=8);
    world.refuses.insert(3);
    let (_, rest) = world.connect(settings());
    assert_eq!(world.uids(), [1, 2, 4, 5, 6, 7, 8], "the others come at once");
    assert_eq!(rest, Some(Do::Idle(world.now + FIRST_IDLE)));
    world.persist(&settings());
    let last = world.accepted.last().unwrap();
    assert_eq!(
        (last.uid, last.oversize, last.quarantined),
        (3, true, false),
        "in the end by its headers"
    );
    assert_eq!(world.accepted.len(), 8);
}

#[test]
fn a_mail_at_which_the_server_hangs_up_is_taken_in_by_its_place() {
    let mut world = World::new(1..=8);
    world.hangs_up.insert(3);
    let mut planner = Planner::new(settings(), None);
    assert_eq!(world.play(&mut planner, Observed::Connected, None), None);
    assert_eq!(world.uids(), [0_u32; 0]);
    // The next connection takes everything else first, and then dies at it again.
    let mut planner = Planner::new(settings(), world.place());
    assert_eq!(world.play(&mut planner, Observed::Connected, None), None);
    assert_eq!(world.uids(), [1, 2, 4, 5, 6, 7, 8]);
    assert_eq!(world.failures[&3].0.failures, 2);
    // What comes now does not wait for it.
    world.mails.insert(9, (100, 9));
    let mut planner = Planner::new(settings(), world.place());
    let rest = world.play(&mut planner, Observed::Connected, None);
    assert_eq!((world.uids().last(), rest), (Some(&9), Some(Do::Idle(world.now + FIRST_IDLE))));
    world.now += FIRST_IDLE;
    let rest = world.play(&mut planner, Observed::Woken, None);
    assert_eq!(
        rest,
        Some(Do::Idle(world.now - FIRST_IDLE + Duration::from_secs(30))),
        "then it is tried again"
    );

    world.persist(&settings());
    let last = world.accepted.last().unwrap();
    assert_eq!((last.uid, last.oversize, last.quarantined, last.internal_ms), (3, false, true, 3));
    assert_eq!(world.accepted.len(), 9);
    world.connect(settings());
    assert_eq!(world.accepted.len(), 9, "and never again");
}

#[test]
fn a_mail_of_which_the_headers_come_is_taken_in_by_them() {
    let mut world = World::new(1..=3);
    world.hangs_up.insert(2);
    for failures in 1..=4 {
        let mut planner = Planner::new(settings(), world.place());
        assert_eq!(world.play(&mut planner, Observed::Connected, None), None);
        assert_eq!(world.failures[&2].0.failures, failures);
        world.now += Duration::from_secs(120);
    }
    world.hangs_up.clear();
    world.refuses.insert(2);
    world.connect(settings());
    assert_eq!(world.accepted.last().map(|one| (one.uid, one.oversize)), Some((2, true)));
}

#[test]
fn what_was_skipped_is_looked_for_after_a_restart() {
    let mut world = World::new(1..=10);
    world.hidden.insert(7);
    world.connect(settings());
    assert!(!world.uids().contains(&7));
    world.hidden.clear();
    world.now += Duration::from_secs(3600);
    world.connect(settings());
    assert_eq!(world.uids().last(), Some(&7));
    // For a day.
    let mut world = World::new(1..=10);
    world.hidden.insert(7);
    world.connect(settings());
    world.hidden.clear();
    world.now += Duration::from_secs(25 * 3600);
    world.connect(settings());
    assert!(!world.uids().contains(&7));
}

#[test]
fn what_comes_while_an_import_is_interrupted_is_new() {
    let mut world = World::new(1..=10);
    let mut planner = Planner::new(settings(), None);
    assert_eq!(world.play(&mut planner, Observed::Connected, Some(6)), None);
    world.mails.insert(11, (100, 11));
    world.next = 12;
    world.connect(settings());
    let new: Vec<u32> = world.accepted.iter().filter(|one| !one.import).map(|one| one.uid).collect();
    assert_eq!(new, [11]);
}

#[test]
fn a_server_without_uidnext_begins_where_its_mails_end() {
    let mut world = World::new(1..=10);
    world.next = 0;
    world.connect(settings());
    assert!(world.accepted.len() == 10 && world.accepted.iter().all(|one| one.import));
    world.mails.insert(11, (100, 11));
    world.connect(settings());
    assert_eq!(world.accepted.last().map(|one| (one.uid, one.import)), Some((11, false)));
}
