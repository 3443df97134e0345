//! One logged-in IMAP connection: async-imap under limits, with its traps closed.
//!
//! - Its errors quote the server's bytes, mails and all: [`Trouble`] says the same without them.
//! - It has no timeouts: the socket below has (see [`crate::limit`]), and each command has one here.
//! - A FETCH that the server refuses, or that ends with the connection, looks like a short answer: what is missing is
//!   asked for again.
//! - An IDLE on which the server chats never times out: the deadline is ours.

use std::fmt;
use std::io;
use std::time::Duration;

use async_imap::error::Error;
use async_imap::extensions::idle::IdleResponse;
use async_imap::types::{Fetch, UnsolicitedResponse};
use async_imap::{Client, Session};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Config, Security};
use crate::limit::{Limited, TooLarge};
use crate::planner::Listed;
use crate::{name, tls, utf7};

/// How long a connection, a login and a command may take.
const CONNECT: Duration = Duration::from_secs(15);
const COMMAND: Duration = Duration::from_secs(60);
/// How long a whole FETCH may take.
const FETCH: Duration = Duration::from_secs(10 * 60);
/// How long the server may be silent within a command.
const SILENCE: Duration = Duration::from_secs(60);
/// Header bytes that are fetched of a mail too large to be fetched whole.
const HEADER_BYTES: u32 = 256 * 1024;
/// What a mail may have beyond its RFC822.SIZE, which some servers count with LF for CRLF.
const SLACK: u64 = 4 * 1024 * 1024;

/// What ended a connection, or a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The network or the server failed; another connection may work.
    #[error("{0}")]
    Lost(String),
    /// The server does not accept the credentials, or the certificate or the folder are wrong.
    #[error("{0}")]
    Wrong(String),
    /// The server refused the command; the connection lives.
    #[error("the server refused: {0}")]
    Refused(String),
    /// A mail is larger than the server had said; the connection is lost.
    #[error("a mail is larger than the server had said")]
    TooLarge,
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Socket for S {}

type Stream = Limited<Box<dyn Socket>>;

/// What the server offers of what we use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offers {
    pub(crate) idle: bool,
    moves: bool,
    uid_expunge: bool,
}

/// A logged-in connection. Its session is away while it idles.
pub(crate) struct Connection {
    session: Option<Session<Stream>>,
    pub(crate) offers: Offers,
    /// The address really reached.
    pub(crate) peer: String,
    cap: u32,
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
        let cap = u64::from(config.oversize) + SLACK;
        let limited = |socket: Box<dyn Socket>| Limited::new(socket, cap, SILENCE);

