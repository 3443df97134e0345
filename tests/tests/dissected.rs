//! Wireshark's dissector reads what we send: nothing malformed, and every field as meant. Took 16 s with the debug build.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::Connection as _;
use voxea_tests::kill::requests;
use voxea_tests::pcap::Piece;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Receipts, Smsc, Wired, pdu};
use voxea_tests::tshark::{Dissected, dissect};

const PATIENCE: Duration = Duration::from_secs(20);
const GSM: &str = "Réponse à 5 heures";
const UCS2: &str = "Reçu, à bientôt 😀";
/// Nine times, so that it takes two segments.
const LONG: &str = "Réponse à 5 heures. ";

/// What the SMSC calls a text that was replaced and then taken back, and one that it was asked about.
#[derive(Clone)]
struct Asked {
    taken_back: String,
    queried: String,
}

/// What a link said: the PDUs of both sides, and what was asked about texts that the SMSC had.
struct Talk {
    wire: Vec<Wired>,
    asked: Option<Asked>,
}

/// How a text goes out.
#[derive(Clone, Copy)]
enum Joined {
    Whole,
    /// A header with this reference, and which of two it is.
    Header(u8, u8),
    /// The parameters sar_*.
    Parameters(u16, u8),
}

/// What short_message is to be.
struct Said {
    coding: u8,
    octets: Vec<u8>,
    joined: Joined,
}

/// What we are to say, beside what each link says.
struct Meant {
    version: u8,
    texts: Vec<Said>,
    asked: Option<Asked>,
}

/// Everything that a link says, of a kind of bind and a version of SMPP.
async fn talk(bind: &str, version: &str, more: &str) -> Result<Talk> {
    let manner = Manner {
        tap: true,
        receipts: Receipts::None,
        ..Manner::default()
    };
    let smsc = Smsc::listen("voxea", "secret", manner).await?;
    let channels = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\
         bind = \"{bind}\"\nversion = \"{version}\"\nsystem_type = \"VMA\"\nenquire_seconds = 1\nreconnect_seconds = 1\n{more}",
        smsc.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    if bind != "transmitter" {
        smsc.send(&Message::plain("33611111111", "Bonjour, où est l'école ?"));
        smsc.send(&Message::plain("33622222222", "Première moitié, ").part(7, 2, 1));
        smsc.send(&Message::plain("33622222222", "seconde moitié").part(7, 2, 2));
        // data_sm (SMPP 3.4 §4.7.1) with its text in message_payload; a deliver_sm that is cut off; what nobody knows.
        let mut data = b"\0\x01\x0133633333333\0\x03\x0036123\0\0\0\0".to_vec();
        data.extend(b"\x04\x24\0\x07Bonjour");
        smsc.send_raw(&pdu::pdu(0x103, 0, 1, &data));
        smsc.send_raw(&pdu::pdu(pdu::DELIVER_SM, 0, 1, b"\0\x01\x013"));
        smsc.send_raw(&pdu::pdu(0x777, 0, 1, b""));
        ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "not everything was answered");
    }
    smsc.enquire();
    let enquired = |ledger: &Ledger| ledger.enquiries > 0 && ledger.others.iter().any(|other| other[0] == 0x8000_0015);
    ensure!(smsc.until(PATIENCE, enquired).await, "no enquire_link");
    let mut asked = None;
    if bind == "transceiver" {
        let found = requests(&running, "").await?;
        let request = found
            .iter()
            .find(|request| request["from"] == "+33611111111")
            .context("no request")?;
        let target = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
        let mut replies = Vec::new();
        for text in [GSM, UCS2, &LONG.repeat(9)] {
            let body = json!({"text": text, "split": text.len() > 160});
            let answered = running.rest().call("POST", &target, Some(&body)).await?;
            ensure!(answered.status == 202, "{}", answered.status);
            replies.push(format!("/v1/replies/{}", answered.json()?["id"].as_str().context("no id")?));
        }
        ensure!(smsc.until(PATIENCE, |ledger| ledger.submits.len() == 4).await, "no submits");
        if more.contains("cancel") {
            ask(&smsc, &scratch, &running, &target, &replies[..2]).await?;
            let id = |number: usize| smsc.look(|ledger| Some(ledger.submits.get(number)?.ids.0.clone()));
            asked = id(0).zip(id(1)).map(|(taken_back, queried)| Asked { taken_back, queried });
        }
    }
    let binds = smsc.look(|ledger| ledger.binds);
    smsc.unbind();
    ensure!(smsc.until(PATIENCE, |ledger| ledger.binds > binds).await, "no second bind");
    // A link that knows that it is bound says goodbye.
    running.up("smpp").await?;
    running.stop().await?;
    let wire = smsc.look(|ledger| ledger.wire.clone());
    Ok(Talk { wire, asked })
}

