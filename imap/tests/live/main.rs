//! The mailbox against a real Dovecot, an SMTP sink that keeps a ledger, and the core on SQLite.
//!
//! Skipped, and said so, where Dovecot is not installed.
#![cfg(feature = "shell")]

mod cuts;
mod fetching;
mod moving;
mod oauth;
mod peer;
mod stand;
mod submission;
mod throughput;

use std::time::Duration;

use anyhow::{Result, ensure};
use stand::{Stand, mail};
use voxea_core::base::actor::Actor;
use voxea_core::base::exit::Exit;
use voxea_core::outbox::NewReply;
use voxea_imap::config::{After, Afters};
use voxea_imap::planner::First;
use voxea_tests::smtp_sink::SmtpSink;

#[tokio::test(flavor = "multi_thread")]
async fn mails_become_requests_and_are_acknowledged_once() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let config = stand.config(Some(&sink));
    let run = stand.run(config.clone());
    stand.follows().await?;

    let mut client = stand.dovecot.client("mairie").await?;
    let mails: Vec<Vec<u8>> = (0..50).map(|n| mail(n, "Bonjour,\r\nle café a fermé.\r\n")).collect();
    client.append_all("INBOX", mails.iter().map(Vec::as_slice)).await?;
    client.append("INBOX", b"From: robot@example.org\r\nMessage-ID: <auto@example.org>\r\nAuto-Submitted: auto-replied\r\nSubject: absent\r\n\r\nJe suis absent.\r\n").await?;
    client.append("INBOX", b"\xff\xfe nothing of a mail").await?;

    // The town writes to itself: a request like any other, but an acknowledgement would come back as the next mail.
    client
        .append(
            "INBOX",
            b"From: Mairie <MAIRIE@example.fr>\r\nMessage-ID: <own@example.fr>\r\nSubject: Essai\r\n\r\nUn essai.\r\n",
        )
        .await?;

    let requests = stand.requests(53).await?;
    let acknowledgements = sink.wait(50, Duration::from_secs(20)).await?;
    ensure!(
        acknowledgements
            .iter()
            .all(|sent| sent.header("Auto-Submitted").as_deref() == Some("auto-replied"))
    );
    ensure!(
        acknowledgements
            .iter()
            .all(|sent| sent.header("In-Reply-To").is_some() && sent.header("Message-ID").is_some())
    );
    ensure!(acknowledgements.iter().all(|sent| sent.to != ["robot@example.org"]));
    let first = requests
        .iter()
        .find(|request| request.from_address == "citizen0@example.org")
        .map(|request| request.id.clone())
        .unwrap_or_default();
    let shown = stand.core.interactions.of_request(&Actor::System, &first).await?;
    ensure!(
        shown[0].row.text.as_deref() == Some("Bonjour,\nle café a fermé."),
        "{:?}",
        shown[0].row.text
    );
    ensure!(
        shown[0].attachments.len() == 1 && shown[0].attachments[0].name == "plan été.pdf",
        "{:?}",
        shown[0].attachments
    );

    // An answer joins its request and is not acknowledged; so does an answer to our acknowledgement.
    client.append("INBOX", b"From: citizen0@example.org\r\nMessage-ID: <again0@example.org>\r\nIn-Reply-To: <m0@example.org>\r\nSubject: Re: Demande\r\n\r\nEt alors ?\r\n").await?;
    stand
        .until("the answer joins", async || {
            Ok(stand
                .core
                .interactions
                .of_request(&Actor::System, &first)
                .await?
                .iter()
                .filter(|one| one.row.direction == "in")
                .count()
                == 2)
        })
        .await?;
    stand.requests(53).await?;
    ensure!(sink.ledger().len() == 50, "{} mails were sent", sink.ledger().len());

    // All are marked, and a second start takes nothing in again.
    ensure!(client.command("SELECT INBOX").await?.iter().all(|line| !line.contains("UNSEEN ")));
    ensure!(run.stop().await == Exit::Stopped);
    let again = stand.run(config);
    stand.follows().await?;
    client.append("INBOX", &mail(99, "Après.\r\n")).await?;
    stand.requests(54).await?;
    ensure!(again.stop().await == Exit::Stopped);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_settles_the_reply_and_opens_nothing() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let run = stand.run(stand.config(Some(&sink)));
    stand.follows().await?;
    let mut client = stand.dovecot.client("mairie").await?;
    client.append("INBOX", &mail(1, "Bonjour.\r\n")).await?;
    let request = stand.requests(1).await?.remove(0);
    sink.wait(1, Duration::from_secs(10)).await?;
    let reply = stand
        .core
        .outbox
        .reply(
            &Actor::System,
            &request.id,
            &NewReply {
                channel: None,
                text: "C'est réparé.".to_owned(),
                subject: None,
            },
        )
        .await?;
    let sent = sink.wait(2, Duration::from_secs(10)).await?.remove(1);
    ensure!(
        sent.to == ["citizen1@example.org"] && sent.header("In-Reply-To").as_deref() == Some("<m1@example.org>"),
        "{sent:?}"
    );
    ensure!(sent.header("Auto-Submitted").is_none() && sent.header("Subject").is_some_and(|subject| subject.contains(&request.reference)));
    stand
        .until("the reply is submitted", async || {
            Ok(stand.core.outbox.get(&Actor::System, &reply.id).await?.state == "submitted")
        })
        .await?;

    let id = sent.header("Message-ID").unwrap_or_default();
    let bounce = format!(
        "From: MAILER-DAEMON@mx.example\r\nReturn-Path: <>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 inconnu\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {id}\r\n\r\n--b--\r\n"
    );
    client.append("INBOX", bounce.as_bytes()).await?;
    stand
        .until("the reply is rejected", async || {
            Ok(stand.core.outbox.get(&Actor::System, &reply.id).await?.state == "rejected")
        })
        .await?;
    ensure!(
        stand
            .core
            .outbox
            .get(&Actor::System, &reply.id)
            .await?
            .reason
            .is_some_and(|reason| reason.contains("550 inconnu"))
    );
    stand.requests(1).await?;
    run.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn import_sends_nothing_and_uidvalidity_doubles_nothing() -> Result<()> {
    let Some(mut stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let mails: Vec<Vec<u8>> = (0..120).map(|n| mail(n, "Ancien.\r\n")).collect();
    stand
        .dovecot
        .client("mairie")
        .await?
        .append_all("INBOX", mails.iter().map(Vec::as_slice))
        .await?;
    let mut config = stand.config(Some(&sink));
    config.first = First::All;
    let run = stand.run(config.clone());
    stand.requests(120).await?;
    ensure!(run.stop().await == Exit::Stopped);

    // What came while nobody looked, and before the folder was numbered anew, is as new as what comes after.
    stand
        .dovecot
        .client("mairie")
        .await?
        .append("INBOX", &mail(499, "Nouveau.\r\n"))
        .await?;
    stand.dovecot.stop();
    stand.dovecot.change_uidvalidity("mairie")?;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stand.dovecot.restart().await?;
    let run = stand.run(config.clone());
    stand.follows().await?;
    stand
        .dovecot
        .client("mairie")
        .await?
        .append("INBOX", &mail(500, "Nouveau.\r\n"))
        .await?;
    stand.requests(122).await?;
    let sent = sink.wait(2, Duration::from_secs(10)).await?;
    let mut to: Vec<String> = sent.iter().map(|mail| mail.to.join(",")).collect();
    to.sort();
    ensure!(to == ["citizen499@example.org", "citizen500@example.org"], "{sent:?}");
    run.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_moved_to_a_folder_that_did_not_exist() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let mut config = stand.config(None);
    config.after = Afters::all(After::Move("Traités".to_owned()));
    let run = stand.run(config);
    stand.follows().await?;
    let mut client = stand.dovecot.client("mairie").await?;
    client
        .append_all("INBOX", [mail(1, "un\r\n"), mail(2, "deux\r\n")].iter().map(Vec::as_slice))
        .await?;
    stand.requests(2).await?;
    let mut watcher = stand.dovecot.client("mairie").await?;
    for _ in 0..200 {
        let status = watcher.command("STATUS INBOX (MESSAGES)").await?;
        if status.iter().any(|line| line.contains("MESSAGES 0")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let moved = watcher.command("STATUS \"Trait&AOk-s\" (MESSAGES)").await?;
    ensure!(moved.iter().any(|line| line.contains("MESSAGES 2")), "{moved:?}");
    run.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_starttls_trust_the_authority_that_is_named_and_no_other() -> Result<()> {
    let Some(stand) = Stand::start_tls().await? else { return Ok(()) };
    for security in ["tls", "starttls"] {
        let mut config = stand.config_with(None, security);
        let found = voxea_imap::probe(&config).await.map_err(anyhow::Error::msg)?;
        ensure!(found.contains("logged in") && found.contains("IDLE"), "{found}");
        config.server.ca_file = None;
        let refused = voxea_imap::probe(&config).await;
        ensure!(refused.as_ref().is_err_and(|words| words.contains("certificate")), "{refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_halts_and_a_lost_connection_retries() -> Result<()> {
    let Some(mut stand) = Stand::start().await? else { return Ok(()) };
    let mut config = stand.config(None);
    config.password = voxea_core::base::secret::Secret::new("wrong");
    ensure!(matches!(stand.run(config).ended().await, Exit::Denied(words) if words.contains("password")));

    let run = stand.run(stand.config(None));
    stand.follows().await?;
    stand.dovecot.stop();
    ensure!(matches!(run.ended().await, Exit::Retry(_)));
    ensure!(matches!(stand.run(stand.config(None)).ended().await, Exit::Retry(_)));
    Ok(())
}
