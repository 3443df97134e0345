//! An SMSC's side of one bind, PDU by PDU (SMPP 3.4): fast enough to measure with, small enough to read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longest PDU that is read.
const LONGEST: usize = 64 * 1024;
/// Octets read at once.
const READ: usize = 64 * 1024;
/// Longest a peer may say nothing while an answer of its is due.
const PATIENCE: Duration = Duration::from_secs(60);

/// command_id (§5.1.2.1).
pub mod command {
    /// submit_sm.
    pub const SUBMIT_SM: u32 = 4;
    /// deliver_sm.
    pub const DELIVER_SM: u32 = 5;
    /// unbind.
    pub const UNBIND: u32 = 6;
    /// enquire_link.
    pub const ENQUIRE_LINK: u32 = 0x15;
    /// Set in every response.
    pub const RESPONSE: u32 = 0x8000_0000;
}

/// One PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What a submit_sm says (§4.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// source_addr.
    pub source: String,
    /// destination_addr.
    pub destination: String,
    /// registered_delivery.
    pub registered: u8,
    /// data_coding.
    pub coding: u8,
    /// short_message, decoded.
    pub text: String,
}

/// How a batch of deliveries went.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// Answered with status 0.
    pub acknowledged: usize,
    /// Answered with another status.
    pub refused: usize,
    /// From the first octet out to the last answer in.
    pub elapsed: Duration,
    /// From each PDU's write to its answer, ascending.
    pub latencies: Vec<Duration>,
}

/// One bind that was accepted.
pub struct SmppLink {
    stream: TcpStream,
    buffer: Vec<u8>,
    sequence: u32,
}