/// Has the first text replaced and taken back, and the SMSC asked what became of the second, whose life is over.
async fn ask(smsc: &Smsc, scratch: &Scratch, running: &Running, target: &str, replies: &[String]) -> Result<()> {
    let [first, second] = replies else { bail!("{replies:?}") };
    let mut rest = running.rest();
    let submitted = |reply: &Value| reply["state"] == "submitted";
    for reply in replies {
        rest.until(reply, PATIENCE, submitted).await?;
    }
    let id = |reply: &str| reply.trim_start_matches("/v1/replies/").to_owned();
    let answered = rest
        .call("POST", target, Some(&json!({"text": GSM, "replaces": id(first)})))
        .await?;
    ensure!(answered.status == 202, "{}", answered.status);
    let third = format!("/v1/replies/{}", answered.json()?["id"].as_str().context("no id")?);
    rest.until(&third, PATIENCE, submitted).await?;
    ensure!(rest.call("DELETE", &third, None).await?.status == 202, "it is not asked back");
    let url = format!("sqlite:{}", scratch.path().join("voxea.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await?;
    let sql = "UPDATE reply SET expires_at = created_at - 120000 WHERE id = $1";
    sqlx::query(sql).bind(id(second)).execute(&mut connection).await?;
    connection.close().await?;
    let asked = |ledger: &Ledger| (ledger.replaces.len(), ledger.cancels.len(), ledger.queries.len()) == (1, 1, 1);
    ensure!(smsc.until(PATIENCE, asked).await, "not everything was asked");
    Ok(())
}

/// Packets as the dissector reads them, those that we wrote, each with its bytes.
fn ours(wire: &[Wired]) -> Result<Vec<(Dissected, &[u8])>> {
    let mut links = BTreeMap::new();
    let pieces: Vec<Piece<'_>> = wire
        .iter()
        .map(|wired| {
            let fresh = links.len() as u16;
            Piece {
                link: *links.entry(wired.link).or_insert(fresh),
                from_listener: wired.ours,
                bytes: &wired.bytes,
            }
        })
        .collect();
    let read = dissect(&pieces)?;
    Ok(read
        .into_iter()
        .zip(wire)
        .filter(|(_, wired)| !wired.ours)
        .map(|(read, wired)| (read, wired.bytes.as_slice()))
        .collect())
}

/// What a PDU of ours is to say, by command_id; `None` where none is to be. Lengths and sequence numbers are held apart.
fn fields(command: u32, meant: &Meant, text: Option<&Said>) -> Option<Value> {
    let mut fields = match command {
        1 | 2 | 9 => json!({
            "smpp.system_id": "voxea", "smpp.password": "secret", "smpp.system_type": "VMA", "smpp.addr_ton": "0x00",
            "smpp.addr_npi": "0x00", "smpp.interface_version": meant.version.to_string(),
        }),
        pdu::ENQUIRE_LINK | pdu::UNBIND => json!({}),
        0x8000_0005 | 0x8000_0103 | 0x8000_0006 | 0x8000_0015 => json!({"smpp.command_status": "0x00000000"}),
        pdu::GENERIC_NACK => json!({"smpp.command_status": "0x00000003"}),
        pdu::SUBMIT_SM => {
            let Said { coding, octets, joined } = text?;
            let header = match joined {
                Joined::Header(reference, number) => vec![5, 0, 3, *reference, 2, *number],
                _ => Vec::new(),
            };
            let bytes = [header.as_slice(), octets].concat();
            let octets: Vec<String> = bytes.iter().map(|octet| format!("{octet:02x}")).collect();
            let features = if header.is_empty() { "0x00" } else { "0x01" };
            let mut fields = json!({
                "smpp.service_type": "(Default)", "smpp.source_addr": "36123", "smpp.source_addr_ton": "0x03",
                "smpp.source_addr_npi": "0x00", "smpp.destination_addr": "33611111111", "smpp.dest_addr_ton": "0x01",
                "smpp.dest_addr_npi": "0x01", "smpp.esm.submit.features": features, "smpp.esm.submit.msg_mode": "0x00",
                "smpp.esm.submit.msg_type": "0x00", "smpp.protocol_id": "0x00", "smpp.priority_flag": "0x00",
                "smpp.schedule_delivery_time_r": "0.000000000", "smpp.regdel.receipt": "0x01", "smpp.regdel.acks": "0x00",
                "smpp.regdel.notif": "0x00", "smpp.replace_if_present_flag": "0x00", "smpp.data_coding": format!("0x{coding:02x}"),
                "smpp.sm_default_msg_id": "0", "smpp.sm_length": bytes.len().to_string(), "smpp.message": octets.join(":"),
            });
            if let Joined::Parameters(reference, number) = joined {
                fields["smpp.opt_param_tag"] = json!("0x020c,0x020e,0x020f");
                fields["smpp.opt_param_len"] = json!("2,1,1");
                fields["smpp.sar_msg_ref_num"] = json!(reference.to_string());
                fields["smpp.sar_total_segments"] = json!("2");
                fields["smpp.sar_segment_seqnum"] = json!(number.to_string());
            }
            fields
        }
        pdu::REPLACE_SM => {
            let Said { coding: 0, octets, .. } = text? else { return None };
            let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            json!({
                "smpp.message_id": meant.asked.as_ref()?.taken_back, "smpp.source_addr": "36123", "smpp.source_addr_ton": "0x03",
                "smpp.source_addr_npi": "0x00", "smpp.schedule_delivery_time_r": "0.000000000", "smpp.regdel.receipt": "0x01",
                "smpp.regdel.acks": "0x00", "smpp.regdel.notif": "0x00", "smpp.sm_default_msg_id": "0",
                "smpp.sm_length": octets.len().to_string(), "smpp.message": octets.join(":"),
            })
        }
        pdu::QUERY_SM => json!({
            "smpp.message_id": meant.asked.as_ref()?.queried, "smpp.source_addr": "36123", "smpp.source_addr_ton": "0x03",
            "smpp.source_addr_npi": "0x00",
        }),
        pdu::CANCEL_SM => json!({
            "smpp.service_type": "(Default)", "smpp.message_id": meant.asked.as_ref()?.taken_back, "smpp.source_addr": "36123",
            "smpp.source_addr_ton": "0x03", "smpp.source_addr_npi": "0x00", "smpp.dest_addr_ton": "0x00", "smpp.dest_addr_npi": "0x00",
        }),
        _ => return None,
    };
    fields["smpp.command_id"] = json!(format!("0x{command:08x}"));
    Some(fields)
}

/// What is wrong with a PDU of ours, whose text is one of those that are meant.
fn wrong(read: &Dissected, length: usize, meant: &Meant) -> Vec<String> {
    let mut wrong = read.complaints.clone();
    let mut seen = read.fields.clone();
    let counted = seen.as_object_mut().map(|fields| {
        // What a text says to the dissector follows from its octets, and when it ends to be valid is the outbox's to say.
        for name in ["smpp.message_text", "smpp.validity_period_r", "smpp.validity_period"] {
            fields.remove(name);
        }
        (fields.remove("smpp.command_length"), fields.remove("smpp.sequence_number"))
    });
    let counted = counted.unwrap_or_default();
    if counted.0 != Some(json!(length.to_string())) || counted.1.is_none_or(|number| number == "0") {
        wrong.push("its length or sequence number".to_owned());
    }
    // The one deliver_sm that could not be read is refused for good.
    if read.command() == 0x8000_0005 && read.field("smpp.command_status") == "0x00000065" {
        seen["smpp.command_status"] = json!("0x00000000");
    }
    let texts = meant.texts.iter().map(Some).chain([None]);
    let fits = texts
        .map(|text| fields(read.command(), meant, text))
        .any(|fields| fields.as_ref() == Some(&seen));
    if !fits {
        wrong.push(format!("{seen}"));
    }
    wrong
}

fn texts() -> Vec<Said> {
    let said = |coding, octets| Said {
        coding,
        octets,
        joined: Joined::Whole,
    };
    vec![said(0, Message::plain("", GSM).body), said(8, Message::ucs2("", UCS2).body)]
}

/// The two segments of the long text, by the reference that both must bear.
fn segments(room: usize, joined: impl Fn(u8) -> Joined) -> impl Iterator<Item = Said> {
    let octets = Message::plain("", &LONG.repeat(9)).body;
    let (one, two) = (octets[..room].to_vec(), octets[room..].to_vec());
    [(1, one), (2, two)].into_iter().map(move |(number, octets)| Said {
        coding: 0,
        octets,
        joined: joined(number),
    })
}

/// The first reference that stands in a segment.
fn reference(read: &[(Dissected, &[u8])]) -> Option<(u8, u16)> {
    read.iter().find_map(|(read, _)| {
        let header = read.field("smpp.esm.submit.features") == "0x01";
        let narrow = read.field("smpp.message").split(':').nth(3).filter(|_| header);
        match narrow.and_then(|octet| u8::from_str_radix(octet, 16).ok()) {
            Some(narrow) => Some((narrow, 0)),
            None => read.field("smpp.sar_msg_ref_num").parse().ok().map(|wide| (0, wide)),
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_we_send_is_malformed_or_other_than_meant() -> Result<()> {
    for (bind, version, more, octet, wanted) in [
        (
            "transceiver",
            "3.4",
            "cancel = true\nreplace = true\nquery = true\n",
            0x34,
            &[
                9,
                4,
                3,
                7,
                8,
                6,
                0x15,
                0x8000_0000,
                0x8000_0005,
                0x8000_0006,
                0x8000_0015,
                0x8000_0103,
            ][..],
        ),
        ("transceiver", "5.0", "split_by = \"sar\"\n", 0x50, &[9, 4, 0x8000_0005]),
        ("receiver", "3.4", "", 0x34, &[1, 0x8000_0005]),
        ("transmitter", "5.0", "", 0x50, &[2, 0x8000_0015]),
    ] {
        let Talk { wire, asked } = talk(bind, version, more).await?;
        let read = ours(&wire)?;
        let mut texts = texts();
        let wide = more.contains("sar");
        if let Some((narrow, reference)) = reference(&read) {
            ensure!(
                (reference > 0) == wide,
                "segments are held together otherwise than the account says"
            );
            texts.extend(match wide {
                true => segments(152, |number| Joined::Parameters(reference, number)).collect::<Vec<_>>(),
                false => segments(153, |number| Joined::Header(narrow, number)).collect(),
            });
        }
        let (count, meant) = (
            texts.len(),
            Meant {
                version: octet,
                texts,
                asked,
            },
        );
        let (mut seen, mut submits) = (BTreeSet::new(), 0);
        for (read, bytes) in read {
            let wrong = wrong(&read, bytes.len(), &meant);
            assert!(wrong.is_empty(), "{bind} {version} {:#x}: {wrong:?}", read.command());
            seen.insert(read.command());
            submits += usize::from(read.command() == pdu::SUBMIT_SM);
        }
        for command in wanted {
            assert!(seen.contains(command), "{bind} {version}: no {command:#x} among {seen:x?}");
        }
        assert!(
            bind != "transceiver" || (count, submits) == (4, 4),
            "{count} texts, {submits} submits"
        );
    }
    Ok(())
}

/// The gate can fail: a submit_sm, cancel_sm or query_sm with any one bit wrong is seen. Its command_status is not, which says nothing in a
/// request (SMPP 3.4 §5.1.3), nor its sequence number, which is not held to a value here.
#[test]
fn one_wrong_bit_is_seen() -> Result<()> {
    let submit = |esm_class: u8, message: &[u8], parameters: &[u8]| -> Result<Vec<u8>> {
        let mut body = b"\0\x03\x0036123\0\x01\x0133611111111\0".to_vec();
        body.extend([esm_class, 0, 0, 0, 0, 1, 0, 0, 0, u8::try_from(message.len())?]);
        body.extend(message);
        body.extend(parameters);
        Ok(pdu::pdu(pdu::SUBMIT_SM, 0, 7, &body))
    };
    let mut texts = texts();
    texts.extend(segments(153, |number| Joined::Header(0x34, number)));
    texts.extend(segments(152, |number| Joined::Parameters(0x1234, number)));
    let header = [&[5, 0, 3, 0x34, 2, 2], texts[3].octets.as_slice()].concat();
    let right = [
        submit(0, &texts[0].octets, b"")?,
        submit(0x40, &header, b"")?,
        submit(0, &texts[5].octets, b"\x02\x0c\0\x02\x12\x34\x02\x0e\0\x01\x02\x02\x0f\0\x01\x02")?,
        pdu::pdu(pdu::CANCEL_SM, 0, 9, b"\0A1B2\0\x03\x0036123\0\0\0\0"),
        pdu::pdu(pdu::QUERY_SM, 0, 10, b"B2C3\0\x03\x0036123\0"),
    ];
    let meant = Meant {
        version: 0x34,
        texts,
        asked: Some(Asked {
            taken_back: "A1B2".to_owned(),
            queried: "B2C3".to_owned(),
        }),
    };
    for right in right {
        let mut variants = vec![right.clone()];
        for at in (0..8).chain(16..right.len()) {
            let mut variant = right.clone();
            variant[at] ^= 1;
            variants.push(variant);
        }
        let pieces: Vec<Piece<'_>> = (0..)
            .zip(&variants)
            .map(|(link, bytes)| Piece {
                link,
                from_listener: false,
                bytes,
            })
            .collect();
        for (number, read) in dissect(&pieces)?.iter().enumerate() {
            let wrong = wrong(read, right.len(), &meant);
            assert_eq!(wrong.is_empty(), number == 0, "variant {number}: {wrong:?} {}", read.fields);
        }
    }
    Ok(())
}
