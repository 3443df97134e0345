//! Reports from anybody: what is no report is refused, and what we say afterwards is one.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::rtcp::{Reporter, Sent};

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let mut reporter = Reporter::new(7, [3; 20], now);
    let sent = Sent { packets: 1, octets: 160, timestamp: 9 };
    reporter.report(&sent, 1 << 32, now);
    // Each datagram: its length, then that much.
    let mut rest = data;
    while let [length, after @ ..] = rest {
        let (datagram, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let _ = bounded(|| reporter.hear(datagram, now + Duration::from_millis(40)));
    }
    let ours = reporter.bye(&sent, 2 << 32, now + Duration::from_secs(1));
    assert!(Reporter::new(8, [4; 20], now).hear(&ours, now).is_ok(), "what we say is a report");
    let trip = reporter.summary().round_trip;
    assert!(trip.is_none_or(|trip| trip <= Duration::from_millis(40)), "nobody is further away than its answer took");
});
