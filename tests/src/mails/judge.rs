//! What became of every mail: the server's ledger is the corpus, ours the REST API, the outside world's the SMTP sink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::corpus::{Expected, Kind, Mail, sha256};
use crate::dovecot::Imap;
use crate::kill::{Tally, requests};
use crate::scratch::Running;
use crate::smtp_sink::Received;

/// Questions to the API at once.
const AT_ONCE: usize = 8;
/// Differences that are kept in words.
const EXAMPLES: usize = 20;

/// The mails that were put into mailboxes, without their bytes.
#[derive(Debug, Default)]
pub struct Ledger {
    by_sha256: BTreeMap<String, (Kind, Expected)>,
    by_message_id: BTreeMap<String, Vec<String>>,
    /// Mails, the same twice counted twice.
    pub mails: usize,
}

/// An interaction as the API shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The interaction.
    pub interaction: Value,
    /// The request under which it was found.
    pub request: String,
}

/// The account.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Mails that must be interactions; a mail that came twice counts once.
    pub interactions: Tally,
    /// Interactions of no mail that was there.
    pub strange: usize,
    /// Mails that are there by their header alone.
    pub reduced: usize,
    /// Threads over several requests, or requests with several threads.
    pub tangled: Vec<String>,
    /// Senders who must get an acknowledgement; doubled is one with two Message-IDs.
    pub acknowledged: Tally,
    /// Acknowledgements to who must get none.
    pub uninvited: usize,
    /// Deliveries to the sink of a mail that was there.
    pub repeats: usize,
    /// Mails on the server.
    pub on_server: usize,
    /// Of these, those that are not `\Seen`.
    pub unseen: usize,
    /// What differs from what must be shown, by kind: how many mails, and examples.
    pub differences: BTreeMap<Kind, (usize, Vec<String>)>,
    /// Requests.
    pub requests: usize,
    /// The channels, where nothing moved any more before all was done.
    pub stuck: Option<Value>,
}

impl Ledger {
    /// Enters mails.
    pub fn enter<'a>(&mut self, mails: impl IntoIterator<Item = &'a Mail>) {
        for mail in mails {
            self.mails += 1;
            let sha = sha256(&mail.bytes);
            if let Some(id) = &mail.expected.message_id {
                self.by_message_id.entry(id.clone()).or_default().push(sha.clone());
            }
            self.by_sha256.insert(sha, (mail.kind, mail.expected.clone()));
        }
    }

    /// What must be there in the end: an identity a mail.
    #[must_use]
    pub fn identities(&self) -> BTreeSet<&str> {
        let all = self.by_sha256.values().filter(|(_, expected)| expected.thread.is_some());
        all.map(|(_, expected)| expected.identity.as_str()).collect()
    }

    /// Requests that must be there in the end.
    #[must_use]
    pub fn threads(&self) -> usize {
        let all = self.by_sha256.values().filter_map(|(_, expected)| expected.thread.as_deref());
        all.collect::<BTreeSet<_>>().len()
    }

    /// Who must get an acknowledgement.
    #[must_use]
    pub fn senders(&self) -> BTreeSet<&str> {
        let all = self.by_sha256.values().filter(|(_, expected)| expected.acknowledged);
        all.filter_map(|(_, expected)| expected.sender.as_deref()).collect()
    }

    /// The mail that an interaction is of, and whether it is whole.
    fn of(&self, interaction: &Value) -> Option<(&Kind, &Expected, bool)> {
        let sha = interaction["raw_sha256"].as_str().unwrap_or_default();
        if let Some((kind, expected)) = self.by_sha256.get(sha) {
            return Some((kind, expected, true));
        }
        let id = interaction["native_id"].as_str()?.trim_matches(['<', '>']);
        let sha = self.by_message_id.get(id)?.first()?;
        self.by_sha256.get(sha).map(|(kind, expected)| (kind, expected, false))
    }

    /// Judges what is shown and what was sent. Mailboxes are looked at apart, by [`server`].
    #[must_use]
    pub fn judge(&self, shown: &[Shown], sent: &[Received]) -> Verdict {
        let mut verdict = Verdict::default();
        let (mut found, mut threads, mut members) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut requests = BTreeSet::new();
        for Shown { interaction, request } in shown {
            requests.insert(request.as_str());
            let Some((kind, expected, whole)) = self.of(interaction) else {
                verdict.strange += 1;
                continue;
            };
            *found.entry(expected.identity.clone()).or_insert(0_usize) += 1;
            let Some(thread) = &expected.thread else {
                verdict.strange += 1;
                continue;
            };
            threads
                .entry(thread.as_str())
                .or_insert_with(BTreeSet::new)
                .insert(request.as_str());
            members
                .entry(request.as_str())
                .or_insert_with(BTreeSet::new)
                .insert(thread.as_str());
            if !whole {
                verdict.reduced += 1;
                continue;
            }
            let differences = differences(interaction, expected);
            if !differences.is_empty() {
                let (count, examples) = verdict.differences.entry(*kind).or_default();
                *count += 1;
                if examples.len() < EXAMPLES {
                    examples.push(format!("{}: {}", expected.identity, differences.join("; ")));
                }
            }
        }
        verdict.requests = requests.len();
        verdict.interactions = Tally::judge(self.identities(), &found);
        let split = threads.iter().filter(|(_, requests)| requests.len() > 1);
        verdict.tangled = split
            .map(|(thread, requests)| format!("{thread} is {} requests", requests.len()))
            .collect();
        let mixed = members.iter().filter(|(_, threads)| threads.len() > 1);
        verdict
            .tangled
            .extend(mixed.map(|(_, threads)| format!("{threads:?} are one request")));
        self.answers(sent, &mut verdict);
        verdict
    }

    fn answers(&self, sent: &[Received], verdict: &mut Verdict) {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut deliveries = 0;
        for mail in sent {
            let id = mail.header("Message-ID").unwrap_or_default();
            for to in &mail.to {
                deliveries += 1;
                ids.entry(to.clone()).or_default().insert(id.clone());
            }
        }
        let senders = self.senders();
        verdict.repeats = deliveries - ids.values().map(BTreeSet::len).sum::<usize>();
        verdict.uninvited = ids.keys().filter(|to| !senders.contains(to.as_str())).count();
        let counts = ids.into_iter().map(|(to, ids)| (to, ids.len())).collect();
        verdict.acknowledged = Tally::judge(senders, &counts);
    }
}

