//! What a stolen disk tells: the real daemon with a master key, then every byte of its database and files.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::imap_server::ImapServer;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};
use voxea_tests::smtp_sink::SmtpSink;

const PATIENCE: Duration = Duration::from_secs(30);

const MOBILE: &str = "33698765432";
const TEXT: &str = "Le lampadaire de la rue Foch clignote";
const HALF: &str = "Premiere moitie dune longue histoire";
const MAIL: &str = "zoe.lefevre@exemple.org";
const NAME: &str = "Zoé Lefèvre-Ñandú";
const SUBJECT: &str = "Inscription à l'école Jean-Macé";
const MAIL_TEXT: &str = "Ma fille Élodie entre en CE2 à la rentrée";
const MESSAGE_ID: &str = "zoe-7781@poste.lefevre.example";
const FILE_NAME: &str = "livret de famille.pdf";
const FILE_LINE: &str = "Livret de famille de Mme Lefevre, page ";
const VISITOR: &str = "Ludovic Çelik";
const VISITOR_NUMBER: &str = "+33145008899";
const VISIT: &str = "Demande un acte de naissance au guichet 4";
const FIELD: &str = "12 bis impasse des Lilas";
const FORM_KEY: &str = "guichet-celik-0042";
const ANSWER: &str = "Bonjour, un technicien passera jeudi";
const PATCHED: &str = "Lampadaire rue Foch, riverain Duval";

/// All that no byte may tell. A number is looked for without its plus.
const SECRETS: [&str; 18] = [
    MOBILE,
    TEXT,
    HALF,
    MAIL,
    "Lefèvre-Ñandú",
    SUBJECT,
    MAIL_TEXT,
    MESSAGE_ID,
    FILE_NAME,
    FILE_LINE,
    VISITOR,
    "33145008899",
    VISIT,
    FIELD,
    FORM_KEY,
    ANSWER,
    PATCHED,
    "poste.lefevre",
];

/// Shorter writings are not looked for: they would be found by chance.
const HEAD: usize = 8;

/// A visit to the counter, with what a form asks.
fn visit() -> Value {
    json!({"from": VISITOR_NUMBER, "name": VISITOR, "text": VISIT, "theme": "voirie", "fields": {"adresse": FIELD}})
}

struct Peers {
    smsc: Smsc,
    imap: ImapServer,
    sink: SmtpSink,
}

impl Peers {
    async fn start() -> Result<Self> {
        Ok(Self {
            smsc: Smsc::listen("voxea", "secret", Manner::default()).await?,
            imap: ImapServer::start("mairie", "secret").await?,
            sink: SmtpSink::start().await?,
        })
    }

    fn channels(&self) -> String {
        format!(
            "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\n\
             [[mailbox]]\nname = \"mairie\"\naddress = \"{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"secret\"\nfirst = \"all\"\n\n\
             [mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
            self.smsc.address(),
            self.imap.address(),
            self.sink.address
        )
    }
}

/// Large enough that the mail and its attachment are files of many chunks.
fn attachment() -> Vec<u8> {
    (0..12_000)
        .flat_map(|page| format!("{FILE_LINE}{page:06}\n").into_bytes())
        .collect()
}

fn mail() -> Vec<u8> {
    let word = |text: &str| format!("=?utf-8?B?{}?=", base64(text.as_bytes()));
    let file = base64(&attachment());
    let lines: Vec<&str> = file
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!(
        "From: {} <{MAIL}>\r\nTo: mairie@example.fr\r\nSubject: {}\r\nMessage-ID: <{MESSAGE_ID}>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0100\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{MAIL_TEXT}\r\n--b\r\nContent-Type: application/pdf\r\n\
         Content-Disposition: attachment; filename=\"{FILE_NAME}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        word(NAME),
        word(SUBJECT),
        lines.join("\r\n")
    )
    .into_bytes()
}

