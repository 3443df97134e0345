//! Writes the made-up mailbox to disk: `mail-corpus [--seed S] [--mails N] (--maildir FOLDER | --eml FOLDER)`.
//!
//! A Maildir has LF, as a delivery agent writes it; `.eml` files have CRLF. Beside them `expected.jsonl` says, a line each,
//! what must come of every mail.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use voxea_tests::corpus::{Corpus, Mail, sha256};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut seed, mut mails, mut maildir, mut eml) = (1, 5_000, None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--mails" => mails = value()?.parse()?,
            "--maildir" => maildir = Some(PathBuf::from(value()?)),
            "--eml" => eml = Some(PathBuf::from(value()?)),
            _ => bail!("{argument} is unknown: mail-corpus [--seed S] [--mails N] (--maildir FOLDER | --eml FOLDER)"),
        }
    }
    match (maildir, eml) {
        (Some(folder), None) => {
            for inside in ["cur", "new", "tmp"] {
                std::fs::create_dir_all(folder.join(inside))?;
            }
            let name = |number| format!("new/17955072{:02}.M{number}P1.corpus", number % 100);
            write(Corpus::new(seed, mails), &folder, name, true)
        }
        (None, Some(folder)) => {
            std::fs::create_dir_all(&folder)?;
            write(Corpus::new(seed, mails), &folder, |number| format!("{number:06}.eml"), false)
        }
        _ => bail!("say where to: --maildir FOLDER or --eml FOLDER"),
    }
}

fn write(corpus: Corpus, folder: &Path, name: impl Fn(usize) -> String, lf: bool) -> Result<()> {
    let mut expected = std::io::BufWriter::new(std::fs::File::create(folder.join("expected.jsonl"))?);
    for (number, mail) in corpus.enumerate() {
        let name = name(number);
        let mut bytes = mail.bytes.clone();
        if lf {
            bytes.retain(|byte| *byte != b'\r');
        }
        std::fs::write(folder.join(&name), bytes)?;
        writeln!(expected, "{}", line(&name, &mail))?;
    }
    expected.flush()?;
    Ok(())
}

fn line(name: &str, mail: &Mail) -> Value {
    let expected = &mail.expected;
    let files: Vec<Value> = expected
        .attachments
        .iter()
        .map(|file| json!({"name": file.name, "size": file.size, "sha256": file.sha256}))
        .collect();
    json!({
        "file": name, "kind": format!("{:?}", mail.kind), "sha256": sha256(&mail.bytes), "identity": expected.identity,
        "thread": expected.thread, "acknowledged": expected.acknowledged, "automatic": expected.automatic, "flag": expected.flag,
        "message_id": expected.message_id, "sender": expected.sender, "subject": expected.subject, "contains": expected.contains,
        "attachments": files,
    })
}
