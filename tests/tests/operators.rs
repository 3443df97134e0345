//! What an operator's SMSC may want or say beyond texts, byte by byte: a certificate of ours, SMPP 5.0, phones that are back,
//! an alphabet of its own, fewer binds than are configured.

use anyhow::{Context as _, Result, ensure};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tokio::time::timeout;
use voxea_tests::authority::Authority;
use voxea_tests::by_hand::{BIND_RECEIVER, BIND_TRANSCEIVER, Link, SOON, Smsc, account, at, binds_up, reply, run, shown, state};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::smsc::{Message, Submit, pdu};

const ALERT_NOTIFICATION: u32 = 0x0000_0102;
const BIND_FAILED: u32 = 0x0D;

/// Red where the alert of the SMSC is taken for any end of a connection: then it is tried again and again, and nobody is told
/// what is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_that_wants_a_certificate_of_ours_gets_it_or_we_say_what_to_do() -> Result<()> {
    let (here, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (authority, stranger) = (
        Authority::new(here.path())?,
        Authority::of_name(elsewhere.path(), "nobody they know")?,
    );
    authority.issue("smsc", "127.0.0.1")?;
    authority.issue("voxea", "voxea.example")?;
    stranger.issue("voxea", "voxea.example")?;
    let keys = |of: Option<&Authority>| {
        let ours = of.map(|of| {
            let (certificate, key) = (of.file("voxea", "pem"), of.file("voxea", "key"));
            format!("certificate = \"{}\"\nkey_file = \"{}\"\n", certificate.display(), key.display())
        });
        let ca = authority.file("ca", "pem");
        format!("security = \"tls\"\nca_file = \"{}\"\n{}", ca.display(), ours.unwrap_or_default())
    };
    for (version, shows, words) in [
        (&TLS13, None, "the SMSC wants a certificate of ours; ask its operator for one"),
        (&TLS12, None, "the SMSC wants a certificate of ours; ask its operator for one"),
        (
            &TLS13,
            Some(&stranger),
            "the SMSC does not take our certificate (its authority is not known there)",
        ),
        (
            &TLS12,
            Some(&stranger),
            "the SMSC does not take our certificate (its authority is not known there)",
        ),
    ] {
        let smsc = Smsc::listen().await?;
        let (scratch, running) = run(&account(&at(&smsc)?, &keys(shows))).await?;
        let accepted = authority.accept_known(smsc.accept().await?.stream, "smsc", &[version]).await;
        ensure!(accepted.is_err(), "it is let in");
        let halted = |account: &Value| account["state"] == "halted" && account["next_attempt"].is_string();
        let account = shown(&running, halted).await?;
        let said = account["last_error"].as_str().unwrap_or_default();
        ensure!(said.contains(words) && said.contains("key_file"), "{version:?}: {said}");
        running.kill().await?;
        // The doctor finds the same.
        let mut doctor = scratch.command(&["doctor"]);
        let refusing = async { authority.accept_known(smsc.accept().await?.stream, "smsc", &[version]).await };
        let (said, refused) = tokio::join!(doctor.output(), refusing);
        let said = said?;
        ensure!(refused.is_err() && !said.status.success() && String::from_utf8(said.stdout)?.contains(words));
    }
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, &keys(Some(&authority)))).await?;
    let mut link = Link::new(authority.accept_known(smsc.accept().await?.stream, "smsc", &[&TLS13]).await?);
    link.bound(BIND_TRANSCEIVER).await?;
    link.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    assert_eq!(requests(&running, "channel=sms").await?.len(), 1);
    running.kill().await
}

fn congestion(state: u8) -> [u8; 5] {
    [0x04, 0x28, 0, 1, state]
}

