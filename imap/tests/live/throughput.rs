//! Mails a second from Dovecot. Run by hand, in release:
//! `cargo test --release -p voxea-imap --test live throughput -- --ignored --nocapture`.

use anyhow::Result;
use tokio::time::Instant;
use voxea_imap::planner::First;

use crate::stand::{Stand, mail};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test"]
async fn throughput() -> Result<()> {
    const MAILS: usize = 5_000;
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let filler = "Le chemin est inondé depuis hier, merci de passer.\r\n".repeat(40);
    let mails: Vec<Vec<u8>> = (0..MAILS).map(|n| mail(n, &filler)).collect();
    stand
        .dovecot
        .client("mairie")
        .await?
        .append_all("INBOX", mails.iter().map(Vec::as_slice))
        .await?;
    let mut config = stand.config(None);
    config.first = First::All;
    let started = Instant::now();
    let run = stand.run(config);
    // Counted, not listed: listing thousands of requests over and over would be measured too.
    let fresh = || {
        stand
            .core
            .counters
            .snapshot()
            .iter()
            .filter(|(_, _, event, _)| *event == "mail_fresh")
            .map(|(_, _, _, n)| *n)
            .sum::<u64>()
    };
    stand.until("all are taken in", async || Ok(fresh() >= MAILS as u64)).await?;
    let took = started.elapsed();
    stand.requests(MAILS).await?;
    let line = format!("{MAILS} mails in {took:?}: {:.0} mails/s\n", MAILS as f64 / took.as_secs_f64());
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes())?;
    run.stop().await;
    Ok(())
}
