//! The scenes: a fleet, the real daemon, and what must hold afterwards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::fleet::{self, Ending, Order, Tally};
use super::junk::{self, Junk};
use super::rivals::{Echo, Kamailio, pin, pin_thread};
use crate::scratch::{Rest, Running, Scratch};

/// Everything that an un-ACKed call holds is over by then: 32 s to the BYE, 32 s to its end, and a little.
const BACK: Duration = Duration::from_secs(70);
/// How much memory may stay with the allocator after a flood, and how much junk may cost.
const MARGIN: u64 = 50 << 20;

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// Which scene.
    pub what: String,
    /// What was seen.
    pub measured: String,
    /// What it is compared with.
    pub beside: String,
    /// Whether it is as it must be.
    pub sound: bool,
}

/// A daemon with metrics and one line.
struct Stage {
    _scratch: Scratch,
    running: Running,
    server: SocketAddr,
    metrics: Rest,
}

impl Stage {
    async fn set(binary: &Path, core: Option<usize>) -> Result<Self> {
        let greeting = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
        // `metrics_listen` ends up in [api], which comes last before.
        let channels = format!(
            "metrics_listen = \"127.0.0.1:0\"\n\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"20000-29999\"\n\n\
             [[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.1\"]\n\n\
             [[sip.line]]\nnumber = \"3000\"\nbeep = false\nmax_seconds = 600\nsilence_seconds = 600\ngreeting = \"{}\"\n",
            greeting.display()
        );
        let mut scratch = Scratch::new(binary, "sqlite:voxea.db", &channels).await?;
        scratch.core = core;
        let running = scratch.run().await?;
        let server = running.sip().await?;
        let log = running.log();
        let address = log.lines().find_map(|line| {
            let entry: Value = serde_json::from_str(line).ok()?;
            let found = (entry["message"] == "metrics listening").then(|| entry["address"].as_str().map(str::to_owned));
            found.flatten()
        });
        let metrics = Rest::new(address.context("no metrics")?.parse()?, "");
        Ok(Self {
            _scratch: scratch,
            running,
            server,
            metrics,
        })
    }

    /// How many of these the daemon holds, by its own account.
    async fn held(&mut self, what: &str) -> Result<u64> {
        let answered = self.metrics.call("GET", "/metrics", None).await?;
        let text = String::from_utf8(answered.body)?;
        let mark = format!("what=\"{what}\"}} ");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("voxea_held{kind=\"sip\"")?.split(&mark).nth(1));
        Ok(line.with_context(|| format!("no level of {what}"))?.trim().parse()?)
    }

    /// Waits until nothing is held; how long it took.
    async fn idle(&mut self, within: Duration) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let mut left = Vec::new();
            for what in [
                "calls",
                "dialogs",
                "transactions",
                "requests",
                "timers",
                "indices",
                "legs",
                "deposits",
            ] {
                let count = self.held(what).await?;
                if count > 0 {
                    left.push(format!("{count} {what}"));
                }
            }
            if left.is_empty() {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < within, "after {within:?} there are still {}", left.join(", "));
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Requests that the API shows.
    async fn requests(&self) -> Result<usize> {
        Ok(crate::kill::requests(&self.running, "").await?.len())
    }

    fn megabytes(&self) -> Result<u64> {
        Ok(self.running.memory()? >> 20)
    }
}

/// A fleet on a thread of its own.
async fn send(order: Order, core: Option<usize>) -> Result<Tally> {
    let thread = std::thread::spawn(move || {
        if let Some(core) = core {
            pin_thread(core)?;
        }
        fleet::run(order)
    });
    let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
    joined.map_err(|_| anyhow::anyhow!("the fleet panicked"))?
}

/// Signalling loss, both ways: no call fails, and each is one request.
///
/// # Errors
/// When the daemon does not start, or its tables do not empty.
pub async fn loss(binary: &Path, calls: usize, permille: u64) -> Result<Row> {
    let mut stage = Stage::set(binary, None).await?;
    let order = Order {
        ending: Ending::Bye(Duration::from_millis(200)),
        loss: permille,
        seed: 0x1055 + permille,
        ..Order::new(stage.server, calls, 50.0)
    };
    let tally = send(order, None).await?;
    let took = stage.idle(BACK).await?;
    let requests = stage.requests().await?;
    stage.running.stop().await?;
    Ok(Row {
        what: format!("{calls} calls, {} % of the datagrams lost each way", permille as f64 / 10.0),
        measured: format!(
            "{} failed, {requests} requests; tables empty {:.0} s later",
            tally.failed(),
            took.as_secs_f64()
        ),
        beside: format!(
            "the callers repeated {} requests; 200 after {:.0} ms (p50), {:.0} ms (p99)",
            tally.repeated,
            tally.setup_ms(50),
            tally.setup_ms(99)
        ),
        sound: tally.failed() == 0 && requests == calls,
    })
}