/// SMPP 5.0 §4.8.4.18. Red where what it says is not heeded: then all three come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_of_5_0_that_is_congested_gets_one_text_at_a_time() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "version = \"5.0\"\nreconnect_seconds = 1\n")).await?;
    let mut link = smsc.accept().await?;
    let bind = link.bound_with(BIND_TRANSCEIVER, b"").await?;
    assert_eq!(bind.body, b"voxea\0secret\0\0\x50\0\0\0");
    let numbers = ["33611111111", "33622222222", "33633333333"];
    for number in numbers {
        link.deliver(&Message::plain(number, "Bonjour")).await?;
    }
    drop(link);
    shown(&running, |account| binds_up(account) == 0).await?;
    let mut replies = Vec::new();
    for number in numbers {
        replies.push(reply(&running, &format!("+{number}"), "Merci").await?);
    }
    let mut link = smsc.accept().await?;
    link.bound_with(BIND_TRANSCEIVER, &congestion(100)).await?;
    let (first, _) = link.submitted().await?;
    shown(&running, |account| account["binds"][0]["congestion"] == 100).await?;
    // Whatever else it had been given leave to send would come before this.
    link.send(pdu::ENQUIRE_LINK, 0, 5, b"").await?;
    link.expect(pdu::ENQUIRE_LINK | pdu::RESPONSE).await?;
    link.take_with(first, "1", &congestion(0)).await?;
    let (second, third) = (link.submitted().await?.0, link.submitted().await?.0);
    link.take(second, "2").await?;
    link.take(third, "3").await?;
    for reply in &replies {
        state(&running, reply, "submitted").await?;
    }
    running.kill().await
}

/// SMPP 3.4 §4.12. A text that an SMSC in trouble puts off waits 2 s, then twice as long each time: 16 and 32 s before the
/// last two tries. Red where what waits is not made due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_off_goes_at_once_when_the_phone_is_back() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "")).await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    link.deliver(&Message::plain("33612345678", "Bonjour")).await?;
    let id = reply(&running, "+33612345678", "Merci").await?;
    let target = format!("/v1/replies/{id}");
    let (mut sequence, _) = link.submitted().await?;
    for (status, name) in [
        (0x08, "ESME_RSYSERR"),
        (0x64, "ESME_RX_T_APPN"),
        (0xFF, "ESME_RUNKNOWNERR"),
        (0x04, "ESME_RINVBNDSTS"),
        (0x05, "ESME_RALYBND"),
    ] {
        link.send(pdu::SUBMIT_SM | pdu::RESPONSE, status, sequence, b"").await?;
        let put_off = |reply: &Value| reply["state"] == "queued" && reply["reason"].as_str().is_some_and(|reason| reason.contains(name));
        running.rest().until(&target, SOON, put_off).await?;
        let back = b"\x01\x0133612345678\0\x03\x0036123\0\x04\x22\0\x01\0";
        link.send(ALERT_NOTIFICATION, 0, 7, back).await?;
        // Nothing answers it; what comes is the text.
        (sequence, _) = timeout(SOON, link.submitted())
            .await
            .with_context(|| format!("put off by {name}"))??;
    }
    link.take(sequence, "1").await?;
    state(&running, &id, "submitted").await?;
    running.kill().await
}

/// Red where ids are compared as they are written alone, and where a receipt that nothing knows yet is dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_writes_the_id_in_another_way_and_comes_before_the_response() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "")).await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    for (number, response, receipt, early) in [
        ("33611111111", "AB12C3", "0011211459", false),
        ("33622222222", "AB12C4", "0011211460", true),
        ("33633333333", "11211461", "AB12C5", true),
    ] {
        link.deliver(&Message::plain(number, "Bonjour")).await?;
        let id = reply(&running, &format!("+{number}"), "Merci").await?;
        let (sequence, to) = link.submitted().await?;
        let receipt = Message::receipt(&to, receipt, "DELIVRD");
        if early {
            link.deliver(&receipt).await?;
            link.take(sequence, response).await?;
        } else {
            link.take(sequence, response).await?;
            state(&running, &id, "submitted").await?;
            link.deliver(&receipt).await?;
        }
        state(&running, &id, "delivered").await?;
    }
    running.kill().await
}