/// A citizen by every channel, an agent who answers and writes a note.
async fn speak(peers: &Peers, running: &Running) -> Result<()> {
    running.up("smpp").await?;
    running.up("mailbox").await?;
    peers.smsc.send(&Message::ucs2(MOBILE, TEXT));
    peers.smsc.send(&Message::plain(MOBILE, HALF).part(7, 2, 1));
    ensure!(peers.smsc.until(PATIENCE, Ledger::all_settled).await, "a text was not acknowledged");
    let uid = peers.imap.deliver(&mail())?;
    tokio::time::timeout(PATIENCE, peers.imap.settled(uid))
        .await
        .context("the mail was not taken in")?;
    peers.sink.wait(1, PATIENCE).await?;
    let mut rest = running.rest();
    let schema = json!({"type": "object", "properties": {"adresse": {"type": "string"}}});
    let theme = json!({"label": "Voirie", "service": "service-technique", "fields": schema});
    let put = rest
        .call_with("PUT", "/v1/themes/voirie", &[("If-Match", "*")], Some(&theme))
        .await?;
    ensure!(put.status == 200, "{}", put.status);
    let visit = visit();
    for _ in 0..2 {
        let answered = rest
            .call_with("POST", "/v1/intake/counter", &[("Idempotency-Key", FORM_KEY)], Some(&visit))
            .await?;
        ensure!(answered.status == 201, "{}", answered.status);
    }
    let request = requests(running, "channel=sms").await?.remove(0);
    let path = format!("/v1/requests/{}", request["id"].as_str().context("no id")?);
    let tag = format!("\"{}\"", request["version"]);
    let patched = rest
        .call_with("PATCH", &path, &[("If-Match", &tag)], Some(&json!({"subject": PATCHED})))
        .await?;
    ensure!(patched.status == 200, "{}", patched.status);
    let answered = rest
        .call("POST", &format!("{path}/replies"), Some(&json!({"text": ANSWER})))
        .await?;
    ensure!(answered.status == 202, "{}", answered.status);
    let sent = |ledger: &Ledger| ledger.submits.iter().any(|submit| submit.text() == ANSWER);
    ensure!(peers.smsc.until(PATIENCE, sent).await, "the answer was not sent");
    Ok(())
}

/// The API tells all of it, whatever the disk tells.
async fn shows_all(running: &Running) -> Result<()> {
    let mut rest = running.rest();
    let mut of = async |channel: &str| -> Result<(Value, Value)> {
        let found = requests(running, &format!("channel={channel}")).await?;
        ensure!(found.len() == 1, "{} requests by {channel}", found.len());
        let shown = rest.get(found[0]["links"]["interactions"].as_str().context("no link")?).await?;
        Ok((found[0].clone(), shown["items"].clone()))
    };
    let (text, said) = of("sms").await?;
    assert_eq!(
        (text["from"].as_str(), text["subject"].as_str()),
        (Some("+33698765432"), Some(PATCHED))
    );
    assert_eq!((said[0]["text"].as_str(), said[1]["text"].as_str()), (Some(TEXT), Some(ANSWER)));
    assert_eq!(said[1]["to"], "+33698765432");
    let (mailed, written) = of("email").await?;
    assert_eq!((mailed["from"].as_str(), mailed["subject"].as_str()), (Some(MAIL), Some(SUBJECT)));
    assert_eq!(written[0]["from_name"], NAME);
    assert_eq!(written[0]["native_id"], format!("<{MESSAGE_ID}>"));
    assert!(
        written[0]["text"].as_str().is_some_and(|text| text.trim() == MAIL_TEXT),
        "{}",
        written[0]["text"]
    );
    assert_eq!(
        (written[1]["direction"].as_str(), written[1]["to"].as_str()),
        (Some("out"), Some(MAIL))
    );
    let file = &written[0]["attachments"][0];
    assert_eq!(file["name"], FILE_NAME);
    let (visit, noted) = of("counter").await?;
    assert_eq!(visit["from"], VISITOR_NUMBER);
    assert_eq!(visit["fields"], json!({"adresse": FIELD}));
    assert_eq!(
        (noted[0]["from_name"].as_str(), noted[0]["text"].as_str()),
        (Some(VISITOR), Some(VISIT))
    );
    let bytes = async |target: String| running.rest().call("GET", &target, None).await;
    let got = bytes(format!("/v1/attachments/{}", file["id"].as_str().context("no id")?)).await?;
    assert!(
        got.status == 200 && got.body == attachment(),
        "{} bytes of an attachment",
        got.body.len()
    );
    let got = bytes(format!("/v1/interactions/{}/raw", written[0]["id"].as_str().context("no id")?)).await?;
    assert!(got.status == 200 && got.body == mail(), "{} bytes of a mail", got.body.len());
    let path = format!("/v1/requests/{}/history", text["id"].as_str().context("no id")?);
    let history = running.rest().get(&path).await?;
    let patch = history["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["action"] == "patched");
    assert_eq!(patch.context("no entry of the patch")?["detail"]["subject"]["to"], PATCHED);
    Ok(())
}

/// Every file of the database and of the blobs, with its name.
fn disk(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("voxea.toml") && !path.ends_with("master.key") {
                let mut bytes = std::fs::read(&path)?;
                bytes.extend(path.to_string_lossy().into_owned().into_bytes());
                found.push((path, bytes));
            }
        }
    }
    Ok(found)
}

