//! Voxea beside Kannel, with the same SMSC on the other side: texts in until they are committed, texts out until they are
//! submitted.

pub mod keep;
pub mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::kannel::Kannel;
use crate::kill::requests;
use crate::load::rivals::pin_thread;
use crate::scratch::{Running, Scratch};
use crate::smpp_link::{Delivered, SmppLink, text};
use crate::smsc::{Manner, Message, Receipts, Smsc};

/// Longest a whole measure may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Programs that hand texts over at once.
const CLIENTS: usize = 64;
/// Citizens who are answered; each gets many.
const CITIZENS: usize = 500;
/// The daemon's core, where it has one of its own, and the simulator's.
const OURS: usize = 0;
const OTHER: usize = 1;
/// Texts of ours in flight, of both.
const WINDOW: usize = 64;

/// What was measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Texts a second.
    pub rate: f64,
    /// CPU time a text, in microseconds; of PostgreSQL and of the simulator nothing.
    pub cpu: f64,
    /// From a PDU's write to its answer: the middle, 99 of 100, and the worst.
    pub acknowledged: [Duration; 3],
}

impl Figures {
    fn of(count: usize, elapsed: Duration, cpu: Duration, delivered: &Delivered) -> Self {
        let at = |share: usize| {
            let last = delivered.latencies.len().saturating_sub(1);
            delivered.latencies.get(last * share / 100).copied().unwrap_or_default()
        };
        Self {
            rate: count as f64 / elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / count as f64,
            acknowledged: [at(50), at(99), at(100)],
        }
    }
}

/// Texts before the measure: both begin with something to open, and Kannel with a second's wait.
const WARMING: usize = 20;

fn bodies(count: usize) -> impl Iterator<Item = Vec<u8>> {
    from(0, count)
}

fn from(first: usize, count: usize) -> impl Iterator<Item = Vec<u8>> {
    (first..first + count).map(|number| {
        let said = format!("Bonjour, il y a un trou devant le {number} rue de la Paix.");
        text(&format!("336{number:08}"), "36123", &said)
    })
}

fn channel(address: &str, window: usize) -> String {
    format!(
        "[[smpp]]\nname = \"s\"\naddress = \"{address}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         window = {window}\nreconnect_seconds = 1\n"
    )
}

/// Texts in: acknowledged after they are committed as requests.
///
/// # Errors
/// When one is refused, or the daemon fails.
pub async fn texts_in(binary: &Path, store: &str, window: usize, count: usize) -> Result<Figures> {
    texts_in_on(None, binary, store, window, count).await
}

/// The same on SQLite with the whole daemon on one core and the simulator on the other.
///
/// # Errors
/// When there is no second core, and those of [`texts_in`].
pub fn texts_in_apart(binary: &Path, window: usize, count: usize) -> Result<Figures> {
    let binary = binary.to_owned();
    let simulator = std::thread::spawn(move || {
        pin_thread(OTHER)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(texts_in_on(Some(OURS), &binary, "sqlite:voxea.db", window, count))
    });
    simulator.join().map_err(|_| anyhow::anyhow!("the simulator broke down"))?
}

async fn texts_in_on(core: Option<usize>, binary: &Path, store: &str, window: usize, count: usize) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut scratch = Scratch::new(binary, store, &channel(&listener.local_addr()?.to_string(), WINDOW)).await?;
    scratch.core = core;
    let running = scratch.run().await?;
    let mut link = SmppLink::accept(&listener).await?;
    link.deliver_all(from(90_000_000, WARMING), window).await?;
    let cpu = running.cpu()?;
    let begun = Instant::now();
    let delivered = timeout(PATIENCE, link.deliver_all(bodies(count), window))
        .await
        .context("too slow")??;
    let figures = Figures::of(count, begun.elapsed(), running.cpu()? - cpu, &delivered);
    ensure!(
        delivered.acknowledged == count,
        "{} of {count} acknowledged",
        delivered.acknowledged
    );
    // An answer to the last words, so that the daemon can go politely.
    let leave = async {
        let unbind = link.wait(crate::smpp_link::command::UNBIND).await?;
        link.answer(&unbind, b"").await
    };
    let (stopped, _) = tokio::join!(running.stop(), leave);
    stopped?;
    Ok(figures)
}

/// The same with Kannel, until its HTTP call has committed the last text; its answers come before that.
///
/// # Errors
/// When Kannel is missing or loses one.
pub async fn kannel_in(window: usize, count: usize) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut sink = keep::committing().await?;
    let kannel = Kannel::start(listener.local_addr()?, sink.sink.address, WINDOW).await?;
    let mut link = timeout(PATIENCE, SmppLink::accept(&listener)).await??;
    link.deliver_all(from(90_000_000, WARMING), window).await?;
    timeout(PATIENCE, sink.sink.until(WARMING)).await.with_context(|| kannel.log())?;
    let cpu = kannel.cpu()?;
    let begun = Instant::now();
    let work = async {
        let delivered = link.deliver_all(bodies(count), window).await?;
        sink.sink.until(WARMING + count).await;
        anyhow::Ok(delivered)
    };
    let delivered = timeout(PATIENCE, work).await.with_context(|| kannel.log())??;
    let figures = Figures::of(count, begun.elapsed(), kannel.cpu()? - cpu, &delivered);
    ensure!(
        delivered.acknowledged == count,
        "{} of {count} acknowledged",
        delivered.acknowledged
    );
    ensure!(sink.rows().await? == WARMING + count, "not every text was committed");
    Ok(figures)
}

/// An SMSC that only answers, where nobody listens until it is asked for.
struct Later(std::net::SocketAddr);

