//! One logged-in IMAP connection: async-imap under limits, with its traps closed.
//!
//! - Its errors quote the server's bytes, mails and all: [`Trouble`] says the same without them.
//! - It has no timeouts: the socket below has (see [`crate::limit`]), and each command has one here.
//! - It takes the end of the connection for the end of an answer: commands go through [`crate::wire`].
//! - An IDLE on which the server chats never times out: the deadline is ours.

mod login;

use std::fmt;
use std::time::Duration;

use async_imap::error::Error;
use async_imap::extensions::idle::IdleResponse;
use async_imap::imap_proto::{AttributeValue, Capability, MailboxDatum, Response, ResponseCode, Status, StatusAttribute};
use async_imap::types::UnsolicitedResponse;
use async_imap::{Client, Session};
use bytes::Bytes;
use mail_parser::DateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use voxea_core::base::mutant;

use self::login::{Words, utf8_login};
use crate::config::{Config, Security};
use crate::limit::Limited;
use crate::oauth::{self, Mechanism};
use crate::planner::Listed;
use crate::trouble::{Code, Trouble, lost, refused_folder, refused_login, trouble};
use crate::wire::{self, quoted, set};
use crate::{name, tls, utf7};

/// How long a connection, a login and a command may take.
const CONNECT: Duration = Duration::from_secs(15);
const COMMAND: Duration = Duration::from_secs(60);
/// How long a whole FETCH may take.
const FETCH: Duration = Duration::from_secs(10 * 60);
/// How long the server may be silent within a command.
const SILENCE: Duration = Duration::from_secs(60);
/// Header bytes that are fetched of a mail too large to be fetched whole.
pub(crate) const HEADER_BYTES: u32 = 256 * 1024;
/// What a mail may have beyond its RFC822.SIZE, which some servers count with LF for CRLF.
const SLACK: u64 = 4 * 1024 * 1024;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Socket for S {}

type Stream = Limited<Box<dyn Socket>>;

/// What the server offers of what we use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offers {
    pub(crate) idle: bool,
    pub(crate) moves: bool,
    pub(crate) uid_expunge: bool,
}

/// A folder as SELECT, EXAMINE or STATUS tell of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    /// UIDVALIDITY; 0 when the server does not say.
    pub(crate) validity: u32,
    /// UIDNEXT; 0 when the server does not say.
    pub(crate) next: u32,
    /// How many mails it holds.
    pub(crate) mails: u32,
}

/// A logged-in connection. Its session is away while it idles or is lent.
pub(crate) struct Connection {
    session: Option<Session<Stream>>,
    pub(crate) offers: Offers,
    /// The address really reached.
    pub(crate) peer: String,
    cap: u32,
    /// The server has spoken of new mails since the last time that was asked.
    heard: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and logs in.
    pub(crate) async fn open(config: &Config) -> Result<Self, Trouble> {
        let server = &config.server;
        let tcp = timeout(CONNECT, TcpStream::connect((server.host.as_str(), server.port))).await;
        let tcp = tcp
            .map_err(|_| lost("the connection took too long"))?
            .map_err(|error| Trouble::Lost(format!("{}: {}", server.authority(), error.kind())))?;
        let _ = tcp.set_nodelay(true);
        let peer = tcp.peer_addr().map_or_else(|_| server.authority(), |address| address.to_string());
        Self::over(config, Box::new(tcp), peer).await
    }

