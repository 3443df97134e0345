//! A byte-level SIP caller with speech: INVITE with an offer over UDP, ACK, RTP at 20 ms, BYE (RFC 3261, 3264, 3550).
//!
//! One call, one [`Call`], with a SIP socket and an RTP socket of its own. It answers what the other side sends in the
//! dialog (BYE, a repeated 200), listens to what it plays, and knows when the beep ended.
//!
//! ```no_run
//! # async fn example(server: std::net::SocketAddr, octets: &[u8]) -> anyhow::Result<()> {
//! use voxea_tests::sip::{Answer, Call, Impairment, Invite};
//! let Answer::Up(call) = Call::place(server, &Invite::new("+33612345678", "3000")).await? else { return Ok(()) };
//! call.beep(std::time::Duration::from_secs(30)).await?;
//! call.play(octets, &Impairment::default()).await?;
//! call.hang_up().await?;
//! # Ok(()) }
//! ```

pub mod digest;
pub mod g711;
pub mod kamailio;
mod keys;
mod media;
mod message;
mod oddities;
pub mod registrar;
mod renegotiate;
pub mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

pub use keys::{EVENTS, event};
pub use media::{Heard, Impairment, Planned, Played, plan, rtp};
pub use message::Message;
pub use oddities::{Oddity, oddities};

use media::Media;

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
/// Longest datagram read.
const DATAGRAM: usize = 65_535;

static CALLS: AtomicU64 = AtomicU64::new(1);

/// What an INVITE says.
#[derive(Debug, Clone)]
pub struct Invite {
    /// The user part of From.
    pub caller: String,
    /// The user part of the request URI and To.
    pub dialled: String,
    /// RTP payload type offered: 8 PCMA, 0 PCMU.
    pub payload_type: u8,
    /// Further header lines, without CRLF, as `Diversion: <sip:0145000000@pbx>`.
    pub headers: Vec<String>,
    /// Further lines of the offer's sound, without CRLF; with `a=crypto:` it is offered encrypted.
    pub media: Vec<String>,
    /// What the offer says of the caller: `sendrecv`, `sendonly` for one who does not listen, `inactive`.
    pub direction: &'static str,
    /// Whether what comes back is listened to; without it [`Call::beep`] never returns, and the sockets can be taken.
    pub listen: bool,
    /// Where the sound is to go, when it is somebody else's to take; else to a socket of the call's own.
    pub sound: Option<SocketAddr>,
}

impl Invite {
    /// A PCMA call from `caller` to `dialled`.
    #[must_use]
    pub fn new(caller: &str, dialled: &str) -> Self {
        Self {
            caller: caller.to_owned(),
            dialled: dialled.to_owned(),
            payload_type: 8,
            headers: Vec::new(),
            media: Vec::new(),
            direction: "sendrecv",
            listen: true,
            sound: None,
        }
    }
}

/// How an INVITE ended.
pub enum Answer {
    /// 2xx, acknowledged.
    Up(Box<Call>),
    /// Another final response, acknowledged.
    Refused(Message),
}

/// How far the dialog is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Up,
    /// The other side sent BYE.
    Ended,
    /// Our BYE was answered, with this status.
    HungUp(u16),
}

/// A call that is up.
pub struct Call {
    socket: Arc<UdpSocket>,
    dialog: Dialog,
    media: Media,
    progress: watch::Receiver<Progress>,
    /// CSeq and status of the last INFO or INVITE in the dialog that was answered.
    informed: watch::Receiver<(u32, u16)>,
    cseq: AtomicU32,
    reader: JoinHandle<()>,
    /// When the 200 came.
    pub answered: Instant,
    /// Its description.
    pub description: String,
}

/// What every request of the dialog repeats.
#[derive(Debug, Clone)]
struct Dialog {
    local: SocketAddr,
    call_id: String,
    from: String,
    to: String,
    target: String,
}

