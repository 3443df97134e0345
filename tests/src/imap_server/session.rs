//! One connection: greeting, login, a selected folder, commands until LOGOUT.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::command::{self, chosen};
use super::mailbox::{Inbox, Mail};
use super::shared::Shared;

const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ IDLE MOVE UIDPLUS";
/// A client may say nothing for this long (RFC 3501 §5.4 asks for at least 30 minutes).
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// How long a client may wait for octets that do not come.
const HELD: Duration = Duration::from_secs(60);

/// How a command ended: the status and text of its tagged line.
type Said = Result<&'static str, &'static str>;

struct Session<'a, W> {
    shared: &'a Shared,
    writer: W,
    logged_in: bool,
    selected: bool,
    /// Mails that the client was told of.
    told: usize,
}

pub(super) async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut session = Session {
        shared,
        writer: BufWriter::with_capacity(64 * 1024, writer),
        logged_in: false,
        selected: false,
        told: 0,
    };
    session.line(&format!("* OK [CAPABILITY {CAPABILITIES}] ready")).await?;
    loop {
        session.writer.flush().await?;
        let next = timeout(SILENCE, command::read(&mut reader, &mut session.writer));
        let Some(words) = next.await?? else {
            return Ok(());
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [tag, name, arguments @ ..] = &words[..] else {
            session.line("* BAD no command").await?;
            continue;
        };
        let mut name = name.to_ascii_uppercase();
        let mut arguments = arguments;
        if let ("UID", [second, rest @ ..]) = (name.as_str(), arguments) {
            name = format!("UID {}", second.to_ascii_uppercase());
            arguments = rest;
        }
        let said = session.command(&name, arguments, &mut reader).await?;
        match said {
            Ok(text) => session.line(&format!("{tag} OK {text}")).await?,
            Err(text) => session.line(&format!("{tag} {text}")).await?,
        }
        if name == "LOGOUT" {
            return Ok(session.writer.shutdown().await?);
        }
    }
}

