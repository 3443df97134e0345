//! What ends a call that is held, and what an injector gets.

use super::*;

/// The peer of `call`, on hold or off it, at its address or at none.
fn hold(call: &Call, holds: bool, addressed: bool) -> Peer {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    Peer {
        remote: if addressed { call.peer.remote } else { nowhere },
        holds,
        ..call.peer
    }
}

#[test]
fn a_held_call_outlives_silence_and_absence() {
    let mut bench = Bench::new(27_330..=27_339);
    for (name, addressed) in [("sendonly", true), ("unspecified", false)] {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        let call = Call {
            silence: Duration::from_millis(700),
            rtp_timeout: Duration::from_millis(700),
            hold: Duration::from_secs(9),
            ..bench.call(caller.address(), name)
        };
        leg.start(&call).unwrap();
        bench.begun();
        leg.redirect(hold(&call, true, addressed));
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(bench.events.try_recv().is_err(), "{name}: nothing ends it");
        let resumed = Instant::now();
        leg.redirect(hold(&call, false, true));
        let end = bench.ended();
        assert!(matches!(end, MediaEnd::Silence | MediaEnd::RtpTimeout), "{name}: {end:?}");
        let after = resumed.elapsed();
        assert!(
            after >= Duration::from_millis(650),
            "{name}: {after:?} after the hold, all of the time anew"
        );
        let (_, samples) = sealed(&bench.finished());
        assert!(samples >= (1_500 + 650) * 8, "{name}: the hold is in the recording: {samples}");
        drop(leg);
    }
}

#[test]
fn a_hold_without_a_packet_ends_after_its_own_time() {
    let mut bench = Bench::new(27_340..=27_349);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let call = Call {
        silence: Duration::from_millis(500),
        rtp_timeout: Duration::from_millis(500),
        hold: Duration::from_millis(1_200),
        ..bench.call(caller.address(), "forgotten")
    };
    leg.start(&call).unwrap();
    bench.begun();
    let held = Instant::now();
    leg.redirect(hold(&call, true, true));
    assert_eq!(bench.ended(), MediaEnd::RtpTimeout);
    assert!(held.elapsed() >= Duration::from_millis(1_150), "{:?}", held.elapsed());
    sealed(&bench.finished());
}

/// 10,000 packets that know the codec, the source and the numbers, from elsewhere; and some with another source from the
/// peer's own address.
#[test]
fn ten_thousand_injected_packets_are_counted_and_neither_heard_nor_answered() {
    const INJECTED: u32 = 10_000;
    const FRAMES: u16 = 200;
    let mut bench = Bench::new(27_350..=27_359);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&bench.call(caller.address(), "injected")).unwrap();
    let begun = bench.begun();
    let [port, host] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)].map(|from| UdpSocket::bind((from, 0)).unwrap());
    let mut injected = 0;
    let mut inject = |ssrc: u32, number: u16, socket: &UdpSocket| {
        let packet = RtpPacketBuilder::new()
            .payload_type(8)
            .ssrc(ssrc)
            .sequence(Seq::from(caller.sequence.wrapping_add(number)))
            .timestamp(u32::from(number) * FRAME as u32)
            .payload(&[0xEE; FRAME])
            .build()
            .unwrap();
        socket.send_to(&packet, caller.to).unwrap();
        injected += 1;
    };
    let each = INJECTED / u32::from(FRAMES);
    for number in 0..FRAMES {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        caller.send(number, &[0x2A; FRAME]);
        for count in 0..each {
            match count % 5 {
                // Ahead of its time, as an injector would be that wants to be first.
                0 | 1 => inject(0xCA11, number + 1, &port),
                2 | 3 => inject(0xCA11, number + 1, &host),
                _ => inject(0xBAD, number, &caller.socket),
            }
        }
    }
    assert_eq!(injected, INJECTED);
    leg.stop(begun + Duration::from_millis(20) * u32::from(FRAMES));
    let finished = bench.finished();
    let (path, _) = sealed(&finished);
    let (left, _) = channels(path);
    assert!(!left.contains(&0xEE), "none is in the recording");
    let ours = left.iter().filter(|&&octet| octet == 0x2A).count();
    assert!(ours >= FRAME * usize::from(FRAMES - 12), "the caller is: {ours} samples");
    let counted = finished.rejected + finished.counts.ignored;
    // On a machine that stalls the kernel's buffer overflows; those that were read are all counted.
    assert!(
        counted <= u64::from(INJECTED) && counted > u64::from(INJECTED) * 8 / 10,
        "{finished:?}"
    );
    for socket in [port, host] {
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 64]).is_err(), "and it is sent nothing");
    }
}

/// A source that the description does not name is not heard from the peer's own address either, also while the peer is silent;
/// one that a new description names is.
#[test]
fn where_sources_are_named_they_alone_are_heard() {
    let mut bench = Bench::new(27_390..=27_399);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let mut call = bench.call(caller.address(), "named");
    call.peer.sources = [Some(0xCA11), None, None, None];
    leg.start(&call).unwrap();
    let begun = bench.begun();
    let send = |ssrc: u32, number: u16, payload: u8| {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        let packet = RtpPacketBuilder::new()
            .payload_type(8)
            .ssrc(ssrc)
            .sequence(Seq::from(number))
            .timestamp(u32::from(number) * FRAME as u32)
            .payload(&[payload; FRAME])
            .build()
            .unwrap();
        caller.socket.send_to(&packet, caller.to).unwrap();
    };
    (0..20).for_each(|number| send(0xCA11, number, 0x2A));
    (20..80).for_each(|number| send(0xBAD, number, 0xEE));
    let mut moved = call.peer;
    moved.sources = [Some(0xCA12), None, None, None];
    leg.redirect(moved);
    (85..110).for_each(|number| send(0xCA12, number, 0x2B));
    leg.stop(begun + Duration::from_millis(20) * 110);
    let finished = bench.finished();
    let (left, _) = channels(sealed(&finished).0);
    assert!(!left.contains(&0xEE), "another source is not heard");
    let count = |said: u8| left.iter().filter(|&&octet| octet == said).count() / FRAME;
    assert!(count(0x2A) >= 18 && count(0x2B) >= 18, "{} and {}", count(0x2A), count(0x2B));
    assert_eq!(finished.rejected, 60, "{finished:?}");
}
