//! The tries of one mail are one mail.

use std::time::Duration;

use anyhow::Result;
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::smtp_sink::{Received, Refusal, SmtpSink};

/// Two tries are half a minute apart.
const PATIENCE: Duration = Duration::from_secs(120);

/// The two tries of a mail of which the first answer was lost, as they came.
async fn tries_of_a_lost_answer(mutant: &str) -> Result<[Received; 2]> {
    let (dovecot, sink) = (Dovecot::start().await?, SmtpSink::start().await?);
    let channels = format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n\n\
         [mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie <mairie@example.fr>\"\n",
        dovecot.port, sink.address
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment = vec![("VOXEA_MUTANT".to_owned(), mutant.to_owned())];
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    sink.refuse([Refusal::Deaf]);
    let raw = b"From: zoe@example.org\r\nSubject: Trou\r\nMessage-ID: <1@example.org>\r\n\r\nBonjour\r\n";
    dovecot.client("mairie").await?.append("INBOX", raw).await?;
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
