//! What an SMSC delivers, however it is written, byte by byte: long texts cut in every way, and what nobody can read.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::by_hand::{BIND_TRANSCEIVER, Smsc, account, at, run};
use voxea_tests::kill::requests;
use voxea_tests::scratch::Running;
use voxea_tests::smsc::{Message, pdu};

const PARTS: [&str; 3] = [
    "Le lampadaire de la rue Foch ",
    "est éteint depuis lundi, ",
    "à l'angle de l'école.",
];

fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&tag.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// A part by a header with a wide reference (3GPP TS 23.040 §9.2.3.24.8).
fn wide(from: &str, number: u8) -> Message {
    let mut message = Message::plain(from, PARTS[usize::from(number) - 1]);
    message.esm_class |= 0x40;
    message.body.splice(0..0, [6, 8, 4, 0x01, 0x2C, 3, number]);
    message
}

/// A part by the parameters sar_* (SMPP 3.4 §5.3.2.22 to 24).
fn sar(from: &str, number: u8) -> Message {
    Message {
        tlvs: [tlv(0x020C, &[0x01, 0x2C]), tlv(0x020E, &[3]), tlv(0x020F, &[number])].concat(),
        ..Message::plain(from, PARTS[usize::from(number) - 1])
    }
}

/// The whole in message_payload (§5.3.2.32).
fn payload(from: &str) -> Message {
    let whole = Message::plain(from, &PARTS.concat());
    Message {
        tlvs: tlv(0x0424, &whole.body),
        body: Vec::new(),
        ..whole
    }
}

/// The contacts of the one request of a number.
async fn contacts(running: &Running, from: &str) -> Result<Vec<Value>> {
    let mut mine = requests(running, "channel=sms").await?;
    mine.retain(|request| request["from"] == from);
    ensure!(mine.len() == 1, "{} requests of {from}", mine.len());
    let target = format!("/v1/requests/{}/interactions", mine[0]["id"].as_str().context("no id")?);
    let shown = running.rest().get(&target).await?;
    Ok(shown["items"].as_array().cloned().unwrap_or_default())
}

/// Red where a part is acknowledged before it is stored: then the first two are lost with the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_was_cut_is_one_whatever_cut_it_and_whoever_dies() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (scratch, running) = run(&account(&at(&smsc)?, "")).await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    let narrow = |from: &str, number: u8| Message::plain(from, PARTS[usize::from(number) - 1]).part(0x2C, 3, number);
    let numbers = ["33610000001", "33610000002", "33610000003"];
    for number in [3, 1] {
        link.deliver(&narrow(numbers[0], number)).await?;
        link.deliver(&wide(numbers[1], number)).await?;
        link.deliver(&sar(numbers[2], number)).await?;
    }
    running.kill().await?;
    drop(link);
    let running = scratch.run().await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    ensure!(requests(&running, "channel=sms").await?.is_empty(), "none is whole");
    // One of them comes again, since its answer may have been lost.
    link.deliver(&narrow(numbers[0], 1)).await?;
    link.deliver(&narrow(numbers[0], 2)).await?;
    link.deliver(&wide(numbers[1], 2)).await?;
    link.deliver(&sar(numbers[2], 2)).await?;
    link.deliver(&payload("33610000004")).await?;
    for number in [numbers[0], numbers[1], numbers[2], "33610000004"] {
        let contacts = contacts(&running, &format!("+{number}")).await?;
        assert_eq!(contacts.len(), 1, "{number}");
        assert_eq!(contacts[0]["text"], PARTS.concat(), "{number}");
    }
    running.kill().await
}

/// Red where it is refused and not kept, or kept and not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_kept_as_it_came_and_answered() -> Result<()> {
    let smsc = Smsc::listen().await?;
    let (_scratch, running) = run(&account(&at(&smsc)?, "")).await?;
    let mut link = smsc.accept().await?;
    link.bound(BIND_TRANSCEIVER).await?;
    // It ends within its source address.
    let cut = pdu::pdu(pdu::DELIVER_SM, 0, 77, b"\0\x01\x01336");
    link.send(pdu::DELIVER_SM, 0, 77, b"\0\x01\x01336").await?;
    let answer = link.expect(pdu::DELIVER_SM | pdu::RESPONSE).await?;
    assert_eq!(
        (answer.sequence, answer.status),
        (77, 0x65),
        "refused for good, or it would come for ever"
    );
    // What is no letters (SMPP 3.4 §5.2.19) is a text without its words.
    let odd = Message {
        data_coding: 4,
        ..Message::plain("33611111111", "??")
    };
    link.deliver(&odd).await?;
    let all = requests(&running, "channel=sms").await?;
    assert_eq!(all.len(), 2);
    let mut flags = Vec::new();
    for request in &all {
        let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
        let shown = running.rest().get(&target).await?;
        let contact = shown["items"][0].clone();
        flags.push(contact["flags"].clone());
        let raw = format!("/v1/interactions/{}/raw", contact["id"].as_str().context("no id")?);
        let raw = running.rest().call("GET", &raw, None).await?;
        ensure!(raw.status == 200, "{}", raw.status);
        let whole = if contact["flags"] == json!(["undecodable"]) {
            b"??".to_vec()
        } else {
            cut.clone()
        };
        ensure!(raw.body.windows(whole.len()).any(|bytes| bytes == whole), "{:x?}", raw.body);
    }
    ensure!(flags.contains(&json!(["undecodable"])), "{flags:?}");
    link.deliver(&Message::plain("33611111111", "Bonjour")).await?;
    running.kill().await
}
