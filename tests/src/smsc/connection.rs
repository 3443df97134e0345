//! One connection of the test's SMSC.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::ledger::{Answer, Fate, Receipts, Wired};
use super::pdu::{self, Replace, Submit};
use super::shared::{Deed, Shared};
use crate::dice::Dice;

/// Connections of all SMSCs of this process, counted.
static NUMBERS: AtomicU32 = AtomicU32::new(1);

/// Takes binds until it is aborted. A new connection takes over from the old one.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut serving: Option<Serving> = None;
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        if let Some(mut old) = serving.take() {
            old.0.abort();
            let _ = (&mut old.0).await;
        }
        serving = Some(Serving(tokio::spawn(serve(stream, Arc::clone(&shared)))));
    }
}

/// Ends with the listener.
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let mut connection = Connection {
        shared,
        stream,
        out: BytesMut::new(),
        open: HashMap::new(),
        sequence: 0,
        bound: false,
        responses: 0,
        number,
        dice: Dice::new(u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        cutting: false,
    };
    let _ = connection.run().await;
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    out: BytesMut,
    /// Delivered and not answered: sequence number, number in the ledger.
    open: HashMap<u32, usize>,
    sequence: u32,
    bound: bool,
    responses: u32,
    number: u32,
    dice: Dice,
    cutting: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut ledger = self.shared.ledger();
        ledger.requeue(self.open.drain().map(|(_, number)| number));
        if self.bound {
            ledger.bound = false;
        }
        drop(ledger);
        self.shared.touch();
    }
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let mut changes = self.shared.changed.subscribe();
        let mut deeds = self.shared.deeds.subscribe();
        let mut inbox = BytesMut::with_capacity(64 * 1024);
        loop {
            self.deliver();
            if !self.out.is_empty() {
                self.stream.write_all(&self.out).await?;
                self.tap(true, &self.out);
                self.out.clear();
            }
            tokio::select! {
                read = self.stream.read_buf(&mut inbox) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some([length, id, status, sequence]) = pdu::header(&inbox) {
                        let length = usize::try_from(length).unwrap_or(0);
                        if length < 16 {
                            return Ok(());
                        }
                        if inbox.len() < length {
                            break;
                        }
                        let frame = inbox.split_to(length);
                        self.tap(false, &frame);
                        self.heard(id, status, sequence, &frame[16..]);
                        if self.cutting {
                            return Ok(());
                        }
                    }
                    self.shared.touch();
                    inbox.reserve(64 * 1024);
                }
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                done = deeds.changed() => {
                    let deed = deeds.borrow_and_update().1;
                    match deed {
                        _ if done.is_err() => return Ok(()),
                        Some(Deed::Cut) => return Ok(()),
                        Some(Deed::Unbind) => self.request(pdu::UNBIND),
                        Some(Deed::Enquire) => self.request(pdu::ENQUIRE_LINK),
                        None => {}
                    }
                }
            }
        }
    }

    fn tap(&self, ours: bool, bytes: &[u8]) {
        if self.shared.manner().tap {
            self.shared.ledger().wire.push(Wired {
                ours,
                link: self.number,
                bytes: bytes.to_vec(),
            });
        }
    }

    fn request(&mut self, id: u32) {
        self.sequence += 1;
        self.out.extend_from_slice(&pdu::pdu(id, 0, self.sequence, b""));
    }

    /// Fills the window.
    fn deliver(&mut self) {
        if !self.bound {
            return;
        }
        let window = self.shared.manner().window;
        let mut ledger = self.shared.ledger();
        while self.open.len() < window
            && let Some(number) = ledger.queue.pop_front()
        {
            let Some(entry) = ledger.entries.get_mut(number) else { continue };
            self.sequence += 1;
            if entry.raw {
                let mut bytes = entry.bytes.clone();
                if let Some(place) = bytes.get_mut(12..16) {
                    place.copy_from_slice(&self.sequence.to_be_bytes());
                }
                self.out.extend_from_slice(&bytes);
            } else {
                self.out
                    .extend_from_slice(&pdu::pdu(pdu::DELIVER_SM, 0, self.sequence, &entry.bytes));
            }
            entry.fate = Fate::Delivered;
            entry.deliveries += 1;
            self.open.insert(self.sequence, number);
        }
    }

    fn heard(&mut self, id: u32, status: u32, sequence: u32, body: &[u8]) {
        let manner = self.shared.manner();
        if id & pdu::RESPONSE != 0 {
            return self.response(id, status, sequence);
        }
        if manner.mute {
            return;
        }
        match id {
            1 | 2 | 9 => self.bind(id, sequence, body),
            pdu::ENQUIRE_LINK => {
                self.shared.ledger().enquiries += 1;
                self.respond(id, 0, sequence, b"");
            }
            pdu::UNBIND => {
                self.shared.ledger().unbinds += 1;
                self.bound = false;
                self.shared.ledger().bound = false;
                self.respond(id, 0, sequence, b"");
            }
            pdu::SUBMIT_SM => self.submit(sequence, body),
            pdu::CANCEL_SM => {
                let id = body.split(|byte| *byte == 0).nth(1).unwrap_or_default();
                self.shared.ledger().cancels.push(String::from_utf8_lossy(id).into_owned());
                self.respond(pdu::CANCEL_SM, manner.refuse_cancel.unwrap_or(0), sequence, b"");
            }
            pdu::REPLACE_SM => {
                let Some(replace) = Replace::read(body) else {
                    return self.respond(id, 0x02, sequence, b"");
                };
                self.shared.ledger().replaces.push(replace);
                match manner.replace {
                    Answer::Take => self.respond(id, 0, sequence, b""),
                    Answer::Refuse(status) => self.respond(id, status, sequence, b""),
                    Answer::Silence => {}
                }
            }
            pdu::QUERY_SM => {
                let asked = body.split(|byte| *byte == 0).next().unwrap_or_default();
                self.shared.ledger().queries.push(String::from_utf8_lossy(asked).into_owned());
                let answer = |state| [asked, b"\0\0", &[state, 0][..]].concat();
                match manner.state {
                    Some(state) => self.respond(id, 0, sequence, &answer(state)),
                    None => self.respond(id, 0x67, sequence, &answer(0)),
                }
            }
            _ => {
                self.shared.ledger().others.push([id, status, sequence]);
                self.out.extend_from_slice(&pdu::pdu(pdu::GENERIC_NACK, 3, sequence, b""));
            }
        }
    }

    fn response(&mut self, id: u32, status: u32, sequence: u32) {
        let manner = self.shared.manner();
        let mut ledger = self.shared.ledger();
        let Some(number) = self.open.get(&sequence).copied() else {
            ledger.others.push([id, status, sequence]);
            return;
        };
        if let Some(entry) = ledger.entries.get_mut(number) {
            entry.answers += 1;
        }
        if manner.deaf {
            return;
        }
        let fate = self.dice.below(1000);
        if fate < manner.loss.cut {
            ledger.lost.1 += 1;
            drop(ledger);
            self.cutting = true;
            return;
        }
        self.open.remove(&sequence);
        self.responses += 1;
        if fate < manner.loss.cut + manner.loss.dropped {
            ledger.lost.0 += 1;
            ledger.requeue([number].into_iter());
            return;
        }
        if manner.lose_one_in.is_some_and(|one| self.responses.is_multiple_of(one)) {
            ledger.requeue([number].into_iter());
        } else {
            // A generic_nack without a status is a refusal all the same.
            let status = if id == pdu::GENERIC_NACK { status.max(1) } else { status };
            ledger.settle(number, status);
        }
    }

    fn bind(&mut self, id: u32, sequence: u32, body: &[u8]) {
        let mut fields = body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let (system_id, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let status = match self.shared.manner().refuse_bind {
            Some(status) => status,
            None if system_id != self.shared.system_id.as_str() => 0x0F,
            None if password != self.shared.password.as_str() => 0x0E,
            None => 0,
        };
        if status == 0 {
            let mut ledger = self.shared.ledger();
            ledger.binds += 1;
            ledger.bound = true;
            self.bound = true;
        }
        self.respond(id, status, sequence, b"smsc\0");
    }

    fn submit(&mut self, sequence: u32, body: &[u8]) {
        let manner = self.shared.manner();
        let shared = Arc::clone(&self.shared);
        let mut ledger = shared.ledger();
        let Some(mut submit) = Submit::read(body) else {
            return self.respond(pdu::SUBMIT_SM, 0x02, sequence, b"");
        };
        let number = 0x00AB_C000 + ledger.submits.len();
        submit.ids = if manner.hexadecimal_ids {
            (format!("{number:X}"), format!("{number:010}"))
        } else {
            (number.to_string(), number.to_string())
        };
        let answer = ledger.answers.pop_front().unwrap_or(Answer::Take);
        ledger.submits.push(submit.clone());
        if let Answer::Refuse(status) = answer {
            return self.respond(pdu::SUBMIT_SM, status, sequence, b"");
        }
        if manner.receipts == Receipts::Early {
            ledger.receipt(&submit, "DELIVRD");
            drop(ledger);
            self.deliver();
            ledger = shared.ledger();
        }
        if answer == Answer::Take {
            let id = [submit.ids.0.as_bytes(), b"\0"].concat();
            self.respond(pdu::SUBMIT_SM, 0, sequence, &id);
            match manner.receipts {
                Receipts::Delivered => ledger.receipt(&submit, "DELIVRD"),
                Receipts::Failed => ledger.receipt(&submit, "UNDELIV"),
                Receipts::None | Receipts::Early => {}
            }
        }
    }

    fn respond(&mut self, id: u32, status: u32, sequence: u32, body: &[u8]) {
        self.out.extend_from_slice(&pdu::pdu(id | pdu::RESPONSE, status, sequence, body));
    }
}