    /// Greets and logs in over a socket that is connected.
    async fn over(config: &Config, socket: Box<dyn Socket>, peer: String) -> Result<Self, Trouble> {
        let server = &config.server;
        let cap = u64::from(config.oversize) + SLACK;
        let limited = |socket: Box<dyn Socket>| Limited::new(socket, cap, SILENCE);

        let mut client = match server.security {
            Security::Tls => Client::new(limited(secure(config, socket).await?)),
            Security::None | Security::Starttls => Client::new(limited(socket)),
        };
        let greeting = within(COMMAND, async { Ok(client.read_response().await?) }).await?;
        match greeting.as_ref().map(|response| response.parsed()) {
            Some(async_imap::imap_proto::Response::Data {
                status: async_imap::imap_proto::Status::Ok,
                ..
            }) => {}
            _ => return Err(lost("the server did not greet with OK")),
        }
        if server.security == Security::Starttls {
            within(COMMAND, client.run_command_and_check_ok("STARTTLS", None))
                .await
                .map_err(|trouble| match trouble {
                    Trouble::Refused { .. } => Trouble::Wrong("the server has no STARTTLS; security = \"tls\" may be right".to_owned()),
                    other => other,
                })?;
            // What came in clear after STARTTLS is dropped with the client's buffer.
            let socket = secure(config, client.into_inner().into_inner()).await?;
            client = Client::new(limited(socket));
        }
        let session = log_in(client, config).await?;
        let mut connection = Self {
            session: Some(session),
            offers: Offers::default(),
            peer,
            cap: config.oversize.saturating_add(SLACK as u32 / 2),
            heard: false,
        };
        connection.offers = connection.capabilities().await?;
        Ok(connection)
    }

    async fn capabilities(&mut self) -> Result<Offers, Trouble> {
        let mut offers = Offers::default();
        self.ask(COMMAND, "CAPABILITY", |answer| {
            let Response::Capabilities(found) = answer else { return };
            let has = |name: &str| {
                let named = |one: &Capability<'_>| matches!(one, Capability::Atom(atom) if atom.eq_ignore_ascii_case(name));
                found.iter().any(named)
            };
            offers.idle |= has("IDLE");
            offers.moves |= has("MOVE");
            offers.uid_expunge |= has("UIDPLUS");
        })
        .await?;
        Ok(offers)
    }

    /// The connection for somebody else; this one is of no use until it is given back.
    pub(crate) fn lend(&mut self) -> Self {
        Self {
            session: self.session.take(),
            offers: self.offers,
            peer: self.peer.clone(),
            cap: self.cap,
            heard: std::mem::take(&mut self.heard),
        }
    }

    fn session(&mut self) -> Result<&mut Session<Stream>, Trouble> {
        self.session.as_mut().ok_or_else(|| lost("the connection is closed"))
    }

