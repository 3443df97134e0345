//! Nobody is recorded who was not told: the announcement fails closed.

use super::*;

/// A peer that holds, and one that does not.
fn holds(call: &Call, holds: bool) -> Peer {
    Peer { holds, ..call.peer }
}

/// What is heard until a packet has another octet: how many packets had this one.
fn plays(caller: &Caller, octet: u8) -> usize {
    std::iter::from_fn(|| caller.receive().3.iter().all(|heard| *heard == octet).then_some(())).count()
}

/// What a signer was given to sign of a recording.
fn manifest(bench: &Bench, recording: &str) -> serde_json::Value {
    let content = std::fs::read(bench.folder.path().join(format!("{recording}.vman"))).unwrap();
    serde_json::from_slice::<serde_json::Value>(&content).unwrap()["manifest"].clone()
}

#[derive(Debug)]
struct Nobody;

impl voxea_recorder::manifest::Sign for Nobody {
    fn public(&self) -> [u8; 32] {
        [0; 32]
    }

    fn sign(&self, _: &[u8]) -> [u8; 64] {
        [0; 64]
    }
}

/// Goes red where packets count that were sent to nobody.
#[test]
fn who_holds_from_the_beginning_is_told_when_the_hold_ends() {
    let mut bench = Bench::new(27_500..=27_519);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let mut call = bench.call(caller.address(), "held");
    call.kept.signer = Some(Arc::new(Nobody));
    let peer = call.peer;
    call.peer = holds(&call, true);
    leg.start(&call).unwrap();
    caller.socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    assert!(
        caller.socket.recv(&mut [0; 2_048]).is_err(),
        "nothing is said to who does not listen"
    );
    assert!(bench.events.try_recv().is_err(), "and nothing recorded");
    caller.socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    leg.redirect(peer);
    assert_eq!(plays(&caller, 0x55), 5, "the whole greeting");
    let begun = bench.begun();
    sleep_until(begun + Duration::from_millis(200));
    leg.stop(Instant::now());
    sealed(&bench.finished());
    assert_eq!(manifest(&bench, "held")["announced_ms"], 100, "neither the hold nor the beep");
}

#[test]
fn who_holds_in_the_greeting_hears_it_again() {
    let mut bench = Bench::new(27_520..=27_539);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let mut call = bench.call(caller.address(), "interrupted");
    call.kept.signer = Some(Arc::new(Nobody));
    call.greeting = vec![0x55; FRAME * 30].into();
    leg.start(&call).unwrap();
    (0..10).for_each(|_| drop(caller.receive()));
    leg.redirect(holds(&call, true));
    caller.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut before = 10;
    while caller.socket.recv(&mut [0; 2_048]).is_ok() {
        before += 1;
        assert!(before < 30, "it goes on");
    }
    assert!(bench.events.try_recv().is_err());
    caller.socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    leg.redirect(holds(&call, false));
    assert_eq!(plays(&caller, 0x55), 30, "from its beginning");
    bench.begun();
    leg.stop(Instant::now() + Duration::from_millis(40));
    sealed(&bench.finished());
    assert_eq!(manifest(&bench, "interrupted")["announced_ms"], (before + 30) * 20);
}

#[test]
fn an_announcement_that_nobody_can_hear_ends_the_call_without_a_file() {
    let mut bench = Bench::new(27_540..=27_559);
    let refused = SocketAddr::from(([255, 255, 255, 255], 9));
    for case in ["held", "nowhere", "unreachable", "nothing to say"] {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        let mut call = bench.call(caller.address(), "none");
        call.hold = Duration::from_millis(600);
        call.rtp_timeout = Duration::from_millis(400);
        match case {
            "held" => call.peer = holds(&call, true),
            "nowhere" => call.peer.remote = SocketAddr::from(([0, 0, 0, 0], 0)),
            // The system refuses to send there: a broadcast, without leave.
            "unreachable" => call.peer.remote = refused,
            _ => call.greeting = Arc::new([]),
        }
        let start = Instant::now();
        leg.start(&call).unwrap();
        // It speaks all the time: that alone would keep the call.
        let mut number = 0;
        let end = loop {
            sleep_until(start + Duration::from_millis(20) * u32::from(number));
            caller.send(number, &[0x2A; FRAME]);
            number += 1;
            if let Ok((_, MediaEvent::Ended { end })) = bench.events.try_recv() {
                break end;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{case}: it goes on");
        };
        assert_eq!(end, MediaEnd::Unheard, "{case}");
        let limit = match case {
            "held" => 600,
            "nothing to say" => 300,
            _ => 400,
        };
        assert!(
            start.elapsed() >= Duration::from_millis(limit - 20),
            "{case}: {:?}",
            start.elapsed()
        );
        let finished = bench.finished();
        assert!(
            matches!(finished.outcome, Outcome::Nothing) && finished.started.is_none(),
            "{finished:?}"
        );
        assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}
