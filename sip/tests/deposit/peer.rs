//! The other side: a caller that writes its own SIP and RTP, over real sockets of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use voxea_core::base::account::{Account, Kind};
use voxea_core::base::actor::Actor;
use voxea_core::base::exit::Exit;
use voxea_core::base::settings::{Problems, Section, parse};
use voxea_core::base::stop::Stop;
use voxea_core::contact::Shown;
use voxea_core::request::Filter;
use voxea_core::{Core, CoreConfig};
use voxea_sip::Config;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A core on a database of its own.
pub(crate) struct House {
    pub(crate) core: Core,
    folder: tempfile::TempDir,
}

/// A running endpoint.
pub(crate) struct Running {
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<Exit>,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = CoreConfig::embedded(folder.path());
        std::fs::write(folder.path().join("greeting.wav"), wav(1_600)).unwrap();
        Self {
            core: Core::open(config).await.unwrap(),
            folder,
        }
    }

    /// Starts an endpoint on free ports.
    pub(crate) async fn open(&self, allow: &str, ports: &str) -> Running {
        self.open_with(allow, ports, "silence_seconds = 60").await
    }

    /// The same with these keys of its line.
    pub(crate) async fn open_with(&self, allow: &str, ports: &str, line: &str) -> Running {
        let text = format!(
            "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\
             [[sip.trunk]]\nname = \"pbx\"\nallow = [\"{allow}\"]\n\
             [[sip.line]]\nnumber = \"3000\"\ngreeting = \"greeting.wav\"\n{line}\n"
        );
        let node = parse(&text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, self.folder.path(), &problems).sub("sip").unwrap());
        assert!(problems.into_sorted().is_empty());
        let mut changes = self.core.channels.listen();
        let reporter = self.core.channels.register(Account::new(Kind::Sip, "sip"));
        let stop = Stop::new();
        let task = tokio::spawn(voxea_sip::run(Arc::new(config), self.core.clone(), reporter, stop.clone()));
        let addresses = loop {
            if let [status] = self.core.channels.list().as_slice()
                && let [udp, tcp] = status.addresses.as_slice()
            {
                break (udp.strip_prefix("udp:").unwrap().parse(), tcp.strip_prefix("tcp:").unwrap().parse());
            }
            timeout(PATIENCE, changes.rung()).await.expect("it never came up");
        };
        Running {
            stop,
            task,
            udp: addresses.0.unwrap(),
            tcp: addresses.1.unwrap(),
        }
    }

    /// Every call that was taken in.
    pub(crate) async fn calls(&self) -> Vec<Shown> {
        let mut found = Vec::new();
        for request in self.core.desk.list(&Actor::System, Filter::default(), 100).await.unwrap().items {
            found.extend(self.core.interactions.of_request(&Actor::System, &request.id).await.unwrap());
        }
        found
    }

    /// The only call, once it is over and its recording settled.
    pub(crate) async fn settled(&self) -> Shown {
        let settled = async {
            let mut every = interval(Duration::from_millis(20));
            loop {
                let calls = self.calls().await;
                if let [call] = calls.as_slice()
                    && call.recording.as_ref().is_some_and(|recording| recording.state != "recording")
                {
                    return call.clone();
                }
                every.tick().await;
            }
        };
        timeout(PATIENCE, settled).await.expect("the call never ended")
    }
}

/// A caller over UDP, with a socket for its sound.
pub(crate) struct Caller {
    pub(crate) socket: UdpSocket,
    pub(crate) sound: UdpSocket,
    pub(crate) id: String,
}

impl Caller {
    pub(crate) async fn new(to: SocketAddr, id: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(to).await.unwrap();
        Self {
            socket,
            sound: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            id: id.to_owned(),
        }
    }

    pub(crate) async fn send(&self, text: &str) {
        self.socket.send(text.as_bytes()).await.unwrap();
    }