impl SmppLink {
    /// Waits for a connection and its bind, and accepts whatever it calls itself.
    ///
    /// # Errors
    /// When what comes is no bind.
    pub async fn accept(listener: &TcpListener) -> Result<Self> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut link = Self {
            stream,
            buffer: Vec::new(),
            sequence: 0,
        };
        let bind = link.next().await?;
        ensure!(matches!(bind.id, 1 | 2 | 9), "{:#x} is no bind", bind.id);
        link.answer(&bind, b"smsc\0").await?;
        Ok(link)
    }

    /// The next PDU; enquire_links are answered on the way.
    ///
    /// # Errors
    /// When the connection ends, or nothing comes for a minute.
    pub async fn next(&mut self) -> Result<Pdu> {
        loop {
            while let Some(pdu) = self.cut()? {
                if pdu.id != command::ENQUIRE_LINK {
                    return Ok(pdu);
                }
                self.answer(&pdu, b"").await?;
            }
            self.read().await?;
        }
    }

    /// Waits for a PDU of this kind; others are dropped.
    ///
    /// # Errors
    /// As [`SmppLink::next`].
    pub async fn wait(&mut self, id: u32) -> Result<Pdu> {
        loop {
            let pdu = self.next().await?;
            if pdu.id == id {
                return Ok(pdu);
            }
        }
    }

    /// Answers a request with status 0.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn answer(&mut self, request: &Pdu, body: &[u8]) -> Result<()> {
        let pdu = encode(request.id | command::RESPONSE, 0, request.sequence, body);
        Ok(self.stream.write_all(&pdu).await?)
    }

    /// Delivers one message and waits for its answer: the status.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn deliver(&mut self, body: &[u8]) -> Result<u32> {
        self.sequence += 1;
        let sequence = self.sequence;
        self.stream.write_all(&encode(command::DELIVER_SM, 0, sequence, body)).await?;
        loop {
            let pdu = self.wait(command::DELIVER_SM | command::RESPONSE).await?;
            if pdu.sequence == sequence {
                return Ok(pdu.status);
            }
        }
    }

    /// Delivers many, at most `window` unanswered at a time.
    ///
    /// # Errors
    /// When the connection ends, or an answer is for nothing that was asked.
    pub async fn deliver_all(&mut self, bodies: impl IntoIterator<Item = Vec<u8>>, window: usize) -> Result<Delivered> {
        let mut bodies = bodies.into_iter().fuse();
        let mut open: HashMap<u32, Instant> = HashMap::with_capacity(window);
        let mut delivered = Delivered::default();
        let started = Instant::now();
        let mut out = Vec::new();
        let mut more = true;
        while more || !open.is_empty() {
            out.clear();
            while more && open.len() < window {
                let Some(body) = bodies.next() else {
                    more = false;
                    break;
                };
                self.sequence += 1;
                out.extend_from_slice(&encode(command::DELIVER_SM, 0, self.sequence, &body));
                open.insert(self.sequence, Instant::now());
            }
            self.stream.write_all(&out).await?;
            if open.is_empty() {
                break;
            }
            self.read().await?;
            let now = Instant::now();
            while let Some(pdu) = self.cut()? {
                match pdu.id {
                    command::ENQUIRE_LINK => self.answer(&pdu, b"").await?,
                    id if id == command::DELIVER_SM | command::RESPONSE => {
                        let sent = open.remove(&pdu.sequence).context("an answer to nothing")?;
                        delivered.latencies.push(now - sent);
                        if pdu.status == 0 {
                            delivered.acknowledged += 1;
                        } else {
                            delivered.refused += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
        delivered.elapsed = started.elapsed();
        delivered.latencies.sort_unstable();
        Ok(delivered)
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        let count = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
            .await
            .context("the ESME says nothing")??;
        ensure!(count > 0, "the ESME closed the connection");
        Ok(())
    }

    fn cut(&mut self) -> Result<Option<Pdu>> {
        let word = |at: usize| {
            self.buffer
                .get(at..at + 4)
                .and_then(|word| word.try_into().ok())
                .map(u32::from_be_bytes)
        };
        let (Some(length), Some(id), Some(status), Some(sequence)) = (word(0), word(4), word(8), word(12)) else {
            return Ok(None);
        };
        let length = length as usize;
        if !(16..=LONGEST).contains(&length) {
            bail!("a command_length of {length}");
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let pdu: Vec<u8> = self.buffer.drain(..length).collect();
        Ok(Some(Pdu {
            id,
            status,
            sequence,
            body: pdu[16..].to_vec(),
        }))
    }
}

fn encode(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut pdu = Vec::with_capacity(16 + body.len());
    for word in [16 + body.len() as u32, id, status, sequence] {
        pdu.extend_from_slice(&word.to_be_bytes());
    }
    pdu.extend_from_slice(body);
    pdu
}

/// The body of a deliver_sm (§4.6.1) with a text in GSM 7-bit, a septet an octet.
#[must_use]
pub fn text(from: &str, to: &str, text: &str) -> Vec<u8> {
    deliver(from, to, 0, &gsm7(text))
}

/// The body of a deliver_sm that is a delivery receipt (appendix B) for a submit_sm.
#[must_use]
pub fn receipt(from: &str, to: &str, message_id: &str, state: &str) -> Vec<u8> {
    let words = format!("id:{message_id} sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:{state} err:000 text:");
    let mut body = deliver(from, to, 4, words.as_bytes());
    // receipted_message_id (§5.3.2.12).
    body.extend_from_slice(&0x001E_u16.to_be_bytes());
    body.extend_from_slice(&(message_id.len() as u16 + 1).to_be_bytes());
    body.extend_from_slice(message_id.as_bytes());
    body.push(0);
    body
}

fn deliver(from: &str, to: &str, esm_class: u8, message: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend_from_slice(from.as_bytes());
    body.extend_from_slice(&[0, 0, 1]);
    body.extend_from_slice(to.as_bytes());
    // esm_class, protocol_id, priority_flag, two empty times, registered_delivery, replace, data_coding, default id.
    body.extend_from_slice(&[0, esm_class, 0, 0, 0, 0, 0, 0, 0, 0, message.len().min(254) as u8]);
    body.extend_from_slice(&message[..message.len().min(254)]);
    body
}

impl Submit {
    /// Reads the body of a submit_sm.
    ///
    /// # Errors
    /// When it ends before its fields do.
    pub fn read(body: &[u8]) -> Result<Self> {
        fn word<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
            let end = rest.iter().position(|&octet| octet == 0).context("a string without end")?;
            let (word, after) = rest.split_at(end);
            *rest = &after[1..];
            Ok(word)
        }
        fn octets<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
            let (octets, after) = rest.split_at_checked(count).context("a submit_sm that ends early")?;
            *rest = after;
            Ok(octets)
        }
        let mut rest = body;
        word(&mut rest)?;
        octets(&mut rest, 2)?;
        let source = word(&mut rest)?;
        octets(&mut rest, 2)?;
        let destination = word(&mut rest)?;
        octets(&mut rest, 3)?;
        word(&mut rest)?;
        word(&mut rest)?;
        let fixed = octets(&mut rest, 5)?;
        let (registered, coding, length) = (fixed[0], fixed[2], fixed[4]);
        let message = octets(&mut rest, usize::from(length))?;
        let text = match coding {
            8 => String::from_utf16_lossy(
                &message
                    .chunks_exact(2)
                    .map(|two| u16::from_be_bytes([two[0], two[1]]))
                    .collect::<Vec<_>>(),
            ),
            _ => message.iter().map(|&septet| from_gsm7(septet)).collect(),
        };
        let string = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ok(Self {
            source: string(source),
            destination: string(destination),
            registered,
            coding,
            text,
        })
    }
}

/// The letters of 3GPP TS 23.038 §6.2.1 that French needs and ASCII lacks.
const LETTERS: [(char, u8); 7] = [('@', 0), ('è', 4), ('é', 5), ('ù', 6), ('Ç', 9), ('É', 0x1F), ('à', 0x7F)];

fn gsm7(text: &str) -> Vec<u8> {
    let septet = |char: char| {
        let letter = LETTERS.iter().find(|(letter, _)| *letter == char).map(|(_, septet)| *septet);
        letter
            .or_else(|| u8::try_from(char).ok().filter(|&octet| octet < 0x7F))
            .unwrap_or(b'?')
    };
    text.chars().map(septet).collect()
}

fn from_gsm7(septet: u8) -> char {
    let letter = LETTERS.iter().find(|(_, found)| *found == septet).map(|(letter, _)| *letter);
    letter.unwrap_or(char::from(septet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_is_read_and_letters_survive() {
        let mut body = vec![0, 0, 1];
        body.extend_from_slice(b"36123\0\x01\x0133612345678\0\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05re\x05u\x7f");
        let submit = Submit::read(&body).unwrap();
        assert_eq!((submit.source.as_str(), submit.destination.as_str()), ("36123", "33612345678"));
        assert_eq!((submit.registered, submit.coding, submit.text.as_str()), (1, 0, "reéuà"));
        assert!(Submit::read(&body[..20]).is_err());
        assert_eq!(gsm7("é@à ç"), [5, 0, 0x7F, b' ', b'?']);
    }

    #[tokio::test]
    async fn a_window_is_kept_and_every_answer_counted() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let esme = tokio::spawn(async move {
            let stream = TcpStream::connect(address).await?;
            let mut esme = SmppLink {
                stream,
                buffer: Vec::new(),
                sequence: 0,
            };
            esme.stream.write_all(&encode(9, 0, 1, b"v\0s\0\0\x34\0\0\0")).await?;
            ensure!(esme.next().await?.id == 0x8000_0009, "bind");
            for _ in 0..100 {
                let pdu = esme.wait(command::DELIVER_SM).await?;
                esme.answer(&pdu, b"\0").await?;
            }
            Ok(())
        });
        let mut link = SmppLink::accept(&listener).await?;
        let delivered = link
            .deliver_all((0..100).map(|n| text("33600000000", "36123", &format!("texte {n}"))), 7)
            .await?;
        assert_eq!(
            (delivered.acknowledged, delivered.refused, delivered.latencies.len()),
            (100, 0, 100)
        );
        esme.await?
    }
}
