//! Reports over real sockets: a peer that knows bytes.

use super::*;

/// A receiver report of `from` about `about` that echoes a sender report after `kept` (1/65536 s): two packets of ours lost,
/// 16 units of jitter.
fn receiver_report(from: u32, about: u32, echo: [u8; 4], kept: u32) -> Vec<u8> {
    let mut octets = vec![0x81, 201, 0, 7];
    octets.extend(from.to_be_bytes());
    octets.extend(about.to_be_bytes());
    octets.extend([10, 0, 0, 2]);
    octets.extend(77u32.to_be_bytes());
    octets.extend(16u32.to_be_bytes());
    octets.extend(echo);
    octets.extend(kept.to_be_bytes());
    octets
}

/// What a compound packet of ours holds: packet types, the source, the middle of its NTP time, packets and octets sent, and
/// whom it reports on.
#[derive(Debug)]
struct Read {
    kinds: Vec<u8>,
    source: u32,
    middle: [u8; 4],
    packets: u32,
    octets: u32,
    about: Option<u32>,
}

fn read(octets: &[u8]) -> Read {
    let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
    let mut kinds = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        assert_eq!(octets[at] >> 6, 2, "version");
        kinds.push(octets[at + 1]);
        at += 4 + 4 * usize::from(u16::from_be_bytes([octets[at + 2], octets[at + 3]]));
    }
    assert_eq!(at, octets.len(), "whole packets");
    Read {
        kinds,
        source: word(4),
        middle: octets[10..14].try_into().unwrap(),
        packets: word(20),
        octets: word(24),
        about: (octets[0] & 31 == 1).then(|| word(28)),
    }
}

/// The next datagram that is a report; sound between them is passed over.
fn next_report(socket: &UdpSocket) -> Vec<u8> {
    let mut buf = [0; 2_048];
    loop {
        let length = socket.recv(&mut buf).unwrap();
        if (192..224).contains(&buf[1]) {
            return buf[..length].to_vec();
        }
    }
}

fn tells(muxed: bool, ports: RangeInclusive<u16>) {
    let mut bench = Bench::new(ports);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let reports = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    reports.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (socket, to) = if muxed {
        (&caller.socket, caller.to)
    } else {
        (&reports, SocketAddr::new(caller.to.ip(), caller.to.port() + 1))
    };
    let mut call = bench.call(caller.address(), "reported");
    call.peer.muxed = muxed;
    call.peer.rtcp = Some(reports.local_addr().unwrap());
    leg.start(&call).unwrap();
    let begun = bench.begun();
    for number in 0..40 {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        if number != 20 {
            caller.send(number, &[0x2A; FRAME]);
        }
    }
    let first = read(&next_report(socket));
    let came = Instant::now();
    assert_eq!((&first.kinds[..], first.about), (&[200, 202][..], Some(0xCA11)), "{first:?}");
    assert!(first.packets > 40 && first.octets == first.packets * 160, "{first:?}");
    // Kept for so long, and what a busy machine adds, as it says.
    std::thread::sleep(Duration::from_millis(700));
    let kept = (came.elapsed().as_micros() * 65_536 / 1_000_000) as u32;
    socket
        .send_to(&receiver_report(0xCA11, first.source, first.middle, kept), to)
        .unwrap();
    socket.send_to(&[0x81, 201, 0, 1, 0, 0, 0, 1], to).unwrap();
    // Read at the end at the latest.
    leg.stop(Instant::now());
    let last = read(&next_report(socket));
    assert_eq!((&last.kinds[..], last.source), (&[200, 202, 203][..], first.source), "{last:?}");

    let finished = bench.finished();
    let trip = finished.reports.round_trip.unwrap();
    assert!(trip < Duration::from_millis(500), "what it was kept for counts: {trip:?}");
    assert_eq!(finished.reports.remote_lost, Some(2));
    assert_eq!(finished.reports.remote_jitter, Some(Duration::from_millis(2)));
    assert!(finished.reports.jitter.unwrap() < Duration::from_millis(10), "{finished:?}");
    assert_eq!((finished.reports.heard, finished.refused_reports), (1, 1), "one was cut short");
    assert_eq!((finished.counts.lost, finished.malformed), (1, 0));
}

#[test]
fn reports_go_both_ways_on_a_port_of_their_own() {
    tells(false, 27_300..=27_309);
}

#[test]
fn reports_go_both_ways_on_the_port_of_sound() {
    tells(true, 27_310..=27_319);
}

#[test]
fn strangers_are_not_believed_and_a_held_peer_is_told_nothing() {
    let mut bench = Bench::new(27_320..=27_329);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let mut call = bench.call(caller.address(), "held");
    // Reports of a stranger's host; and a peer that holds without an address.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    call.peer.rtcp = Some(silent.local_addr().unwrap());
    leg.start(&call).unwrap();
    bench.begun();
    leg.redirect(Peer {
        remote: ([0, 0, 0, 0], 0).into(),
        rtcp: Some((Ipv4Addr::new(127, 0, 0, 9), 9).into()),
        ..call.peer
    });
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = SocketAddr::new(caller.to.ip(), caller.to.port() + 1);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..5 {
        stranger.send_to(&receiver_report(1, 2, [0; 4], 0), to).unwrap();
    }
    std::thread::sleep(Duration::from_millis(700));
    leg.stop(Instant::now());
    let finished = bench.finished();
    assert_eq!((finished.reports.heard, finished.refused_reports), (0, 5));
    for socket in [silent, stranger] {
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 64]).is_err());
    }
}
