//! `voxea doctor`: asks every trunk that has an address, by sockets of its own, and changes nothing there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::handshake;
use super::secret::secret;
use super::tls::Clients;
use super::{arrival, outgoing};
use crate::config::Config;
use crate::endpoint::{self, Endpoint, Event, Limits, Output};
use crate::flow::{Flow, Transport};
use crate::keeper::{Inquiry, Settings, Task};
use crate::wire::addr::NameAddr;
use crate::wire::stream::{Frame, Framer};
use crate::wire::{MAX_MESSAGE, Response};

/// How long a peer may take to answer.
const PROBE: Duration = Duration::from_secs(4);

/// Asks every trunk that has an address with OPTIONS, and with REGISTER whether it takes our account.
///
/// # Errors
/// What failed and what to do, what is well besides.
pub async fn probe(config: &Config) -> Result<String, String> {
    if config.peers.is_empty() {
        return Ok("no trunk has an address: nothing to ask".to_owned());
    }
    let clients = Clients::new(&Arc::new(config.clone()));
    let (mut found, mut well) = (Vec::new(), true);
    for peer in &config.peers {
        let words = match check(peer, &clients).await {
            Ok(words) => words,
            Err(words) => {
                well = false;
                words
            }
        };
        found.push(format!("trunk {} at {}:{}: {words}", peer.name, peer.transport, peer.address()));
    }
    let found = found.join("; ");
    if well { Ok(found) } else { Err(found) }
}

async fn check(peer: &Settings, clients: &Clients) -> Result<String, String> {
    let mut line = Line::open(peer, clients).await?;
    let options = line.ask(Task::Options).await?;
    let there = format!("answers OPTIONS with {}", options.status);
    if matches!(options.status, 408 | 503) {
        return Err(format!("{there}: it takes no calls at the moment"));
    }
    if peer.register.is_none() {
        return Ok(there);
    }
    let answer = line.ask(Task::Register).await.map_err(|words| format!("{there}; {words}"))?;
    match answer.status {
        200..=299 if answer.headers.elements("Contact").any(|one| NameAddr::parse(one).is_some()) => {
            let unasked = if line.asked {
                ""
            } else {
                ", though it never asked for the password"
            };
            Ok(format!("{there}; we are registered{unasked}"))
        }
        200..=299 if !line.asked => Ok(format!(
            "{there}; it answers REGISTER with {} without asking for a password, so that user and password were not tried, and nobody is \
             registered: the running daemon sees to that",
            answer.status
        )),
        200..=299 => Ok(format!(
            "{there}; it takes our user and password, and nobody is registered: the running daemon sees to that"
        )),
        401 | 407 => Err(format!(
            "{there}; not registered: it refuses user or password; compare user and password_file with its account"
        )),
        status @ 500..=599 => Err(format!(
            "{there}; not registered: it answers REGISTER with {status}, so it cannot now, while it starts or has too much to do; try again, and look into its log"
        )),
        status => Err(format!(
            "{there}; not registered: it answers REGISTER with {status}; does it know our account, or is it one that calls without: register = false"
        )),
    }
}

enum Socket {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Framer),
}

/// TCP, or TLS on it.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One trunk, asked.
struct Line {
    socket: Socket,
    flow: Flow,
    inquiry: Inquiry,
    machine: Endpoint,
    /// Whether a question was answered with a challenge, which we met.
    asked: bool,
}