/// The ways in which a text may stand in a file: UTF-8, Latin-1, UTF-16 either way, and hexadecimal and base64 of these.
fn ways(text: &str) -> Vec<Vec<u8>> {
    let units = || text.encode_utf16();
    let mut ways = vec![
        text.as_bytes().to_vec(),
        text.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect(),
        units().flat_map(u16::to_be_bytes).collect(),
        units().flat_map(u16::to_le_bytes).collect(),
    ];
    for plain in ways.clone() {
        let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
        ways.push(hex.to_uppercase().into_bytes());
        ways.push(hex.into_bytes());
        // Within a longer base64 it begins at one of three offsets; what is the same whatever stands around it.
        for offset in 0..3 {
            let coded = base64(&[&vec![0; offset], &plain[..]].concat()).into_bytes();
            let whole = (plain.len() + offset) / 3 * 4;
            ways.push(coded[if offset == 0 { 0 } else { 4 }..whole].to_vec());
        }
    }
    ways.retain(|way| way.len() >= HEAD);
    ways
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for some in bytes.chunks(3) {
        let three = [some[0], some.get(1).copied().unwrap_or(0), some.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = char::from(DIGITS[(bits >> shift & 63) as usize]);
            text.push(if place <= some.len() { digit } else { '=' });
        }
    }
    text
}

