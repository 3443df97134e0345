//! Texts of ours, with an SMSC that knows bytes: what is on the wire, in which order, and what is never sent twice.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Answer, Manner, Message, Receipts, Smsc, Submit};

const PATIENCE: Duration = Duration::from_secs(20);
const CITIZEN: &str = "33612345678";
const FRENCH: &str = include_str!("../../core/rules/tests/data/french.tsv");

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
        let channel = format!(
            "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n{keys}",
            smsc.address()
        );
        let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel).await?;
        let running = scratch.run().await?;
        running.up("smpp").await?;
        let mut town = Self {
            smsc,
            scratch,
            running,
            replies: String::new(),
        };
        town.replies = town.request(CITIZEN).await?;
        Ok(town)
    }

    /// Where a citizen who writes is answered.
    async fn request(&self, from: &str) -> Result<String> {
        self.deliver(&Message::plain(from, "Un nid-de-poule")).await?;
        let all = requests(&self.running, "channel=sms").await?;
        let mine = all.iter().find(|request| request["from"] == format!("+{from}"));
        let id = mine.context("no request")?["id"].as_str().context("no id")?.to_owned();
        Ok(format!("/v1/requests/{id}/replies"))
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        self.smsc.send(message);
        ensure!(
            self.smsc.until(PATIENCE, voxea_tests::smsc::Ledger::all_settled).await,
            "not everything was answered"
        );
        Ok(())
    }

    async fn receipt(&self, id: &str, state: &str) -> Result<()> {
        self.deliver(&Message::receipt(CITIZEN, id, state)).await
    }

    /// Queues a reply; its address.
    async fn reply(&self, body: &Value) -> Result<String> {
        self.reply_to(&self.replies, body).await
    }

    async fn reply_to(&self, replies: &str, body: &Value) -> Result<String> {
        let answered = self.running.rest().call("POST", replies, Some(body)).await?;
        ensure!(answered.status == 202, "{}: {:?}", answered.status, answered.json());
        Ok(format!("/v1/replies/{}", answered.json()?["id"].as_str().context("no id")?))
    }

    async fn submits(&self, count: usize) -> Result<Vec<Submit>> {
        ensure!(
            self.smsc.until(PATIENCE, |ledger| ledger.submits.len() >= count).await,
            "{} of {count} submits came",
            self.smsc.look(|ledger| ledger.submits.len())
        );
        Ok(self.smsc.look(|ledger| ledger.submits.clone()))
    }

    async fn state(&self, reply: &str, state: &str) -> Result<Value> {
        self.running.rest().until(reply, PATIENCE, |reply| reply["state"] == state).await
    }
}

