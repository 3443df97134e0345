//! Texts, with node-smpp as the operator.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use voxea_tests::kill::requests;
use voxea_tests::peer::Node;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(20);

/// Lets the SMSC that nobody here wrote deliver a text.
async fn deliver(node: &mut Node, order: &Value) -> Result<()> {
    let answer = node.order(order, "answer").await?;
    ensure!(answer["status"] == 0, "{answer}");
    Ok(())
}

fn channel(address: &str) -> String {
    format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{address}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n"
    )
}

async fn interactions(running: &Running, from: &str) -> Result<(Value, Vec<Value>)> {
    let mine = requests(running, "channel=sms")
        .await?
        .into_iter()
        .filter(|request| request["from"] == from);
    let mine: Vec<Value> = mine.collect();
    let [request] = mine.as_slice() else {
        bail!("{} requests of {from}", mine.len())
    };
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let shown = running.rest().get(&target).await?;
    Ok((request.clone(), shown["items"].as_array().cloned().unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_smpp_delivers_and_is_answered() -> Result<()> {
    let (mut node, listening) = Node::start("smsc.js", "smpp").await?;
    let port = listening["port"].as_u64().context("no port")?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&format!("127.0.0.1:{port}"))).await?;
    let running = scratch.run().await?;
    node.until("bound").await?;
    let accents = "Où est l'école ? Ça coûte 5 € à Noël {été}";
    deliver(
        &mut node,
        &json!({"from": "33611111111", "text": "àéèùìò Ç 5 € [été] ^ ~", "fields": {"data_coding": 0}}),
    )
    .await?;
    deliver(
        &mut node,
        &json!({"from": "33622222222", "text": format!("{accents} 👍🏽"), "fields": {"data_coding": 8}}),
    )
    .await?;
    for (number, text) in [(3, "la fin."), (1, "Le début, "), (2, "le milieu, ")] {
        let order = json!({"from": "33633333333", "text": text, "udh": format!("050003a7030{number}"), "fields": {"data_coding": 0, "esm_class": 0x40}});
        deliver(&mut node, &order).await?;
    }
    let text = |shown: &[Value]| shown.first().map(|one| one["text"].as_str().unwrap_or_default().to_owned());
    let (_, shown) = interactions(&running, "+33611111111").await?;
    assert_eq!(text(&shown).as_deref(), Some("àéèùìò Ç 5 € [été] ^ ~"));
    let (_, shown) = interactions(&running, "+33622222222").await?;
    assert_eq!(text(&shown), Some(format!("{accents} 👍🏽")));
    let (request, shown) = interactions(&running, "+33633333333").await?;
    assert_eq!((shown.len(), text(&shown).as_deref()), (1, Some("Le début, le milieu, la fin.")));

    let replies = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
    let answered = running
        .rest()
        .call("POST", &replies, Some(&json!({"channel": "sms", "text": "C'est noté, à bientôt"})))
        .await?;
    assert_eq!(answered.status, 202);
    let seen = node.until("submit").await?;
    let wanted = json!({"source_addr": "36123", "destination_addr": "33633333333", "dest_addr_ton": 1, "dest_addr_npi": 1, "esm_class": 0, "registered_delivery": 1});
    for (member, value) in wanted.as_object().context("an object")? {
        assert_eq!(&seen[member], value, "{member}");
    }
    // ô is not in the 7-bit alphabet: up to 70 units go out as UCS-2.
    assert_eq!((&seen["data_coding"], &seen["text"]), (&json!(8), &json!("C'est noté, à bientôt")));
    let receipt = format!(
        "id:{} sub:001 dlvrd:001 submit date:2611241000 done date:2611241001 stat:DELIVRD err:000 text:",
        seen["id"].as_str().context("no id")?
    );
    deliver(
        &mut node,
        &json!({"from": "33633333333", "text": receipt, "fields": {"esm_class": 4, "data_coding": 0}}),
    )
    .await?;
    let reply = answered.json()?;
    let target = format!("/v1/replies/{}", reply["id"].as_str().context("no id")?);
    running
        .rest()
        .until(&target, PATIENCE, |reply| reply["state"] == "delivered")
        .await?;
    assert_eq!(requests(&running, "channel=sms").await?.len(), 3, "a receipt is no message");

    let long = running
        .rest()
        .call("POST", &replies, Some(&json!({"text": "é".repeat(161)})))
        .await?;
    let problem = long.json()?;
    assert_eq!(
        (long.status, &problem["units"], &problem["limit"], &problem["segments"]),
        (422, &json!(161), &json!(160), &json!(2))
    );
    running.stop().await?;
    node.until("unbound").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_answer_was_lost_is_not_taken_in_twice() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&smsc.address().to_string())).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    smsc.behave(|manner| manner.deaf = true);
    smsc.send(&Message::plain("33644444444", "Un arbre est tombé"));
    ensure!(
        smsc.until(PATIENCE, |ledger| ledger.entries.first().is_some_and(|entry| entry.answers > 0))
            .await,
        "no answer"
    );
    smsc.behave(|manner| manner.deaf = false);
    smsc.cut();
    ensure!(
        smsc.until(PATIENCE, voxea_tests::smsc::Ledger::all_settled).await,
        "it was not delivered again"
    );
    let (_, shown) = interactions(&running, "+33644444444").await?;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["deliveries"], 2);
    assert!(
        shown[0]["flags"]
            .as_array()
            .is_some_and(|flags| flags.contains(&json!("redelivered")))
    );
    // A second text within 24 h, without a keyword, belongs to the same request.
    smsc.send(&Message::plain("33644444444", "Il bloque la rue"));
    ensure!(
        smsc.until(PATIENCE, voxea_tests::smsc::Ledger::all_settled).await,
        "the second text"
    );
    let (_, shown) = interactions(&running, "+33644444444").await?;
    assert_eq!(shown.len(), 2);
    running.stop().await
}