    /// The next message that begins with `start`.
    pub(crate) async fn hears(&self, start: &str) -> String {
        let mut buffer = vec![0; 65_535];
        loop {
            let length = timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect(start).unwrap();
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    pub(crate) fn request(&self, method: &str, cseq: u32, to_tag: &str, body: &str) -> String {
        request(method, cseq, &self.id, to_tag, "UDP", self.socket.local_addr().unwrap(), body)
    }

    pub(crate) fn invite(&self) -> String {
        self.request("INVITE", 1, "", &offer(self.sound.local_addr().unwrap()))
    }

    /// From INVITE to ACK; gives our tag and where the sound goes.
    pub(crate) async fn call(&self) -> (String, SocketAddr) {
        self.send(&self.invite()).await;
        let ok = self.hears("SIP/2.0 200").await;
        let tag = tag(&ok);
        self.send(&self.request("ACK", 1, &tag, "")).await;
        (tag, sound_of(&ok))
    }

    /// Speaks for so many packets of 20 ms.
    pub(crate) async fn speak(&self, to: SocketAddr, packets: u16) {
        let mut pace = interval(Duration::from_millis(20));
        for number in 0..packets {
            pace.tick().await;
            let mut packet = vec![0x80, 8];
            packet.extend_from_slice(&number.to_be_bytes());
            packet.extend_from_slice(&(u32::from(number) * 160).to_be_bytes());
            packet.extend_from_slice(&7_u32.to_be_bytes());
            packet.extend_from_slice(&[0x2a; 160]);
            self.sound.send_to(&packet, to).await.unwrap();
        }
    }
}

/// A caller over TCP.
pub(crate) struct Stream(TcpStream, Vec<u8>);

impl Stream {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap(), Vec::new())
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next bytes up to and including `end`.
    pub(crate) async fn hears(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.1).into_owned();
            if let Some(at) = text.find(end) {
                self.1.drain(..at + end.len());
                return text[..at + end.len()].to_owned();
            }
            let mut buffer = [0; 4096];
            let length = timeout(PATIENCE, self.0.read(&mut buffer)).await.expect(end).unwrap();
            assert!(length > 0, "closed before {end}: {text}");
            self.1.extend_from_slice(&buffer[..length]);
        }
    }
}

pub(crate) fn request(method: &str, cseq: u32, id: &str, to_tag: &str, transport: &str, from: SocketAddr, body: &str) -> String {
    let to_tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let branch = if method == "CANCEL" {
        format!("{id}-INVITE-1")
    } else {
        format!("{id}-{method}-{cseq}")
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:3000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
         From: \"Zoé\" <sip:0612345678@127.0.0.1>;tag={id}\r\nTo: <sip:3000@127.0.0.1>{to_tag}\r\nCall-ID: {id}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:pbx@{from}>\r\nDiversion: <sip:0198765432@h>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn offer(sound: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 8\r\n",
        sound.ip(),
        sound.port()
    )
}

pub(crate) fn tag(text: &str) -> String {
    let to = text.lines().find(|line| line.starts_with("To: ")).unwrap();
    to.split("tag=").nth(1).unwrap().to_owned()
}

pub(crate) fn sound_of(ok: &str) -> SocketAddr {
    let port = ok
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

/// So many samples of silence, PCM16 at 8 kHz.
fn wav(samples: u32) -> Vec<u8> {
    let bytes = samples * 2;
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    // A tone of 1 kHz: nobody is told anything by silence.
    let wave = [0_i16, 5_657, 8_000, 5_657, 0, -5_657, -8_000, -5_657];
    file.extend(wave.iter().cycle().take(samples as usize).flat_map(|sample| sample.to_le_bytes()));
    file
}

/// A configuration with nothing but a trunk at this address.
pub(crate) fn config_of_trunk(address: &str) -> Config {
    let text = format!("[sip]\n[[sip.trunk]]\nname = \"pbx\"\nallow = []\naddress = \"{address}\"\n");
    let node = parse(&text).unwrap();
    let problems = Problems::new();
    Config::read(&mut Section::root(&node, std::path::Path::new("/"), &problems).sub("sip").unwrap())
}