impl Later {
    fn new() -> Result<Self> {
        // Free now; should somebody take it meanwhile, listening there fails.
        Ok(Self(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?))
    }

    async fn listen(&self) -> Result<Smsc> {
        let manner = Manner {
            receipts: Receipts::None,
            ..Manner::default()
        };
        Ok(Smsc::listen_at(&self.0.to_string(), "voxea", "secret", manner).await?)
    }
}

/// Texts out, in two ways: from the first HTTP call to the last submit_sm, and a queue that has waited for its SMSC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Out {
    /// Handed over while the link is up.
    pub through: Figures,
    /// Texts a second from the bind on, all of them queued before.
    pub drained: f64,
}

impl Out {
    /// Waits until all are submitted, to the SMSC that is there since `begun` or to the one that they have waited for, and enters
    /// what that took.
    async fn measure(
        &mut self,
        smsc: Option<Smsc>,
        later: &Later,
        begun: Instant,
        count: usize,
        cpu: impl FnOnce() -> Result<Duration>,
    ) -> Result<Smsc> {
        let queued = smsc.is_none();
        let (smsc, begun) = match smsc {
            Some(smsc) => (smsc, begun),
            None => waited(later).await?,
        };
        submitted(&smsc, count).await?;
        let elapsed = begun.elapsed();
        if queued {
            self.drained = count as f64 / elapsed.as_secs_f64();
        } else {
            self.through = Figures::of(count, elapsed, cpu()?, &Delivered::default());
        }
        Ok(smsc)
    }
}

/// Texts out.
///
/// # Errors
/// When one is refused or not submitted.
pub async fn texts_out(binary: &Path, store: [&str; 2], count: usize) -> Result<Out> {
    let mut out = Out::default();
    for (queued, store) in [false, true].into_iter().zip(store) {
        let later = Later::new()?;
        let scratch = Scratch::new(binary, store, &channel(&later.0.to_string(), WINDOW)).await?;
        let running = scratch.run().await?;
        let smsc = later.listen().await?;
        running.up("smpp").await?;
        let citizens: Vec<Message> = (0..CITIZENS)
            .map(|number| Message::plain(&format!("336{number:08}"), "Bonjour"))
            .collect();
        smsc.send_all(&citizens);
        ensure!(smsc.until(PATIENCE, |ledger| ledger.all_settled()).await, "a text in was not taken");
        let ids: Vec<String> = requests(&running, "channel=sms")
            .await?
            .iter()
            .filter_map(|request| request["id"].as_str().map(str::to_owned))
            .collect();
        ensure!(ids.len() == CITIZENS, "{} requests", ids.len());
        let smsc = if queued {
            drop(smsc);
            None
        } else {
            Some(smsc)
        };
        let cpu = running.cpu()?;
        let begun = Instant::now();
        hand_over(&running, &ids, count).await?;
        let _smsc = out.measure(smsc, &later, begun, count, || Ok(running.cpu()? - cpu)).await?;
        running.stop().await?;
    }
    Ok(out)
}

async fn hand_over(running: &Running, ids: &[String], count: usize) -> Result<()> {
    let clients = (0..CLIENTS).map(|client| async move {
        let mut rest = running.rest();
        for number in (client..count).step_by(CLIENTS) {
            let id = &ids[number % ids.len()];
            let body = json!({"text": format!("Votre demande est en cours, {number}")});
            let answered = rest.call("POST", &format!("/v1/requests/{id}/replies"), Some(&body)).await?;
            ensure!(
                answered.status == 202,
                "{}: {}",
                answered.status,
                String::from_utf8_lossy(&answered.body)
            );
        }
        anyhow::Ok(())
    });
    try_join_all(clients).await.map(|_| ())
}

/// The same with Kannel.
///
/// # Errors
/// When Kannel is missing, refuses a text or does not submit it.
pub async fn kannel_out(count: usize) -> Result<Out> {
    let mut out = Out::default();
    for queued in [false, true] {
        let later = Later::new()?;
        let sink = crate::kannel::Sink::start().await?;
        let smsc = if queued { None } else { Some(later.listen().await?) };
        let kannel = Kannel::start(later.0, sink.address, WINDOW).await?;
        if let Some(smsc) = &smsc {
            ensure!(smsc.until(PATIENCE, |ledger| ledger.bound).await, "Kannel is not bound");
        }
        let cpu = kannel.cpu()?;
        let begun = Instant::now();
        let kannel_at = &kannel;
        let clients = (0..CLIENTS).map(|client| async move {
            let mut sendsms = kannel_at.client();
            for number in (client..count).step_by(CLIENTS) {
                let to = format!("336{:08}", number % CITIZENS);
                let status = sendsms
                    .send("36123", &to, &format!("Votre demande est en cours, {number}"), 0)
                    .await?;
                ensure!(status == 202, "sendsms: {status}");
            }
            anyhow::Ok(())
        });
        try_join_all(clients).await?;
        let _smsc = out.measure(smsc, &later, begun, count, || Ok(kannel.cpu()? - cpu)).await?;
    }
    Ok(out)
}

/// The SMSC comes, and the bind that has waited for it.
async fn waited(later: &Later) -> Result<(Smsc, Instant)> {
    let smsc = later.listen().await?;
    ensure!(smsc.until(PATIENCE, |ledger| ledger.bound).await, "nobody came to bind");
    Ok((smsc, Instant::now()))
}

async fn submitted(smsc: &Smsc, count: usize) -> Result<()> {
    let all = smsc.until(PATIENCE, |ledger| ledger.submits.len() >= count).await;
    ensure!(all, "{} of {count} were submitted", smsc.look(|ledger| ledger.submits.len()));
    Ok(())
}
