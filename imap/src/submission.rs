//! Sends replies and acknowledgements by the submission server.
//!
//! It runs beside the mailbox and never ends it: a server that does not answer is trouble to be shown, and the mails
//! wait in the outbox. A mail keeps its Message-ID on every try, so that a try of which the answer was lost shows as
//! one mail to a reader that knows it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lettre::address::Envelope;
use lettre::{Address, AsyncTransport as _};
use tokio::time::{sleep, timeout};
use voxea_core::Core;
use voxea_core::base::account::Account;
use voxea_core::base::error::CoreError;
use voxea_core::base::stop::Stop;
use voxea_core::base::time::{self, Millis};
use voxea_core::base::{failpoint, id, mutant};
use voxea_core::channel::Reporter;
use voxea_core::outbox::{Outbound, ReplyKind, Settlement};
use voxea_rules::mail_domain;

use crate::compose::{self, Draft, File};
use crate::config::Submission;
use crate::name;
use crate::outage::Outage;
use crate::pacing::{self, Admission, Done, Pacing};
use crate::reply_code::{self, Refused};
use crate::sending::ReplyToken;
use crate::transport::{self, CONNECTIONS, Transport, words};

/// Mails leased at once.
const LEASE: usize = 32;
/// How long a mail may take before it is trouble that is shown; the server then has its time to say what became of it.
const MAIL: Duration = Duration::from_secs(90);
const SLOW: &str = "the submission server takes too long to answer";
/// The first pause after a failure, doubled each time up to the longest.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between the tries of one mail: the first, doubled each time up to the longest (RFC 5321 §4.5.4.1 asks for 30 minutes).
const RETRY_MS: Millis = 30_000;
const LONGEST_RETRY_MS: Millis = 30 * 60_000;

/// What became of one try.
enum Try {
    Sent,
    /// This mail was refused for good.
    Rejected(String),
    /// Its address takes no mail.
    Dead(String),
    /// This mail was refused for now; `domain`: others to its domain would be too.
    Later {
        reason: String,
        domain: bool,
    },
    /// The server could not be reached or used; no mail is to blame.
    Down(String),
}

/// The submission of one mailbox.
pub(crate) struct Sender<'a> {
    submission: &'a Submission,
    core: &'a Core,
    account: Account,
    reporter: &'a Reporter,
    transport: Transport,
    pacing: Mutex<Pacing>,
}

/// Mails in the hands of the sender.
#[derive(Default)]
struct Hand {
    /// In the order in which they were queued.
    waiting: VecDeque<Outbound>,
    /// What is settled without a try.
    settled: Vec<(String, Settlement)>,
    /// What is wrong with the server.
    down: Option<String>,
}

