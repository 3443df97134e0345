//! Texts through SMPP that nobody here wrote: Kannel and smpplib as the telephones' side of an SMSC, Jasmin as an SMSC.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use voxea_tests::kannel::{Kannel, Sink};
use voxea_tests::kill::requests;
use voxea_tests::peer::Node;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Receipts, Smsc};

const PATIENCE: Duration = Duration::from_secs(30);
/// All of the default alphabet that French has, its extension table, and line ends.
const GSM: &str = "àéèùìò Ç É 5 € [été] {x} ^ ~ | \\ @£$¥\nfin";
/// Beyond it: circumflexes, quotes, an emoji of two units and one of four.
const UCS2: &str = "Où est l’hôpital « Bœuf » ? À bientôt 😀👍🏽";

fn long() -> String {
    (0..40).map(|number| format!("Phrase {number} {{5 €}} déjà. ")).collect()
}

async fn voxea(address: &str) -> Result<(Scratch, Running)> {
    let channels = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{address}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         reconnect_seconds = 1\n"
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    Ok((scratch, running))
}

/// The one request of a number, and its texts, once there are as many.
async fn texts(running: &Running, from: &str, count: usize) -> Result<(String, Vec<String>)> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let all = requests(running, "channel=sms").await?;
        let mine: Vec<&Value> = all.iter().filter(|request| request["from"] == from).collect();
        ensure!(mine.len() < 2, "{} requests of {from}", mine.len());
        if let [request] = mine.as_slice() {
            let id = request["id"].as_str().context("no id")?.to_owned();
            let shown = running.rest().get(&format!("/v1/requests/{id}/interactions")).await?;
            let items = shown["items"].as_array().into_iter().flatten();
            let texts: Vec<String> = items
                .filter(|item| item["direction"] == "in")
                .map(|item| item["text"].as_str().unwrap_or_default().to_owned())
                .collect();
            if texts.len() >= count {
                return Ok((id, texts));
            }
        }
        if tokio::time::Instant::now() > deadline {
            bail!("not {count} texts of {from} among {} requests", all.len());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn reply(running: &Running, request: &str, text: &str) -> Result<String> {
    let target = format!("/v1/requests/{request}/replies");
    let answered = running.rest().call("POST", &target, Some(&json!({"text": text}))).await?;
    ensure!(
        answered.status == 202,
        "{}: {}",
        answered.status,
        String::from_utf8_lossy(&answered.body)
    );
    Ok(answered.json()?["id"].as_str().context("no id")?.to_owned())
}

async fn delivered(running: &Running, reply: &str) -> Result<()> {
    let target = format!("/v1/replies/{reply}");
    running
        .rest()
        .until(&target, PATIENCE, |reply| reply["state"] == "delivered")
        .await?;
    Ok(())
}

/// An SMSC of two sides: what one side submits is delivered to the other, octet by octet.
struct Relay {
    phones: Smsc,
    hall: Smsc,
    carried: (usize, usize),
}

impl Relay {
    async fn start() -> Result<Self> {
        let quiet = Manner {
            receipts: Receipts::None,
            ..Manner::default()
        };
        Ok(Self {
            phones: Smsc::listen("voxea", "secret", quiet).await?,
            hall: Smsc::listen("voxea", "secret", Manner::default()).await?,
            carried: (0, 0),
        })
    }

    /// Carries on what the telephones submitted, once it is so much.
    async fn carry_in(&mut self, count: usize) -> Result<()> {
        self.carried.0 = carry(&self.phones, &self.hall, self.carried.0, count).await?;
        ensure!(self.hall.until(PATIENCE, Ledger::all_settled).await, "not all was acknowledged");
        Ok(())
    }

    async fn carry_out(&mut self, count: usize) -> Result<()> {
        self.carried.1 = carry(&self.hall, &self.phones, self.carried.1, count).await?;
        Ok(())
    }
}

async fn carry(from: &Smsc, to: &Smsc, before: usize, count: usize) -> Result<usize> {
    let there = before + count;
    ensure!(
        from.until(PATIENCE, |ledger| ledger.submits.len() >= there).await,
        "{} submits, not {there}",
        from.look(|ledger| ledger.submits.len())
    );
    for submit in from.look(|ledger| ledger.submits[before..there].to_vec()) {
        to.send(&Message {
            from: submit.source.2.clone(),
            from_ton: 1,
            to: submit.destination.2.clone(),
            esm_class: submit.esm_class,
            data_coding: submit.data_coding,
            body: submit.message.clone(),
            tlvs: Vec::new(),
        });
    }
    Ok(there)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kannel_writes_is_read_and_it_reads_what_we_write() -> Result<()> {
    let mut relay = Relay::start().await?;
    let mut sink = Sink::start().await?;
    let kannel = Kannel::start(relay.phones.address(), sink.address, 10).await?;
    let bound = relay.phones.until(PATIENCE, |ledger| ledger.bound).await;
    ensure!(bound, "Kannel is not bound:\n{}", kannel.log());
    let (_scratch, running) = voxea(&relay.hall.address().to_string()).await?;
    let (mut client, long) = (kannel.client(), long());
    for (from, text, coding, parts) in [
        ("33611111111", GSM, 0, 1),
        ("33622222222", UCS2, 2, 1),
        ("33633333333", long.as_str(), 0, long.chars().count().div_ceil(140)),
        ("33644444444", &UCS2.repeat(5), 2, UCS2.encode_utf16().count() * 5 / 67 + 1),
    ] {
        assert_eq!(client.send(from, "36123", text, coding).await?, 202);
        let sent = |ledger: &Ledger| ledger.submits.iter().filter(|submit| submit.source.2 == from).count();
        relay.phones.until(PATIENCE, |ledger| sent(ledger) >= parts).await;
        relay.carry_in(relay.phones.look(sent)).await?;
        let (_, read) = texts(&running, &format!("+{from}"), 1).await?;
        assert_eq!(read, [text], "{from}");
    }
    let (request, _) = texts(&running, "+33611111111", 1).await?;
    let short: String = UCS2.chars().take(40).collect();
    for (number, text) in ["Déjà 5 € [à voir]", short.as_str()].into_iter().enumerate() {
        let id = reply(&running, &request, text).await?;
        relay.carry_out(1).await?;
        tokio::time::timeout(PATIENCE, sink.until(number + 1))
            .await
            .context("Kannel told nothing")?;
        let told = sink.taken().pop().context("nothing")?;
        let typed = text.replace('’', "'").replace(['«', '»'], "\"");
        assert!([text, typed.as_str()].contains(&told.text.as_str()), "{told:?}");
        delivered(&running, &id).await?;
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_smpplib_writes_is_read_and_it_reads_what_we_write() -> Result<()> {
    let mut relay = Relay::start().await?;
    let port = relay.phones.address().port().to_string();
    let (mut esme, _) = Node::python("esme.py", &["127.0.0.1", &port]).await?;
    let (_scratch, running) = voxea(&relay.hall.address().to_string()).await?;
    let long = long();
    for (from, text, backwards) in [
        ("33611111111", GSM, false),
        ("33622222222", UCS2, false),
        ("33633333333", long.as_str(), false),
        // Each part is cut between any two octets of the alphabet, an escape and its letter too, and the last comes first.
        ("33644444444", long.as_str(), true),
    ] {
        esme.order(
            &json!({"from": from, "to": "36123", "text": text, "backwards": backwards}),
            "submitted",
        )
        .await?;
        let septets: usize = text.chars().map(|char| 1 + usize::from("^{}\\[~]|€".contains(char))).sum();
        let parts = if septets > 160 { septets.div_ceil(153) } else { 1 };
        relay.carry_in(parts).await?;
        let (_, read) = texts(&running, &format!("+{from}"), 1).await?;
        assert_eq!(read, [text], "{from}");
    }
    let (request, _) = texts(&running, "+33611111111", 1).await?;
    for text in ["Déjà 5 vu à voir", "Reçu, à bientôt 😀"] {
        let id = reply(&running, &request, text).await?;
        relay.carry_out(1).await?;
        let told = esme.until("deliver").await?;
        assert_eq!((&told["text"], &told["from"]), (&json!(text), &json!("36123")));
        delivered(&running, &id).await?;
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jasmin_carries_texts_both_ways_and_receipts() -> Result<()> {
    let behind = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let port = behind.address().port().to_string();
    let (_jasmin, listening) = Node::python("jasmin_smsc.py", &["127.0.0.1", &port]).await?;
    let address = format!("127.0.0.1:{}", listening["port"].as_u64().context("no port")?);
    let (_scratch, running) = voxea(&address).await?;
    behind.send(&Message::plain("33611111111", "Bonjour, déjà à l'école ?"));
    behind.send(&Message::ucs2("33622222222", UCS2));
    // Parts out of order, one of them twice.
    let cut: Vec<String> = ["Le début, ", "le milieu, ", "la fin."].map(str::to_owned).to_vec();
    for number in [3_usize, 1, 1, 2] {
        let part = Message::plain("33633333333", &cut[number - 1]).part(167, 3, u8::try_from(number)?);
        behind.send(&part);
    }
    let (request, read) = texts(&running, "+33611111111", 1).await?;
    assert_eq!(read, ["Bonjour, déjà à l'école ?"]);
    let (_, read) = texts(&running, "+33622222222", 1).await?;
    assert_eq!(read, [UCS2]);
    let (_, read) = texts(&running, "+33633333333", 1).await?;
    assert_eq!(read, [cut.concat()]);
    for text in ["Déjà noté, à bientôt", "Reçu, à bientôt 😀"] {
        let before = behind.look(|ledger| ledger.submits.len());
        let id = reply(&running, &request, text).await?;
        ensure!(
            behind.until(PATIENCE, |ledger| ledger.submits.len() > before).await,
            "Jasmin submitted nothing"
        );
        let submit = behind.look(|ledger| ledger.submits[before].clone());
        assert_eq!((submit.text().as_str(), submit.destination.2.as_str()), (text, "33611111111"));
        delivered(&running, &id).await?;
    }
    // Its other kind of answer: the operator behind it says that the text never came.
    behind.behave(|manner| manner.receipts = Receipts::Failed);
    let id = reply(&running, &request, "Perdu").await?;
    let target = format!("/v1/replies/{id}");
    running
        .rest()
        .until(&target, PATIENCE, |reply| reply["state"] == "rejected")
        .await?;
    running.stop().await
}
