//! Mails that do not come: a server that hangs up, lies about sizes, refuses, closes politely at the wrong moment.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;
use voxea_core::base::actor::Actor;
use voxea_core::base::exit::Exit;
use voxea_imap::planner::First;

use crate::peer::{Peer, Say, asks_for, body};
use crate::stand::{Stand, mail};

const IDLE: &str = "IDLE";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_at_which_the_server_hangs_up_holds_up_no_other() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let hangs_up = |_: usize, command: &str| match asks_for(command, 2) {
        Some(_) => Say::ThenClose(b"* 1 FETCH (UID 2 BODY[]<0> {400}\r\nFrom: ".to_vec()),
        None => Say::Well,
    };
    let peer = Peer::start(IDLE, hangs_up).await?;
    for uid in 1..=5 {
        peer.deliver(uid, &mail(uid as usize, "Bonjour.\r\n"));
    }
    let mut config = stand.config(None);
    (config.server.port, config.first) = (peer.port, First::All);
    let started = Instant::now();
    let run = stand.run(config.clone());
    stand.until("the others are in", async || Ok(stand.all().await?.len() >= 4)).await?;
    ensure!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // It is due again in half a minute; what comes meanwhile comes at once.
    let delivered = Instant::now();
    peer.deliver(6, &mail(6, "Bonsoir.\r\n"));
    stand
        .until("the next one is in", async || Ok(stand.all().await?.len() >= 5))
        .await?;
    // Within a second, and as much again for a machine that is busy with other tests.
    ensure!(delivered.elapsed() < Duration::from_secs(2), "{:?}", delivered.elapsed());
    ensure!(run.stop().await == Exit::Stopped);

    // In the end it is known by its place.
    config.fetch_retry_seconds = 0;
    for _ in 0..10 {
        if stand.all().await?.len() == 6 {
            break;
        }
        let run = stand.run(config.clone());
        tokio::select! {
            _ = run.ended() => {}
            all = stand.requests(6) => drop(all?),
        }
    }
    let request = stand.requests(6).await?.pop().context("no request")?;
    let shown = stand.core.interactions.of_request(&Actor::System, &request.id).await?;
    let text = shown[0].row.text.clone().unwrap_or_default();
    ensure!(
        shown[0].flags == ["quarantined"] && text.contains("« INBOX », UID 2 (UIDVALIDITY 7)"),
        "{:?} {text}",
        shown[0].flags
    );
    ensure!(
        !peer.heard().iter().any(|command| command.starts_with("UID STORE 2 ")),
        "what we have not got is not marked"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal_above_the_cap_is_taken_in_by_its_headers() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let lies = |_: usize, command: &str| match asks_for(command, 2) {
        Some(false) => Say::Bytes(b"* 1 FETCH (UID 2 BODY[]<0> {500000000}\r\nFrom: ".to_vec()),
        _ => Say::Well,
    };
    let peer = Peer::start(IDLE, lies).await?;
    for uid in 1..=3 {
        peer.deliver(uid, &mail(uid as usize, "Bonjour.\r\n"));
    }
    let mut config = stand.config(None);
    (config.server.port, config.first, config.fetch_retry_seconds) = (peer.port, First::All, 0);
    let run = stand.run(config.clone());
    stand.until("the others are in", async || Ok(stand.all().await?.len() >= 2)).await?;
    // Three lost connections in a row end it; the supervisor begins anew.
    let exit = run.ended().await;
    ensure!(
        exit == Exit::Retry("a mail is larger than the server had said".to_owned()),
        "{exit:?}"
    );
    let run = stand.run(config.clone());
    let request = stand.requests(3).await?.pop().context("no request")?;
    let shown = stand.core.interactions.of_request(&Actor::System, &request.id).await?;
    ensure!(
        shown[0].flags == ["oversize"] && request.from_address == "citizen2@example.org",
        "{:?}",
        shown[0].flags
    );
    ensure!(run.stop().await == Exit::Stopped);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_politely_in_an_answer_loses_nothing() -> Result<()> {
    for at in ["UID SEARCH", "UID FETCH", "BODY.PEEK", "between", "UID STORE"] {
        let Some(stand) = Stand::start().await? else { return Ok(()) };
        let closes = move |number: usize, command: &str| match (number, asks_for(command, 1)) {
            (1, Some(_)) if at == "between" => Say::ThenClose(body(1, &mail(1, "Bonjour.\r\n"), false)),
            (1, _) if command.contains(at) => Say::ThenClose(Vec::new()),
            _ => Say::Well,
        };
        let peer = Peer::start(IDLE, closes).await?;
        for uid in 1..=3 {
            peer.deliver(uid, &mail(uid as usize, "Bonjour.\r\n"));
        }
        let mut config = stand.config(None);
        (config.server.port, config.first) = (peer.port, First::All);
        let run = stand.run(config.clone());
        // Where the end is laid to a mail, the next connection is made at once; else the supervisor makes it.
        let run = tokio::select! {
            all = stand.requests(3) => { all?; None }
            exit = run.ended() => {
                ensure!(matches!(exit, Exit::Retry(_)), "{at}: {exit:?}");
                Some(stand.run(config.clone()))
            }
        };
        stand.requests(3).await.with_context(|| format!("closed at {at}"))?;
        stand
            .until("all are marked", async || {
                let marked = |uid: u32| peer.heard().iter().any(|command| stored(command, uid));
                Ok((1..=3).all(marked))
            })
            .await?;
        if let Some(run) = run {
            ensure!(run.stop().await == Exit::Stopped);
        }
    }
    Ok(())
}

/// Whether a command marks this mail.
fn stored(command: &str, uid: u32) -> bool {
    let set = command.strip_prefix("UID STORE ").and_then(|rest| rest.split(' ').next());
    set.is_some_and(|set| asks_for(&format!("UID FETCH {set} BODY.PEEK"), uid).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_what_is_refused_halts() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    for (answer, retried) in [
        ("[INUSE] Mailbox is locked", true),
        ("[UNAVAILABLE] later", true),
        ("[SERVERBUG] Internal error", true),
        ("[LIMIT] too many", true),
        ("[NONEXISTENT] no such folder", false),
    ] {
        let refuses = move |_: usize, command: &str| match command.starts_with("SELECT") {
            true => Say::Bytes(format!("{{tag}} NO {answer}\r\n").into_bytes()),
            false => Say::Well,
        };
        let peer = Peer::start(IDLE, refuses).await?;
        let mut config = stand.config(None);
        config.server.port = peer.port;
        let exit = stand.run(config).ended().await;
        ensure!(
            matches!((&exit, retried), (Exit::Retry(_), true) | (Exit::Halt(_), false)),
            "{answer}: {exit:?}"
        );
    }
    for (answer, denied) in [
        ("[UNAVAILABLE] Temporary authentication failure.", false),
        ("[AUTHENTICATIONFAILED] Authentication failed.", true),
    ] {
        let refuses = move |_: usize, command: &str| match command.starts_with("LOGIN") {
            true => Say::Bytes(format!("{{tag}} NO {answer}\r\n").into_bytes()),
            false => Say::Well,
        };
        let peer = Peer::start(IDLE, refuses).await?;
        let mut config = stand.config(None);
        config.server.port = peer.port;
        let exit = stand.run(config).ended().await;
        ensure!(
            matches!((&exit, denied), (Exit::Denied(_), true) | (Exit::Retry(_), false)),
            "{answer}: {exit:?}"
        );
    }
    Ok(())
}