impl Call {
    /// Sends an INVITE, again until something answers (RFC 3261 §17.1.1.2), and acknowledges the final response.
    ///
    /// # Errors
    /// When nothing answers within 32 s, or what answers cannot be read.
    pub async fn place(server: SocketAddr, invite: &Invite) -> Result<Answer> {
        let any = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = Arc::new(UdpSocket::bind(any).await?);
        socket.connect(server).await?;
        let local = socket.local_addr()?;
        let rtp = UdpSocket::bind(any).await?;
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let mut dialog = Dialog {
            local,
            call_id: format!("{number}-{}@{}", std::process::id(), local.port()),
            from: format!("<sip:{}@{local}>;tag=c{number}", invite.caller),
            to: format!("<sip:{}@{server}>", invite.dialled),
            target: format!("sip:{}@{server}", invite.dialled),
        };
        let branch = format!("z9hG4bK-i{number}-{}", local.port());
        let sound = invite.sound.map_or_else(|| rtp.local_addr(), Ok)?;
        let mut sdp = offer(sound, invite.payload_type).replace("sendrecv", invite.direction);
        for line in &invite.media {
            if line.starts_with("a=crypto:") {
                sdp = sdp.replace("RTP/AVP", "RTP/SAVP");
            }
            sdp += &format!("{line}\r\n");
        }
        let mut headers = invite.headers.clone();
        headers.push("Content-Type: application/sdp".to_owned());
        let request = dialog.request("INVITE", 1, &branch, &headers, &sdp);
        let response = transact(&socket, &request, "INVITE").await?;
        if let Some(to) = response.header("To") {
            dialog.to = to.to_owned();
        }
        if response.status >= 300 {
            // RFC 3261 §17.1.1.3: the ACK of a refusal belongs to the INVITE's own transaction.
            socket.send(dialog.request("ACK", 1, &branch, &[], "").as_bytes()).await?;
            return Ok(Answer::Refused(response));
        }
        let answered = Instant::now();
        if let Some(contact) = response.header("Contact") {
            contact.split(['<', '>']).nth(1).unwrap_or(contact).clone_into(&mut dialog.target);
        }
        let remote = answer(&response.body).context("the answer's SDP")?;
        let ack = dialog.request("ACK", 1, &format!("z9hG4bK-a{number}-{}", local.port()), &[], "");
        socket.send(ack.as_bytes()).await?;
        let (sender, progress) = watch::channel(Progress::Up);
        let (answers, informed) = watch::channel((0, 0));
        let reader = tokio::spawn(read(Arc::clone(&socket), ack, sender, answers));
        let media = Media::start(rtp, remote, invite.payload_type, invite.listen);
        Ok(Answer::Up(Box::new(Self {
            socket,
            dialog,
            media,
            progress,
            informed,
            cseq: AtomicU32::new(2),
            reader,
            answered,
            description: response.body,
        })))
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    /// Our RTP socket and where the other side wants its packets.
    #[must_use]
    pub fn rtp(&self) -> (Arc<UdpSocket>, SocketAddr) {
        (Arc::clone(&self.media.socket), self.media.remote)
    }

    /// Waits for the end of the beep: when its last packet came.
    ///
    /// # Errors
    /// When there was none within the time.
    pub async fn beep(&self, within: Duration) -> Result<Instant> {
        self.media.beep(within).await
    }

    /// Sends octets of the call's codec as 20 ms packets on time; returns when the last has been spoken.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn play(&self, octets: &[u8], impairment: &Impairment) -> Result<Played> {
        self.media.play(octets, impairment).await
    }

