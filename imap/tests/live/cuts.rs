//! A server that hangs up in the middle of a mail, and one that renumbers its mails under our feet.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::timeout;
use voxea_core::base::exit::Exit;
use voxea_tests::imap_server::ImapServer;

use crate::stand::{Stand, mail};

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_in_a_literal_lose_and_double_nothing() -> Result<()> {
    const CUTS: usize = 40;
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let server = ImapServer::start("mairie", voxea_tests::dovecot::PASSWORD).await?;
    let mut config = stand.config(None);
    config.server.port = server.address().port();
    // The first connection sets the place; what comes later is new.
    let first = stand.run(config.clone());
    stand.follows().await?;
    ensure!(first.stop().await == Exit::Stopped);
    for n in 0..CUTS {
        server.cut_next_literal(u32::try_from(n * 13)?);
        let uid = server.deliver(&mail(n, "Bonjour.\r\n"))?;
        // A cut in a FETCH is followed by the next connection at once.
        let run = stand.run(config.clone());
        timeout(Duration::from_secs(20), server.settled(uid)).await?;
        ensure!(run.stop().await == Exit::Stopped);
    }
    stand.requests(CUTS).await?;

    // Renumbered while we idle: the next look finds it out, reads anew and knows every mail.
    server.change_validity();
    let run = stand.run(config.clone());
    let uid = server.deliver(&mail(CUTS, "Bonjour.\r\n"))?;
    timeout(Duration::from_secs(20), server.settled(uid)).await?;
    run.stop().await;
    stand.requests(CUTS + 1).await?;
    Ok(())
}