        let mut client = match server.security {
            Security::Tls => Client::new(limited(secure(config, Box::new(tcp)).await?)),
            Security::None | Security::Starttls => Client::new(limited(Box::new(tcp))),
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
                    Trouble::Refused(_) => Trouble::Wrong("the server has no STARTTLS; security = \"tls\" may be right".to_owned()),
                    other => other,
                })?;
            // What came in clear after STARTTLS is dropped with the client's buffer.
            let socket = secure(config, client.into_inner().into_inner()).await?;
            client = Client::new(limited(socket));
        }
        let login = timeout(COMMAND, client.login(utf8_login(&config.user), config.password.reveal())).await;
        let mut session = login
            .map_err(|_| lost("the login took too long"))?
            .map_err(|(error, _)| refused_login(error))?;
        let found = within(COMMAND, session.capabilities()).await?;
        let offers = Offers {
            idle: found.has_str("IDLE"),
            moves: found.has_str("MOVE"),
            uid_expunge: found.has_str("UIDPLUS"),
        };
        Ok(Self {
            session: Some(session),
            offers,
            peer,
            cap: config.oversize.saturating_add(SLACK as u32 / 2),
        })
    }

    fn session(&mut self) -> Result<&mut Session<Stream>, Trouble> {
        self.session.as_mut().ok_or_else(|| lost("the connection is closed"))
    }

    /// SELECT: UIDVALIDITY and UIDNEXT (0 when the server does not say).
    pub(crate) async fn select(&mut self, folder: &str) -> Result<(u32, u32), Trouble> {
        let selected = within(COMMAND, self.session()?.select(utf7::encode(folder)))
            .await
            .map_err(|trouble| match trouble {
                Trouble::Refused(words) => Trouble::Wrong(format!("the folder cannot be selected: {words}")),
                other => other,
            })?;
        let validity = selected
            .uid_validity
            .ok_or_else(|| Trouble::Wrong("the server has no UIDVALIDITY for this folder, so its mails cannot be told apart".to_owned()))?;
        Ok((validity, selected.uid_next.unwrap_or(0)))
    }

    /// EXAMINE: how many mails the folder holds. Changes nothing, not even `\\Recent`.
    pub(crate) async fn examine(&mut self, folder: &str) -> Result<u32, Trouble> {
        Ok(within(COMMAND, self.session()?.examine(utf7::encode(folder))).await?.exists)
    }

    /// NOOP, so that the server shows what came, then UID SEARCH.
    pub(crate) async fn search(&mut self, from: u32, also: &[u32]) -> Result<Vec<u32>, Trouble> {
        let session = self.session()?;
        within(COMMAND, session.noop()).await?;
        let wanted = if also.is_empty() {
            format!("{from}:*")
        } else {
            format!("{},{from}:*", set(also))
        };
        Ok(within(COMMAND, session.uid_search(format!("UID {wanted}")))
            .await?
            .into_iter()
            .collect())
    }

    /// RFC822.SIZE and INTERNALDATE.
    pub(crate) async fn sizes(&mut self, uids: &[u32]) -> Result<Vec<Listed>, Trouble> {
        let mut listed = Vec::with_capacity(uids.len());
        self.fetch_with(uids, "(UID RFC822.SIZE INTERNALDATE)", |fetch| {
            if let (Some(uid), Some(size)) = (fetch.uid, fetch.size) {
                listed.push(Listed {
                    uid,
                    size,
                    internal_ms: fetch.internal_date().map_or(0, |date| date.timestamp_millis()),
                });
            }
        })
        .await?;
        Ok(listed)
    }

    /// The bytes of mails, without marking them: whole, or their headers alone.
    ///
    /// [`Trouble::Refused`] when a mail that is there did not come.
    pub(crate) async fn fetch(&mut self, whole: &[u32], headers: &[u32]) -> Result<Vec<(u32, Bytes)>, Trouble> {
        let mut mails = Vec::with_capacity(whole.len() + headers.len());
        let body = format!("(UID BODY.PEEK[]<0.{}>)", self.cap);
        for (uids, query) in [(whole, body), (headers, format!("(UID BODY.PEEK[HEADER]<0.{HEADER_BYTES}>)"))] {
            if uids.is_empty() {
                continue;
            }
            self.fetch_with(uids, &query, |fetch| {
                if let (Some(uid), Some(bytes)) = (fetch.uid, fetch.body().or_else(|| fetch.header())) {
                    mails.push((uid, Bytes::copy_from_slice(bytes)));
                }
            })
            .await?;
        }
        let missing: Vec<u32> = whole
            .iter()
            .chain(headers)
            .copied()
            .filter(|uid| mails.iter().all(|(came, _)| came != uid))
            .collect();
        if missing.is_empty() {
            return Ok(mails);
        }
        let there = within(COMMAND, self.session()?.uid_search(format!("UID {}", set(&missing)))).await?;
        if there.is_empty() {
            Ok(mails)
        } else {
            Err(Trouble::Refused("it did not send a mail that is there".to_owned()))
        }
    }

    async fn fetch_with(&mut self, uids: &[u32], query: &str, mut each: impl FnMut(&Fetch)) -> Result<(), Trouble> {
        let session = self.session()?;
        within(FETCH, async {
            let mut answers = session.uid_fetch(set(uids), query).await?;
            while let Some(fetch) = answers.try_next().await? {
                each(&fetch);
            }
            Ok(())
        })
        .await
    }

    /// Marks mails `\Seen`.
    pub(crate) async fn mark_seen(&mut self, uids: &[u32]) -> Result<(), Trouble> {
        let session = self.session()?;
        within(COMMAND, async {
            session
                .uid_store(set(uids), "+FLAGS.SILENT (\\Seen)")
                .await?
                .try_for_each(|_| async { Ok(()) })
                .await
        })
        .await
    }

    /// Moves mails to a folder, which is made when it is missing.
    pub(crate) async fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<(), Trouble> {
        let folder = utf7::encode(folder);
        match self.try_move(uids, &folder).await {
            Err(Trouble::Refused(_)) => {
                let session = self.session()?;
                // It may be there already, and the move have failed for another reason; the second try tells.
                let _ = within(COMMAND, session.create(&folder)).await;
                self.try_move(uids, &folder).await
            }
            other => other,
        }
    }

    async fn try_move(&mut self, uids: &[u32], folder: &str) -> Result<(), Trouble> {
        let offers = self.offers;
        let session = self.session()?;
        let uids = set(uids);
        if offers.moves {
            return within(COMMAND, session.uid_mv(&uids, folder)).await;
        }
        within(COMMAND, session.uid_copy(&uids, folder)).await?;
        within(COMMAND, async {
            session
                .uid_store(&uids, "+FLAGS.SILENT (\\Seen \\Deleted)")
                .await?
                .try_for_each(|_| async { Ok(()) })
                .await
        })
        .await?;
        // Without UIDPLUS an EXPUNGE would remove what others have marked; then the mark is all.
        if offers.uid_expunge {
            within(COMMAND, async {
                session.uid_expunge(&uids).await?.try_for_each(|_| async { Ok(()) }).await
            })
            .await?;
        }
        Ok(())
    }

    /// Whether the server has spoken of new mails outside IDLE since the last time this was asked.
    pub(crate) fn heard_of_new(&mut self) -> bool {
        let Some(session) = self.session.as_ref() else { return false };
        let mut heard = false;
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

fn lost(words: &str) -> Trouble {
    Trouble::Lost(words.to_owned())
}

/// An error in our words; async-imap's quote the server's bytes.
fn trouble(error: Error) -> Trouble {
    match error {
        Error::Io(error) => {
            let too_large = error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>());
            match (too_large, error.kind()) {
                (Some(_), _) => Trouble::TooLarge,
                (None, io::ErrorKind::Other) => lost("the server's answer cannot be read"),
                (None, io::ErrorKind::TimedOut) => lost("the server is silent"),
                (None, kind) => Trouble::Lost(format!("the connection failed: {kind}")),
            }
        }
        Error::ConnectionLost => lost("the server closed the connection"),
        Error::No(words) | Error::Bad(words) => Trouble::Refused(name::line(&words, 200)),
        Error::Validate(_) => Trouble::Wrong("the configuration holds a line break where IMAP allows none".to_owned()),
        _ => lost("the server's answer cannot be read"),
    }
}

