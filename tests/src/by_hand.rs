//! An SMSC's side of connections, PDU by PDU, for stories in which each counts; and what such a story asks of the daemon.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::kill::requests;
use crate::scratch::{self, Running, Scratch};
use crate::smsc::{Message, Submit, pdu};

/// Longest that something may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Long before the silence of half a minute after which something is said in any case: red when what the SMSC answers is
/// settled only with the next thing that happens.
pub const SOON: Duration = Duration::from_secs(10);
/// bind_receiver.
pub const BIND_RECEIVER: u32 = 1;
/// bind_transmitter.
pub const BIND_TRANSMITTER: u32 = 2;
/// bind_transceiver.
pub const BIND_TRANSCEIVER: u32 = 9;

/// An SMSC's side of one connection.
pub struct Link<S> {
    /// The connection, for what is no PDU.
    pub stream: S,
    inbox: Vec<u8>,
    sequence: u32,
}

/// A PDU as it came.
#[derive(Debug)]
pub struct Pdu {
    /// command_id.
    pub id: u32,
    /// command_status.
    pub status: u32,
    /// sequence_number.
    pub sequence: u32,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Over a connection that was made.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
            sequence: 0,
        }
    }

    /// The next PDU; `None` when the daemon closed the connection. An enquire_link is answered on the way.
    ///
    /// # Errors
    /// When nothing comes.
    pub async fn next(&mut self) -> Result<Option<Pdu>> {
        loop {
            if let Some([length, id, status, sequence]) = pdu::header(&self.inbox)
                && self.inbox.len() >= length as usize
            {
                let whole: Vec<u8> = self.inbox.drain(..length as usize).collect();
                if id == pdu::ENQUIRE_LINK {
                    self.send(id | pdu::RESPONSE, 0, sequence, b"").await?;
                    continue;
                }
                let body = whole[16..].to_vec();
                return Ok(Some(Pdu {
                    id,
                    status,
                    sequence,
                    body,
                }));
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.inbox)).await;
            if read.context("the daemon says nothing")?.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
    }

    /// The next PDU, which must be this.
    ///
    /// # Errors
    /// When it is another, or none comes.
    pub async fn expect(&mut self, id: u32) -> Result<Pdu> {
        let found = self.next().await?.context("the daemon closed the connection")?;
        ensure!(found.id == id, "{:#010x} instead of {id:#010x}", found.id);
        Ok(found)
    }

    /// Sends a PDU.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, id: u32, status: u32, sequence: u32, body: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(&pdu::pdu(id, status, sequence, body)).await?)
    }

    /// Takes a bind of this kind, with the right credentials.
    ///
    /// # Errors
    /// When it is another.
    pub async fn bound(&mut self, id: u32) -> Result<()> {
        self.bound_with(id, b"").await.map(|_| ())
    }

    /// The same with optional parameters in the response; what was asked for.
    ///
    /// # Errors
    /// When it is another.
    pub async fn bound_with(&mut self, id: u32, parameters: &[u8]) -> Result<Pdu> {
        let bind = self.expect(id).await?;
        ensure!(bind.body.starts_with(b"voxea\0secret\0"), "other credentials");
        let body = [b"smsc\0", parameters].concat();
        self.send(id | pdu::RESPONSE, 0, bind.sequence, &body).await?;
        Ok(bind)
    }

    /// Delivers a message and waits for its answer.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn deliver(&mut self, message: &Message) -> Result<()> {
        self.sequence += 1;
        let sequence = self.sequence;
        self.send(pdu::DELIVER_SM, 0, sequence, &message.encoded()).await?;
        let answer = self.expect(pdu::DELIVER_SM | pdu::RESPONSE).await?;
        ensure!((answer.status, answer.sequence) == (0, sequence), "status {}", answer.status);
        Ok(())
    }

    /// The next text of ours, not yet answered: its sequence number, and to whom it goes.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn submitted(&mut self) -> Result<(u32, String)> {
        let submit = self.expect(pdu::SUBMIT_SM).await?;
        let read = Submit::read(&submit.body).context("a submit_sm cut off")?;
        Ok((submit.sequence, read.destination.2))
    }

    /// Takes a text of ours, under an id.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn take(&mut self, sequence: u32, id: &str) -> Result<()> {
        self.take_with(sequence, id, b"").await
    }

    /// The same with optional parameters in the response.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn take_with(&mut self, sequence: u32, id: &str, parameters: &[u8]) -> Result<()> {
        let body = [id.as_bytes(), b"\0", parameters].concat();
        self.send(pdu::SUBMIT_SM | pdu::RESPONSE, 0, sequence, &body).await
    }

    /// Ends the bind with the daemon, which says goodbye.
    ///
    /// # Errors
    /// When it says something else.
    pub async fn unbound(&mut self) -> Result<()> {
        let unbind = self.expect(pdu::UNBIND).await?;
        self.send(pdu::UNBIND | pdu::RESPONSE, 0, unbind.sequence, b"").await
    }
}