/// INVITEs that nobody confirms: memory is bounded and comes back.
///
/// # Errors
/// When the daemon does not start, or its tables do not empty in 70 s.
pub async fn unconfirmed(binary: &Path, calls: usize) -> Result<Row> {
    let mut stage = Stage::set(binary, None).await?;
    let before = stage.megabytes()?;
    let order = Order {
        ending: Ending::Unconfirmed,
        patience: Duration::from_secs(2),
        seed: 0xAC4,
        ..Order::new(stage.server, calls, 1_000.0)
    };
    let flood = tokio::spawn(send(order, None));
    let mut peak = before;
    while !flood.is_finished() {
        peak = peak.max(stage.megabytes()?);
        sleep(Duration::from_millis(100)).await;
    }
    let tally = flood.await??;
    let took = stage.idle(BACK).await?;
    let after = stage.megabytes()?;
    let requests = stage.requests().await?;
    // And it still answers.
    let again = send(
        Order {
            seed: 2,
            ..Order::new(stage.server, 20, 20.0)
        },
        None,
    )
    .await?;
    stage.running.stop().await?;
    let refused: usize = tally.refused.values().sum();
    Ok(Row {
        what: format!("{calls} INVITEs without ACK, 1,000/s"),
        measured: format!(
            "memory {before} MB before, {peak} MB at most, {after} MB after; tables empty {:.0} s after the last",
            took.as_secs_f64() + 2.0
        ),
        beside: format!(
            "{} answered, {refused} told 503, {requests} requests; then {} of 20 calls failed",
            tally.answered,
            again.failed()
        ),
        sound: tally.answered + refused == calls
            && (peak - before) << 20 < 4 * MARGIN
            && (after.saturating_sub(before)) << 20 < MARGIN
            && again.failed() == 0
            && requests == tally.answered,
    })
}

/// Junk from a stranger and from the trunk, while the trunk calls.
///
/// # Errors
/// When the daemon does not start, or its tables do not empty.
pub async fn junk(binary: &Path, per_second: f64, time: Duration) -> Result<Row> {
    let mut stage = Stage::set(binary, None).await?;
    let warm = send(
        Order {
            seed: 3,
            ..Order::new(stage.server, 50, 50.0)
        },
        None,
    )
    .await?;
    ensure!(warm.failed() == 0, "{warm:?}");
    let before = stage.megabytes()?;
    let mut senders = Vec::new();
    for (seed, from) in [(5, [127, 0, 0, 2]), (6, [127, 0, 0, 1])] {
        let junk = Junk {
            server: stage.server,
            from: IpAddr::from(from),
            per_second: per_second / 2.0,
            time,
            seed,
        };
        senders.push(std::thread::spawn(move || junk::run(&junk)));
    }
    let rate = 20.0;
    let calls = (rate * time.as_secs_f64()) as usize;
    let order = Order {
        from: Ipv4Addr::LOCALHOST.into(),
        ending: Ending::Bye(Duration::from_millis(500)),
        seed: 4,
        ..Order::new(stage.server, calls, rate)
    };
    let load = tokio::spawn(send(order, None));
    let mut peak = before;
    while !load.is_finished() {
        peak = peak.max(stage.megabytes()?);
        sleep(Duration::from_millis(100)).await;
    }
    let tally = load.await??;
    let mut sent = 0;
    for sender in senders {
        sent += sender.join().map_err(|_| anyhow::anyhow!("the junk panicked"))??;
    }
    stage.idle(BACK).await?;
    stage.running.stop().await?;
    let share = tally.completed as f64 * 100.0 / calls as f64;
    let reached = sent as f64 / time.as_secs_f64();
    Ok(Row {
        what: format!("junk for {} s, half from a stranger and half from the trunk", time.as_secs()),
        measured: format!("{share:.1} % of {calls} calls complete; memory {before} MB before, {peak} MB at most"),
        beside: format!(
            "{reached:.0} datagrams a second of {per_second:.0} wanted; 200 after {:.0} ms (p50), {:.0} ms (p99)",
            tally.setup_ms(50),
            tally.setup_ms(99)
        ),
        sound: share >= 99.0 && (peak - before) << 20 <= MARGIN && reached > per_second * 0.95,
    })
}