impl<W: AsyncWrite + Unpin> Session<'_, W> {
    async fn line(&mut self, line: &str) -> Result<()> {
        self.writer.write_all(line.as_bytes()).await?;
        Ok(self.writer.write_all(b"\r\n").await?)
    }

    async fn command<R: AsyncBufRead + Unpin>(&mut self, name: &str, arguments: &[&str], reader: &mut R) -> Result<Said> {
        match (name, arguments) {
            ("CAPABILITY", []) => self.line(&format!("* CAPABILITY {CAPABILITIES}")).await?,
            ("NOOP" | "CHECK", []) => self.announce().await?,
            ("LOGOUT", []) => self.line("* BYE bye").await?,
            ("ID", _) => self.line("* ID NIL").await?,
            ("LOGIN", [user, password]) => {
                if *user != self.shared.user || *password != self.shared.password {
                    return Ok(Err("NO [AUTHENTICATIONFAILED] refused"));
                }
                self.logged_in = true;
                self.line(&format!("* CAPABILITY {CAPABILITIES}")).await?;
            }
            _ if !self.logged_in => return Ok(Err("NO log in first")),
            ("LIST", [_, _]) => self.line("* LIST () \"/\" INBOX").await?,
            ("CREATE" | "SUBSCRIBE", [_]) => {}
            ("SELECT" | "EXAMINE", [folder, ..]) => {
                if !folder.eq_ignore_ascii_case("INBOX") {
                    self.selected = false;
                    return Ok(Err("NO [NONEXISTENT] no such folder"));
                }
                self.select().await?;
                return Ok(Ok("[READ-WRITE] selected"));
            }
            ("STATUS", [folder, ..]) => {
                let (exists, next, validity) = self.counts();
                let line = format!("* STATUS {folder} (MESSAGES {exists} UIDNEXT {next} UIDVALIDITY {validity})");
                self.line(&line).await?;
            }
            _ if !self.selected => return Ok(Err("BAD not now")),
            ("IDLE", []) => return self.idle(reader).await,
            ("CLOSE" | "UNSELECT", []) => self.selected = false,
            ("EXPUNGE" | "UID EXPUNGE", _) => self.expunge(|mail| mail.flags.contains("\\Deleted")).await?,
            ("SEARCH" | "UID SEARCH", criteria) => {
                return self.search(criteria, name == "UID SEARCH").await;
            }
            ("FETCH" | "UID FETCH", [set, items @ ..]) => {
                return self.fetch(set, items, name == "UID FETCH").await;
            }
            ("STORE" | "UID STORE", [set, how, flags @ ..]) => {
                return self.store(set, how, flags, name == "UID STORE").await;
            }
            ("MOVE" | "UID MOVE", [set, folder]) => {
                return self.relocate(set, folder, name == "UID MOVE").await;
            }
            _ => return Ok(Err("BAD unknown command or arguments")),
        }
        Ok(Ok("done"))
    }

    fn counts(&self) -> (usize, u32, u32) {
        let counts = |inbox: &Inbox| (inbox.mails.len(), inbox.next, inbox.validity);
        self.shared.mailbox.read(counts)
    }

    async fn select(&mut self) -> Result<()> {
        let (exists, next, validity) = self.counts();
        self.selected = true;
        self.told = exists;
        self.line("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)").await?;
        self.line(&format!("* {exists} EXISTS")).await?;
        self.line("* 0 RECENT").await?;
        self.line(&format!("* OK [UIDVALIDITY {validity}] valid")).await?;
        self.line(&format!("* OK [UIDNEXT {next}] next")).await?;
        self.line("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept")
            .await
    }

    /// Tells of mails that came since the client was told last.
    async fn announce(&mut self) -> Result<()> {
        let (exists, _, _) = self.counts();
        if self.selected && exists != self.told {
            self.told = exists;
            self.line(&format!("* {exists} EXISTS")).await?;
        }
        Ok(())
    }

    // RFC 2177: until DONE.
    async fn idle<R: AsyncBufRead + Unpin>(&mut self, reader: &mut R) -> Result<Said> {
        let mut changes = self.shared.mailbox.changes();
        self.line("+ idling").await?;
        loop {
            self.announce().await?;
            self.writer.flush().await?;
            tokio::select! {
                changed = changes.changed() => changed?,
                line = timeout(SILENCE, command::line(reader)) => match line?? {
                    Some(line) if line.eq_ignore_ascii_case(b"DONE") => return Ok(Ok("idled")),
                    Some(_) => return Ok(Err("BAD expected DONE")),
                    None => bail!("gone while idling"),
                },
            }
        }
    }

    async fn search(&mut self, criteria: &[&str], by_uid: bool) -> Result<Said> {
        let found = self.shared.mailbox.read(|inbox| {
            let mut keep: BTreeSet<usize> = (0..inbox.mails.len()).collect();
            let mut criteria = criteria.iter();
            while let Some(word) = criteria.next() {
                let matching: BTreeSet<usize> = match word.to_ascii_uppercase().as_str() {
                    "ALL" => continue,
                    "SEEN" => with_flag(inbox, "\\Seen", true),
                    "UNSEEN" => with_flag(inbox, "\\Seen", false),
                    "DELETED" => with_flag(inbox, "\\Deleted", true),
                    "UNDELETED" => with_flag(inbox, "\\Deleted", false),
                    "UID" => indexes(inbox, criteria.next()?, true)?.into_iter().collect(),
                    set => indexes(inbox, set, false)?.into_iter().collect(),
                };
                keep = keep.intersection(&matching).copied().collect();
            }
            let number = |index: usize| {
                if by_uid { inbox.mails[index].uid } else { index as u32 + 1 }
            };
            Some(keep.into_iter().map(number).collect::<Vec<u32>>())
        });
        let Some(found) = found else {
            return Ok(Err("BAD unknown search"));
        };
        let numbers: String = found.iter().map(|number| format!(" {number}")).collect();
        self.line(&format!("* SEARCH{numbers}")).await?;
        Ok(Ok("searched"))
    }

    async fn fetch(&mut self, set: &str, items: &[&str], by_uid: bool) -> Result<Said> {
        let Some(chosen) = self.choose(set, by_uid) else {
            return Ok(Err("BAD no such set"));
        };
        let items: Vec<&str> = items.iter().filter(|item| !matches!(**item, "(" | ")")).copied().collect();
        if !items.iter().all(|item| known(&item.to_ascii_uppercase())) {
            return Ok(Err("BAD unknown item"));
        }
        for (sequence, mail) in chosen {
            let mut separator = format!("* {sequence} FETCH (");
            let mut uid_said = false;
            for item in &items {
                let name = item.to_ascii_uppercase();
                let value = match name.as_str() {
                    "UID" => {
                        uid_said = true;
                        format!("UID {}", mail.uid)
                    }
                    "RFC822.SIZE" => format!("RFC822.SIZE {}", mail.bytes.len()),
                    "FLAGS" => format!("FLAGS ({})", joined(&mail.flags)),
                    "INTERNALDATE" => format!("INTERNALDATE \"{}\"", mail.date),
                    _ => {
                        let Some((label, bytes)) = section(&name, &mail.bytes) else {
                            bail!("an item that was checked");
                        };
                        self.writer.write_all(separator.as_bytes()).await?;
                        if let Some(octets) = self.declared(mail.uid, &label) {
                            return self.lie(&label, octets, bytes).await;
                        }
                        self.literal(&label, bytes).await?;
                        separator = " ".to_owned();
                        continue;
                    }
                };
                self.writer.write_all(separator.as_bytes()).await?;
                self.writer.write_all(value.as_bytes()).await?;
                separator = " ".to_owned();
            }
            // RFC 3501 §6.4.8: a UID FETCH says the UID, asked or not.
            if by_uid && !uid_said {
                self.writer.write_all(format!("{separator}UID {}", mail.uid).as_bytes()).await?;
            }
            self.line(")").await?;
        }
        Ok(Ok("fetched"))
    }

    /// How many octets this one is declared to have, where that is a lie.
    fn declared(&self, uid: u32, label: &str) -> Option<u64> {
        let lie = *self.shared.lie.lock().unwrap_or_else(PoisonError::into_inner);
        lie.filter(|(of, _)| *of == uid && label.starts_with("BODY[]"))
            .map(|(_, octets)| octets)
    }

    async fn lie(&mut self, label: &str, octets: u64, bytes: &[u8]) -> Result<Said> {
        self.writer.write_all(format!("{label} {{{octets}}}\r\n").as_bytes()).await?;
        self.writer.write_all(bytes).await?;
        self.writer.flush().await?;
        tokio::time::sleep(HELD).await;
        bail!("held on purpose")
    }

    async fn literal(&mut self, label: &str, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(format!("{label} {{{}}}\r\n", bytes.len()).as_bytes()).await?;
        let cut = self.shared.cut.swap(-1, Ordering::SeqCst);
        if let Ok(cut) = usize::try_from(cut) {
            self.writer.write_all(&bytes[..cut.min(bytes.len())]).await?;
            self.writer.flush().await?;
            bail!("cut on purpose");
        }
        Ok(self.writer.write_all(bytes).await?)
    }

    async fn store(&mut self, set: &str, how: &str, flags: &[&str], by_uid: bool) -> Result<Said> {
        let how = how.to_ascii_uppercase();
        let (how, silent) = match how.strip_suffix(".SILENT") {
            Some(how) => (how, true),
            None => (how.as_str(), false),
        };
        let flags: BTreeSet<String> = flags
            .iter()
            .filter(|flag| !matches!(**flag, "(" | ")"))
            .map(|flag| (*flag).to_owned())
            .collect();
        let changed = self.shared.mailbox.write(|inbox| {
            let mut changed = Vec::new();
            for index in indexes(inbox, set, by_uid)? {
                let mail = &mut inbox.mails[index];
                match how {
                    "FLAGS" => mail.flags.clone_from(&flags),
                    "+FLAGS" => mail.flags.extend(flags.iter().cloned()),
                    "-FLAGS" => mail.flags.retain(|flag| !flags.contains(flag)),
                    _ => return None,
                }
                changed.push((index + 1, mail.uid, joined(&mail.flags)));
            }
            Some(changed)
        });
        let Some(changed) = changed else {
            return Ok(Err("BAD no such set or change"));
        };
        for (sequence, uid, flags) in changed.into_iter().filter(|_| !silent) {
            self.line(&format!("* {sequence} FETCH (UID {uid} FLAGS ({flags}))")).await?;
        }
        Ok(Ok("stored"))
    }

    // RFC 6851 §3.3, with the COPYUID of RFC 4315.
    async fn relocate(&mut self, set: &str, folder: &str, by_uid: bool) -> Result<Said> {
        let uids = self
            .choose(set, by_uid)
            .map(|chosen| chosen.into_iter().map(|(_, mail)| mail.uid).collect::<Vec<_>>());
        let Some(uids) = uids else {
            return Ok(Err("BAD no such set"));
        };
        self.shared.mailbox.write(|inbox| {
            let leaving = inbox.mails.iter().filter(|mail| uids.contains(&mail.uid));
            inbox.moved.extend(leaving.map(|mail| (folder.to_owned(), mail.clone())));
        });
        for uid in &uids {
            self.line(&format!("* OK [COPYUID 1 {uid} {uid}] moved")).await?;
        }
        self.expunge(|mail| uids.contains(&mail.uid)).await?;
        Ok(Ok("moved"))
    }

    /// Removes mails, the last first, so that each sequence number is right when it is said.
    async fn expunge(&mut self, gone: impl Fn(&Mail) -> bool) -> Result<()> {
        let removed = self.shared.mailbox.write(|inbox| {
            let removed: Vec<usize> = (0..inbox.mails.len()).rev().filter(|&index| gone(&inbox.mails[index])).collect();
            inbox.mails.retain(|mail| !gone(mail));
            removed
        });
        self.told = self.told.saturating_sub(removed.len());
        for index in removed {
            self.line(&format!("* {} EXPUNGE", index + 1)).await?;
        }
        Ok(())
    }

    fn choose(&self, set: &str, by_uid: bool) -> Option<Vec<(usize, Mail)>> {
        self.shared.mailbox.read(|inbox| {
            let indexes = indexes(inbox, set, by_uid)?;
            Some(indexes.into_iter().map(|index| (index + 1, inbox.mails[index].clone())).collect())
        })
    }
}