    /// What came from the other side so far.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.media.heard()
    }

    /// Waits for the other side's BYE, which is answered.
    ///
    /// # Errors
    /// When none came within the time.
    pub async fn ended(&self, within: Duration) -> Result<()> {
        let mut progress = self.progress.clone();
        let waited = timeout(within, progress.wait_for(|progress| *progress == Progress::Ended)).await;
        ensure!(matches!(waited, Ok(Ok(_))), "no BYE within {within:?}");
        Ok(())
    }

    fn next_cseq(&self) -> u32 {
        self.cseq.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends BYE and waits for its answer; the status.
    ///
    /// # Errors
    /// When nothing answers within 32 s.
    pub async fn hang_up(&self) -> Result<u16> {
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let branch = format!("z9hG4bK-b{number}-{}", self.dialog.local.port());
        let request = self.dialog.request("BYE", self.next_cseq(), &branch, &[], "");
        let mut progress = self.progress.clone();
        let mut pause = T1;
        // RFC 3261 §17.1.2.2: Timer E until Timer F.
        let deadline = Instant::now() + 64 * T1;
        while Instant::now() < deadline {
            self.socket.send(request.as_bytes()).await?;
            let done = progress.wait_for(|progress| *progress != Progress::Up);
            if let Ok(done) = timeout(pause, done).await {
                return match *done.context("the reader ended")? {
                    Progress::HungUp(status) => Ok(status),
                    _ => bail!("the other side hung up first"),
                };
            }
            pause = (pause * 2).min(Duration::from_secs(4));
        }
        bail!("no answer to BYE")
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Asks a server with OPTIONS whether it is there; the status.
///
/// # Errors
/// When nothing answers within 32 s.
pub async fn options(server: SocketAddr) -> Result<u16> {
    let any = if server.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let local = socket.local_addr()?;
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    let dialog = Dialog {
        local,
        call_id: format!("o{number}@{}", local.port()),
        from: format!("<sip:peer@{local}>;tag=o{number}"),
        to: format!("<sip:{server}>"),
        target: format!("sip:{server}"),
    };
    let request = dialog.request("OPTIONS", 1, &format!("z9hG4bK-o{number}-{}", local.port()), &[], "");
    Ok(transact(&socket, &request, "OPTIONS").await?.status)
}

/// Sends a request, again until any response comes, and waits for the final one.
async fn transact(socket: &UdpSocket, request: &str, method: &str) -> Result<Message> {
    let deadline = Instant::now() + 64 * T1;
    let mut pause = T1;
    let mut again = Instant::now();
    let mut provisional = false;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        ensure!(Instant::now() < deadline, "no final answer to {method} within 32 s");
        if !provisional && Instant::now() >= again {
            socket.send(request.as_bytes()).await?;
            again = Instant::now() + pause;
            pause *= 2;
        }
        let until = if provisional { deadline } else { again.min(deadline) };
        let length = tokio::select! {
            received = socket.recv(&mut buffer) => received?,
            () = sleep_until(until.into()) => continue,
        };
        let Some(message) = Message::parse(&buffer[..length]) else {
            continue;
        };
        if message.status == 0 || message.method() != method {
            continue;
        }
        if message.status >= 200 {
            return Ok(message);
        }
        provisional = true;
    }
}

/// What comes in the dialog after the 200.
async fn read(socket: Arc<UdpSocket>, ack: String, progress: watch::Sender<Progress>, answers: watch::Sender<(u32, u16)>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // A connected UDP socket reports ICMP errors here; the next datagram may come all the same.
        let Ok(length) = socket.recv(&mut buffer).await else { continue };
        let Some(message) = Message::parse(&buffer[..length]) else {
            continue;
        };
        let answer = match (message.status, message.method()) {
            // RFC 3261 §13.2.2.4: each repetition of the 2xx gets the ACK again.
            (200..=299, "INVITE") => {
                let number = number(&message);
                answers.send_replace((number, message.status));
                Some(message::acknowledgement(&ack, number))
            }
            (200.., "BYE") => {
                progress.send_replace(Progress::HungUp(message.status));
                None
            }
            (200.., "INFO") | (300.., "INVITE") => {
                answers.send_replace((number(&message), message.status));
                None
            }
            (0, "BYE") => {
                progress.send_replace(Progress::Ended);
                Some(message.reply("200 OK"))
            }
            (0, "ACK") => None,
            (0, _) => Some(message.reply("501 Not Implemented")),
            _ => None,
        };
        if let Some(answer) = answer {
            drop(socket.send(answer.as_bytes()).await);
        }
    }
}

/// The number of CSeq.
fn number(message: &Message) -> u32 {
    let number = message.header("CSeq").and_then(|cseq| cseq.split(' ').next()?.parse().ok());
    number.unwrap_or_default()
}

impl Dialog {
    fn request(&self, method: &str, cseq: u32, branch: &str, headers: &[String], body: &str) -> String {
        let Self {
            local,
            call_id,
            from,
            to,
            target,
            ..
        } = self;
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let user = from.split([':', '@']).nth(1).unwrap_or("peer");
        format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: {from}\r\n\
             To: {to}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@{local}>\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

fn offer(rtp: SocketAddr, payload_type: u8) -> String {
    let name = if payload_type == 0 { "PCMU" } else { "PCMA" };
    let (host, port) = (rtp.ip(), rtp.port());
    let family = if rtp.is_ipv6() { "IP6" } else { "IP4" };
    format!(
        "v=0\r\no=peer 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {payload_type} {EVENTS}\r\na=rtpmap:{payload_type} {name}/8000\r\na=rtpmap:{EVENTS} telephone-event/8000\r\n\
         a=fmtp:{EVENTS} 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Where an answer wants its RTP.
fn answer(sdp: &str) -> Result<SocketAddr> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let host = line("c=IN IP4 ").or_else(|| line("c=IN IP6 ")).context("no c= line")?;
    let port = line("m=audio ")
        .and_then(|media| media.split(' ').next())
        .context("no m=audio line")?;
    Ok(SocketAddr::new(host.parse()?, port.parse()?))
}