impl Verdict {
    /// Whether nothing was lost, doubled or torn apart, and the server shows it. What is shown of a mail is not asked here.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.interactions.is_sound()
            && self.acknowledged.is_sound()
            && (self.strange, self.reduced, self.uninvited, self.unseen) == (0, 0, 0, 0)
            && self.tangled.is_empty()
    }

    /// The account with everything that is not as it must be, a line each.
    #[must_use]
    pub fn told(&self) -> String {
        let mut lines = vec![self.to_string()];
        lines.extend(self.tangled.iter().map(|words| format!("  {words}")));
        for (kind, (count, examples)) in &self.differences {
            lines.push(format!("  {count} of {kind:?} are shown otherwise than expected:"));
            lines.extend(examples.iter().map(|words| format!("    {words}")));
        }
        lines.extend(self.stuck.iter().map(|channels| format!("  nothing moved any more: {channels}")));
        lines.join("\n")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "interactions {}; {} requests, {} strange, {} reduced, {} tangled; acknowledgements {}, {} uninvited, {} repeats; \
             {} on the server, {} unseen",
            self.interactions,
            self.requests,
            self.strange,
            self.reduced,
            self.tangled.len(),
            self.acknowledged,
            self.uninvited,
            self.repeats,
            self.on_server,
            self.unseen
        )
    }
}

/// What an interaction shows otherwise than it must.
fn differences(interaction: &Value, expected: &Expected) -> Vec<String> {
    let mut differences = Vec::new();
    let mut same = |what: &str, wanted: Option<&str>, shown: &Value| {
        if wanted.is_some_and(|wanted| shown.as_str() != Some(wanted)) {
            differences.push(format!("{what} is {shown}, not {wanted:?}"));
        }
    };
    same("from", expected.sender.as_deref(), &interaction["from"]);
    same("subject", expected.subject.as_deref(), &interaction["subject"]);
    let id = expected.message_id.as_ref().map(|id| format!("<{id}>"));
    same("native_id", id.as_deref(), &interaction["native_id"]);
    let text = interaction["text"].as_str().unwrap_or_default();
    if let Some(line) = expected.contains.as_ref().filter(|line| !text.contains(line.as_str())) {
        let beginning: String = text.chars().take(120).collect();
        differences.push(format!("the text lacks {line:?}: {beginning:?}"));
    }
    let flags = interaction["flags"].as_array().cloned().unwrap_or_default();
    if expected.automatic != flags.iter().any(|flag| flag == "automatic") {
        differences.push(format!("flags are {flags:?}"));
    }
    if let Some(flag) = expected.flag.filter(|wanted| flags.iter().all(|flag| flag != wanted)) {
        differences.push(format!("flags are {flags:?}, without {flag}"));
    }
    let files = interaction["attachments"].as_array().cloned().unwrap_or_default();
    for file in &expected.attachments {
        let there = files
            .iter()
            .any(|shown| shown["name"] == file.name && shown["size"] == file.size && shown["sha256"] == file.sha256);
        if !there {
            let names: Vec<_> = files.iter().map(|shown| (&shown["name"], &shown["size"])).collect();
            differences.push(format!("no file {:?} of {} bytes: {names:?}", file.name, file.size));
        }
    }
    differences
}