/// An answer is stored when it comes, not when the link next has something to do: who dies in between knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_submitted_as_soon_as_the_smsc_says_so() -> Result<()> {
    let quiet = Manner {
        receipts: voxea_tests::smsc::Receipts::None,
        ..Manner::default()
    };
    let smsc = Smsc::listen("voxea", "secret", quiet).await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&smsc.address().to_string())).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    smsc.send(&Message::plain("33644444444", "Un arbre est tombé"));
    ensure!(
        smsc.until(PATIENCE, voxea_tests::smsc::Ledger::all_settled).await,
        "the text was not taken"
    );
    let (request, _) = interactions(&running, "+33644444444").await?;
    let target = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
    let reply = running
        .rest()
        .call("POST", &target, Some(&json!({"text": "Merci"})))
        .await?
        .json()?;
    ensure!(
        smsc.until(PATIENCE, |ledger| ledger.submits.len() == 1).await,
        "nothing was submitted"
    );
    let target = format!("/v1/replies/{}", reply["id"].as_str().context("no id")?);
    let soon = Duration::from_secs(10);
    running.rest().until(&target, soon, |reply| reply["state"] == "submitted").await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_pdus_are_answered_and_the_link_lives() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&smsc.address().to_string())).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    // deliver_sm cut off in its body; a command that nobody knows.
    smsc.send_raw(&[0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, b'3']);
    smsc.send_raw(&[0, 0, 0, 16, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0, 0, 2]);
    smsc.send(&Message::plain("33655555555", "Bonjour"));
    ensure!(
        smsc.until(PATIENCE, voxea_tests::smsc::Ledger::all_settled).await,
        "not everything was answered"
    );
    interactions(&running, "+33655555555").await?;
    assert_eq!(smsc.look(|ledger| ledger.binds), 1, "one link all along");
    running.stop().await?;
    assert_eq!(smsc.look(|ledger| ledger.unbinds), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_bind_is_halted_in_sight() -> Result<()> {
    let smsc = Smsc::listen("voxea", "another", Manner::default()).await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&smsc.address().to_string())).await?;
    let running = scratch.run().await?;
    let halted = |channels: &Value| {
        let mut items = channels["items"].as_array().into_iter().flatten();
        items.any(|channel| channel["kind"] == "smpp" && channel["state"] == "halted" && channel["last_error"].is_string())
    };
    running.rest().until("/v1/channels", PATIENCE, halted).await?;
    let ready = running.rest().get("/readyz").await?;
    assert_eq!(ready["degraded"], true);
    running.stop().await
}