    /// Sends a command, hands its untagged answers on and hears what the server says of new mails beside them.
    async fn ask(&mut self, limit: Duration, command: &str, mut each: impl FnMut(&Response<'_>)) -> Result<(), Trouble> {
        let mut heard = false;
        let asked = wire::ask(self.session()?, limit, command, |answer| {
            heard |= matches!(answer, Response::MailboxData(MailboxDatum::Exists(_) | MailboxDatum::Recent(_)));
            each(answer);
        })
        .await;
        self.heard |= heard;
        asked
    }

    /// SELECT. [`Trouble::Wrong`] without UIDVALIDITY.
    pub(crate) async fn select(&mut self, folder: &str) -> Result<Folder, Trouble> {
        let selected = self.enter("SELECT", folder).await?;
        if selected.validity == 0 {
            return Err(Trouble::Wrong(
                "the server has no UIDVALIDITY for this folder, so its mails cannot be told apart".to_owned(),
            ));
        }
        Ok(selected)
    }

    /// EXAMINE. Changes nothing, not even `\\Recent`.
    pub(crate) async fn examine(&mut self, folder: &str) -> Result<Folder, Trouble> {
        self.enter("EXAMINE", folder).await
    }

    async fn enter(&mut self, how: &str, folder: &str) -> Result<Folder, Trouble> {
        let mut entered = Folder::default();
        let command = format!("{how} {}", quoted(&utf7::encode(folder)));
        self.ask(COMMAND, &command, |answer| match answer {
            Response::MailboxData(MailboxDatum::Exists(mails)) => entered.mails = *mails,
            Response::Data {
                status: Status::Ok,
                outcome,
            } => match outcome.code {
                Some(ResponseCode::UidValidity(validity)) => entered.validity = validity,
                Some(ResponseCode::UidNext(next)) => entered.next = next,
                _ => {}
            },
            _ => {}
        })
        .await
        .map_err(|trouble| refused_folder(folder, trouble))?;
        // What it tells of at the entrance is what the search will find.
        self.heard = false;
        Ok(entered)
    }

    /// NOOP, so that the server shows what came, then UID SEARCH.
    pub(crate) async fn search(&mut self, from: u32, also: &[u32]) -> Result<Vec<u32>, Trouble> {
        self.ask(COMMAND, "NOOP", |_| ()).await?;
        let wanted = if also.is_empty() {
            format!("{from}:*")
        } else {
            format!("{},{from}:*", set(also))
        };
        self.uids(&format!("UID {wanted}")).await
    }

    /// UID SEARCH by any criteria.
    pub(crate) async fn uids(&mut self, criteria: &str) -> Result<Vec<u32>, Trouble> {
        let mut found = Vec::new();
        self.ask(COMMAND, &format!("UID SEARCH {criteria}"), |answer| {
            if let Response::MailboxData(MailboxDatum::Search(uids)) = answer {
                found.extend_from_slice(uids);
            }
        })
        .await?;
        Ok(found)
    }

    /// RFC822.SIZE and INTERNALDATE, into `listed`, where what came before a failure stays.
    pub(crate) async fn sizes(&mut self, uids: &[u32], listed: &mut Vec<Listed>) -> Result<(), Trouble> {
        let command = format!("UID FETCH {} (UID RFC822.SIZE INTERNALDATE)", set(uids));
        self.ask(FETCH, &command, |answer| {
            let Response::Fetch(_, attributes) = answer else { return };
            let (mut uid, mut size, mut internal_ms) = (None, None, 0);
            for attribute in attributes {
                match attribute {
                    AttributeValue::Uid(found) => uid = Some(*found),
                    AttributeValue::Rfc822Size(found) => size = Some(*found),
                    AttributeValue::InternalDate(date) => internal_ms = milliseconds(date),
                    _ => {}
                }
            }
            if let (Some(uid), Some(size)) = (uid, size) {
                listed.push(Listed { uid, size, internal_ms });
            }
        })
        .await
    }

    /// The bytes of mails, without marking them: whole, or their headers alone; into `mails`, where what came before a failure
    /// stays. A mail that is gone is left out.
    ///
    /// [`Trouble::Refused`] when a mail that is there did not come.
    pub(crate) async fn fetch(&mut self, whole: &[u32], headers: &[u32], mails: &mut Vec<(u32, Bytes)>) -> Result<(), Trouble> {
        let body = format!("(UID BODY.PEEK[]<0.{}>)", self.cap);
        let header = format!("(UID BODY.PEEK[HEADER]<0.{HEADER_BYTES}>)");
        let mut refusal = None;
        for (uids, query) in [(whole, body), (headers, header)] {
            match self.bodies(uids, &query, mails).await {
                // It may be that a mail is gone.
                Err(trouble @ Trouble::Refused { .. }) => refusal = Some(trouble),
                other => other?,
            }
        }
        let missing: Vec<u32> = whole
            .iter()
            .chain(headers)
            .copied()
            .filter(|uid| mails.iter().all(|(came, _)| came != uid))
            .collect();
        if missing.is_empty() || self.uids(&format!("UID {}", set(&missing))).await?.is_empty() {
            return Ok(());
        }
        Err(refusal.unwrap_or_else(|| Trouble::Refused {
            words: "it did not send a mail that is there".to_owned(),
            code: Code::Other,
        }))
    }

    /// BODY sections of mails by UID.
    pub(crate) async fn bodies(&mut self, uids: &[u32], query: &str, mails: &mut Vec<(u32, Bytes)>) -> Result<(), Trouble> {
        if uids.is_empty() {
            return Ok(());
        }
        self.ask(FETCH, &format!("UID FETCH {} {query}", set(uids)), |answer| {
            let Response::Fetch(_, attributes) = answer else { return };
            let (mut uid, mut bytes) = (None, None);
            for attribute in attributes {
                match attribute {
                    AttributeValue::Uid(found) => uid = Some(*found),
                    AttributeValue::BodySection { data: Some(data), .. }
                    | AttributeValue::Rfc822(Some(data))
                    | AttributeValue::Rfc822Header(Some(data)) => bytes = Some(Bytes::copy_from_slice(data)),
                    _ => {}
                }
            }
            if let (Some(uid), Some(bytes)) = (uid, bytes) {
                mails.push((uid, bytes));
            }
        })
        .await
    }

    /// Adds flags to mails.
    pub(crate) async fn flag(&mut self, uids: &[u32], flags: &str) -> Result<(), Trouble> {
        self.ask(COMMAND, &format!("UID STORE {} +FLAGS.SILENT ({flags})", set(uids)), |_| ())
            .await
    }

    /// STATUS of a folder that is not selected.
    pub(crate) async fn status(&mut self, folder: &str) -> Result<Folder, Trouble> {
        let mut stands = Folder::default();
        let command = format!("STATUS {} (MESSAGES UIDNEXT UIDVALIDITY)", quoted(&utf7::encode(folder)));
        self.ask(COMMAND, &command, |answer| {
            let Response::MailboxData(MailboxDatum::Status { status, .. }) = answer else {
                return;
            };
            for attribute in status {
                match attribute {
                    StatusAttribute::Messages(mails) => stands.mails = *mails,
                    StatusAttribute::UidNext(next) => stands.next = *next,
                    StatusAttribute::UidValidity(validity) => stands.validity = *validity,
                    _ => {}
                }
            }
        })
        .await?;
        Ok(stands)
    }

    /// CREATE.
    pub(crate) async fn create(&mut self, folder: &str) -> Result<(), Trouble> {
        self.ask(COMMAND, &format!("CREATE {}", quoted(&utf7::encode(folder))), |_| ())
            .await
    }

    /// UID MOVE (RFC 6851).
    pub(crate) async fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<(), Trouble> {
        let command = format!("UID MOVE {} {}", set(uids), quoted(&utf7::encode(folder)));
        self.ask(COMMAND, &command, |_| ()).await
    }

    /// UID COPY: all of them, or none when it is refused (RFC 9051 §6.4.7).
    pub(crate) async fn copy(&mut self, uids: &[u32], folder: &str) -> Result<(), Trouble> {
        let command = format!("UID COPY {} {}", set(uids), quoted(&utf7::encode(folder)));
        self.ask(COMMAND, &command, |_| ()).await
    }

    /// UID EXPUNGE (RFC 4315).
    pub(crate) async fn expunge(&mut self, uids: &[u32]) -> Result<(), Trouble> {
        self.ask(COMMAND, &format!("UID EXPUNGE {}", set(uids)), |_| ()).await
    }

    /// Whether the server has spoken of new mails outside IDLE since the last time this was asked.
    pub(crate) fn heard_of_new(&mut self) -> bool {
        let mut heard = std::mem::take(&mut self.heard);
        let Some(session) = self.session.as_ref() else { return heard };
        while let Ok(response) = session.unsolicited_responses.try_recv() {
            heard |= matches!(response, UnsolicitedResponse::Exists(_) | UnsolicitedResponse::Recent(_));
        }
        heard
    }

    /// IDLE until the server says something, `until`, or `stopped`.
    pub(crate) async fn idle(&mut self, until: Instant, stopped: impl Future<Output = ()>) -> Result<(), Trouble> {
        let session = self.session.take().ok_or_else(|| lost("the connection is closed"))?;
        let mut handle = session.idle();
        let left = until.saturating_duration_since(Instant::now());
        handle.as_mut().read_within(left + SILENCE);
        within(COMMAND, handle.init()).await?;
        let ended = {
            let (wait, _interrupt) = handle.wait_with_timeout(left + SILENCE);
            tokio::select! {
                ended = timeout_at(until, wait) => ended.ok(),
                () = stopped => None,
            }
        };
        match ended {
            // The connection's end looks like an interrupt, and nothing here interrupts.
            Some(Ok(IdleResponse::ManualInterrupt)) => return Err(lost("the server closed the connection")),
            Some(Err(error)) => return Err(trouble(error)),
            Some(Ok(IdleResponse::NewData(_) | IdleResponse::Timeout)) | None => {}
        }
        handle.as_mut().read_within(SILENCE);
        self.session = Some(within(COMMAND, handle.done()).await?);
        Ok(())
    }

    /// LOGOUT, for as long as that takes at most a moment.
    pub(crate) async fn close(mut self) {
        if let Some(mut session) = self.session.take() {
            let _ = timeout(Duration::from_secs(2), session.logout()).await;
        }
    }
}

/// By password, or by a token.
async fn log_in(client: Client<Stream>, config: &Config) -> Result<Session<Stream>, Trouble> {
    let slow = || lost("the login took too long");
    let user = utf8_login(&config.user);
    if mutant::active("secrets_in_log") {
        tracing::trace!(password = config.password.reveal(), "logging in");
    }
    let Some(tokens) = &config.oauth else {
        let login = timeout(COMMAND, client.login(user, config.password.reveal())).await;
        return login.map_err(|_| slow())?.map_err(|(error, _)| refused_login(error));
    };
    let shown = tokens.token().await?;
    let (name, after) = match tokens.mechanism() {
        // What the server says of a refusal is answered so that it ends (RFC 7628 §3.2.3).
        Mechanism::Oauthbearer => ("OAUTHBEARER", "\x01"),
        Mechanism::Xoauth2 => ("XOAUTH2", ""),
    };
    let place = (config.server.host.as_str(), config.server.port);
    let said = Words {
        first: Some(oauth::first_words(tokens.mechanism(), &user, place, &shown.token)),
        after,
    };
    let login = timeout(COMMAND, client.authenticate(name, said)).await.map_err(|_| slow())?;
    match login.map_err(|(error, _)| refused_login(error)) {
        Err(Trouble::Denied(_)) => {
            tokens.refused(&shown.token).await;
            Err(if shown.fresh {
                Trouble::Denied(format!(
                    "the server refuses a token that was just given for it ({name}): the client may not read this mailbox, scope is \
                     wrong, or user is not its owner"
                ))
            } else {
                lost("the server takes our token no longer; a new one is fetched")
            })
        }
        other => other,
    }
}

async fn secure(config: &Config, socket: Box<dyn Socket>) -> Result<Box<dyn Socket>, Trouble> {
    let (connector, name) = tls::connector(&config.server.host, config.server.ca_file.as_deref()).map_err(Trouble::Wrong)?;
    let stream = timeout(CONNECT, connector.connect(name, socket))
        .await
        .map_err(|_| lost("the TLS handshake took too long"))?;
    let stream = stream.map_err(|error| {
        // A wrong certificate is the operator's to see; a broken handshake may pass.
        let certificate = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)));
        let words = format!("TLS: {}", name::line(&error.to_string(), 200));
        if certificate { Trouble::Wrong(words) } else { Trouble::Lost(words) }
    })?;
    Ok(Box::new(stream))
}

/// A command with a time limit.
async fn within<T>(limit: Duration, command: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    timeout(limit, command)
        .await
        .map_err(|_| lost("the server takes too long to answer"))?
        .map_err(trouble)
}

/// INTERNALDATE (RFC 9051 §9, date-time: `24-Nov-2026 09:00:00 +0100`) in milliseconds UTC; 0 when it cannot be read.
fn milliseconds(date: &str) -> i64 {
    let date = DateTime::parse_rfc822(&date.trim().replacen('-', " ", 2));
    date.filter(DateTime::is_valid)
        .map_or(0, |date| date.to_timestamp().saturating_mul(1000).max(0))
}

#[cfg(test)]
mod tests;
