//! A reply in the place of another, and what an operator is asked of a text that nothing was heard of; with an SMSC that
//! knows bytes, and with node-smpp.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::Connection as _;
use voxea_tests::kill::requests;
use voxea_tests::peer::Node;
use voxea_tests::scratch::{self, Answered, Running, Scratch};
use voxea_tests::smsc::{Answer, Ledger, Manner, Message, Receipts, Smsc};

const PATIENCE: Duration = Duration::from_secs(20);
const CITIZEN: &str = "33612345678";

fn channel(address: &str, keys: &str) -> String {
    format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{address}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         reconnect_seconds = 1\n{keys}"
    )
}

struct Town {
    smsc: Smsc,
    scratch: Scratch,
    running: Running,
    replies: String,
}

impl Town {
    /// A town whose citizen has written once; `keys` are more of its `[[smpp]]`.
    async fn new(keys: &str) -> Result<Self> {
        let manner = Manner {
            receipts: Receipts::None,
            ..Manner::default()
        };
        let smsc = Smsc::listen("voxea", "secret", manner).await?;
        let channel = channel(&smsc.address().to_string(), keys);
        let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel).await?;
        let running = scratch.run().await?;
        running.up("smpp").await?;
        smsc.send(&Message::plain(CITIZEN, "Un nid-de-poule"));
        ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "the text was not answered");
        let replies = replies(&running).await?;
        Ok(Self {
            smsc,
            scratch,
            running,
            replies,
        })
    }

    async fn post(&self, body: &Value) -> Result<Answered> {
        self.running.rest().call("POST", &self.replies, Some(body)).await
    }

    /// Queues a reply; its id.
    async fn reply(&self, body: &Value) -> Result<String> {
        queued(&self.post(body).await?)
    }

    /// A reply that the SMSC has; its id, and the SMSC's.
    async fn submitted(&self, text: &str) -> Result<(String, String)> {
        let before = self.smsc.look(|ledger| ledger.submits.len());
        let id = self.reply(&json!({"text": text})).await?;
        self.state(&id, "submitted").await?;
        let native = self.smsc.look(|ledger| ledger.submits.get(before).map(|sent| sent.ids.0.clone()));
        Ok((id, native.context("no submit")?))
    }

    async fn state(&self, id: &str, state: &str) -> Result<Value> {
        state_of(&self.running, id, state).await
    }

    async fn receipt(&self, native: &str, state: &str) -> Result<()> {
        self.smsc.send(&Message::receipt(CITIZEN, native, state));
        ensure!(self.smsc.until(PATIENCE, Ledger::all_settled).await, "the receipt was not answered");
        Ok(())
    }

    /// The life of every text ends now.
    async fn age(&self) -> Result<()> {
        let url = format!("sqlite:{}", self.scratch.path().join("voxea.db").display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await?;
        // The outbox waits a minute before it asks, and an hour before it gives up.
        let sql = "UPDATE reply SET expires_at = created_at - 120000 WHERE state = 'submitted'";
        sqlx::query(sql).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

fn queued(answered: &Answered) -> Result<String> {
    ensure!(answered.status == 202, "{}: {:?}", answered.status, answered.json());
    Ok(answered.json()?["id"].as_str().context("no id")?.to_owned())
}

/// Where the one citizen who wrote is answered.
async fn replies(running: &Running) -> Result<String> {
    let all = requests(running, "channel=sms").await?;
    let id = all.first().context("no request")?["id"].as_str().context("no id")?;
    Ok(format!("/v1/requests/{id}/replies"))
}

async fn state_of(running: &Running, id: &str, state: &str) -> Result<Value> {
    let target = format!("/v1/replies/{id}");
    running.rest().until(&target, PATIENCE, |reply| reply["state"] == state).await
}

/// A mutant that sends a submit_sm instead turns this red, and so does one that settles the earlier reply by the receipt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_replaced_twice_and_the_receipt_is_the_last_ones() -> Result<()> {
    let town = Town::new("replace = true\n").await?;
    let (first, native) = town.submitted("Rendez-vous lundi").await?;
    let body = json!({"text": "Rendez-vous mardi à 9 h", "replaces": first, "validity_seconds": 3600});
    let second = town.reply(&body).await?;
    let shown = town.state(&second, "submitted").await?;
    assert_eq!((&shown["native_id"], &shown["replaces"]), (&json!(native), &json!(first)));
    let shown = town.state(&first, "cancelled").await?;
    assert_eq!(shown["reason"], format!("replaced by reply {second}"));
    let third = town.reply(&json!({"text": "Rendez-vous jeudi", "replaces": second})).await?;
    town.state(&third, "submitted").await?;
    town.state(&second, "cancelled").await?;
    let (submits, replaces) = town.smsc.look(|ledger| (ledger.submits.len(), ledger.replaces.clone()));
    assert_eq!((submits, replaces.len()), (1, 2));
    let sent = &replaces[0];
    assert_eq!((&sent.id, &sent.source), (&native, &(3, 0, "36123".to_owned())));
    assert_eq!((sent.registered_delivery, sent.schedule.as_str()), (1, ""));
    assert_eq!(
        sent.message, b"Rendez-vous mardi \x7f 9 h",
        "in the alphabet of the earlier one, GSM 7-bit"
    );
    ensure!(
        sent.validity.len() == 16 && sent.validity.starts_with("0000000"),
        "an hour at most: {}",
        sent.validity
    );
    town.receipt(&native, "DELIVRD").await?;
    town.state(&third, "delivered").await?;
    town.state(&first, "cancelled").await?;
    let late = town.post(&json!({"text": "Trop tard", "replaces": third})).await?;
    assert_eq!(late.status, 409);
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_replaced_here_and_what_cannot_be_says_why() -> Result<()> {
    let town = Town::new("").await?;
    let later = json!({"text": "Un", "send_at": in_a_month(&town).await?});
    let first = town.reply(&later).await?;
    let second = town.reply(&json!({"text": "Deux", "replaces": first})).await?;
    town.state(&second, "submitted").await?;
    let shown = town.state(&first, "cancelled").await?;
    assert_eq!(shown["reason"], format!("replaced by reply {second}"));
    let (submits, replaces) = town.smsc.look(|ledger| (ledger.submits.clone(), ledger.replaces.len()));
    assert_eq!((submits.len(), submits[0].text().as_str(), replaces), (1, "Deux", 0));
    let refused = town.post(&json!({"text": "Trois", "replaces": second})).await?;
    let problem = refused.json()?;
    ensure!(
        refused.status == 409 && problem["detail"].as_str().is_some_and(|detail| detail.contains("replace = true")),
        "{problem}"
    );
    let unknown = town.post(&json!({"text": "Trois", "replaces": "nobody"})).await?;
    let problem = unknown.json()?;
    ensure!(unknown.status == 422 && problem.to_string().contains("/replaces"), "{problem}");
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_silence_are_told_apart() -> Result<()> {
    let town = Town::new("replace = true\n").await?;
    let (first, native) = town.submitted("Lundi").await?;
    let unfit = town.post(&json!({"text": "Bientôt", "replaces": first})).await?;
    let problem = unfit.json()?;
    ensure!(unfit.status == 422 && problem.to_string().contains('ô'), "{problem}");
    town.smsc.behave(|manner| manner.replace = Answer::Refuse(0x13));
    let second = town.reply(&json!({"text": "Mardi", "replaces": first})).await?;
    let shown = town.state(&second, "rejected").await?;
    assert_eq!(shown["reason"], "the earlier text was not replaced: ESME_RREPLACEFAIL (0x13)");
    town.state(&first, "submitted").await?;

    town.smsc.behave(|manner| manner.replace = Answer::Silence);
    let third = town.reply(&json!({"text": "Mercredi", "replaces": first})).await?;
    ensure!(
        town.smsc.until(PATIENCE, |ledger| ledger.replaces.len() == 2).await,
        "no second replace_sm"
    );
    town.smsc.cut();
    let shown = town.state(&third, "unknown").await?;
    ensure!(
        shown["reason"].as_str().is_some_and(|reason| reason.contains("nobody knows")),
        "{shown}"
    );
    town.running.up("smpp").await?;
    town.receipt(&native, "DELIVRD").await?;
    for (id, other) in [(&first, &third), (&third, &first)] {
        let shown = town.state(id, "unknown").await?;
        let reason = shown["reason"].as_str().context("no reason")?;
        ensure!(
            reason.starts_with("delivered, with this text or") && reason.contains(other.as_str()),
            "{reason}"
        );
    }
    assert_eq!(town.smsc.look(|ledger| ledger.replaces.len()), 2, "it is not asked again");
    town.running.stop().await
}

/// A mutant that leases a replacement again after the restart turns this red: the ledger then has two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_operator_is_asked_asks_it_no_second_time() -> Result<()> {
    let town = Town::new("replace = true\n").await?;
    let (first, native) = town.submitted("Lundi").await?;
    town.smsc.behave(|manner| manner.replace = Answer::Silence);
    let second = town.reply(&json!({"text": "Mardi", "replaces": first})).await?;
    ensure!(
        town.smsc.until(PATIENCE, |ledger| ledger.replaces.len() == 1).await,
        "no replace_sm"
    );
    let Town {
        smsc,
        scratch,
        running,
        replies,
    } = town;
    running.kill().await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let town = Town {
        smsc,
        scratch,
        running,
        replies,
    };
    town.state(&second, "unknown").await?;
    // Another reply goes out behind it, so that whatever would be asked has been asked.
    town.submitted("Bonjour").await?;
    assert_eq!(town.smsc.look(|ledger| (ledger.replaces.len(), ledger.submits.len())), (1, 2));
    // That the message did not arrive is true of both texts.
    town.receipt(&native, "UNDELIV").await?;
    for id in [&first, &second] {
        town.state(id, "rejected").await?;
    }
    town.running.stop().await
}

/// The job that finds them runs every ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_says_what_became_of_a_silent_text() -> Result<()> {
    let town = Town::new("query = true\n").await?;
    let mut natives = Vec::new();
    for (state, expected, reason) in [(2, "delivered", Value::Null), (5, "rejected", json!("UNDELIV"))] {
        town.smsc.behave(|manner| manner.state = Some(state));
        let (id, native) = town.submitted("Bonjour").await?;
        natives.push(native);
        town.age().await?;
        let shown = town.state(&id, expected).await?;
        assert_eq!(shown["reason"], reason);
    }
    assert_eq!(town.smsc.look(|ledger| ledger.queries.clone()), natives);
    town.smsc.behave(|manner| manner.state = None);
    let (id, _) = town.submitted("Bonsoir").await?;
    town.age().await?;
    ensure!(
        town.smsc.until(PATIENCE, |ledger| ledger.queries.len() == 3).await,
        "no third query_sm"
    );
    // What follows it on the link is settled after it.
    let (_, last) = town.submitted("Merci").await?;
    town.receipt(&last, "DELIVRD").await?;
    let shown = town.running.rest().get(&format!("/v1/replies/{id}")).await?;
    assert_eq!(shown["state"], "submitted", "a refusal changes nothing");
    assert_eq!(town.smsc.look(|ledger| ledger.queries.len()), 3);
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_reads_what_replaces_a_text() -> Result<()> {
    let (mut node, listening) = Node::start("smsc.js", "smpp").await?;
    let address = format!("127.0.0.1:{}", listening["port"].as_u64().context("no port")?);
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&address, "replace = true\n")).await?;
    let running = scratch.run().await?;
    node.until("bound").await?;
    let answer = node
        .order(&json!({"from": CITIZEN, "text": "Bonjour", "fields": {"data_coding": 0}}), "answer")
        .await?;
    ensure!(answer["status"] == 0, "{answer}");
    let replies = replies(&running).await?;
    let mut rest = running.rest();
    let first = queued(&rest.call("POST", &replies, Some(&json!({"text": "Lundi"}))).await?)?;
    let submit = node.until("submit").await?;
    state_of(&running, &first, "submitted").await?;
    let second = queued(
        &rest
            .call("POST", &replies, Some(&json!({"text": "Mardi", "replaces": first})))
            .await?,
    )?;
    let seen = node.until("replace").await?;
    let wanted = json!({
        "event": "replace", "message_id": submit["id"], "source_addr": "36123", "registered_delivery": 1, "text": "Mardi",
    });
    assert_eq!(seen, wanted);
    state_of(&running, &second, "submitted").await?;
    state_of(&running, &first, "cancelled").await?;
    running.stop().await
}

/// A time ahead by the daemon's own clock.
async fn in_a_month(town: &Town) -> Result<String> {
    let shown = requests(&town.running, "channel=sms").await?;
    let received = shown.first().context("a request")?["received_at"]
        .as_str()
        .context("a time")?
        .to_owned();
    let year: u32 = received.get(..4).context("a year")?.parse()?;
    Ok(format!("{}-01-02T00:00:00Z", year + 1))
}