/// Indexes of the mails that a set names; `None` when it cannot be read.
fn indexes(inbox: &Inbox, set: &str, by_uid: bool) -> Option<Vec<usize>> {
    let numbers: Vec<u32> = match by_uid {
        true => inbox.mails.iter().map(|mail| mail.uid).collect(),
        false => (1..=inbox.mails.len() as u32).collect(),
    };
    let chosen = chosen(set, &numbers, numbers.last().copied().unwrap_or(0))?;
    Some(
        chosen
            .into_iter()
            .filter_map(|number| numbers.binary_search(&number).ok())
            .collect(),
    )
}

fn with_flag(inbox: &Inbox, flag: &str, present: bool) -> BTreeSet<usize> {
    (0..inbox.mails.len())
        .filter(|&index| inbox.mails[index].flags.contains(flag) == present)
        .collect()
}

fn joined(flags: &BTreeSet<String>) -> String {
    flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn known(item: &str) -> bool {
    matches!(item, "UID" | "RFC822.SIZE" | "FLAGS" | "INTERNALDATE") || section(item, b"").is_some()
}

/// A `BODY…[…]<offset.count>` item, upper case: its label in the answer and the octets (RFC 3501 §6.4.5).
fn section<'a>(item: &str, bytes: &'a [u8]) -> Option<(String, &'a [u8])> {
    let (section, rest) = item
        .strip_prefix("BODY")?
        .trim_start_matches(".PEEK")
        .strip_prefix('[')?
        .split_once(']')?;
    let header_end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(bytes.len(), |at| at + 4);
    let whole = match section {
        "" => bytes,
        "HEADER" => &bytes[..header_end],
        "TEXT" => &bytes[header_end..],
        _ => return None,
    };
    if rest.is_empty() {
        return Some((format!("BODY[{section}]"), whole));
    }
    let (offset, count) = rest.strip_prefix('<')?.strip_suffix('>')?.split_once('.')?;
    let start = offset.parse::<usize>().ok()?;
    let from = start.min(whole.len());
    let to = from.saturating_add(count.parse().ok()?).min(whole.len());
    Some((format!("BODY[{section}]<{start}>"), &whole[from..to]))
}