/// `\n`, `\t`, `\\` and `\u{…}` of the table.
fn read(column: &str) -> String {
    let (mut text, mut rest) = (String::new(), column);
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let (char, length) = match behind.chars().next() {
            Some('n') => ('\n', 1),
            Some('t') => ('\t', 1),
            Some('u') => {
                let end = behind.find('}').unwrap_or(behind.len());
                let code = behind.get(2..end).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                (code.and_then(char::from_u32).unwrap_or_default(), end + 1)
            }
            _ => ('\\', 1),
        };
        text.push(char);
        rest = &behind[length..];
    }
    text + rest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_french_costs_is_said_and_sent() -> Result<()> {
    let town = Town::new("").await?;
    let mut rest = town.running.rest();
    let mut rows = 0;
    let mut by_coding = [None, None];
    for line in FRENCH.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [coding, units, segments, _, text, suggestion] = columns[..] else {
            continue;
        };
        let text = read(text);
        let shown = rest.call("POST", "/v1/sms:preview", Some(&json!({"text": text}))).await?.json()?;
        let suggestion = (suggestion != "-").then(|| read(suggestion));
        assert_eq!(shown["coding"], coding, "{text:?}");
        assert_eq!(shown["units"], units.parse::<u64>()?, "{text:?}");
        assert_eq!(shown["segments"], segments.parse::<u64>()?, "{text:?}");
        assert_eq!(shown["suggestion"].as_str(), suggestion.as_deref(), "{text:?}");
        rows += 1;
        // The extension table is another story; here every code is one character.
        let plain = !text.contains([
            '€', '[', ']', '{', '}', '|', '~', '^', '\\', '’', '…', '«', '»', '\u{a0}', '–', '“', '”',
        ]);
        if segments == "1" && plain {
            by_coding[usize::from(coding == "ucs2")].get_or_insert(text);
        }
    }
    ensure!(rows >= 200, "only {rows} sentences");
    for (place, text) in by_coding.iter().enumerate() {
        let text = text.as_deref().context("a sentence of each coding")?;
        town.reply(&json!({"text": text})).await?;
        let sent = town.submits(place + 1).await?.pop().context("a submit")?;
        assert_eq!((sent.text().as_str(), sent.data_coding), (text, if place == 0 { 0 } else { 8 }));
        assert_eq!((sent.esm_class, sent.registered_delivery, sent.priority), (0, 1, 0));
    }
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reply_is_refused_or_split_and_is_what_its_segments_are() -> Result<()> {
    let town = Town::new("most_segments = 3\n").await?;
    let mut rest = town.running.rest();
    let text = "Votre demande est prise en compte. ".repeat(6);
    let refused = rest.call("POST", &town.replies, Some(&json!({"text": text}))).await?;
    let problem = refused.json()?;
    assert_eq!(
        (refused.status, &problem["units"], &problem["segments"]),
        (422, &json!(210), &json!(2))
    );
    let too_long = json!({"text": "a".repeat(460), "split": true});
    assert_eq!(rest.call("POST", &town.replies, Some(&too_long)).await?.status, 422);

    let reply = town.reply(&json!({"text": text, "split": true})).await?;
    let submits = town.submits(2).await?;
    let (headers, bodies): (Vec<&[u8]>, Vec<&[u8]>) = submits.iter().map(|sent| sent.message.split_at(6)).unzip();
    assert_eq!(bodies.concat(), text.as_bytes(), "nothing is lost and nothing is cut");
    assert_eq!(bodies[0].len(), 153);
    assert_eq!((&headers[0][..3], &headers[0][4..]), (&[5, 0, 3][..], &[2, 1][..]));
    assert_eq!((headers[1][3], &headers[1][4..]), (headers[0][3], &[2, 2][..]));
    assert!(submits.iter().all(|sent| sent.esm_class == 0x40 && sent.registered_delivery == 1));
    let shown = town.state(&reply, "submitted").await?;
    assert_eq!((&shown["segments"], shown["parts"].as_array().map(Vec::len)), (&json!(2), Some(2)));

    // A receipt of the last alone, doubled, is not the receipt of all.
    town.receipt(&submits[1].ids.1, "DELIVRD").await?;
    town.receipt(&submits[1].ids.1, "DELIVRD").await?;
    let shown = rest.get(&reply).await?;
    assert_eq!(
        (&shown["state"], &shown["parts"][1]["state"]),
        (&json!("submitted"), &json!("delivered"))
    );
    town.receipt(&submits[0].ids.1, "DELIVRD").await?;
    town.state(&reply, "delivered").await?;
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_receipt_for_all_segments_where_the_account_says_so() -> Result<()> {
    let town = Town::new("part_receipts = \"one\"\nsplit_by = \"sar\"\n").await?;
    let reply = town.reply(&json!({"text": "a".repeat(161), "split": true})).await?;
    let submits = town.submits(2).await?;
    assert!(submits.iter().all(|sent| sent.esm_class == 0));
    for (sent, number) in submits.iter().zip(1..) {
        let [0x02, 0x0C, 0, 2, _, _, tail @ ..] = &sent.tlvs[..] else {
            anyhow::bail!("{:?}", sent.tlvs)
        };
        assert_eq!(tail, [0x02, 0x0E, 0, 1, 2, 0x02, 0x0F, 0, 1, number]);
    }
    town.state(&reply, "submitted").await?;
    town.receipt(&submits[0].ids.1, "DELIVRD").await?;
    town.state(&reply, "delivered").await?;
    town.running.stop().await
}

/// A mutant that leases every segment of a reply again after the restart turns this red: the ledger then has more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_segments_sends_none_twice() -> Result<()> {
    let mut town = Town::new("").await?;
    town.smsc.answer([Answer::Take, Answer::Silence, Answer::Silence]);
    let reply = town.reply(&json!({"text": "a".repeat(400), "split": true})).await?;
    let submits = town.submits(3).await?;
    let taken = |shown: &Value| shown["parts"][0]["state"] == "submitted";
    town.running.rest().until(&reply, PATIENCE, taken).await?;
    let Town {
        smsc, scratch, running, ..
    } = town;
    running.kill().await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    town = Town {
        smsc,
        scratch,
        running,
        replies: String::new(),
    };
    let shown = town.state(&reply, "unknown").await?;
    let states: Vec<&Value> = shown["parts"].as_array().into_iter().flatten().map(|part| &part["state"]).collect();
    assert_eq!(states, ["submitted", "unknown", "unknown"]);
    town.receipt(&submits[0].ids.1, "DELIVRD").await?;
    // Another reply goes out, so that whatever would be sent has been sent.
    let replies = town.request("33698765432").await?;
    town.reply_to(&replies, &json!({"text": "Bonjour"})).await?;
    let all = town.submits(4).await?;
    assert_eq!(
        (all.len(), all[3].text().as_str()),
        (4, "Bonjour"),
        "what may have been sent is not sent again"
    );
    assert_eq!(town.running.rest().get(&reply).await?["state"], "unknown");
    town.running.stop().await?;
    drop(town.scratch);
    Ok(())
}

