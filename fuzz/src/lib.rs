//! What every target shares: the bound on time.

use std::time::Duration;

use nix::time::ClockId;

/// CPU time that one hostile input may cost. The product's own bound is 100 ms; instrumentation and debug assertions
/// make the code several times slower here.
const MOST: Duration = Duration::from_millis(500);

/// Runs `judged` and panics when it costs more than its share of CPU time.
pub fn bounded<T>(judged: impl FnOnce() -> T) -> T {
    let before = spent();
    let result = judged();
    let cost = spent().saturating_sub(before);
    assert!(cost <= MOST, "one input cost {cost:?}");
    result
}

fn spent() -> Duration {
    let now = ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("the thread's clock can be read");
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}