/// Red where it is queued and refused only by the channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_smsc_of_latin1_cannot_read_is_refused_where_it_stands() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "default_alphabet = \"latin1\"\n")).await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    link.deliver(&Message::latin1("33611111111", "Déjà payé")).await?;
    let request = requests(&running, "channel=sms").await?.pop().context("no request")?;
    let target = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
    let text = format!(
        "Il reste à payer, avant la fin du mois prochain et en une fois, la somme de {} €",
        12
    );
    ensure!(text.chars().count() > 70);
    let mut rest = running.rest();
    let preview = rest.call("POST", "/v1/sms:preview", Some(&json!({"text": text}))).await?.json()?;
    let refused = rest.call("POST", &target, Some(&json!({"text": text}))).await?;
    assert_eq!(refused.status, 422);
    let refused = refused.json()?;
    for said in [&preview, &refused] {
        assert_eq!((&said["coding"], &said["limit"]), (&json!("ucs2"), &json!(70)), "{said}");
        assert_eq!(
            said["offending"],
            json!([{"char": "€", "index": text.chars().count() - 1}]),
            "{said}"
        );
    }
    let split = rest.call("POST", &target, Some(&json!({"text": text, "split": true}))).await?;
    assert_eq!(split.status, 202);
    let mut said = String::new();
    for id in ["1", "2"] {
        let submit = link.expect(pdu::SUBMIT_SM).await?;
        let mut read = Submit::read(&submit.body).context("a submit_sm cut off")?;
        assert_eq!((read.data_coding, read.esm_class), (8, 0x40));
        read.message.drain(..6);
        said += &read.text();
        link.take(submit.sequence, id).await?;
    }
    assert_eq!(said, text);
    // Without that one character it is one message, in the letters that the SMSC reads.
    let plain = text.replace('€', "euros");
    let sent = rest.call("POST", &target, Some(&json!({"text": plain}))).await?;
    assert_eq!(sent.status, 202);
    let submit = link.expect(pdu::SUBMIT_SM).await?;
    let read = Submit::read(&submit.body).context("a submit_sm cut off")?;
    let latin1: String = read.message.iter().map(|octet| char::from(*octet)).collect();
    assert_eq!((read.data_coding, latin1), (0, plain));
    running.kill().await
}

/// Red where the doctor is content with the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_tries_every_bind() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let scratch = Scratch::new(
        &scratch::binary()?,
        "sqlite:voxea.db",
        &account(&at(&smsc)?, "binds = 2\nbind = \"separate\"\n"),
    )
    .await?;
    for refused in [true, false] {
        let mut doctor = scratch.command(&["doctor"]);
        let serving = async {
            let mut refusals = usize::from(refused);
            for _ in 0..4 {
                let mut link = smsc.accept().await?;
                let bind = link.next().await?.context("no bind")?;
                if bind.id == BIND_RECEIVER && refusals > 0 {
                    refusals -= 1;
                    link.send(bind.id | pdu::RESPONSE, BIND_FAILED, bind.sequence, b"").await?;
                } else {
                    link.send(bind.id | pdu::RESPONSE, 0, bind.sequence, b"smsc\0").await?;
                    link.unbound().await?;
                }
            }
            anyhow::Ok(())
        };
        let (said, served) = tokio::join!(doctor.output(), serving);
        served?;
        let said = said?;
        let words = String::from_utf8(said.stdout)?;
        assert_eq!(said.status.success(), !refused, "{words}");
        let line = words.lines().find(|line| line.contains("smpp/short-number")).context("no line")?;
        if refused {
            ensure!(
                line.contains("-receiver: the SMSC refused the bind: ESME_RBINDFAIL") && line.contains("3 of 4 binds"),
                "{line}"
            );
        } else {
            ensure!(line.ends_with("as voxea and unbound: 4 binds"), "{line}");
        }
    }
    Ok(())
}