/// A mutant without the rule that one text to a number is in flight turns this red: "deux" comes before the second "un".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_passes_keeps_the_order_of_a_number() -> Result<()> {
    let town = Town::new("retry_statuses = [\"0x0400\"]\n").await?;
    town.smsc
        .answer([Answer::Refuse(0x58), Answer::Refuse(0x14), Answer::Refuse(0x0400), Answer::Take]);
    let first = town.reply(&json!({"text": "un"})).await?;
    let second = town.reply(&json!({"text": "deux"})).await?;
    let submits = town.submits(5).await?;
    let texts: Vec<String> = submits.iter().map(Submit::text).collect();
    assert_eq!(texts, ["un", "un", "un", "un", "deux"]);
    for reply in [&first, &second] {
        town.state(reply, "submitted").await?;
    }
    town.smsc.answer([Answer::Refuse(0x0B)]);
    let third = town.reply(&json!({"text": "trois"})).await?;
    let shown = town.state(&third, "rejected").await?;
    assert_eq!(shown["reason"], "ESME_RINVDSTADR (0x0B)");
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_has_its_hour_its_life_and_a_way_back() -> Result<()> {
    let town = Town::new("").await?;
    let mut rest = town.running.rest();
    let later = town.reply(&json!({"text": "plus tard", "send_at": "2027-06-01T08:00:00Z"})).await;
    // The clock of this machine may be past that day.
    let later = match later {
        Ok(later) => later,
        Err(_) => {
            town.reply(&json!({"text": "plus tard", "send_at": in_a_month(&town).await?}))
                .await?
        }
    };
    let now = town
        .reply(&json!({"text": "tout de suite", "validity_seconds": 3600, "priority": 2}))
        .await?;
    let submits = town.submits(1).await?;
    assert_eq!((submits[0].text().as_str(), submits[0].priority), ("tout de suite", 2));
    let validity = submits[0].validity.as_str();
    ensure!(
        validity == "000000010000000R" || validity.starts_with("00000000595") && validity.ends_with("000R"),
        "an hour, less the time it waited: {validity}"
    );
    town.state(&now, "submitted").await?;
    let taken_back = rest.call("DELETE", &later, None).await?;
    assert_eq!((taken_back.status, &taken_back.json()?["state"]), (200, &json!("cancelled")));
    assert_eq!(rest.call("DELETE", &later, None).await?.status, 200, "twice is once");
    assert_eq!(
        rest.call("DELETE", &now, None).await?.status,
        409,
        "what was sent is not taken back"
    );
    assert_eq!(rest.call("DELETE", "/v1/replies/nobody", None).await?.status, 404);
    for (member, value) in [
        ("send_at", json!("demain")),
        ("send_at", json!("2020-01-01T00:00:00Z")),
        ("validity_seconds", json!(1)),
        ("priority", json!(4)),
    ] {
        let mut body = json!({"text": "non"});
        body[member] = value;
        assert_eq!(rest.call("POST", &town.replies, Some(&body)).await?.status, 422, "{body}");
    }
    assert_eq!(town.smsc.look(|ledger| ledger.submits.len()), 1);
    town.running.stop().await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_response_is_settled_by_the_receipt_that_can_only_be_its_own() -> Result<()> {
    let town = Town::new("").await?;
    town.smsc.answer([Answer::Silence]);
    let reply = town.reply(&json!({"text": "Bonjour"})).await?;
    let submits = town.submits(1).await?;
    town.smsc.cut();
    let shown = town.state(&reply, "unknown").await?;
    assert_eq!(shown["native_id"], Value::Null);
    town.running.up("smpp").await?;
    town.receipt(&submits[0].ids.1, "DELIVRD").await?;
    let shown = town.state(&reply, "delivered").await?;
    assert_eq!(shown["native_id"], submits[0].ids.1.as_str());
    assert_eq!(town.smsc.look(|ledger| ledger.submits.len()), 1);
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_asked_to_forget_where_the_account_says_so() -> Result<()> {
    let town = Town::new("cancel = true\n").await?;
    let mut rest = town.running.rest();
    let reply = town.reply(&json!({"text": "Bonjour"})).await?;
    let id = town.submits(1).await?[0].ids.0.clone();
    town.state(&reply, "submitted").await?;
    let asked = rest.call("DELETE", &reply, None).await?;
    assert_eq!((asked.status, &asked.json()?["cancelling"]), (202, &json!(true)));
    town.state(&reply, "cancelled").await?;
    assert_eq!(town.smsc.look(|ledger| ledger.cancels.clone()), [id]);
    town.smsc.behave(|manner| manner.refuse_cancel = Some(0x11));
    let reply = town.reply(&json!({"text": "Bonsoir"})).await?;
    town.state(&reply, "submitted").await?;
    assert_eq!(rest.call("DELETE", &reply, None).await?.status, 202);
    let refused =
        |shown: &Value| shown["cancelling"] == false && shown["reason"].as_str().is_some_and(|reason| reason.contains("CANCELFAIL"));
    let shown = rest.until(&reply, PATIENCE, refused).await?;
    assert_eq!(shown["state"], "submitted");
    town.running.stop().await
}

/// Without the bucket all of them are out within one round trip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_holds_what_the_contract_allows() -> Result<()> {
    let town = Town::new("per_second = 4\n").await?;
    let mut citizens = vec![town.replies.clone()];
    for number in 1..12 {
        citizens.push(town.request(&format!("336000000{number:02}")).await?);
    }
    let begun = Instant::now();
    for replies in &citizens {
        town.reply_to(replies, &json!({"text": "Bonjour"})).await?;
    }
    town.submits(12).await?;
    ensure!(begun.elapsed() >= Duration::from_millis(1900), "12 texts in {:?}", begun.elapsed());
    town.running.stop().await
}