/// Every mail that the daemon has taken in.
///
/// # Errors
/// When the daemon does not answer.
pub async fn shown(running: &Running) -> Result<Vec<Shown>> {
    let all = requests(running, "channel=email").await?;
    let asking = all.iter().map(|request| async {
        let id = request["id"].as_str().context("a request without an id")?.to_owned();
        let page = running.rest().get(&format!("/v1/requests/{id}/interactions")).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let inbound = items.into_iter().filter(|interaction| interaction["direction"] == "in");
        Ok::<_, anyhow::Error>(
            inbound
                .map(|interaction| Shown {
                    interaction,
                    request: id.clone(),
                })
                .collect::<Vec<_>>(),
        )
    });
    let asking: Vec<_> = asking.collect();
    let pages: Vec<_> = stream::iter(asking).buffered(AT_ONCE).collect().await;
    let mut all = Vec::new();
    for page in pages {
        all.extend(page?);
    }
    Ok(all)
}

/// How many mails a mailbox holds, and how many of them are not `\Seen`.
///
/// # Errors
/// When the server does not answer.
pub async fn server(mailbox: &mut Imap) -> Result<(usize, usize)> {
    mailbox.command("SELECT INBOX").await?;
    let mut count = async |what: &str| {
        let answers = mailbox.command(&format!("UID SEARCH {what}")).await?;
        let line = answers
            .iter()
            .find(|line| line.starts_with("* SEARCH"))
            .context("no answer to SEARCH")?;
        Ok::<_, anyhow::Error>(line.split(' ').skip(2).filter(|uid| !uid.is_empty()).count())
    };
    Ok((count("ALL").await?, count("UNSEEN").await?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::corpus::Corpus;

    fn all_right(mails: &[Mail]) -> (Vec<Shown>, Vec<Received>) {
        let (mut shown, mut sent, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for Mail { bytes, expected, .. } in mails {
            let Some(thread) = &expected.thread else { continue };
            if !seen.insert(expected.identity.clone()) {
                continue;
            }
            let files: Vec<Value> = expected
                .attachments
                .iter()
                .map(|file| json!({"name": file.name, "size": file.size, "sha256": file.sha256}))
                .collect();
            let flags: Vec<&str> = expected.automatic.then_some("automatic").into_iter().chain(expected.flag).collect();
            shown.push(Shown {
                request: format!("request of {thread}"),
                interaction: json!({
                    "raw_sha256": sha256(bytes), "from": expected.sender, "subject": expected.subject, "text": expected.contains,
                    "native_id": expected.message_id.as_ref().map(|id| format!("<{id}>")), "flags": flags, "attachments": files,
                }),
            });
            if let Some(sender) = expected
                .sender
                .as_ref()
                .filter(|_| expected.acknowledged && seen.insert(thread.clone()))
            {
                sent.push(Received {
                    from: "mairie@example.fr".to_owned(),
                    to: vec![sender.clone()],
                    data: format!("Message-ID: <{thread}@example.fr>\r\n\r\n").into_bytes(),
                    confirmed: true,
                });
            }
        }
        (shown, sent)
    }

    #[test]
    fn what_must_be_is_sound_and_every_fault_is_seen() {
        let mails: Vec<Mail> = Corpus::new(11, 200).collect();
        let mut ledger = Ledger::default();
        ledger.enter(&mails);
        let (shown, sent) = all_right(&mails);
        let sound = ledger.judge(&shown, &sent);
        assert!(sound.is_sound() && sound.differences.is_empty() && sound.repeats == 0, "{sound:?}");
        assert_eq!((sound.requests, sound.interactions.acknowledged), (ledger.threads(), shown.len()));

        let faulty = |change: &dyn Fn(&mut Vec<Shown>, &mut Vec<Received>)| {
            let (mut shown, mut sent) = (shown.clone(), sent.clone());
            change(&mut shown, &mut sent);
            ledger.judge(&shown, &sent)
        };
        assert_eq!(faulty(&|shown, _| drop(shown.pop())).interactions.lost, 1);
        assert_eq!(faulty(&|shown, _| shown.push(shown[0].clone())).interactions.doubled, 1);
        assert_eq!(faulty(&|shown, _| shown[3].interaction["raw_sha256"] = json!("00")).reduced, 1);
        let other = |shown: &mut Vec<Shown>, _: &mut Vec<Received>| shown[1].request = shown[0].request.clone();
        assert_eq!(faulty(&other).tangled.len(), 1);
        assert_eq!(faulty(&|_, sent| drop(sent.pop())).acknowledged.lost, 1);
        assert_eq!(faulty(&|_, sent| sent.push(sent[0].clone())).repeats, 1);
        let again = |_: &mut Vec<Shown>, sent: &mut Vec<Received>| {
            let mut other = sent[0].clone();
            other.data = b"Message-ID: <other@example.fr>\r\n\r\n".to_vec();
            sent.push(other);
        };
        assert_eq!(faulty(&again).acknowledged.doubled, 1);
        assert_eq!(faulty(&|_, sent| sent[0].to = vec!["x@example.org".to_owned()]).uninvited, 1);
        assert_eq!(
            faulty(&|shown, _| shown[0].interaction["subject"] = json!("x")).differences.len(),
            1
        );
    }
}
