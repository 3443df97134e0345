//! Moving without MOVE: the connection is lost before and after each step, and no mail is twice in the other folder.

use anyhow::{Context as _, Result, ensure};
use voxea_core::base::exit::Exit;
use voxea_imap::config::{After, Afters};
use voxea_imap::planner::First;

use crate::peer::{Peer, Say};
use crate::stand::{Stand, mail};

const STEPS: [&str; 4] = ["STATUS", "UID COPY", "UID STORE", "UID EXPUNGE"];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_doubles_no_mail_in_the_other_folder() -> Result<()> {
    for (step, done) in STEPS.iter().flat_map(|step| [(*step, true), (*step, false)]) {
        for capabilities in ["IDLE UIDPLUS", "IDLE"] {
            let Some(stand) = Stand::start().await? else { return Ok(()) };
            let cuts = move |number: usize, command: &str| match number == 1 && command.starts_with(step) {
                true if done => Say::DoneThenClose,
                true => Say::ThenClose(Vec::new()),
                false => Say::Well,
            };
            let peer = Peer::start(capabilities, cuts).await?;
            for uid in 1..=3 {
                peer.deliver(uid, &mail(uid as usize, "Bonjour.\r\n"));
            }
            let mut config = stand.config(None);
            config.after = Afters::all(After::Move("Traités".to_owned()));
            (config.server.port, config.first) = (peer.port, First::All);
            let uidplus = capabilities.contains("UIDPLUS");
            if uidplus || step != "UID EXPUNGE" {
                let exit = stand.run(config.clone()).ended().await;
                ensure!(matches!(exit, Exit::Retry(_)), "{exit:?}");
            }
            let run = stand.run(config.clone());
            stand.requests(3).await?;
            stand.follows().await?;
            let left = if uidplus { 0 } else { 3 };
            stand
                .until("they are moved", async || Ok(peer.counts() == (left, 3)))
                .await
                .with_context(|| format!("{step}, done: {done}, {capabilities}: {:?}", peer.counts()))?;
            // What comes later is moved as well, and once.
            peer.deliver(4, &mail(4, "Bonsoir.\r\n"));
            let left = if uidplus { 0 } else { 4 };
            stand
                .until("the next one is moved", async || Ok(peer.counts() == (left, 4)))
                .await?;
            ensure!(run.stop().await == Exit::Stopped);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_step_is_not_begun_again() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let refuses = |_: usize, command: &str| match command.starts_with("UID STORE") {
        true => Say::Bytes(b"{tag} NO [NOPERM] not yours\r\n".to_vec()),
        false => Say::Well,
    };
    let peer = Peer::start("IDLE UIDPLUS", refuses).await?;
    for uid in 1..=3 {
        peer.deliver(uid, &mail(uid as usize, "Bonjour.\r\n"));
    }
    let mut config = stand.config(None);
    config.after = Afters::all(After::Move("Traités".to_owned()));
    (config.server.port, config.first) = (peer.port, First::All);
    for _ in 0..2 {
        let run = stand.run(config.clone());
        stand.requests(3).await?;
        stand.follows().await?;
        ensure!(run.stop().await == Exit::Stopped);
        ensure!(peer.counts() == (3, 3), "{:?}", peer.counts());
    }
    Ok(())
}