/// A refused login is the operator's to repair, unless the server says that it is only busy (RFC 5530 §3).
fn refused_login(error: Error) -> Trouble {
    match error {
        Error::No(words) | Error::Bad(words) => {
            let lower = words.to_lowercase();
            let busy = [
                "unavailable",
                "inuse",
                "limit",
                "temporar",
                "too many",
                "maximum number",
                "try again",
                "internal error",
            ];
            if busy.iter().any(|word| lower.contains(word)) {
                lost("the server is too busy for another login")
            } else {
                Trouble::Wrong("the server refuses the login; user or password_file is wrong".to_owned())
            }
        }
        other => trouble(other),
    }
}

/// A login name without what ends a quoted string's line; the configuration has refused such names already.
fn utf8_login(user: &str) -> String {
    user.chars().filter(|c| !c.is_control()).collect()
}

/// A sequence set with ranges: `1:3,7`.
fn set(uids: &[u32]) -> String {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in sorted {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(uid) => *end = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    let written: Vec<String> = ranges
        .iter()
        .map(|(start, end)| {
            if start == end {
                start.to_string()
            } else {
                format!("{start}:{end}")
            }
        })
        .collect();
    written.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_short() {
        assert_eq!(set(&[7, 1, 3, 2, 9, 10]), "1:3,7,9:10");
    }

    #[test]
    fn errors_never_quote_the_server() {
        let quoting = Error::Io(io::Error::other("Error during parsing of \"From: jeanne@example.fr\""));
        assert_eq!(trouble(quoting).to_string(), "the server's answer cannot be read");
        let large = Error::Io(io::Error::other(TooLarge { declared: 9, cap: 1 }));
        assert_eq!(trouble(large), Trouble::TooLarge);
    }

    #[test]
    fn a_busy_server_is_not_a_wrong_password() {
        assert!(matches!(
            refused_login(Error::No(
                "code: None, info: Some(\"[AUTHENTICATIONFAILED] Authentication failed.\")".into()
            )),
            Trouble::Wrong(_)
        ));
        assert!(matches!(
            refused_login(Error::No("[UNAVAILABLE] Temporary authentication failure.".into())),
            Trouble::Lost(_)
        ));
    }
}