/// Where the daemon connects to.
pub struct Smsc(pub TcpListener);

impl Smsc {
    /// On a port that the kernel chose.
    ///
    /// # Errors
    /// The socket's.
    pub async fn listen() -> Result<Self> {
        Ok(Self(TcpListener::bind("127.0.0.1:0").await?))
    }

    /// Where.
    ///
    /// # Errors
    /// The socket's.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// The next connection.
    ///
    /// # Errors
    /// When none comes.
    pub async fn accept(&self) -> Result<Link<TcpStream>> {
        let accepted = timeout(PATIENCE, self.0.accept()).await.context("the daemon does not connect")?;
        Ok(Link::new(accepted?.0))
    }
}

/// An `[[smpp]]`; `address` is that key, or what stands in its place.
#[must_use]
pub fn account(address: &str, more: &str) -> String {
    format!("[[smpp]]\nname = \"short-number\"\n{address}\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n{more}")
}

/// A daemon with this configuration on SQLite, running.
///
/// # Errors
/// When it does not start.
pub async fn run(channels: &str) -> Result<(Scratch, Running)> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

/// The key of an SMSC that listens.
///
/// # Errors
/// The socket's.
pub fn at(smsc: &Smsc) -> Result<String> {
    Ok(format!("address = \"{}\"", smsc.address()?))
}

/// The account as `/v1/channels` shows it, once it is as wanted.
///
/// # Errors
/// When it is not.
pub async fn shown(running: &Running, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let find = |channels: &Value| {
        let items = channels["items"].as_array().into_iter().flatten();
        items.clone().find(|item| item["kind"] == "smpp").cloned().unwrap_or_default()
    };
    let channels = running.rest().until("/v1/channels", PATIENCE, |shown| wanted(&find(shown))).await?;
    Ok(find(&channels))
}

/// How many binds of an account are up.
#[must_use]
pub fn binds_up(account: &Value) -> usize {
    let binds = account["binds"].as_array().into_iter().flatten();
    binds.filter(|bind| bind["state"] == "up").count()
}

/// Writes to a citizen who has written; the reply's id.
///
/// # Errors
/// When it is not queued.
pub async fn reply(running: &Running, to: &str, text: &str) -> Result<String> {
    let all = requests(running, "channel=sms").await?;
    let request = all.iter().find(|request| request["from"] == to).context("no request")?;
    let target = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
    let answered = running.rest().call("POST", &target, Some(&json!({"text": text}))).await?;
    ensure!(answered.status == 202, "{}", answered.status);
    Ok(answered.json()?["id"].as_str().context("no id")?.to_owned())
}

/// Waits, not for long, until a reply is in this state.
///
/// # Errors
/// When it is not.
pub async fn state(running: &Running, reply: &str, wanted: &str) -> Result<()> {
    let target = format!("/v1/replies/{reply}");
    running.rest().until(&target, SOON, |reply| reply["state"] == wanted).await?;
    Ok(())
}