impl Line {
    async fn open(peer: &Settings, clients: &Clients) -> Result<Self, String> {
        let found = outgoing::lookup(&peer.host, peer.port).await?;
        let remote = *found.first().ok_or("its name has no address")?;
        let no_route = |error: std::io::Error| format!("there is no route to it: {error}");
        let (socket, local) = match peer.transport {
            Transport::Udp => {
                let ours = arrival::route(remote.ip()).map_err(no_route)?;
                let socket = UdpSocket::bind((ours, 0)).await.map_err(no_route)?;
                let local = socket.local_addr().map_err(no_route)?;
                (Socket::Udp(socket), local)
            }
            Transport::Tcp | Transport::Tls => {
                let connecting = tokio::time::timeout(PROBE, TcpStream::connect(remote)).await;
                let stream = connecting.map_err(|_| format!("takes no connection within {} s", PROBE.as_secs()))?;
                let stream = stream.map_err(|error| handshake::on_stream(&error).to_string())?;
                let local = stream.local_addr().map_err(no_route)?;
                let stream: Box<dyn Stream> = if peer.transport == Transport::Tls {
                    let shaking = tokio::time::timeout(PROBE, clients.connect(remote.ip(), stream)).await;
                    let shaken = shaking.map_err(|_| format!("no TLS handshake within {} s", PROBE.as_secs()))?;
                    Box::new(shaken.map_err(|error| handshake::ours(&error).to_string())?)
                } else {
                    Box::new(stream)
                };
                (Socket::Stream(stream, Framer::default()), local)
            }
        };
        let random = || secret().ok_or("the system gives no random bytes");
        Ok(Self {
            socket,
            flow: Flow {
                remote,
                local,
                transport: peer.transport,
            },
            inquiry: Inquiry::new(peer.clone(), random()?, Instant::now()),
            machine: Endpoint::new(endpoint::Config {
                secret: random()?,
                trunks: Vec::new(),
                lines: Vec::new(),
                limits: Limits::default(),
            }),
            asked: false,
        })
    }

    /// The final answer, credentials given where they were asked for.
    async fn ask(&mut self, task: Task) -> Result<Response, String> {
        loop {
            let response = self.once(task).await?;
            match self.inquiry.again(task, &response) {
                Ok(true) => self.asked = true,
                Ok(false) => return Ok(response),
                // It is there all the same.
                Err(_) if task == Task::Options => return Ok(response),
                Err(error) => return Err(format!("not registered: it {error}")),
            }
        }
    }

    async fn once(&mut self, task: Task) -> Result<Response, String> {
        let ask = self.inquiry.ask(task, self.flow);
        let number = self.machine.ask(self.flow, &ask, Instant::now());
        let give_up = tokio::time::Instant::now() + PROBE;
        loop {
            let due = loop {
                match self.machine.poll_output() {
                    Output::Transmit { flow, bytes } => self.socket.send(flow.remote, &bytes).await?,
                    Output::Event(Event::Answer {
                        ask,
                        response: Some(response),
                    }) if ask == number => return Ok(*response),
                    Output::Event(_) => {}
                    Output::Timeout(due) => break due,
                }
            };
            let due = due.map_or(give_up, |due| give_up.min(tokio::time::Instant::from_std(due)));
            tokio::select! {
                received = self.socket.receive() => {
                    if let Some(bytes) = received? {
                        self.machine.handle_input(bytes, self.flow, Instant::now());
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    if tokio::time::Instant::now() >= give_up {
                        return Err(format!(
                            "no answer to {} within {} s; is it switched on, and does it know this address?",
                            task.as_str(),
                            PROBE.as_secs()
                        ));
                    }
                    self.machine.handle_timeout(Instant::now());
                }
            }
        }
    }
}

impl Socket {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> Result<(), String> {
        let sent = match self {
            Self::Udp(socket) => socket.send_to(bytes, remote).await.map(|_| ()),
            Self::Stream(stream, _) => stream.write_all(bytes).await,
        };
        sent.map_err(|error| handshake::on_stream(&error).to_string())
    }

    /// A message; `None` when there is no whole one yet.
    async fn receive(&mut self) -> Result<Option<Bytes>, String> {
        let mut buffer = vec![0; MAX_MESSAGE];
        match self {
            Self::Udp(socket) => {
                let (length, _) = socket
                    .recv_from(&mut buffer)
                    .await
                    .map_err(|error| format!("nobody listens there: {error}"))?;
                buffer.truncate(length);
                Ok(Some(buffer.into()))
            }
            Self::Stream(stream, framer) => {
                // Who checks our certificate in TLS 1.3 says so only now.
                let length = stream
                    .read(&mut buffer)
                    .await
                    .map_err(|error| handshake::on_stream(&error).to_string())?;
                if length == 0 {
                    return Err("closes the connection without an answer".to_owned());
                }
                framer.push(buffer.get(..length).unwrap_or_default());
                while let Some(frame) = framer.next() {
                    if let Frame::Message(bytes) = frame {
                        return Ok(Some(bytes));
                    }
                }
                Ok(None)
            }
        }
    }
}
