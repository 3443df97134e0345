//! Sends replies and acknowledgements by the submission server.
//!
//! It runs beside the mailbox and never ends it: a server that does not answer is trouble to be shown, and the mails
//! wait in the outbox. A mail keeps its Message-ID on every try, so that a try of which the answer was lost shows as
//! one mail to a reader that knows it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::time::{sleep, timeout};
use voxea_core::Core;
use voxea_core::base::account::Account;
use voxea_core::base::failpoint;
use voxea_core::base::stop::Stop;
use voxea_core::base::time::{self, Millis};
use voxea_core::channel::Reporter;
use voxea_core::outbox::{Outbound, ReplyKind, Settlement};

use crate::compose::{self, Draft};
use crate::config::{Security, Submission};
use crate::name;

/// Connections at once.
const CONNECTIONS: usize = 4;
/// Mails leased at once.
const LEASE: usize = 32;
/// Longer than the slowest batch can take.
const HOLD: Duration = Duration::from_secs(15 * 60);
/// How long one command, and one mail, may take.
const COMMAND: Duration = Duration::from_secs(30);
const MAIL: Duration = Duration::from_secs(90);
/// The first pause after a failure, doubled each time up to the longest.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between the tries of one mail: the first, doubled each time up to the longest (RFC 5321 §4.5.4.1 asks for 30 minutes).
const RETRY_MS: Millis = 30_000;
const LONGEST_RETRY_MS: Millis = 30 * 60_000;
/// How long a mail is tried (RFC 5321 §4.5.4.1: four to five days is the custom; a citizen should not wait so long for
/// the town to see that its answer does not leave).
const GIVE_UP_MS: Millis = 2 * 24 * 3600 * 1000;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// What became of one try.
enum Try {
    Sent,
    /// This mail was refused for good.
    Rejected(String),
    /// This mail was refused for now.
    Later(String),
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
            transport: transport(submission)?,
        })
    }

    /// Sends what is due until it is stopped.
    pub(crate) async fn run(&self, stop: &Stop) {
        let mut pause = PAUSE;
        // What a process before this one had in its hands when it died.
        while let Err(error) = self.core.outbox.take_over(&self.account).await {
            self.reporter.trouble(&error.to_string());
            if !rest(pause, stop).await {
                return;
            }
        }
        let mut listener = self.core.outbox.listen();
        while !stop.soft.is_cancelled() {
            let due = tokio::select! {
                due = self.core.outbox.due(&self.account, &mut listener) => due,
                () = stop.soft.cancelled() => break,
            };
            let leased = match due {
                Ok(()) => self.core.outbox.lease(&self.account, LEASE, HOLD).await,
                Err(error) => Err(error),
            };
            let down = match leased {
                Ok(leased) => {
                    failpoint::hit("mail.leased");
                    self.send_all(leased, stop).await
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(words) = down {
                self.reporter.trouble(&words);
                self.core.counters.add(&self.account, "submission_down", 1);
                if !rest(pause, stop).await {
                    break;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else {
                pause = PAUSE;
            }
        }
        self.transport.shutdown().await;
    }

    /// Sends leased mails and settles each. Says what is wrong with the server, when something is.
    async fn send_all(&self, leased: Vec<Outbound>, stop: &Stop) -> Option<String> {
        let down: Mutex<Option<String>> = Mutex::default();
        // Futures first, then the stream: a closure inside the stream would keep the task from being Send.
        let tries: Vec<_> = leased.into_iter().map(|mail| self.attempt(mail, &down, stop)).collect();
        let mut tries = stream::iter(tries).buffer_unordered(CONNECTIONS);
        while let Some(settled) = tries.next().await {
            // At once: what was sent must not be sent again because its neighbour is slow.
            let mut pause = PAUSE;
            while let Err(error) = self.core.outbox.settle(vec![settled.clone()]).await {
                self.reporter.trouble(&error.to_string());
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.hard.cancelled() => return None,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            failpoint::hit("mail.settled");
        }
        drop(tries);
        down.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, mail: Outbound, down: &Mutex<Option<String>>, stop: &Stop) -> (String, Settlement) {
        if lock(down).is_some() || stop.soft.is_cancelled() {
            return (mail.reply_id, Settlement::Return);
        }
        let tried = self.send(&mail).await;
        failpoint::hit("mail.sent");
        let settlement = self.settlement(&mail, tried, time::now(), &mut lock(down));
        (mail.reply_id, settlement)
    }

    fn settlement(&self, mail: &Outbound, tried: Try, now: Millis, down: &mut Option<String>) -> Settlement {
        let count = |event| self.core.counters.add(&self.account, event, 1);
        let retry = |reason: String| {
            if now - mail.created_at > GIVE_UP_MS {
                return Settlement::Rejected {
                    reason: format!("given up after two days: {reason}"),
                };
            }
            let doubled = u32::try_from(mail.attempts.clamp(1, 12) - 1).unwrap_or(0);
            Settlement::Retry {
                at: now + (RETRY_MS << doubled).min(LONGEST_RETRY_MS),
                reason,
            }
        };
        match tried {
            Try::Sent => {
                count("mail_sent");
                self.reporter.activity();
                Settlement::Submitted {
                    native_id: mail.message_id.clone(),
                    last_word: true,
                }
            }
            Try::Rejected(reason) => {
                count("mail_rejected");
                Settlement::Rejected { reason }
            }
            Try::Later(reason) => {
                count("mail_deferred");
                retry(reason)
            }
            Try::Down(reason) => {
                // The mail that met it waits its turn, so that one at which the server hangs up lets the others pass.
                *down = Some(reason.clone());
                retry(reason)
            }
        }
    }

    async fn send(&self, mail: &Outbound) -> Try {
        let message_id = mail
            .message_id
            .clone()
            .unwrap_or_else(|| format!("{}@voxea.invalid", mail.reply_id));
        let automatic = mail.kind == ReplyKind::Acknowledgement;
        let draft = Draft {
            from: compose::Sender {
                name: &self.submission.from_name,
                address: &self.submission.from_address,
            },
            to: &mail.to,
            subject: &subject(mail),
            text: &mail.text,
            message_id: &message_id,
            in_reply_to: mail.in_reply_to.as_deref(),
            references: &mail.references,
            date_ms: mail.created_at,
            automatic,
        };
        let bytes = match compose::write(&draft) {
            Ok(bytes) => bytes,
            Err(refusal) => return Try::Rejected(refusal.to_string()),
        };
        let address = |text: &str| text.trim().parse::<Address>().ok();
        let envelope = address(&self.submission.from_address)
            .zip(address(&mail.to))
            .and_then(|(from, to)| Envelope::new(Some(from), vec![to]).ok());
        let Some(envelope) = envelope else {
            return Try::Rejected("the recipient's address is not one that mail can be sent to".to_owned());
        };
        match timeout(MAIL, self.transport.send_raw(&envelope, &bytes)).await {
            Ok(Ok(_)) => Try::Sent,
            Ok(Err(error)) => self.judge(&error).await,
            Err(_) => Try::Down("the submission server takes too long to answer".to_owned()),
        }
    }

    /// Whether a refusal is meant for this mail or for us.
    async fn judge(&self, error: &lettre::transport::smtp::Error) -> Try {
        let Some(code) = error.status() else {
            return Try::Down(format!("the submission server cannot be reached: {}", words(error)));
        };
        let number = code.to_string();
        let reason = format!("the submission server answered {}", words(error));
        // 421 closes the connection (RFC 5321 §3.8); 43x and 53x are about authentication and encryption (RFC 4954 §6).
        if number == "421" || number.starts_with("53") || number.starts_with("43") {
            return Try::Down(reason);
        }
        if error.is_transient() {
            return Try::Later(reason);
        }
        // A 5xx in the greeting refuses everybody, and a 5xx to RCPT this mail: a new connection tells them apart.
        match timeout(MAIL, self.transport.test_connection()).await {
            Ok(Ok(true)) => Try::Rejected(reason),
            _ => Try::Down(reason),
        }
    }

    /// Whether the server takes us.
    ///
    /// # Errors
    /// What it said.
    pub(crate) async fn probe(submission: &Submission) -> Result<(), String> {
        let transport = transport(submission)?;
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

/// The server's words, one line. They may name the recipient, so they go to the reply's own record and not to a log.
fn words(error: &lettre::transport::smtp::Error) -> String {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    name::line(
        &format!(
            "{}{source}",
            error.status().map_or_else(|| error.to_string(), |code| code.to_string())
        ),
        300,
    )
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
        Some(subject) => format!("Re: {subject} {token}"),
        None => format!("Votre demande {token}"),
    }
}

fn transport(submission: &Submission) -> Result<Transport, String> {
    let server = &submission.server;
    let parameters = || {
        let mut builder = TlsParameters::builder(server.host.clone());
        if let Some(path) = &server.ca_file {
            let pem = std::fs::read(path).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
            builder =
                builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| format!("ca_file {}: {error}", path.display()))?);
        }
        builder.build_rustls().map_err(|error| error.to_string())
    };
    let tls = match server.security {
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::Starttls => Tls::Required(parameters()?),
        Security::None => Tls::None,
    };
    let domain = submission
        .from_address
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain)
        .to_owned();
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .timeout(Some(COMMAND))
        .hello_name(ClientId::Domain(domain))
        .pool_config(
            PoolConfig::new()
                .max_size(u32::try_from(CONNECTIONS).unwrap_or(1))
                .idle_timeout(Duration::from_secs(20)),
        );
    if let Some((user, password)) = &submission.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        if submission.xoauth2 {
            builder = builder.authentication(vec![Mechanism::Xoauth2]);
        }
    }
    Ok(builder.build())
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
    }
}
