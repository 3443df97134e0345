//! An IMAP server that knows bytes and misbehaves as it is told: a few mails, one other folder, and a hook that may answer any
//! command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the hook says to a command.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// As a decent server would.
    Well,
    /// These bytes; `{tag}` stands for the command's tag.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed.
    ThenClose(Vec<u8>),
    /// It is done, and the connection is closed without a word.
    DoneThenClose,
}

/// Hears every command without its tag, in upper case, with the number of its connection; and what a login by token says.
type Hook = dyn Fn(usize, &str) -> Say + Send + Sync;

pub(crate) struct Peer {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

type Mails = BTreeMap<u32, Vec<u8>>;

struct Shared {
    mails: Mutex<Mails>,
    /// The other folder, whatever it is called.
    other: Mutex<Mails>,
    deleted: Mutex<BTreeSet<u32>>,
    heard: Mutex<Vec<String>>,
    changed: watch::Sender<()>,
    capabilities: &'static str,
    hook: Box<Hook>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Peer {
    pub(crate) async fn start(capabilities: &'static str, hook: impl Fn(usize, &str) -> Say + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            mails: Mutex::default(),
            other: Mutex::default(),
            deleted: Mutex::default(),
            heard: Mutex::default(),
            changed: watch::Sender::new(()),
            capabilities,
            hook: Box::new(hook),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                let (shared, number) = (Arc::clone(&serving), number);
                sessions.spawn(async move { drop(serve(stream, &shared, number).await) });
            }
        });
        Ok(Self { port, shared, accepting })
    }

    pub(crate) fn deliver(&self, uid: u32, mail: &[u8]) {
        lock(&self.shared.mails).insert(uid, mail.to_vec());
        self.shared.changed.send_replace(());
    }

    /// How many mails INBOX and the other folder hold.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (lock(&self.shared.mails).len(), lock(&self.shared.other).len())
    }

    /// Every command so far, as the hook hears it.
    pub(crate) fn heard(&self) -> Vec<String> {
        lock(&self.shared.heard).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, shared: &Shared, number: usize) -> Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"* OK ready\r\n").await?;
    let mut changes = shared.changed.subscribe();
    let mut inbox = true;
    while let Some(line) = lines.next_line().await? {
        let Some((tag, command)) = line.split_once(' ') else { continue };
        if let Some(mechanism) = command.strip_prefix("AUTHENTICATE ") {
            writer.write_all(b"+ \r\n").await?;
            let said = BASE64.decode(lines.next_line().await?.unwrap_or_default())?;
            let command = format!("AUTHENTICATE {mechanism} {}", String::from_utf8_lossy(&said));
            lock(&shared.heard).push(command.clone());
            let answer = match (shared.hook)(number, &command) {
                Say::Bytes(bytes) => {
                    // A refusal is told in a challenge first, which the client must answer (RFC 7628 §3.2.3).
                    let challenge = BASE64.encode(b"{\"status\":\"401\"}");
                    writer.write_all(format!("+ {challenge}\r\n").as_bytes()).await?;
                    let ends = BASE64.decode(lines.next_line().await?.unwrap_or_default())?;
                    lock(&shared.heard).push(format!("ANSWERED {ends:?}"));
                    bytes
                }
                _ => b"{tag} OK logged in\r\n".to_vec(),
            };
            writer.write_all(&with_tag(&answer, tag)).await?;
            continue;
        }
        let command = command.to_uppercase();
        lock(&shared.heard).push(command.clone());
        let (bytes, close) = match (shared.hook)(number, &command) {
            Say::Well => (well(shared, &command, &mut inbox), false),
            Say::DoneThenClose => {
                well(shared, &command, &mut inbox);
                (Vec::new(), true)
            }
            Say::Bytes(bytes) => (bytes, false),
            Say::ThenClose(bytes) => (bytes, true),
        };
        writer.write_all(&with_tag(&bytes, tag)).await?;
        if close {
            // What is still unread would turn the end into a reset.
            writer.shutdown().await?;
            while lines.next_line().await?.is_some() {}
            return Ok(());
        }
        if command == "IDLE" {
            changes.mark_unchanged();
            loop {
                tokio::select! {
                    _ = changes.changed() => writer.write_all(b"* 1 EXISTS\r\n").await?,
                    _ = lines.next_line() => break,
                }
            }
            writer.write_all(format!("{tag} OK idled\r\n").as_bytes()).await?;
        }
    }
    Ok(())
}

fn with_tag(bytes: &[u8], tag: &str) -> Vec<u8> {
    match bytes.windows(5).position(|window| window == b"{tag}") {
        Some(at) => [&bytes[..at], tag.as_bytes(), &bytes[at + 5..]].concat(),
        None => bytes.to_vec(),
    }
}