impl<'a> Sender<'a> {
    /// A sender; nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn new(submission: &'a Submission, core: &'a Core, account: Account, reporter: &'a Reporter) -> Result<Self, String> {
        Ok(Self {
            submission,
            core,
            account,
            reporter,
            transport: transport::open(submission)?,
            pacing: Mutex::new(Pacing::new(submission.sending.limits)),
        })
    }

    /// Sends what is due until it is stopped. An outage may last over several lives of a token.
    pub(crate) async fn run(&self, stop: &Stop, outage: &mut Outage) {
        let mut pause = PAUSE;
        // What a process before this one had in its hands when it died.
        while let Err(error) = self.core.outbox.take_over(&self.account).await {
            self.reporter.trouble(&error.to_string());
            if !rest(pause, stop).await {
                return;
            }
        }
        let mut listener = self.core.outbox.listen();
        let (mut hand, mut under_way) = (Hand::default(), FuturesUnordered::new());
        loop {
            while under_way.len() < CONNECTIONS
                && let Some(mail) = self.next(&mut hand, stop)
            {
                under_way.push(self.attempt(mail));
            }
            if !hand.settled.is_empty() && !self.settle(std::mem::take(&mut hand.settled), stop).await {
                break;
            }
            if under_way.is_empty() {
                if stop.soft.is_cancelled() {
                    break;
                }
                if let Some(words) = hand.down.take() {
                    outage.goes_on(&self.account, self.reporter, &words);
                    self.count("submission_down");
                    if !rest(pause, stop).await {
                        break;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // One that the server keeps waiting holds up no other: more is leased beside it.
            let room = hand.waiting.is_empty() && under_way.len() < CONNECTIONS && hand.down.is_none() && !stop.soft.is_cancelled();
            tokio::select! {
                Some((mail, tried)) = under_way.next(), if !under_way.is_empty() => {
                    if matches!(tried, Try::Sent) {
                        pause = PAUSE;
                    }
                    if !matches!(tried, Try::Down(_)) {
                        outage.ends(&self.account, self.reporter);
                    }
                    let settlement = self.settlement(&mail, tried, time::now(), &mut hand.down);
                    // At once: what was sent must not be sent again because its neighbour is slow.
                    if !self.settle(vec![(mail.reply_id, settlement)], stop).await {
                        break;
                    }
                    failpoint::hit("mail.settled");
                }
                due = self.core.outbox.due(&self.account, &mut listener), if room => match self.lease(due).await {
                    Ok(leased) => hand.waiting = leased.into(),
                    Err(error) => hand.down = Some(error.to_string()),
                },
                () = stop.soft.cancelled(), if under_way.is_empty() => {}
            }
        }
        self.transport.shutdown().await;
    }

    async fn lease(&self, due: voxea_core::base::error::Result<()>) -> voxea_core::base::error::Result<Vec<Outbound>> {
        due?;
        // Longer than the last of them can wait, should the server hang at each one, and take.
        let rounds = u32::try_from(LEASE.div_ceil(CONNECTIONS) + 1).unwrap_or(u32::MAX);
        let hold = self.longest().saturating_mul(rounds);
        let leased = self.core.outbox.lease(&self.account, LEASE, hold).await?;
        let alone = lock(&self.pacing).alone(Instant::now());
        self.core.counters.set_level(&self.account, "domains_left_alone", alone as u64);
        failpoint::hit("mail.leased");
        Ok(leased)
    }

    /// How long one mail may take. Who gives up before the server has answered the final dot makes it deliver the mail twice
    /// (RFC 5321 §4.5.3.2.6, RFC 1047), so that answer is waited for as long as the server is allowed.
    fn longest(&self) -> Duration {
        MAIL + self.submission.sending.answer
    }

    /// The first mail whose domain may be written to. Those that must wait longer are handed back, with their time; all of them
    /// are when the server is down or the daemon stops.
    fn next(&self, hand: &mut Hand, stop: &Stop) -> Option<Outbound> {
        if hand.down.is_some() || stop.soft.is_cancelled() {
            hand.settled
                .extend(hand.waiting.drain(..).map(|mail| (mail.reply_id, Settlement::Return)));
            return None;
        }
        let (mut pacing, mut busy) = (lock(&self.pacing), VecDeque::new());
        let mut found = None;
        while let Some(mail) = hand.waiting.pop_front() {
            match pacing.admit(&pacing::domain(&mail.to), Instant::now()) {
                Admission::Go => {
                    found = Some(mail);
                    break;
                }
                Admission::Busy => busy.push_back(mail),
                Admission::Wait(pause) => {
                    let at = time::now() + i64::try_from(pause.as_millis()).unwrap_or(LONGEST_RETRY_MS);
                    let settlement = if at - mail.created_at > self.submission.sending.life {
                        self.given_up("mails to this domain are held back, since its server asked for that or too many go there")
                    } else {
                        Settlement::Postpone { at }
                    };
                    self.count("mail_postponed");
                    hand.settled.push((mail.reply_id, settlement));
                }
            }
        }
        busy.append(&mut hand.waiting);
        hand.waiting = busy;
        found
    }

    /// Tries until it is settled; `false` when it is time to stop.
    async fn settle(&self, settlements: Vec<(String, Settlement)>, stop: &Stop) -> bool {
        let mut pause = PAUSE;
        while let Err(error) = self.core.outbox.settle(settlements.clone()).await {
            self.reporter.trouble(&error.to_string());
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.hard.cancelled() => return false,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        true
    }

    async fn attempt(&self, mail: Outbound) -> (Outbound, Try) {
        let tried = self.send(&mail).await;
        failpoint::hit("mail.sent");
        let done = match &tried {
            Try::Sent | Try::Rejected(_) | Try::Dead(_) | Try::Later { domain: false, .. } => Done::Heard,
            Try::Later { domain: true, .. } => Done::Later,
            Try::Down(_) => Done::Nothing,
        };
        lock(&self.pacing).done(&pacing::domain(&mail.to), done, Instant::now());
        (mail, tried)
    }

    fn settlement(&self, mail: &Outbound, tried: Try, now: Millis, down: &mut Option<String>) -> Settlement {
        let retry = |reason: String| {
            if now - mail.created_at > self.submission.sending.life {
                return self.given_up(&reason);
            }
            let doubled = u32::try_from(mail.attempts.clamp(1, 12) - 1).unwrap_or(0);
            Settlement::Retry {
                at: now + (RETRY_MS << doubled).min(LONGEST_RETRY_MS),
                reason,
            }
        };
        match tried {
            Try::Sent => {
                self.count("mail_sent");
                self.reporter.activity();
                Settlement::Submitted {
                    native_id: mail.message_id.clone(),
                    last_word: true,
                }
            }
            Try::Rejected(reason) => {
                self.count("mail_rejected");
                Settlement::Rejected { reason }
            }
            Try::Dead(reason) => {
                self.count("mail_rejected");
                Settlement::Undeliverable { reason }
            }
            Try::Later { reason, .. } => {
                self.count("mail_deferred");
                retry(reason)
            }
            Try::Down(reason) => {
                // The mail that met it waits its turn, so that one at which the server hangs up lets the others pass.
                *down = Some(reason.clone());
                retry(reason)
            }
        }
    }

    fn given_up(&self, reason: &str) -> Settlement {
        self.count("mail_rejected");
        Settlement::Rejected {
            reason: format!("given up after {} hours: {reason}", self.submission.sending.life / 3_600_000),
        }
    }

    fn count(&self, event: &'static str) {
        self.core.counters.add(&self.account, event, 1);
    }

    async fn send(&self, mail: &Outbound) -> Try {
        let (files, token) = match self.enclosed(mail).await {
            Ok(enclosed) => enclosed,
            Err(error @ (CoreError::Sealed { .. } | CoreError::NotFound { .. })) => return Try::Rejected(error.to_string()),
            Err(error) => return Try::Down(error.to_string()),
        };
        let sending = &self.submission.sending;
        let reply_to = match sending.reply_token {
            ReplyToken::Plus => token.and_then(|token| compose::plus(&self.submission.from_address, &token)),
            ReplyToken::MessageId => None,
        };
        let mut message_id = mail
            .message_id
            .clone()
            .unwrap_or_else(|| format!("{}@voxea.invalid", mail.reply_id));
        if mutant::active("message_id_of_each_try") {
            message_id = format!("<{}@voxea.invalid>", id::new());
        }
        // A domain beyond ASCII goes as the DNS knows it, so that a server without SMTPUTF8 carries the mail; only what stands before
        // the @ has no other spelling.
        let to = mail_domain::ascii(mail.to.trim());
        let draft = Draft {
            from: compose::Sender {
                name: &self.submission.from_name,
                address: &self.submission.from_address,
            },
            reply_to: reply_to.as_deref(),
            to: &to,
            subject: &subject(mail),
            text: &mail.text,
            html: sending.html,
            files: &files,
            message_id: &message_id,
            in_reply_to: mail.in_reply_to.as_deref(),
            references: &mail.references,
            date_ms: mail.created_at,
            automatic: mail.kind == ReplyKind::Acknowledgement,
        };
        let bytes = match compose::write(&draft) {
            Ok(bytes) => bytes,
            Err(refusal) => return Try::Rejected(refusal.to_string()),
        };
        let address = |text: &str| text.trim().parse::<Address>().ok();
        let envelope = address(&self.submission.from_address)
            .zip(address(&to))
            .and_then(|(from, to)| Envelope::new(Some(from), vec![to]).ok());
        let Some(envelope) = envelope else {
            return Try::Rejected("the recipient's address is not one that mail can be sent to".to_owned());
        };
        let mut sent = pin!(self.transport.send_raw(&envelope, &bytes));
        let mut answer = timeout(MAIL, sent.as_mut()).await;
        if answer.is_err() {
            self.reporter.trouble(SLOW);
            answer = timeout(self.submission.sending.answer, sent).await;
        }
        match answer {
            Ok(Ok(_)) => Try::Sent,
            Ok(Err(error)) => self.judge(&error, &to).await,
            Err(_) => Try::Down(SLOW.to_owned()),
        }
    }

    /// The files of a mail, read, and its reply token.
    async fn enclosed(&self, mail: &Outbound) -> voxea_core::base::error::Result<(Vec<File>, Option<String>)> {
        let enclosed = self.core.outbox.enclosed(mail).await?;
        let mut files = Vec::with_capacity(enclosed.files.len());
        for file in enclosed.files {
            let mut content = self.core.blobs.read(&file.blob.sha256, file.blob.size).await?;
            let mut bytes = BytesMut::with_capacity(usize::try_from(file.blob.size).unwrap_or(0));
            let unreadable = |source| CoreError::File {
                what: "reading a file that goes with a mail".to_owned(),
                source,
            };
            while let Some(piece) = content.next().await.map_err(unreadable)? {
                bytes.extend_from_slice(&piece);
            }
            files.push(File {
                name: file.name,
                media_type: file.media_type,
                bytes: bytes.freeze(),
            });
        }
        Ok((files, enclosed.token))
    }

    /// Whether a refusal is meant for this mail or for us.
    async fn judge(&self, error: &lettre::transport::smtp::Error, to: &str) -> Try {
        use std::error::Error as _;
        let Some(code) = error.status() else {
            // RFC 6531 §3.1: an address beyond ASCII goes only to a server that carries it.
            if error.is_client() && !to.is_ascii() {
                return Try::Rejected(
                    "the recipient's address has characters beyond ASCII, which the submission server does not carry (no SMTPUTF8)"
                        .to_owned(),
                );
            }
            return Try::Down(format!("the submission server cannot be reached: {}", words(error)));
        };
        let number = code.to_string().parse().unwrap_or(0);
        let said = error.source().map(ToString::to_string).unwrap_or_default();
        let reason = format!("the submission server answered {}", words(error));
        let dead = match reply_code::refused(number, &said) {
            Refused::Us => return Try::Down(reason),
            Refused::Later { domain } => return Try::Later { reason, domain },
            Refused::Rejected => false,
            Refused::Dead => true,
        };
        // A 5xx in the greeting, to AUTH or to MAIL refuses everybody, and a 5xx to RCPT or behind the dot this mail: a sender without a
        // mail tells them apart.
        match timeout(MAIL, transport::takes_sender(self.submission)).await {
            Ok(Ok(())) if dead => Try::Dead(reason),
            Ok(Ok(())) => Try::Rejected(reason),
            _ => Try::Down(reason),
        }
    }

    /// Whether the server takes us.
    ///
    /// # Errors
    /// What it said.
    pub(crate) async fn probe(submission: &Submission) -> Result<(), String> {
        let transport = transport::open(submission)?;
        let tested = timeout(MAIL, transport.test_connection()).await;
        transport.shutdown().await;
        match tested {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the server closed the connection".to_owned()),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err("the server takes too long to answer".to_owned()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pauses; `false` when it is time to stop.
async fn rest(pause: Duration, stop: &Stop) -> bool {
    tokio::select! {
        () = sleep(pause) => true,
        () = stop.soft.cancelled() => false,
    }
}

/// With the request's reference, by which an answer without a thread finds it.
fn subject(mail: &Outbound) -> String {
    let plain = mail
        .subject
        .as_deref()
        .map(|subject| name::line(subject, 300))
        .filter(|subject| !subject.is_empty());
    let token = format!("[{}]", mail.reference);
    match plain {
        Some(subject) if mail.reference.is_empty() || subject.contains(&mail.reference) => subject,
        Some(subject) if mail.kind == ReplyKind::Acknowledgement => format!("{subject} {token}"),
        Some(subject) if subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:")) => format!("{subject} {token}"),
        Some(subject) => format!("Re: {subject} {token}"),
        None => format!("Votre demande {token}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::outbox::Ask;

    #[test]
    fn subjects_carry_the_reference_once() {
        let mail = |kind, subject: Option<&str>| Outbound {
            reply_id: String::new(),
            request_id: String::new(),
            reference: "2026-0000001-3".to_owned(),
            kind,
            channel: "email".to_owned(),
            to: String::new(),
            subject: subject.map(str::to_owned),
            text: String::new(),
            message_id: None,
            in_reply_to: None,
            references: Vec::new(),
            attempts: 1,
            expires_at: 0,
            priority: 0,
            split: None,
            ask: Ask::Send,
            created_at: 0,
        };
        assert_eq!(
            subject(&mail(ReplyKind::Reply, Some("Trou\r\nBcc: x"))),
            "Re: Trou Bcc: x [2026-0000001-3]"
        );
        assert_eq!(
            subject(&mail(ReplyKind::Acknowledgement, Some("Votre demande 2026-0000001-3"))),
            "Votre demande 2026-0000001-3"
        );
        assert_eq!(subject(&mail(ReplyKind::Reply, None)), "Votre demande [2026-0000001-3]");
        assert_eq!(subject(&mail(ReplyKind::Reply, Some("RE: Trou"))), "RE: Trou [2026-0000001-3]");
    }
}
