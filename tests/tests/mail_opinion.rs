//! A second opinion: what the daemon made of mails, held against Python's `email` package. Where the two differ, a row of
//! `docs/mail-opinion.md` says so and why; any other difference fails, and so does a row that nothing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use voxea_tests::corpus::{Corpus, Expected, Kind, sha256};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};

const PATIENCE: Duration = Duration::from_secs(120);
/// Mails of the corpus; with the samples below it is enough that every kind occurs in every way.
const MAILS: usize = 300;

/// Mails of which each does one thing as a real program does it: a name, the header, the body.
const SAMPLES: [(&str, &[u8], &[u8]); 27] = [
    ("raw latin subject", b"Subject: l\x92\xe9t\xe9 \xe0 5 \x80\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n", b"l'\xe9t\xe9\r\n"),
    ("raw utf-8 subject", "Subject: l’été à 5 €\r\n".as_bytes(), b"Bonjour\r\n"),
    ("word with blanks", b"Subject: =?iso-8859-1?Q?l'=E9t=E9 au parc?=\r\n", b"Bonjour\r\n"),
    ("words that touch", b"Subject: =?utf-8?Q?un?==?utf-8?Q?deux?=\r\n", b"Bonjour\r\n"),
    ("word glued to text", b"Subject: Re:=?utf-8?Q?_=C3=A9t=C3=A9?=\r\n", b"Bonjour\r\n"),
    ("split character", b"Subject: =?utf-8?B?Y2Fmww==?=\r\n =?utf-8?B?qQ==?=\r\n", b"Bonjour\r\n"),
    ("unknown charset in a word", b"Subject: =?x-mac-ce?Q?=8At=8A?=\r\n", b"Bonjour\r\n"),
    ("latin label, UTF-8 text", b"Subject: x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n", "l’été\r\n".as_bytes()),
    ("UTF-8 label, latin text", b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", b"l\x92\xe9t\xe9\r\n"),
    ("latin label, windows text", b"Subject: x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"l=92=E9t=E9, 5 =80\r\n"),
    ("no label, latin text", b"Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n", b"l'\xe9t\xe9\r\n"),
    ("UTF-7", b"Subject: x\r\nContent-Type: text/plain; charset=utf-7\r\n", b"l'+AOk-t+AOk-\r\n"),
    ("ISO-2022-JP", b"Subject: =?iso-2022-jp?B?GyRCJU8lbSE8GyhC?=\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n", b"\x1b$B%O%m!<\x1b(B\r\n"),
    ("KOI8-R", b"Subject: =?koi8-r?B?8NLJ18XU?=\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n", b"\xf0\xd2\xc9\xd7\xc5\xd4\r\n"),
    ("GB18030", b"Subject: =?gb18030?B?xOO6ww==?=\r\nContent-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: base64\r\n", b"xOO6ww==\r\n"),
    ("broken base64", b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n", b"w6l0w6k=!w6k\r\n"),
    ("broken quoted-printable", b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"a=b, 100=%, =C3=A9 =\r\nfin\r\n"),
    ("html with its own charset", b"Subject: x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n", b"<html><head><meta charset=\"iso-8859-1\"></head><body><p>l\x92\xe9t\xe9</p></body></html>\r\n"),
    ("html with lists and tables", b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n", b"<h1>Titre</h1><ul><li>un<li>deux</ul><table><tr><td>a<td>b</table><p>l&#146;&eacute;t&eacute; <a href=\"https://a.fr\">ici</a>\r\n"),
    ("file name in pieces", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*0*=utf-8''%C3%A9t; filename*1*=%C3%A9; filename*2=\".pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"),
    ("file name in an encoded word", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: application/pdf; name=\"=?iso-8859-1?Q?=E9t=E9.pdf?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"),
    ("file name in raw latin", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"l'\xe9t\xe9.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"),
    ("file name with a path", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"../../a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"),
    ("text file in latin", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: text/csv; charset=iso-8859-1; name=a.csv\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 8bit\r\n\r\na;\xe9\r\nb;c\r\n--b--\r\n"),
    ("two texts", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nUn.\r\n--b\r\n\r\nDeux.\r\n--b--\r\n"),
    ("message inside, encoded", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: message/rfc822; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeAoKeQo=\r\n--b--\r\n"),
    ("message inside", b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: dedans\r\n\r\nBonjour\r\n--b--\r\n"),
];

fn samples() -> impl Iterator<Item = (String, Vec<u8>)> {
    SAMPLES.iter().enumerate().map(|(number, (name, head, body))| {
        let own = format!(
            "From: e{number}@example.org\r\nTo: mairie@example.fr\r\nMessage-ID: <sample{number}@example.org>\r\nMIME-Version: 1.0\r\n"
        );
        ((*name).to_owned(), [own.as_bytes(), head, b"\r\n", body].concat())
    })
}

/// Names of kinds or samples, and the mails. What is no interaction, or not to be parsed, is nobody's to compare.
fn mails() -> Vec<(String, Vec<u8>, Expected)> {
    let mut seen = BTreeSet::new();
    let corpus = Corpus::new(11, MAILS).filter(|mail| {
        let compared = mail.expected.thread.is_some() && mail.kind != Kind::Bomb;
        compared && seen.insert(mail.expected.identity.clone())
    });
    let corpus = corpus.map(|mail| (format!("{:?}", mail.kind), mail.bytes, mail.expected));
    let samples = samples().map(|(name, bytes)| (name, bytes, Expected::default()));
    corpus.collect::<Vec<_>>().into_iter().chain(samples).collect()
}

fn channel(dovecot: &Dovecot) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\nfirst = \"all\"\n",
        dovecot.port
    )
}

/// What the daemon made of the mails, by the hash of their bytes.
async fn ours(running: &Running, wanted: usize) -> Result<BTreeMap<String, Value>> {
    let began = Instant::now();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    loop {
        for request in requests(running, "channel=email").await? {
            let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
            let shown = running.rest().get(&target).await?;
            for item in shown["items"].as_array().into_iter().flatten() {
                known.insert(item["raw_sha256"].as_str().unwrap_or_default().to_owned(), item.clone());
            }
        }
        if known.len() >= wanted {
            return Ok(known);
        }
        ensure!(began.elapsed() < PATIENCE, "{} of {wanted} mails came in", known.len());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Python's word, by the same hash.
async fn theirs(mails: &[(String, Vec<u8>, Expected)]) -> Result<BTreeMap<String, Value>> {
    let folder = tempfile::tempdir()?;
    for (number, (_, bytes, _)) in mails.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:04}.eml")), bytes)?;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/opinion.py");
    let said = tokio::process::Command::new("python3")
        .arg(script)
        .arg(folder.path())
        .output()
        .await?;
    ensure!(said.status.success(), "python3: {}", String::from_utf8_lossy(&said.stderr));
    let lines = String::from_utf8(said.stdout)?;
    lines
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line)?;
            Ok((value["sha256"].as_str().unwrap_or_default().to_owned(), value))
        })
        .collect()
}

/// White space is nobody's opinion: folding, line ends, blanks at the ends of lines.
fn plain(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Whether both read the same text; of HTML, whether every word that Python finds stands in ours, in its order.
fn same_text(ours: &Value, theirs: &Value) -> bool {
    let Some(words) = theirs["words"].as_array() else {
        return plain(ours) == plain(theirs);
    };
    let text = ours.as_str().unwrap_or_default();
    let mut rest = text;
    words.iter().filter_map(Value::as_str).all(|word| match rest.split_once(word) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn files(value: &Value) -> Vec<(Option<String>, String)> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|file| {
            (
                file["name"].as_str().map(str::to_owned),
                file["sha256"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

/// The fields in which the two differ.
fn differences(ours: &Value, theirs: &Value) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut differ = |field, same: bool, one: &Value, other: &Value| {
        if !same {
            found.push((field, format!("ours {one}, Python's {other}")));
        }
    };
    differ(
        "subject",
        plain(&ours["subject"]) == plain(&theirs["subject"]),
        &ours["subject"],
        &theirs["subject"],
    );
    differ(
        "sender",
        plain(&ours["from"]) == plain(&theirs["sender"]),
        &ours["from"],
        &theirs["sender"],
    );
    differ("text", same_text(&ours["text"], &theirs["text"]), &ours["text"], &theirs["text"]);
    let (mine, other) = (files(&ours["attachments"]), files(&theirs["attachments"]));
    let hashes = |files: &[(Option<String>, String)]| files.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>();
    // A file that has no name is given one by us; Python leaves it without.
    let names = mine.iter().zip(&other).all(|((one, _), (two, _))| two.is_none() || one == two);
    differ("attachment names", names, &ours["attachments"], &theirs["attachments"]);
    differ(
        "attachment bytes",
        hashes(&mine) == hashes(&other),
        &ours["attachments"],
        &theirs["attachments"],
    );
    found
}

/// The rows of the document: mail and field.
fn listed() -> Result<BTreeSet<(String, String)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mail-opinion.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| mail "));
    Ok(rows
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_agrees_or_the_document_says_why_not() -> Result<()> {
    let mails = mails();
    let theirs = theirs(&mails).await?;
    let dovecot = Dovecot::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let mut mailbox = dovecot.client("mairie").await?;
    mailbox
        .append_all("INBOX", mails.iter().map(|(_, bytes, _)| bytes.as_slice()))
        .await?;
    let ours = ours(&running, mails.len()).await?;
    let mut found: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut agreed = 0;
    for (name, bytes, expected) in &mails {
        let hash = sha256(bytes);
        let (one, other) = (&ours[&hash], theirs.get(&hash).context("Python said nothing")?);
        let differ = differences(one, other);
        agreed += usize::from(differ.is_empty());
        // Where a row lets the two differ, who made the mail up has the last word.
        if let Some(subject) = &expected.subject {
            assert_eq!(one["subject"], *subject, "{name}");
        }
        if let Some(line) = &expected.contains {
            assert!(one["text"].as_str().is_some_and(|text| text.contains(line)), "{name}: {line}");
        }
        for (field, how) in differ {
            found.entry((name.clone(), field.to_owned())).or_insert(how);
        }
    }
    println!(
        "{} mails, {agreed} of them alike in every field, {} kinds of difference",
        mails.len(),
        found.len()
    );
    let listed = listed()?;
    let surprising: Vec<_> = found.iter().filter(|(place, _)| !listed.contains(*place)).collect();
    assert!(surprising.is_empty(), "differences that no row explains: {surprising:#?}");
    let idle: Vec<_> = listed.iter().filter(|place| !found.contains_key(*place)).collect();
    assert!(idle.is_empty(), "rows that nothing needs: {idle:?}");
    // That the eye sees: another subject is a difference.
    let mut other = theirs.values().next().context("no mail")?.clone();
    other["subject"] = Value::from("autre chose");
    let one = ours.get(other["sha256"].as_str().unwrap_or_default()).context("not ours")?;
    assert!(differences(one, &other).iter().any(|(field, _)| *field == "subject"));
    running.stop().await
}