/// The secrets that a disk tells.
fn told(folder: &Path) -> Result<BTreeSet<&'static str>> {
    let files = disk(folder)?;
    ensure!(files.iter().any(|(path, _)| path.ends_with("voxea.db")), "no database");
    // By their first bytes, so that one pass over a file looks for all of them.
    let mut wanted: HashMap<[u8; HEAD], Vec<(&str, Vec<u8>)>> = HashMap::new();
    for secret in SECRETS {
        for way in ways(secret) {
            let head = way.first_chunk().copied().context("a way that is too short")?;
            wanted.entry(head).or_default().push((secret, way));
        }
    }
    let mut told = BTreeSet::new();
    for (_, bytes) in &files {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let some = rest.first_chunk().and_then(|head| wanted.get(head)).into_iter().flatten();
            told.extend(some.filter(|(_, way)| rest.starts_with(way)).map(|(secret, _)| *secret));
        }
    }
    Ok(told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_disk_tells_nothing_and_the_api_everything() -> Result<()> {
    let peers = Peers::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &peers.channels()).await?;
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    speak(&peers, &running).await?;
    shows_all(&running).await?;
    ensure!(scratch.path().join("voxea.db-wal").is_file(), "no write-ahead log to look into");
    assert_eq!(told(scratch.path())?, BTreeSet::new(), "while it runs");
    running.stop().await?;
    assert_eq!(told(scratch.path())?, BTreeSet::new(), "after it was stopped");

    // Another master key, above the old one; then alone.
    scratch.new_master_key().await?;
    let running = scratch.run().await?;
    shows_all(&running).await?;
    running.stop().await?;
    let (keys, config) = (scratch.path().join("master.key"), scratch.path().join("voxea.toml"));
    let both = std::fs::read_to_string(&keys)?;
    let (new, old) = both.trim_end().split_once('\n').context("two lines")?;
    std::fs::write(&keys, new)?;
    let running = scratch.run().await?;
    shows_all(&running).await?;
    running.stop().await?;
    assert_eq!(told(scratch.path())?, BTreeSet::new(), "after its key was changed");

    // Without the key, or with the old one alone, it does not start, and says what to do.
    std::fs::write(&keys, old)?;
    let said = format!("{:#}", scratch.say(&["run"]).await.err().context("it started with an old key")?);
    let id = new.split(' ').next().unwrap_or_default();
    assert!(said.contains(id) && said.contains("add the line of"), "{said}");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("master_key_file = \"master.key\"\n", ""))?;
    let said = format!("{:#}", scratch.say(&["run"]).await.err().context("it started without a key")?);
    assert!(said.contains("is encrypted") && said.contains("[store] master_key_file"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_the_same_disk_tells_all_until_it_is_sealed() -> Result<()> {
    let peers = Peers::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &peers.channels()).await?;
    let running = scratch.run().await?;
    speak(&peers, &running).await?;
    shows_all(&running).await?;
    running.stop().await?;
    assert_eq!(told(scratch.path())?, BTreeSet::from(SECRETS), "the search would find it");

    // A key alone does not encrypt what is there, and says what does.
    scratch.new_master_key().await?;
    let said = format!("{:#}", scratch.say(&["run"]).await.err().context("it started with a key")?);
    assert!(said.contains("not encrypted") && said.contains("voxea vault seal"), "{said}");
    scratch.say(&["vault", "seal"]).await?;
    assert_eq!(told(scratch.path())?, BTreeSet::new(), "after it was sealed");
    let running = scratch.run().await?;
    shows_all(&running).await?;
    // The other half of the long text, and a form that comes again: what was compared before compares.
    let texts = requests(&running, "channel=sms").await?.len();
    peers.smsc.send(&Message::plain(MOBILE, " et sa fin").part(7, 2, 2));
    ensure!(peers.smsc.until(PATIENCE, Ledger::all_settled).await, "a text was not acknowledged");
    let path = format!(
        "/v1/requests/{}/interactions",
        requests(&running, "channel=sms").await?[0]["id"].as_str().context("no id")?
    );
    let shown = running.rest().get(&path).await?;
    let last = shown["items"].as_array().and_then(|items| items.last()).context("no text")?["text"].clone();
    assert_eq!(last, format!("{HALF} et sa fin"));
    assert_eq!(requests(&running, "channel=sms").await?.len(), texts, "it joined the conversation");
    let visit = visit();
    let again = running
        .rest()
        .call_with("POST", "/v1/intake/counter", &[("Idempotency-Key", FORM_KEY)], Some(&visit))
        .await?;
    ensure!(again.status == 201, "{}", again.status);
    assert_eq!(requests(&running, "channel=counter").await?.len(), 1);
    running.stop().await?;
    assert_eq!(told(scratch.path())?, BTreeSet::new(), "after it went on");
    // Again, as after an interruption at its end: nothing changes.
    scratch.say(&["vault", "seal"]).await?;
    Ok(())
}
