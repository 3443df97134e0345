//! The submission server refuses, hangs up and goes away.

use std::time::Duration;

use anyhow::{Result, ensure};
use voxea_core::base::actor::Actor;
use voxea_core::outbox::NewReply;
use voxea_tests::smtp_sink::{Refusal, SmtpSink};

use crate::stand::{Stand, mail};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_rejected_and_says_why() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let mut config = stand.config(Some(&sink));
    config.acknowledge = false;
    let run = stand.run(config);
    stand.follows().await?;
    stand
        .dovecot
        .client("mairie")
        .await?
        .append_all("INBOX", [mail(1, "un\r\n"), mail(2, "deux\r\n")].iter().map(Vec::as_slice))
        .await?;
    let requests = stand.requests(2).await?;
    let answer = NewReply {
        channel: None,
        text: "Oui.".to_owned(),
        subject: None,
    };
    sink.refuse([Refusal::Recipient("550 5.1.1 no such user".to_owned())]);
    let refused = stand.core.outbox.reply(&Actor::System, &requests[0].id, &answer).await?;
    stand
        .until("the reply is rejected", async || {
            Ok(stand.core.outbox.get(&Actor::System, &refused.id).await?.state == "rejected")
        })
        .await?;
    let reason = stand.core.outbox.get(&Actor::System, &refused.id).await?.reason.unwrap_or_default();
    ensure!(reason.contains("550"), "{reason}");

    // A temporary refusal leaves it queued, with the reason.
    sink.refuse([Refusal::Data("451 4.3.0 later".to_owned())]);
    let later = stand.core.outbox.reply(&Actor::System, &requests[1].id, &answer).await?;
    stand
        .until("the reply is deferred", async || {
            Ok(stand.core.outbox.get(&Actor::System, &later.id).await?.reason.is_some())
        })
        .await?;
    let row = stand.core.outbox.get(&Actor::System, &later.id).await?;
    ensure!(
        row.state == "queued" && row.due_at > row.created_at + 20_000 && row.attempts == 1,
        "{row:?}"
    );
    run.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_submission_server_stops_no_mail_from_coming_in() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let config = stand.config(Some(&sink));
    drop(sink);
    let run = stand.run(config);
    stand.follows().await?;
    let mails: Vec<Vec<u8>> = (0..20).map(|n| mail(n, "un\r\n")).collect();
    stand
        .dovecot
        .client("mairie")
        .await?
        .append_all("INBOX", mails.iter().map(Vec::as_slice))
        .await?;
    stand.requests(20).await?;
    stand
        .until("the trouble is shown", async || {
            Ok(stand
                .core
                .channels
                .list()
                .iter()
                .any(|status| status.last_error.as_deref().is_some_and(|words| words.contains("submission"))))
        })
        .await?;
    run.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_repeats_the_same_message_id() -> Result<()> {
    let Some(stand) = Stand::start().await? else { return Ok(()) };
    let sink = SmtpSink::start().await?;
    let run = stand.run(stand.config(Some(&sink)));
    stand.follows().await?;
    sink.refuse([Refusal::Deaf]);
    stand.dovecot.client("mairie").await?.append("INBOX", &mail(1, "un\r\n")).await?;
    // The second try is due after half a minute.
    let ledger = sink.wait(2, Duration::from_secs(50)).await?;
    ensure!(
        !ledger[0].confirmed && ledger[1].confirmed && ledger[0].data == ledger[1].data,
        "{ledger:?}"
    );
    run.stop().await;
    Ok(())
}
