//! Many texts over many links: memory and descriptors are sampled at every reconnect, and are to be flat.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::scratch::{Running, Scratch};
use crate::smsc::{Manner, Message, Smsc};

/// Longest that one link's texts may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Samples that a judgement needs: the first half is for warming up.
const FEWEST: usize = 8;
/// What memory may grow by, from the third quarter's middle to the last one's: a part of it, and a bit for the allocator.
const GROWTH: (f64, u64) = (0.05, 4 * 1024 * 1024);
/// What descriptors may grow by: a connection of the API or of the store more or less.
const DESCRIPTORS: u64 = 4;

/// What the process held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// VmRSS, in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Texts that were acknowledged.
    pub texts: usize,
    /// Links that were bound.
    pub binds: u32,
    /// One a link, at its end.
    pub samples: Vec<Sample>,
    /// From the first text to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether memory and descriptors stayed as they were.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        is_flat(&self.samples)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [third, last] = quarters(&self.samples);
        write!(
            f,
            "{} texts over {} links in {:.0} s: {:.1} MB and {} descriptors in the third quarter, {:.1} MB and {} in the last",
            self.texts,
            self.binds,
            self.elapsed.as_secs_f64(),
            third.memory as f64 / 1_048_576.0,
            third.descriptors,
            last.memory as f64 / 1_048_576.0,
            last.descriptors
        )
    }
}

/// Sends `texts` over `reconnects` links, each cut with answers on their way.
///
/// # Errors
/// When a text is not acknowledged, or the daemon fails.
pub async fn run(binary: &Path, store: &str, texts: usize, reconnects: usize) -> Result<Outcome> {
    ensure!(reconnects >= FEWEST, "at least {FEWEST} reconnects");
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let channels = format!(
        "[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\nreconnect_seconds = 1\n",
        smsc.address()
    );
    let scratch = Scratch::new(binary, store, &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let (begun, mut samples) = (Instant::now(), Vec::new());
    for link in 0..reconnects {
        let (first, last) = (texts * link / reconnects, texts * (link + 1) / reconnects);
        let some: Vec<Message> = (first..last)
            .map(|number| Message::plain(&format!("336{number:08}"), &format!("Bonjour, texte {number}")))
            .collect();
        smsc.send_all(&some);
        // Half of them, and then the cut: what is under way comes again on the next link.
        let half = first + (last - first) / 2;
        let binds = smsc.look(|ledger| ledger.binds);
        ensure!(smsc.until(PATIENCE, |ledger| ledger.settled >= half).await, "link {link}: too slow");
        smsc.cut();
        ensure!(
            smsc.until(PATIENCE, |ledger| ledger.binds > binds).await,
            "link {link}: no new bind"
        );
        ensure!(
            smsc.until(PATIENCE, |ledger| ledger.all_settled()).await,
            "link {link}: not all came in"
        );
        samples.push(sample(&running)?);
    }
    let elapsed = begun.elapsed();
    running.stop().await?;
    Ok(Outcome {
        texts: smsc.look(|ledger| ledger.acknowledged().len()),
        binds: smsc.look(|ledger| ledger.binds),
        samples,
        elapsed,
    })
}

fn sample(running: &Running) -> Result<Sample> {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", running.process()?))?.count();
    Ok(Sample {
        memory: running.memory()?,
        descriptors: u64::try_from(descriptors)?,
    })
}

/// The middle of the third quarter's samples, and of the last one's: one outlier moves neither.
fn quarters(samples: &[Sample]) -> [Sample; 2] {
    let quarter = samples.len() / 4;
    [2, 3].map(|which| {
        let part = samples.get(which * quarter..(which + 1) * quarter).unwrap_or_default();
        let middle = |of: fn(&Sample) -> u64| {
            let mut all: Vec<u64> = part.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or(0)
        };
        Sample {
            memory: middle(|sample| sample.memory),
            descriptors: middle(|sample| sample.descriptors),
        }
    })
}

/// Whether the last quarter is as the third was.
#[must_use]
pub fn is_flat(samples: &[Sample]) -> bool {
    let [third, last] = quarters(samples);
    let most = (third.memory as f64 * (1.0 + GROWTH.0)) as u64 + GROWTH.1;
    samples.len() >= FEWEST && last.memory <= most && last.descriptors <= third.descriptors + DESCRIPTORS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(u64) -> (u64, u64)) -> Vec<Sample> {
        (0..40)
            .map(|at| {
                let (memory, descriptors) = of(at);
                Sample { memory, descriptors }
            })
            .collect()
    }

    #[test]
    fn what_grows_is_seen() {
        let mega = 1024 * 1024;
        assert!(is_flat(&samples(|_| (50 * mega, 30))));
        assert!(
            is_flat(&samples(|at| (if at < 20 { at * mega } else { 20 * mega + at % 3 }, 30))),
            "it warms up"
        );
        assert!(!is_flat(&samples(|at| ((50 + at) * mega, 30))), "a megabyte a link");
        assert!(!is_flat(&samples(|at| (50 * mega, 30 + at))), "a descriptor a link");
        assert!(!is_flat(&samples(|_| (1, 1))[..4]), "too few to say");
    }
}