fn well(shared: &Shared, command: &str, inbox: &mut bool) -> Vec<u8> {
    let mut said = Vec::new();
    if command.starts_with("SELECT") || command.starts_with("EXAMINE") {
        *inbox = command.ends_with("\"INBOX\"");
    }
    let mut mails = lock(if *inbox { &shared.mails } else { &shared.other });
    let next = |mails: &Mails| mails.keys().last().map_or(1, |last| last + 1);
    if command == "IDLE" {
        return b"+ idling\r\n".to_vec();
    } else if command == "CAPABILITY" {
        said = format!("* CAPABILITY IMAP4rev1 {}\r\n", shared.capabilities).into_bytes();
    } else if command.starts_with("SELECT") || command.starts_with("EXAMINE") {
        let next = next(&mails);
        said = format!("* {} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {next}] x\r\n", mails.len()).into_bytes();
    } else if command.starts_with("STATUS") {
        said = format!("* STATUS x (MESSAGES 0 UIDNEXT {} UIDVALIDITY 9)\r\n", next(&lock(&shared.other))).into_bytes();
    } else if let Some(rest) = command.strip_prefix("UID COPY ") {
        let mut other = lock(&shared.other);
        for uid in chosen(&mails, rest.split(' ').next().unwrap_or_default()) {
            let next = next(&other);
            other.insert(next, mails[&uid].clone());
        }
    } else if let Some(rest) = command.strip_prefix("UID STORE ").filter(|rest| rest.contains("DELETED")) {
        lock(&shared.deleted).extend(chosen(&mails, rest.split(' ').next().unwrap_or_default()));
    } else if let Some(set) = command.strip_prefix("UID EXPUNGE ") {
        let deleted = std::mem::take(&mut *lock(&shared.deleted));
        for uid in chosen(&mails, set).into_iter().filter(|uid| deleted.contains(uid)) {
            mails.remove(&uid);
        }
    } else if let Some(set) = command.strip_prefix("UID SEARCH UID ") {
        let found: Vec<String> = chosen(&mails, set).iter().map(|uid| format!(" {uid}")).collect();
        said = format!("* SEARCH{}\r\n", found.concat()).into_bytes();
    } else if let Some(rest) = command.strip_prefix("UID FETCH ") {
        let (set, query) = rest.split_once(' ').unwrap_or((rest, ""));
        for uid in chosen(&mails, set) {
            let mail = &mails[&uid];
            if query.contains("RFC822.SIZE") {
                said.extend(
                    format!(
                        "* 1 FETCH (UID {uid} RFC822.SIZE {} INTERNALDATE \"24-Nov-2026 09:00:00 +0000\")\r\n",
                        mail.len()
                    )
                    .bytes(),
                );
                continue;
            }
            said.extend(body(uid, mail, query.contains("HEADER")));
        }
    }
    said.extend(b"{tag} OK done\r\n");
    said
}

/// A mail as FETCH gives it.
pub(crate) fn body(uid: u32, mail: &[u8], headers: bool) -> Vec<u8> {
    let end = mail
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(mail.len(), |at| at + 4);
    let (section, bytes) = if headers { ("HEADER", &mail[..end]) } else { ("", mail) };
    let mut said = format!("* 1 FETCH (UID {uid} BODY[{section}]<0> {{{}}}\r\n", bytes.len()).into_bytes();
    said.extend_from_slice(bytes);
    said.extend(b")\r\n");
    said
}

/// The UIDs of a set; `n:*` names the last one in any case.
fn chosen(mails: &BTreeMap<u32, Vec<u8>>, set: &str) -> Vec<u32> {
    let last = mails.keys().last().copied().unwrap_or(0);
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    let ranges: Vec<(u32, u32)> = set
        .split(',')
        .map(|part| part.split_once(':').unwrap_or((part, part)))
        .map(|(from, to)| (number(from), number(to)))
        .map(|(from, to)| (from.min(to), from.max(to)))
        .collect();
    let named = |uid: &u32| ranges.iter().any(|(from, to)| from <= uid && uid <= to);
    mails.keys().copied().filter(named).collect()
}

/// Whether a FETCH asks for this mail's bytes, and for its headers alone.
pub(crate) fn asks_for(command: &str, uid: u32) -> Option<bool> {
    let (set, query) = command.strip_prefix("UID FETCH ")?.split_once(' ')?;
    let mut mails = BTreeMap::new();
    mails.insert(uid, Vec::new());
    (query.contains("BODY.PEEK") && !chosen(&mails, set).is_empty()).then(|| query.contains("HEADER"))
}
