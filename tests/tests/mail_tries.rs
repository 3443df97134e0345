//! The tries of one mail are one mail.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::smtp_sink::{Received, Refusal, SmtpSink};

/// Two tries are half a minute apart.
const PATIENCE: Duration = Duration::from_secs(120);

const MAIL: &[u8] = b"From: zoe@example.org\r\nSubject: Trou\r\nMessage-ID: <1@example.org>\r\n\r\nBonjour\r\n";

fn channels(dovecot: &Dovecot, sink: &SmtpSink) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n\n\
         [mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie <mairie@example.fr>\"\n",
        dovecot.port, sink.address
    )
}

/// The two tries of a mail of which the first answer was lost, as they came.
async fn tries_of_a_lost_answer(mutant: &str) -> Result<[Received; 2]> {
    let (dovecot, sink) = (Dovecot::start().await?, SmtpSink::start().await?);
    let channels = channels(&dovecot, &sink);
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment = vec![("VOXEA_MUTANT".to_owned(), mutant.to_owned())];
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    sink.refuse([Refusal::Deaf]);
    dovecot.client("mairie").await?.append("INBOX", MAIL).await?;
    // It is tried again after half a minute.
    let tries = sink.wait(2, PATIENCE).await?;
    running.stop().await?;
    <[Received; 2]>::try_from(tries).map_err(|tries| anyhow::anyhow!("{} tries", tries.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_repeats_the_mail_and_another_id_is_caught() -> Result<()> {
    let (sound, faulty) = tokio::try_join!(tries_of_a_lost_answer(""), tries_of_a_lost_answer("message_id_of_each_try"))?;
    let [first, second] = sound;
    assert!(!first.confirmed && second.confirmed);
    assert_eq!(first.data, second.data);
    // The gate can fail.
    let [first, second] = faulty;
    assert_ne!(first.header("Message-ID"), second.header("Message-ID"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_not_taken_costs_no_mail_and_a_recipient_does() -> Result<()> {
    let (dovecot, sink) = (Dovecot::start().await?, SmtpSink::start().await?);
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels(&dovecot, &sink)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    // In words that no table has: the mail's own try, and the question without a mail that follows it.
    let today = Refusal::Sender("550 5.7.1 not today".to_owned());
    sink.refuse([today.clone(), today]);
    dovecot.client("mairie").await?.append("INBOX", MAIL).await?;
    let said = |shown: &Value| shown["items"].to_string().contains("550: 5.7.1 not today");
    running.rest().until("/v1/channels", PATIENCE, said).await?;
    assert_eq!(sink.wait(1, PATIENCE).await?.remove(0).to, ["zoe@example.org"]);

    // The same words to RCPT, where the question is answered with 250, are of that mail alone.
    sink.refuse([Refusal::Recipient("550 5.7.1 not today".to_owned())]);
    let requests = running.rest().get("/v1/requests?channel=email").await?;
    let request = requests["items"][0]["id"].as_str().context("no request")?;
    let answer = json!({"text": "Oui."});
    let replies = format!("/v1/requests/{request}/replies");
    let reply = running.rest().call("POST", &replies, Some(&answer)).await?.json()?;
    let target = format!("/v1/replies/{}", reply["id"].as_str().context("no id")?);
    running
        .rest()
        .until(&target, PATIENCE, |shown| shown["state"] == "rejected")
        .await?;
    running.stop().await
}