/// Calls whose BYE is lost: missing sound ends them, and everything is given back.
///
/// # Errors
/// When the daemon does not start, or its tables do not empty.
pub async fn lost_byes(binary: &Path, calls: usize, rate: f64) -> Result<Row> {
    let mut stage = Stage::set(binary, None).await?;
    let before = stage.megabytes()?;
    let order = Order {
        ending: Ending::Lost,
        seed: 0xB1E,
        ..Order::new(stage.server, calls, rate)
    };
    let load = tokio::spawn(send(order, None));
    let (mut most, mut ports) = (0, 0);
    while !load.is_finished() {
        most = most.max(stage.held("calls").await?);
        ports = ports.max(stage.held("legs").await?);
        sleep(Duration::from_millis(250)).await;
    }
    let tally = load.await??;
    let took = stage.idle(BACK).await?;
    let after = stage.megabytes()?;
    stage.running.stop().await?;
    Ok(Row {
        what: format!("{calls} calls whose BYE was lost, {rate:.0}/s"),
        measured: format!(
            "{} not ended by the daemon; at most {most} calls and {ports} pairs of ports held, none {:.0} s later",
            tally.failed(),
            took.as_secs_f64()
        ),
        beside: format!("memory {before} MB before, {after} MB after; refused: {:?}", tally.refused),
        // Missing sound ends a call 20 s after the last packet: fewer held at once, and it was not that.
        sound: tally.failed() == 0 && most as f64 >= (calls as f64).min(rate * 15.0),
    })
}

/// Signalling alone, on one core, beside Kamailio and the least that any server can spend.
///
/// # Errors
/// When a server does not start, or the daemon's tables do not empty.
pub async fn signalling(binary: &Path, calls: usize, rate: f64, pinned: bool) -> Result<Row> {
    let (ours, theirs) = if pinned { (Some(0), Some(1)) } else { (None, None) };
    let mut stage = Stage::set(binary, ours).await?;
    let before = stage.running.cpu()?;
    let tally = send(
        Order {
            seed: 7,
            ..Order::new(stage.server, calls, rate)
        },
        theirs,
    )
    .await?;
    let spent = stage.running.cpu()? - before;
    let held = stage.held("transactions").await?;
    stage.idle(BACK).await?;
    let requests = stage.requests().await?;
    stage.running.stop().await?;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / calls as f64;

    let kamailio = Kamailio::start()?;
    if let Some(core) = ours {
        for process in kamailio.processes()? {
            pin(process, core)?;
        }
    }
    let before = kamailio.cpu()?;
    let other = send(
        Order {
            seed: 8,
            ..Order::new(kamailio.address, calls, rate)
        },
        theirs,
    )
    .await?;
    let kamailio_spent = kamailio.cpu()? - before;
    drop(kamailio);
    let echo = Echo::start(ours)?;
    let least = send(
        Order {
            seed: 9,
            ..Order::new(echo.address, calls, rate)
        },
        theirs,
    )
    .await?;
    let echo_spent = echo.stop()?;
    Ok(Row {
        what: format!("{calls} calls of INVITE, 200, ACK, BYE at {rate:.0}/s, each committed"),
        measured: format!(
            "{} failed (refused: {:?}), {requests} requests; {:.0} µs of CPU a call; 200 after {:.1} ms (p50), {:.1} ms (p99); {held} transactions remembered at the end",
            tally.failed(),
            tally.refused,
            each(spent),
            tally.setup_ms(50),
            tally.setup_ms(99)
        ),
        beside: format!(
            "Kamailio, which stores nothing: {:.0} µs, {} failed; copied bytes: {:.0} µs, {} failed; the callers were at most {} ms late",
            each(kamailio_spent),
            other.failed(),
            each(echo_spent),
            least.failed(),
            tally.late.as_millis()
        ),
        sound: tally.failed() == 0 && requests == calls,
    })
}
